"""Measures a run and draws its report."""
