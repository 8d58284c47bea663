"""What the live page shows, between the loop that knows it and the viewers that ask: the newest of everything."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.frames import TimedFrame
from ..core.goals import GoalTracker
from ..core.opencv import cv2
from ..core.pace import Pace
from ..core.preprocess import halve
from ..core.types import Frame, Hold, Segment
from ..errors import YogaLiveError
from ..people.sides import NO_SIDE, HeldSide
from ..tracking.causal_smoother import SmoothedPose
from ..tracking.segments import Session

MOST_SIDE = 1280  # a phone's screen shows no more, and a home's wireless network carries it
QUALITY = 80  # of the JPEG
SILENT_S = 2.0  # without a picture for so long, the page says so

WAITING, WATCHING, SILENT, ENDED, CLOSED = "waiting", "watching", "silent", "ended", "closed"


@dataclass(frozen=True)
class Picture:
    """One encoded frame.  number: which one; jpeg: at most MOST_SIDE on its longer side."""

    number: int
    jpeg: bytes


class LiveBoard:
    """The loop puts up its newest frame and hold, and never waits; viewers take what is newest when they are ready."""

    def __init__(self, goals_s: Mapping[str, float] | None = None) -> None:
        """goals_s: label -> seconds that it is to be held, as `PerSide` where that is on each side."""
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        self._frame: TimedFrame | None = None
        self._number, self._version = 0, 0
        self._picture: Picture | None = None
        self._seen_s = 0.0
        self._state = WAITING
        self._session, self._hold, self._time_s = Session(), Hold("none", 0.0, 0.0), 0.0
        self._goals, self._held, self._note = GoalTracker(goals_s or {}), NO_SIDE, ""
        self._holds: dict[int, Hold] = {}
        self._is_group = False  # whether several people are followed
        self._past: tuple[Segment, ...] = ()
        self.source = ""  # what it is called
        self.encoded = 0  # pictures, for those who wonder what viewers cost

    def show(self, frame: TimedFrame) -> None:
        """Put up an annotated frame; the caller leaves it alone from now on.  Its image is read when somebody looks."""
        with self._changed:
            self._frame, self._number, self._state = frame, self._number + 1, WATCHING
            if frame.lost_s is None:
                self._seen_s = time.monotonic()
            self._changed.notify_all()

    def publish(self, time_s: float, hold: Hold, holds: Mapping[int, Hold] | None = None) -> None:
        """Put up what is held at `time_s`, seconds, never going back; holds: by each of several people."""
        with self._changed:
            state = self._goals.update(time_s, hold)
            turned_s = state.since_s if state.begins and hold.pose == self._hold.pose else self._held.turned_s
            self._held = HeldSide(hold.side, hold.confidence, turned_s)
            self._note = state.note
            self._is_group = self._is_group or bool(holds)
            if self._is_group:  # several people have no common timeline
                self._past = ()
            else:
                self._session.update(time_s, SmoothedPose(hold.pose, hold.confidence, state.since_s), self._held)
                if state.begins:
                    self._past = self._session.segments()[:-1]
            self._hold, self._holds = hold, dict(holds or {})
            self._time_s, self._version = time_s, self._version + 1
            self._changed.notify_all()

    def end(self) -> None:
        """Say that the source has ended."""
        self._turn_to(ENDED)

    def close(self) -> None:
        """Say that the program ends; nobody waits any longer."""
        self._turn_to(CLOSED)

    @property
    def is_closed(self) -> bool:
        return self._state == CLOSED

    def wait_for_picture(self, other_than: int, timeout_s: float) -> Picture | None:
        """The newest picture as soon as it is another one; None if there is none until then.

        It is encoded here, in the thread of the first viewer that asks for it, and once for all of them.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._number not in (0, other_than) or self.is_closed, timeout_s)
            if self._frame is None or self._number == other_than:
                return None
        with self._encoding:
            with self._changed:
                frame, number = self._frame, self._number
            if self._picture is None or self._picture.number != number:
                self._picture = Picture(number, encode_picture(frame.image_bgr))
                self.encoded += 1
            return self._picture

    def wait_for_state(self, version: int, timeout_s: float) -> int:
        """Wait until something has changed since `version`, or for so long.  Returns the version by now."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout_s)
            return self._version

    def describe(self, past_from: int = 0) -> dict[str, Any]:
        """What is shown, for JSON.  past_from: how many finished segments the viewer has already."""
        with self._changed:
            hold, silent_s = self._hold, max(time.monotonic() - self._seen_s, 0.0)
            is_silent = self._state == WATCHING and silent_s > SILENT_S
            return {
                "state": SILENT if is_silent else self._state,
                "source": self.source,
                "silent_s": round(silent_s, 1) if is_silent else 0,
                "time_s": round(self._time_s, 2),
                "pose": hold.pose,
                "confidence": round(hold.confidence, 3),
                "hold_s": round(hold.hold_s, 2),
                "leads": hold.leads,
                "side": hold.side,
                "note": self._note,
                "past_from": past_from,
                "past": [[round(s.start_s, 2), round(s.end_s, 2), s.pose] for s in self._past[past_from:]],
                "is_group": self._is_group,
                "people": [_describe_person(number, held) for number, held in sorted(self._holds.items())],
            }

    def _turn_to(self, state: str) -> None:
        with self._changed:
            self._state, self._version = state, self._version + 1
            self._changed.notify_all()


def _describe_person(number: int, hold: Hold) -> dict[str, Any]:
    confidence, hold_s = round(hold.confidence, 3), round(hold.hold_s, 2)
    told = {"person": number, "pose": hold.pose, "confidence": confidence, "hold_s": hold_s, "leads": hold.leads}
    return {**told, "side": hold.side}


def encode_picture(image: Frame) -> bytes:
    """Encode as JPEG, at most MOST_SIDE on the longer side.  image: uint8 (H, W, 3) BGR."""
    height, width = image.shape[:2]
    scale = min(1.0, MOST_SIDE / max(height, width))
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:
        image = np.asarray(cv2.resize(halve(image, *size_wh), size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    done, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise YogaLiveError(f"a frame of shape {image.shape} cannot be encoded as JPEG")
    return content.tobytes()


class PageSink:
    """The live page as a sink: a frame is put up and forgotten.  pace: wait until a recording's frame is due."""

    def __init__(self, board: LiveBoard, pace: Pace | None = None) -> None:
        self._board, self._pace = board, pace

    def write(self, frame: TimedFrame) -> None:
        """Put up one frame."""
        if self._pace:
            time.sleep(self._pace.wait_s(frame.time_s))
        self._board.show(frame)

    def complete(self) -> None:
        """Nothing follows the last picture."""

    def break_off(self) -> None:
        """The page keeps nothing."""

    def close(self) -> None:
        """Say that there will be no more."""
        self._board.end()
