"""Decode a photo of any kind, within bounds."""
