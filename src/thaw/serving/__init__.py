"""A page on this machine to try a network: a photo in, classes and what the network looked at out."""
