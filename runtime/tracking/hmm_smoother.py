"""Smoothing that sees the future, for recorded videos: forward-backward over a hidden Markov model.

States are the poses and `none`.  A class changes its state as a renewal process does: at `change_rate` a second the
next state is drawn anew, `none` half of the time.  Then P(dt) = exp(-rate dt) I + (1 - exp(-rate dt)) 1 pi', exactly
for any interval, and a pass costs O(C) a frame.  An observation is weighted by the time that a frame stands for, so
that 60 frames a second are not surer than 10.  Forward-backward: Rabiner 1989, section III.B; probabilities divided
by priors as likelihoods: Bourlard and Morgan 1990.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.types import NO_POSE, Floats, Segment

BLOCK = 1024
"""Frames that are weighed at once."""


@dataclass(frozen=True)
class HmmConfig:
    """What is known of a class before it is seen."""

    change_rate: float = 1 / 15  # renewals a second
    evidence_rate: float = 3.0  # independent observations that a second of frames is worth
    longest_observation_s: float = 0.25  # a frame stands for no more than this: nothing is known of a gap
    least_probability: float = 0.02  # no single observation rules a state out
    unseen_share: float = 1 / 16  # nothing was seen: any pose, by `none`; two seconds of damage end a hold


class HmmSmoother:
    """Collect the probabilities of a whole video, then say what was held when."""

    def __init__(
        self,
        labels: tuple[str, ...],
        threshold: float,
        priors: Floats | None = None,
        config: HmmConfig | None = None,
    ) -> None:
        """priors: how often training met each label, float (C,); equal if None, as `yoga-train fit` draws them."""
        self._labels, self._threshold = labels, threshold
        self._config = config or HmmConfig()
        self._priors = np.full(len(labels), 1 / len(labels)) if priors is None else priors
        self._poses = [number for number, label in enumerate(labels) if label != NO_POSE]
        self._room_s, self._room = np.empty(BLOCK), np.empty((BLOCK, len(labels)), np.float32)
        self._count = 0

    def update(self, time_s: float, probabilities: Floats) -> None:
        """Take the calibrated probabilities, float (C,), of the frame at `time_s` (seconds, never going back).

        All zero: nothing was seen there.
        """
        if self._count == len(self._room):
            self._room_s = np.concatenate([self._room_s, np.empty_like(self._room_s)])
            self._room = np.concatenate([self._room, np.empty_like(self._room)])
        self._room_s[self._count], self._room[self._count] = time_s, probabilities
        self._count += 1

    def smooth(self, first: int = 0) -> Floats:
        """Posterior of each frame from `first` on, float64 (N, P + 1): the poses in label order, then `none`."""
        steps_s = np.diff(self._room_s[first : self._count])
        class_maps = self._weigh_observation(self._room[first : self._count], steps_s)
        if not len(class_maps):
            return class_maps
        stay = np.exp(-self._config.change_rate * np.maximum(steps_s, 0))
        start = np.full(class_maps.shape[1], 0.5 / len(self._poses))
        start[-1] = 0.5
        posterior = np.empty_like(class_maps)
        posterior[0] = _normalise(start * class_maps[0])
        for n in range(1, len(class_maps)):  # forward
            posterior[n] = _normalise((stay[n - 1] * posterior[n - 1] + (1 - stay[n - 1]) * start) * class_maps[n])
        backward = np.ones_like(start)
        for n in range(len(class_maps) - 2, -1, -1):
            seen = class_maps[n + 1] * backward
            backward = _normalise(stay[n] * seen + (1 - stay[n]) * float(start @ seen))
            posterior[n] = _normalise(posterior[n] * backward)
        return posterior

    def _weigh_observation(self, rows: Floats, steps_s: Floats) -> Floats:
        """Of each frame under each state, by the time that it stands for, float64 (N, P + 1).

        In blocks: over a class of hours, numbers in between would take more memory than all that is kept.
        """
        weights = self._config.evidence_rate * self._stand_for(steps_s)
        class_maps = np.empty((len(rows), len(self._poses) + 1))
        for at in range(0, len(rows), BLOCK):
            block = self._likelihoods(rows[at : at + BLOCK].astype(np.float64))
            class_maps[at : at + BLOCK] = np.exp(weights[at : at + BLOCK, None] * np.log(block))
        return class_maps

    def segments(self, since_s: float = -np.inf, end_s: float | None = None) -> tuple[Segment, ...]:
        """What was held when, without gaps; a segment begins half-way between the frames that disagree.

        since_s: leave out what was before, as if the video began there; end_s: of the last segment, the last frame's
        time if None.  confidence: mean calibrated probability of the pose (for `none`: that no single pose is shown).
        """
        first = int(np.searchsorted(self._room_s[: self._count], since_s))
        states, times_s = self.smooth(first).argmax(axis=1), self._room_s[first : self._count]
        if not len(states):
            return ()
        rows = self._room[first : self._count]
        starts = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist()]
        last_s = times_s[-1] if end_s is None else max(end_s, times_s[-1])
        edges_s = [times_s[0], *((times_s[n - 1] + times_s[n]) / 2 for n in starts[1:]), last_s]
        ends = [*starts[1:], len(states)]
        return tuple(
            Segment(float(edges_s[n]), float(edges_s[n + 1]), *self._describe(int(states[start]), rows[start:end]))
            for n, (start, end) in enumerate(zip(starts, ends, strict=True))
        )

    def _describe(self, state: int, rows: Floats) -> tuple[str, float]:
        """A segment's pose and confidence, 0 where nothing was seen.  rows: its probabilities, float (N, C)."""
        if not (seen := rows.any(axis=1)).all():
            rows = rows[seen]
        if not len(rows):
            return (NO_POSE if state == len(self._poses) else self._labels[self._poses[state]]), 0.0
        if state == len(self._poses):
            return NO_POSE, float((1 - rows[:, self._poses].max(axis=1)).mean())
        pose = self._poses[state]
        return self._labels[pose], float(rows[:, pose].mean())

    def _stand_for(self, steps_s: Floats) -> Floats:
        """Seconds that each frame stands for: half-way to its neighbours, float (N,)."""
        half = np.minimum(np.maximum(steps_s, 0) / 2, self._config.longest_observation_s / 2)
        return np.append(half, half[-1:] if len(half) else 0.1) + np.append(half[:1] if len(half) else 0.1, half)

    def _likelihoods(self, rows: Floats) -> Floats:
        """Of each frame under each state, up to a factor, float (N, P + 1).

        `none` is at least as likely as a pose whose probability is the threshold: its odds are measured against the
        threshold's.
        """
        scaled = rows / self._priors * self._priors.mean()
        poses = scaled[:, self._poses]
        best = rows[:, self._poses].max(axis=1)
        threshold = min(max(self._threshold, 1e-3), 1 - 1e-3)
        none = poses.max(axis=1) * threshold / (1 - threshold) * (1 - best) / np.maximum(best, 1e-6)
        if NO_POSE in self._labels:
            none = np.maximum(none, scaled[:, self._labels.index(NO_POSE)])
        likelihoods = np.maximum(np.column_stack([poses, none]), self._config.least_probability)
        likelihoods[~rows.any(axis=1)] = [self._config.unseen_share] * len(self._poses) + [1.0]
        return likelihoods


def _normalise(row: Floats) -> Floats:
    return row / row.sum()
