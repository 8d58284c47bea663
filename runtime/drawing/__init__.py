"""What is painted: overlay, heat map, summary."""
