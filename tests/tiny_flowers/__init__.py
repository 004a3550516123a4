"""A dataset of TensorFlow Datasets for the tests."""
