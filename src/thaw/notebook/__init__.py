"""A table and its networks in Python, for notebooks: `thaw.load_results` and `thaw.load_model`."""
