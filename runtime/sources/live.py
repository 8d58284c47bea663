"""Cameras and network streams: the newest frame only, connected again after a stall or a loss (reconnect)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

import numpy as np

from ..core.frames import TimedFrame
from ..core.opencv import cv2
from ..core.preprocess import as_bgr, fit_inside_wh
from ..core.types import Frame
from ..errors import SourceError
from .base import LIVE_TIME_BASE, SourceInfo
from .camera_opening import Opening

log = logging.getLogger(__name__)

BEAT_S = 0.5
"""Seconds between two repeated frames while the source is lost."""
TELL_S = 10.0
"""Seconds without a first picture until that is logged."""
IDLE_S = 0.1
"""Seconds between two calls of `idle` (for a window's keys) while there is no picture."""
MOST_HANGING = 2
"""Threads that may hang in a read that never returns, before no further connection is tried."""


class Capture(Protocol):
    """A connection to a camera or stream; tests wrap a list."""

    rate: Fraction

    def read(self) -> Frame | None:
        """Read the next picture, uint8 (H, W, 3) BGR; None if there are no more."""
        ...

    def release(self) -> None: ...


@dataclass(frozen=True)
class ReconnectPolicy:
    """When to reconnect, in seconds.  stall_s: without a picture, the connection counts as lost.

    The wait between attempts is a quarter of the time that it has been lost, at least first_wait_s and at most
    longest_wait_s: little is missed after a short loss, and a long one causes little traffic.  give_up_s: without a
    picture, the source ends; None: never.  lost_s: without a picture, the last frame is repeated twice a second and
    marked as lost.  first_s: limit for the first picture; a stream may begin inside a long group of pictures.
    """

    stall_s: float = 5.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 15.0
    give_up_s: float | None = None
    lost_s: float = 2.0
    first_s: float = 60.0

    def next_wait_s(self, lost_for_s: float) -> float:
        """Seconds to wait before the next attempt."""
        return min(max(lost_for_s / 4, self.first_wait_s), self.longest_wait_s)


def is_recording(capture: Capture) -> bool:
    """Whether a connection is to a recording, which has an end."""
    return bool(getattr(capture, "is_recording", False))


class LiveSource:
    """A camera or stream.  A thread keeps only the newest frame, so that a slow model never delays the picture.

    If no picture arrives, or the connection breaks, it reconnects with growing waits; until then its last frame is
    repeated, with the time since the loss.  A stream that returns in another size is fitted, whole, into its first
    size, so that outputs can continue.
    """

    def __init__(self, connect: Callable[[], Capture], name: str, policy: ReconnectPolicy | None = None) -> None:
        """connect: opens the device or stream; raises SourceError.  name: without credentials."""
        self._connect, self._name, self._policy = connect, name, policy or ReconnectPolicy()
        self._newest: tuple[Frame, float] | None = None
        self._last: TimedFrame | None = None
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._grabbers: list[threading.Thread] = []
        self._generation = 0
        self._error: Exception | None = None
        self._is_over_for_good = False
        self.reconnected = 0
        self.idle: Callable[[], None] = lambda: None  # called while there is no picture, in the waiting thread
        capture, image = self._open_in_time()
        self.info = SourceInfo(name, (image.shape[1], image.shape[0]), capture.rate, LIVE_TIME_BASE, is_live=True)
        self._first: Capture | None = capture
        self._started_s = time.monotonic()
        self._due_s = self._started_s + self._policy.stall_s
        self._put_s = self._started_s  # when the newest picture arrived
        self._is_stuck = False

    def _open_in_time(self) -> tuple[Capture, Frame]:
        """Wait for the first picture, with a limit, in a way that Ctrl-C can interrupt."""
        longest_s = self._policy.first_s
        opening = Opening(self._open, lambda found: found[0].release())
        if found := opening.wait(min(TELL_S, longest_s)):
            return found
        log.warning("waiting for the first picture of %s", self._name)
        if found := opening.wait(max(longest_s - TELL_S, 0.0)):
            return found
        opening.abandon()
        raise SourceError(
            f"{self._name} delivered no picture within {longest_s:.0f} s; check that it is sending, and that no other "
            "program uses it"
        )

    def _open(self) -> tuple[Capture, Frame]:
        capture = self._connect()
        image = capture.read()
        if image is None:
            capture.release()
            raise SourceError(f"{self._name} opened but delivers no picture; check that no other program uses it")
        return capture, image

    def __enter__(self) -> LiveSource:
        self._start(self._first)
        self._first = None
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        if self._first is not None:
            self._first.release()
        for grabber in self._grabbers:
            grabber.join(timeout=2 * self._policy.stall_s)

    def frames(self) -> Iterator[TimedFrame]:
        """Yield the newest frame each time; while the source is lost, repeat the last one, marked as lost.

        Raises SourceError when the policy gives the source up.
        """
        wait_s, due_s = min(IDLE_S, self._policy.lost_s, self._policy.stall_s), 0.0
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._newest is not None or self._error or self._is_over_for_good, wait_s
                )
                newest, self._newest = self._newest, None
                now_s = time.monotonic() - self._started_s
            if newest is not None:
                image, time_s = newest
                self._last = TimedFrame(self._fit(image), time_s, _to_pts(time_s))
                yield self._last
            elif self._error:
                raise self._error
            elif self._is_over_for_good:
                return
            else:
                self.idle()
                self._mend_stall()
                if self._last is None or now_s < due_s:
                    continue
                if (lost_s := now_s - self._last.time_s) >= self._policy.lost_s:
                    due_s = now_s + BEAT_S
                    yield replace(self._last, time_s=now_s, pts=_to_pts(now_s), lost_s=lost_s)

    def _has_news(self) -> bool:
        return self._newest is not None or self._error is not None or self._is_over_for_good

    def _start(self, capture: Capture | None) -> None:
        self._generation += 1
        grabber = threading.Thread(
            target=self._grab, args=(capture, self._generation), name=f"grab {self._name}", daemon=True
        )
        self._grabbers = [*(thread for thread in self._grabbers if thread.is_alive()), grabber]
        grabber.start()

    def _mend_stall(self) -> None:
        """Abandon a thread that hangs in a read, and let another connect.

        Raises SourceError if all threads have hung for as long as the policy allows.
        """
        now_s, policy = time.monotonic(), self._policy
        if policy.give_up_s is not None and now_s - self._put_s >= policy.give_up_s + 3 * policy.stall_s:
            raise self._describe_end(policy.give_up_s, "it does not answer")
        if now_s < self._due_s:
            return
        hanging = sum(thread.is_alive() for thread in self._grabbers)
        if hanging > MOST_HANGING:
            if not self._is_stuck:
                log.warning("%s: %d connections hang; waiting until one of them ends", self._name, hanging)
            self._is_stuck = True
            return
        log.warning("%s has delivered no picture for %.0f s; reconnecting", self._name, self._policy.stall_s)
        self._expect_life(self._policy.first_wait_s)
        self._start(None)

    def _expect_life(self, wait_s: float = 0.0) -> None:
        """Set when a stall is noticed: stall_s from now, or after a wait and the time that connecting may take."""
        self._due_s = time.monotonic() + wait_s + self._policy.stall_s * (3 if wait_s else 1)

    def _grab(self, capture: Capture | None, generation: int) -> None:
        """Read until the source stops or another thread has taken over; reconnect when reading ends.

        A connection that only returns for a moment counts as lost since before, so that the waits keep growing.
        """
        back_s = lost_s = time.monotonic()
        try:
            while not self._is_over(generation):
                if capture is None:
                    now_s = time.monotonic()
                    lost_s = now_s if now_s - back_s >= self._policy.stall_s else lost_s
                    capture = self._connect_again(generation, lost_s)
                    back_s = time.monotonic()
                if capture is None:
                    return
                image = capture.read()
                if image is None:
                    capture.release()
                    if is_recording(capture):
                        self._end(generation)
                        return
                    capture = None
                elif not self._is_over(generation):
                    self._put(image)
        except SourceError as error:
            self._give_up(error, generation)
        finally:
            if capture is not None:
                capture.release()

    def _is_over(self, generation: int) -> bool:
        return self._stopped.is_set() or generation != self._generation

    def _put(self, image: Frame) -> None:
        self._expect_life()
        self._put_s, self._is_stuck = time.monotonic(), False
        with self._changed:
            self._newest = image, self._put_s - self._started_s
            self._changed.notify()

    def _end(self, generation: int) -> None:
        """End after a recording was played; reconnecting would play it again."""
        if not self._is_over(generation):
            with self._changed:
                self._is_over_for_good = True
                self._changed.notify()

    def _give_up(self, error: Exception, generation: int) -> None:
        if not self._is_over(generation):
            with self._changed:
                self._error = error
                self._changed.notify()

    def _connect_again(self, generation: int, lost_s: float) -> Capture | None:
        """Reconnect, with growing waits.  Returns None if the source has been stopped.  Raises SourceError.

        lost_s: when it was lost, by the monotonic clock.
        """
        wait_s, told_s = self._policy.next_wait_s(time.monotonic() - lost_s), 0.0
        self._expect_life(wait_s)
        while not self._stopped.wait(wait_s) and generation == self._generation:
            try:
                capture, image = self._open()
            except SourceError as error:
                lost_for_s = time.monotonic() - lost_s
                self._check_policy(error, lost_for_s)
                wait_s = self._policy.next_wait_s(lost_for_s)
                self._expect_life(wait_s)
                if lost_for_s >= 2 * told_s:
                    told_s = lost_for_s
                    reason = str(error).removeprefix(f"{self._name} ")
                    log.warning("%s is lost (%s); trying again in %.1f s", self._name, reason, wait_s)
                continue
            self.reconnected += 1
            log.warning("%s is back after %.1f s", self._name, time.monotonic() - lost_s)
            self._put(image)
            return capture
        return None

    def _check_policy(self, error: SourceError, lost_for_s: float) -> None:
        give_up_s = self._policy.give_up_s
        if give_up_s is not None and lost_for_s >= give_up_s:
            raise self._describe_end(give_up_s, str(error)) from error

    def _describe_end(self, give_up_s: float, reason: str) -> SourceError:
        return SourceError(
            f"{self._name} stopped and could not be reopened within {give_up_s:.0f} s ({reason}); check that it is "
            "still plugged in"
        )

    def _fit(self, image: Frame) -> Frame:
        """Fit the whole picture into the source's size, on black."""
        width, height = self.info.size_wh
        if image.shape[:2] == (height, width):
            return image
        left, top, new_w, new_h = fit_inside_wh((image.shape[1], image.shape[0]), (width, height))
        fitted = np.zeros((height, width, 3), np.uint8)
        shrinks = new_w < image.shape[1]
        inner = cv2.resize(as_bgr(image), (new_w, new_h), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        fitted[top : top + new_h, left : left + new_w] = inner
        return fitted


def _to_pts(time_s: float) -> int:
    return round(time_s / LIVE_TIME_BASE)
