"""Photo folders: manifest, near-duplicates, splits, the data set."""
