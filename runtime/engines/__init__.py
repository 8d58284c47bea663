"""What runs the network: one file per back end."""
