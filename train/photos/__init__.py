"""Photo folders: manifest, near-duplicates, splits, the data set."""

HELD_OUT_SHARE = 0.15
"""Share of each pose's photos that go to validation, and again to test."""
