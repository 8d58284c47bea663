"""Photo folders: manifest, near-duplicates, splits, statistics."""

HELD_OUT_SHARE = 0.15
"""Fraction of each pose's photos for validation, and again for test."""
