"""The types and pure functions that every package uses; no camera, no engine."""
