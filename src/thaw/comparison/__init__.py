"""What the runs show: results, tests, intervals, claims and published rows."""
