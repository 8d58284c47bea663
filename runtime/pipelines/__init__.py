"""The loops: live, recorded, photos."""
