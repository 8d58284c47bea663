"""Whatever gives timed frames: videos, cameras, animations, pipes, the demo."""
