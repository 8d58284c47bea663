"""Measure a run and draw its report."""
