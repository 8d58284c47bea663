"""What is asked of a camera.  Imports nothing heavy: options take their defaults from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.presentation import Mounting


@dataclass(frozen=True)
class CameraConfig:
    """What it really gives is in the source's info.  mounting: how it hangs; None: upright."""

    size_wh: tuple[int, int] = (1280, 720)
    rate: int = 30
    mounting: Mounting | None = None
