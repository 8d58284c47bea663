"""Predicts with the network of a run, before any export."""
