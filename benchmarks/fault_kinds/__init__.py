"""What faults.py tries, one module a kind."""
