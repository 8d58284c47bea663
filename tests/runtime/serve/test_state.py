"""What the page shows: the newest of everything, encoded once and only for those who look."""

import io
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.goals import PerSide
from yoga_live.runtime.core.pace import Pace
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.serve import state
from yoga_live.runtime.serve.state import MOST_SIDE, LiveBoard, PageSink, encode_picture

FRAME = TimedFrame(np.full((48, 64, 3), (200, 100, 50), np.uint8), 0.0, 0)


def act(board: LiveBoard, programme: list[tuple[str, float, float]], step_s: float = 0.5) -> None:
    """Tell holds: (pose, from, until)."""
    for pose, start_s, end_s in programme:
        for time_s in np.arange(start_s, end_s, step_s):
            board.publish(float(time_s), Hold(pose, 0.9, float(time_s - start_s)))


class UnseenFrame(TimedFrame):
    """A frame whose image is made when it is asked for, which nobody may."""

    def __init__(self) -> None:
        self.__dict__.update(time_s=0.0, pts=0)

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was asked for")


def test_nobody_looks_and_nothing_is_encoded_nor_even_converted() -> None:
    board = LiveBoard()
    sink = PageSink(board)
    for _ in range(100):
        sink.write(UnseenFrame())
    assert board.encoded == 0


def test_many_viewers_cost_one_encoding_a_frame() -> None:
    board = LiveBoard()
    board.show(FRAME)
    got: list[bytes] = []

    def look() -> None:
        picture = board.wait_for_picture(-1, 5)
        assert picture is not None
        got.append(picture.jpeg)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(got) == 8 and len(set(map(id, got))) == 1 and board.encoded == 1


def test_a_viewer_gets_the_newest_picture_and_never_one_twice() -> None:
    board = LiveBoard()
    for level in range(1, 6):
        board.show(TimedFrame(np.full((48, 64, 3), level * 40, np.uint8), level, level))
    picture = board.wait_for_picture(1, 1)
    assert picture is not None and picture.number == 5
    assert np.asarray(Image.open(io.BytesIO(picture.jpeg))).mean() == pytest.approx(200, abs=2)
    started_s = time.monotonic()
    assert board.wait_for_picture(5, 0.1) is None and time.monotonic() - started_s >= 0.09


def test_a_waiting_viewer_is_woken_by_the_next_frame_and_by_the_end() -> None:
    board = LiveBoard()
    threading.Timer(0.05, board.show, [FRAME]).start()
    picture = board.wait_for_picture(-1, 10)
    assert picture is not None
    threading.Timer(0.05, board.close).start()
    started_s = time.monotonic()
    assert board.wait_for_picture(picture.number, 10) is None and time.monotonic() - started_s < 5


@pytest.mark.parametrize(
    ("size_wh", "expected"),
    [((640, 480), (640, 480)), ((1920, 1080), (1280, 720)), ((2160, 3840), (720, 1280)), ((4001, 3), (1280, 1))],
)
def test_pictures_are_as_large_as_a_phone_can_show(size_wh: tuple[int, int], expected: tuple[int, int]) -> None:
    image = np.full((size_wh[1], size_wh[0], 3), 128, np.uint8)
    assert Image.open(io.BytesIO(encode_picture(image))).size == expected and max(expected) <= MOST_SIDE


def test_the_past_grows_by_what_a_viewer_lacks() -> None:
    board = LiveBoard()
    act(board, [("none", 0, 2), ("tree", 2, 6)])
    first = board.describe()
    assert (first["pose"], first["hold_s"], first["past"]) == ("tree", 3.5, [[0.0, 2.0, "none"]])
    act(board, [("none", 6, 8), ("tree", 8, 9), ("none", 9, 10)])
    more = board.describe(past_from=1)
    assert more["past_from"] == 1
    assert more["past"] == [[2.0, 6.0, "tree"], [6.0, 8.0, "none"], [8.0, 9.0, "tree"]]
    assert board.describe(past_from=4)["past"] == []


def test_a_pose_that_is_announced_late_begins_where_its_evidence_did() -> None:
    board = LiveBoard()
    board.publish(0.0, Hold("none", 0.5, 0.0))
    board.publish(3.0, Hold("tree", 0.9, 0.6))
    assert board.describe()["past"] == [[0.0, 2.4, "none"]]


def test_who_turns_has_two_segments_and_a_side() -> None:
    board = LiveBoard()
    board.publish(9.0, Hold("tree", 0.9, 9.0, side="left"))
    board.publish(12.0, Hold("tree", 0.9, 2.0, side="right"))
    told = board.describe()
    assert told["past"] == [[0.0, 10.0, "tree"]]
    assert (told["side"], told["hold_s"]) == ("right", 2.0)


def test_it_says_switch_sides_once_a_goal_for_each_side_is_reached() -> None:
    board = LiveBoard({"tree": PerSide(5)})
    for time_s, words in ((4.0, ""), (5.0, "switch sides"), (9.0, "switch sides")):
        board.publish(time_s, Hold("tree", 0.9, time_s, side="left"))
        assert board.describe()["note"] == words
    board.publish(15.0, Hold("tree", 0.9, 5.0, side="right"))
    assert board.describe()["note"] == ""


def test_it_says_how_the_stream_is(monkeypatch: pytest.MonkeyPatch) -> None:
    board, now_s = LiveBoard(), 100.0
    monkeypatch.setattr(state.time, "monotonic", lambda: now_s)
    states = [board.describe()["state"]]
    board.show(FRAME)
    states.append(board.describe()["state"])
    now_s += 5
    silent = board.describe()
    states.append(silent["state"])
    board.show(FRAME)
    states.append(board.describe()["state"])
    board.end()
    now_s += 60
    states.append(board.describe()["state"])
    board.close()
    states.append(board.describe()["state"])
    assert states == ["waiting", "watching", "silent", "watching", "ended", "closed"] and silent["silent_s"] == 5


def test_the_last_picture_of_a_lost_source_is_shown_and_is_no_life(monkeypatch: pytest.MonkeyPatch) -> None:
    board, now_s = LiveBoard(), 100.0
    monkeypatch.setattr(state.time, "monotonic", lambda: now_s)
    board.show(FRAME)
    now_s += 3
    board.show(replace(FRAME, time_s=3.0, lost_s=3.0))
    assert board.wait_for_picture(1, 0) is not None
    silent = board.describe()
    assert (silent["state"], silent["silent_s"]) == ("silent", 3)
    board.show(FRAME)
    assert board.describe()["state"] == "watching"


def test_a_sink_keeps_the_frame_and_the_pace_of_a_recording() -> None:
    board = LiveBoard()
    sink = PageSink(board, Pace())
    started_s = time.monotonic()
    for number in range(4):
        sink.write(TimedFrame(FRAME.image_bgr, 1_000_000 + number * 0.05, number))  # a recording that begins anywhere
    assert 0.14 < time.monotonic() - started_s < 2
    sink.close()
    assert board.describe()["state"] == "ended"
    assert board.wait_for_picture(-1, 0) is not None  # the last frame can still be seen


def test_a_live_source_is_never_waited_for() -> None:
    board = LiveBoard()
    sink = PageSink(board)
    started_s = time.monotonic()
    for number in range(200):
        sink.write(TimedFrame(FRAME.image_bgr, number * 10.0, number))
    assert time.monotonic() - started_s < 0.5


def test_several_people_have_no_common_timeline() -> None:
    board = LiveBoard()
    holds = {1: Hold("tree", 0.9, 2.0), 2: Hold("warrior_2", 0.8, 1.0, side="left")}
    for number in range(8):
        board.publish(number * 1.0, holds[1 + number % 2], holds)
    told = board.describe()
    assert told["is_group"] and told["past"] == []
    assert [(person["person"], person["pose"]) for person in told["people"]] == [(1, "tree"), (2, "warrior_2")]
    board.publish(9.0, Hold("none", 0.0, 0.0), {})
    assert board.describe()["is_group"] and board.describe()["people"] == []
