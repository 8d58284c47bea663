"""Making a pose model honest (confidence) and small (INT8), and the numbers that say how good it is."""
