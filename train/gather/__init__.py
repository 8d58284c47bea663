"""Get photos: search, download, add, capture."""
