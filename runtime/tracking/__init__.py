"""Answers over time become held poses and segments."""
