"""Which part of the frame is classified."""
