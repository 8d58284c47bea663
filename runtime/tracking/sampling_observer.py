"""A recording, observed a few times a second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.frames import DecodedFrame, TimedFrame
from ..errors import OptionError, SourceError
from ..sources.frame_sampling import SAME_S, FrameSampler
from .adaptive_sampling import AdaptiveObserver
from .observer import Observation, Observer, observe_nothing

OBSERVATIONS_PER_S = 6.0
"""Frames of a recording that are due to be observed, of a second: twice what `HmmSmoother` counts as independent.

The network is what annotating costs most beside the codec.  On four clips 6 move no edge by more than 0.1 s from where
8 or all frames put it; with a quarter of the answers replaced by chance, 1.5 % of the time is named otherwise than by
all frames, 1.0 % with 8, 2.5 % with 5 (means of six draws).
"""


DAMAGE_S = 0.5
"""Damage that lasts longer is told as nothing seen; across what is shorter, the observations on both sides say
enough."""


@dataclass(frozen=True)
class Step:
    """A frame to be drawn, or none, and the observations that are known since the step before: of this frame or earlier
    ones.

    is_last: no more observations come.
    """

    frame: TimedFrame | None = None
    observations: Sequence[Observation] = ()
    is_last: bool = False


class SamplingObserver:
    """An observer that observes a few times a second, and forgets what is minutes ago.

    Of several people nothing is forgotten: each keeps their number to the end.
    """

    def __init__(self, observer: Observer, start_s: float = 0.0) -> None:
        """start_s: where its observations begin, seconds; frames before it are for warming up alone."""
        self._renews = not observer.follows_group
        self._observer, self._observations, self._start_s = observer, AdaptiveObserver(observer), start_s
        self._sampler = FrameSampler(OBSERVATIONS_PER_S)
        self._chunk: int | None = None
        self._warmed: int | None = None
        self._blanks = FrameSampler(OBSERVATIONS_PER_S)
        self._damaged_from: float | None = None
        self._last_chunk: int | None = None  # of the last frame, damaged ones too

    def observe_along(self, frames: Iterable[TimedFrame]) -> Iterator[Step]:
        """Every frame, some of them observed; they wait as small as they are drawn."""
        for frame, observations, _ in self._take_all(frames):
            yield Step(frame.to_plain() if isinstance(frame, DecodedFrame) else frame, observations)

    def observe_through(self, frames: Iterable[TimedFrame]) -> Iterator[Step]:
        """Those that are due to be observed, by their times alone."""
        nothing = np.empty((0, 0, 3), np.uint8)
        for frame, observations, is_due in self._take_all(frames):
            if frame and is_due:
                yield Step(TimedFrame(nothing, frame.time_s, frame.pts, frame.lasts_s), observations)
            elif observations:
                yield Step(None, observations)

    def _take_all(
        self, frames: Iterable[TimedFrame]
    ) -> Iterator[tuple[TimedFrame | None, Sequence[Observation], bool]]:
        """Each frame, the observations that are known since, and whether it is due; those that wait at the end, or at
        damage, come without one."""
        try:
            for frame in frames:
                yield frame, *self._take(frame)
        except (SourceError, OptionError):  # damage, or a region that fits no more
            yield None, self._observations.finish(), False
            raise
        yield None, self._observations.finish(), False

    def _take(self, frame: TimedFrame) -> tuple[Sequence[Observation], bool]:
        """Observe a frame if it is its turn; the cropper of a new chunk has seen nothing but its warm-up."""
        if frame.is_damaged:
            return self._pass_over(frame.time_s)
        role, known = self._sampler.take(frame.time_s), []
        self._last_chunk, self._damaged_from = role.chunk, None
        if self._chunk not in (None, role.chunk):
            known = self._observations.finish()
            if self._renews:
                self._turn(role.chunk)
        self._chunk = role.chunk
        warms = role.warms and self._renews
        if warms and self._warmed != role.chunk + 1:
            self._observer.forget()
            self._warmed = role.chunk + 1
        if role.observes and frame.time_s >= self._start_s - SAME_S:
            return [*known, *self._observations.observe(frame, warms=warms)], True
        if warms:
            self._observer.warm_up(frame)
        return known, False

    def _turn(self, chunk: int) -> None:
        """Go on with the cropper that was warmed up for a chunk."""
        if self._warmed != chunk:  # a gap: what was warmed up is another chunk's
            self._observer.forget()
        self._observer.turn()

    def _pass_over(self, time_s: float) -> tuple[Sequence[Observation], bool]:
        """A damaged frame is not observed.  Where they don't end, or a chunk begins so, observations say that saw
        nothing.

        Counted anew in each chunk, so that it does not depend on where reading began.
        """
        role = self._blanks.take(time_s)
        is_first, self._last_chunk = role.chunk != self._last_chunk, role.chunk
        if is_first or self._damaged_from is None:
            self._damaged_from = time_s - DAMAGE_S * is_first
        is_long = time_s - self._damaged_from >= DAMAGE_S - SAME_S
        if not (role.observes and is_long) or time_s < self._start_s - SAME_S:
            return [], False
        return [*self._observations.finish(), Observation(time_s, None, observe_nothing(self._observer.classes))], True
