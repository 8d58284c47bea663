"""The command `yoga-live`."""
