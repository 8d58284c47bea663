"""Animated WebP and PNG as videos: FFmpeg cannot read the former, and shows transparency in the latter as black."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..core.frames import TimedFrame
from ..core.presentation import Mounting, Presentation
from ..errors import NoFrameError, SourceError
from ..photos.colours import flatten
from ..photos.decoding import DAMAGE
from ..photos.limits import RefusedPicture, check_size
from ..system.foreign_files import open_plain
from ..system.plain_text import show_name
from .base import Seen, SourceInfo
from .demux import MOST_PIXELS
from .frame_sampling import SAME_S, FrameSampler
from .time_range import TimeRange, format_moment

if TYPE_CHECKING:
    from .remote import RemoteFile

TIME_BASE = Fraction(1, 1000)
ANIMATED = 2
"""The animation flag of VP8X in WebP's container specification."""
SHORTEST_MS = 10
HEAD_BYTES = 4096
"""A PNG states that it is animated within these first bytes, before its first picture."""
LEFT_OUT_MS = 100
"""How long browsers show a frame without a duration, or with one of less than SHORTEST_MS."""


def is_animated_webp(path: Path | RemoteFile) -> bool:
    """Whether a file is an animated WebP or PNG, by its header; also False for an unreadable file."""
    try:
        with open_plain(path) if isinstance(path, Path) else path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except (OSError, ValueError):
        return False
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"acTL" in head.partition(b"IDAT")[0]
    is_extended = len(head) > 20 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return is_extended and bool(head[20] & ANIMATED)


class AnimationSource:
    """An animated WebP, every frame with its own time; transparent parts are white."""

    def __init__(
        self,
        path: Path | RemoteFile,
        at_most_per_s: float | None = None,
        time_range: TimeRange | None = None,
        mounting: Mounting | None = None,
    ) -> None:
        """Arguments as for `VideoSource`.  Raises SourceError."""
        self._path, self._time_range, self._seen = path, time_range or TimeRange(), Seen()
        self._mounting = mounting or Mounting()
        self._sampler = FrameSampler(at_most_per_s, self._time_range.start_s) if at_most_per_s else None
        self._file = None if isinstance(path, Path) else path.open()
        try:
            kinds = ("WEBP", "PNG")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's warning about the size, which is checked here
                self._image = Image.open(self._file or path, formats=kinds)  # pyright: ignore[reportArgumentType] - a path
        except (*DAMAGE, UnidentifiedImageError) as error:
            raise SourceError(f"cannot open {path} as a video: {error}") from error
        try:
            check_size(self._image.size, MOST_PIXELS)
        except RefusedPicture as error:
            self._close()
            raise SourceError(f"{path} {error}") from error
        self._frames = self._decode()
        try:
            self._first = next(self._frames, None)
            if self._first is None:
                raise NoFrameError(f"{path} has no frame at or after {format_moment(self._time_range.start_s)}")
        except SourceError:
            self._close()
            raise
        rate = Fraction(1000, self._lasts_ms())  # only nominal: each frame has its own time
        start_pts = self._first.pts if self._time_range.start_s else 0
        size_wh = Presentation().mount(self._mounting).turn_wh(self._image.size)
        self.info = SourceInfo(show_name(path.name), size_wh, rate, TIME_BASE, start_pts=start_pts, seen=self._seen)

    def __enter__(self) -> AnimationSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._image.close()
        if self._file:
            self._file.close()

    def frames(self) -> Iterator[TimedFrame]:
        """Every frame, in order."""
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._frames

    def _lasts_ms(self) -> int:
        """How long the frame loaded last is shown, in milliseconds."""
        lasts_ms = round(self._image.info.get("duration", 0))
        return lasts_ms if lasts_ms > SHORTEST_MS else LEFT_OUT_MS

    def _decode(self) -> Iterator[TimedFrame]:
        pts = 0
        first = int(getattr(self._image, "default_image", False))  # a PNG's picture for viewers without animation
        for number in range(first, getattr(self._image, "n_frames", 1)):
            try:
                self._image.seek(number)
                self._image.load()
            except DAMAGE as error:
                raise SourceError(
                    f"{self._path} is damaged after {pts / 1000:.1f} s: {error}; the frames before that were used"
                ) from error
            time_s, now, lasts_s = pts / 1000, pts, self._lasts_ms() / 1000
            pts += self._lasts_ms()
            if self._time_range.end_s is not None and time_s > self._time_range.end_s - SAME_S:
                return
            if time_s < self._time_range.start_s - SAME_S:
                continue
            if self._time_range.end_s is not None:
                lasts_s = min(lasts_s, self._time_range.end_s - time_s)
            self._seen.count(time_s, lasts_s)
            if not self._sampler or self._sampler.take(time_s).is_wanted:
                rgb = np.asarray(flatten(self._image), np.uint8)
                image_bgr = self._mounting.apply(np.ascontiguousarray(rgb[:, :, ::-1]))
                yield TimedFrame(image_bgr, time_s, now, lasts_s)
