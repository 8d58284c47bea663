"""Where results go: video, sound, timeline, events, a window."""
