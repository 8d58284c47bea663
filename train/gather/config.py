"""Settings of a download and a capture.  Imports nothing heavy: the options take their defaults from here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DownloadConfig:
    """total, per_host: simultaneous requests; timeout_s: without data; backoff_s: before the first retry."""

    total: int = 64
    per_host: int = 8
    timeout_s: float = 10.0
    allow_private: bool = False
    max_bytes: int = 25_000_000
    backoff_s: float = 1.0


@dataclass(frozen=True)
class CaptureConfig:
    """countdown_s: time to get into the pose; then `count` photos, one every `every_s` seconds."""

    countdown_s: float = 5.0
    count: int = 20
    every_s: float = 0.5
