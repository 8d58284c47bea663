"""The command `yoga-train`."""
