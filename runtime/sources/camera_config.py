"""The settings requested from a camera.  Imports nothing heavy: the options take their defaults from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.presentation import Mounting


@dataclass(frozen=True)
class CameraConfig:
    """Requested settings; the actual ones are in the source's info.  mounting: how it is mounted; None: upright."""

    size_wh: tuple[int, int] = (1280, 720)
    rate: int = 30
    mounting: Mounting | None = None
