"""Find and remove wrong labels."""
