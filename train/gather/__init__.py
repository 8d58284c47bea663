"""Gathers photos: search, download, add, capture."""
