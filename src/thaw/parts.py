"""The parts that a dataset is split into."""

PARTS = ("train", "validation", "test")
