"""From folders of photos to a fine-tuned pose model."""
