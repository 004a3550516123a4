"""Stage weights: the weights that a backbone starts from."""
