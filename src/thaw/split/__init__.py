"""Stage split: which photos train, which validate and which test."""
