"""Fine-tune a network."""
