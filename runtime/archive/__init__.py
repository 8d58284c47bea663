"""Many videos on many machines, by Ray."""
