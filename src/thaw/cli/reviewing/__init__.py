"""What changed between two revisions: whether dvc.lock vouches for the results, and what they say."""
