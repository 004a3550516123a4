"""Stage evaluate: one trained run, scored once on every part."""
