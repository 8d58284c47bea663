"""Faces that are hidden in every picture of a run: found in the frames that are drawn, a little ahead of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from ..core.frames import DecodedFrame, TimedFrame
from ..core.regions import Region
from ..people.faces import FACE_SCORE, FaceTrack, find_faces
from ..people.two_scales import Finder
from ..tracking.observer import Tracked

AHEAD_LOOKS_PER_S, LIVE_LOOKS_PER_S = 4.0, 8.0
"""Of a recording the next look is known, so that a face is hidden on its whole way; a camera's next look is not."""
SOON_S = 1e-3
"""Frames come a little early and late."""

Followed = tuple[TimedFrame, Tracked, float | None]


def hide_faces(frames: Iterable[Followed], finder: Finder, *, is_live: bool) -> Iterator[tuple[Followed, list[Region]]]:
    """Yield each frame of a run with the parts of it that hide faces.

    The whole picture is looked at, whatever part of it is classified.  Frames of a recording wait for the next look;
    those of a camera never do.
    """
    looks = _FaceLooks(finder, LIVE_LOOKS_PER_S if is_live else AHEAD_LOOKS_PER_S)
    if is_live:
        for followed in frames:
            looks.take(followed[0])
            yield followed, looks.find(followed[0])
        return
    waiting: deque[Followed] = deque()
    error: Exception | None = None
    try:
        for followed in frames:
            if looks.take(followed[0]):
                while waiting:
                    frame = waiting[0][0]
                    yield waiting.popleft(), looks.find(frame)
            waiting.append(followed)
    except Exception as raised:  # noqa: BLE001 - raised below, whatever it is
        error = raised
    if waiting:
        looks.take(waiting[-1][0], at_once=True)
    for followed in waiting:
        yield followed, looks.find(followed[0])
    if error:
        raise error


class _FaceLooks:
    """Looks for faces a few times a second."""

    def __init__(self, finder: Finder, looks_per_s: float) -> None:
        self._finder, self._every_s = finder, 1 / looks_per_s
        self._track, self._looked_s = FaceTrack(), float("-inf")

    def take(self, frame: TimedFrame, *, at_once: bool = False) -> bool:
        """Look at a frame if it is its turn.  Returns whether it was."""
        if frame.time_s < self._looked_s + (SOON_S if at_once else self._every_s - SOON_S):
            return False
        self._looked_s = frame.time_s
        self._track.add(frame.time_s, find_faces(self._finder.find(frame.image_bgr, min_score=FACE_SCORE)))
        return True

    def find(self, frame: TimedFrame) -> list[Region]:
        """Find what to hide in a frame, pixels of the picture as shown."""
        size_wh = frame.size_wh if isinstance(frame, DecodedFrame) else frame.image_bgr.shape[1::-1]
        return self._track.find_regions(frame.time_s, (size_wh[0], size_wh[1]))
