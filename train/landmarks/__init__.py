"""Trains the second opinion: small networks on key points, and how they are mixed with the pose network."""
