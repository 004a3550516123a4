"""The report: one table of all runs, learning curves, confusion matrices, and what the runs cost.

It reads the metrics and plot tables that git tracks, no model and no photo.
"""
