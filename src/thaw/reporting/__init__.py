"""The report: one table of all runs, learning curves, confusion matrices, and what the runs cost.

It reads the metrics and plot tables that git tracks, no model and no photo.
"""

from thaw.reporting.publication import write_report
from thaw.reporting.tables import render_table

__all__ = ["render_table", "write_report"]
