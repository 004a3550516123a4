"""The report: the table of all runs, which differences are real, the published tables and claims beside what was
measured, learning curves, confusion matrices, and what the runs cost.

It reads the metrics and plot tables that git tracks, no model and no photo.
"""
