"""From a trained run to the one file that every device reads."""
