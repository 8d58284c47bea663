"""Chooses the part of the frame that is classified."""
