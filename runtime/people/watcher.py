"""The people of a video: found once a second where nothing moves, four times where something does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.opencv import cv2
from ..core.preprocess import as_bgr, halve
from ..core.regions import Region
from ..core.types import Floats, Frame
from .mats import Mats, Settled
from .tracks import Person, TrackConfig, Tracks
from .two_scales import Finder, TwoScaleFinder

SOON_S = 1e-3
"""Frames come a little early and late."""


@dataclass(frozen=True)
class WatchConfig:
    """When people are looked for."""

    quiet_s: float = 1.0  # from look to look where nothing moves
    moving_s: float = 0.25  # and where something does
    nobody_s: float = 0.5  # where nobody is there yet, but something moves
    side: int = 64  # longer side of the grey picture that tells; averaging removes the camera's noise
    level: float = 8.0  # grey levels by which a pixel must differ from the picture of the last look
    changed: float = 0.01  # fraction of such pixels in somebody's box, with a margin, or in the picture without anybody
    margin: float = 0.25  # of the box's longer side
    cut: float = 0.5  # fraction of such pixels in the whole picture: a cut, or a camera that was moved


class PeopleWatcher:
    """Follows the people of one video::

        watcher = PeopleWatcher(PeopleFinder())
        people = watcher.update(time_s, frame_bgr)          # each with a number, a box and key points

    The finder runs one to four times a second; between, people are where they were found last.
    """

    def __init__(
        self,
        finder: Finder,
        tracks: TrackConfig | None = None,
        config: WatchConfig | None = None,
        *,
        mats: bool = False,
    ) -> None:
        """mats: number people by their places, see `Mats`."""
        self.finder, self._track_config, self._config = finder, tracks, config or WatchConfig()
        self._tracks, self._mats = Tracks(tracks), Mats() if mats else None
        self._people: tuple[Person, ...] = ()
        self.settled: tuple[Settled, ...] = ()  # who is known to be on a mat since the newest frame
        self._looked_s: float | None = None
        self._looked: Floats | None = None
        self.looks = 0

    @property
    def looked_s(self) -> float:
        """When the finder looked last, seconds; 0 before the first look."""
        return self._looked_s or 0.0

    def renew(self) -> PeopleWatcher:
        """Make a watcher of the same kind that has seen nobody yet."""
        finder = self.finder.renew() if isinstance(self.finder, TwoScaleFinder) else self.finder
        return PeopleWatcher(finder, self._track_config, self._config, mats=self._mats is not None)

    def update(self, time_s: float, frame_bgr: Frame, region: Region | None = None) -> tuple[Person, ...]:
        """Take the frame at `time_s` (seconds, never decreasing).  Returns the people, by number.

        With mats, who is on none has a number below 0, and `settled` says of whom it has become certain that they are.

        frame_bgr: uint8 (H, W, 3).  region: look for people in this part alone, pixels; they are in the frame's pixels
        all the same.
        """
        small, self.settled = self._find_due(time_s, frame_bgr, region), ()
        if small is not None:
            people = self.finder.find(frame_bgr, region, min_score=self._tracks.least_score)
            may_be_cut = self._looked is not None and self._may_be_cut(small, self._looked)
            tracked = self._tracks.update(time_s, people, may_be_cut=may_be_cut)
            self._people = self._mats.update(time_s, tracked) if self._mats else tracked
            self.settled = self._mats.settled if self._mats else ()
            self._looked_s, self._looked = time_s, small
            self.looks += 1
        return self._people

    def _find_due(self, time_s: float, frame_bgr: Frame, region: Region | None) -> Floats | None:
        """The shrunken picture if the finder is to look now, else None."""
        elapsed_s = np.inf if self._looked_s is None else time_s - self._looked_s + SOON_S
        if elapsed_s < (self._config.moving_s if self._people else self._config.nobody_s):
            return None
        small = self._shrink(region.cut(frame_bgr) if region else frame_bgr)
        if elapsed_s >= self._config.quiet_s or self._looked is None or self._looked.shape != small.shape:
            return small
        return small if self._has_changed(small, self._looked, frame_bgr.shape, region) else None

    def _has_changed(self, small: Floats, looked: Floats, shape: tuple[int, ...], region: Region | None) -> bool:
        changed = self._compare(small, looked)
        if not self._people:
            return bool(changed.mean() > self._config.changed / 4)
        left, top = (region.left, region.top) if region else (0, 0)
        scale = small.shape[1] / (region.width if region else shape[1])
        for person in self._people:
            margin = self._config.margin * max(person.box[2:] - person.box[:2])
            edges = (person.box + margin * np.array([-1, -1, 1, 1]) - np.array([left, top, left, top])) * scale
            x0, y0 = np.floor(np.clip(edges[:2], 0, None)).astype(int)
            x1, y1 = np.ceil(np.clip(edges[2:], 1, None)).astype(int)
            part = changed[y0:y1, x0:x1]
            if part.size and part.mean() > self._config.changed:
                return True
        return False

    def _may_be_cut(self, small: Floats, looked: Floats) -> bool:
        return small.shape != looked.shape or bool(self._compare(small, looked).mean() > self._config.cut)

    def _compare(self, small: Floats, looked: Floats) -> npt.NDArray[np.bool_]:
        """Which pixels have changed; a change of light everywhere is none."""
        difference = small - looked
        return np.abs(difference - np.median(difference)) > self._config.level

    def _shrink(self, part: npt.NDArray[np.generic]) -> Floats:
        height, width = part.shape[:2]
        scale = min(1.0, self._config.side / max(width, height))
        size_wh = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(halve(as_bgr(part), *size_wh), size_wh, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.float32)
