"""Flowers that the project draws itself."""
