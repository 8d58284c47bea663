"""Cameras and streams that lag, hang, die, come back, and come back in another size."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice, pairwise, takewhile

import numpy as np
import pytest

from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.sources.live import MOST_HANGING, LiveSource, ReconnectPolicy

HASTE = ReconnectPolicy(stall_s=0.2, first_wait_s=0.02, longest_wait_s=0.05, give_up_s=0.3)


class ListCapture:
    """A list in a jacket is a camera; it dies when the list ends.  `pace_s`: between pictures."""

    rate = Fraction(30)

    def __init__(self, pictures: Iterable[Frame], pace_s: float = 0.005) -> None:
        self.pictures, self.pace_s = iter(pictures), pace_s
        self.released = 0
        self.go = threading.Event()
        self.go.set()

    def read(self) -> Frame | None:
        self.go.wait(20)
        time.sleep(self.pace_s)
        return next(self.pictures, None)

    def release(self) -> None:
        self.released += 1


def numbered(count: int, first: int = 0, size_wh: tuple[int, int] = (8, 6)) -> list[Frame]:
    return [np.full((size_wh[1], size_wh[0], 3), first + number, np.uint8) for number in range(count)]


def connect_to(*captures: ListCapture | str) -> Callable[[], ListCapture]:
    """One capture after another; a text is a connection that fails so; after the last nothing answers."""
    waiting: Iterator[ListCapture | str] = iter(captures)

    def connect() -> ListCapture:
        capture = next(waiting, "nobody answers")
        if isinstance(capture, str):
            raise SourceError(capture)
        return capture

    return connect


def read_numbers(source: LiveSource, count: int) -> list[int]:
    seen = []
    for frame in source.frames():
        seen.append(int(frame.image_bgr[0, 0, 0]))
        if len(seen) == count:
            break
    return seen


def test_a_slow_consumer_gets_the_newest_frame_not_the_next() -> None:
    capture = ListCapture(numbered(200), pace_s=0.02)
    seen = []
    with LiveSource(connect_to(capture), "camera 0") as source:
        for frame in source.frames():
            seen.append((int(frame.image_bgr[0, 0, 0]), frame.time_s))
            time.sleep(0.08)
            if len(seen) == 6:
                break
    shown, times_s = zip(*seen, strict=True)
    assert all(later - earlier >= 3 for earlier, later in pairwise(shown))
    assert all(later > earlier for earlier, later in pairwise(times_s))


def test_no_frame_is_given_twice_to_a_fast_consumer() -> None:
    shown = []
    with (
        LiveSource(connect_to(ListCapture(numbered(12), pace_s=0.01)), "camera 0", HASTE) as source,
        pytest.raises(SourceError),
    ):
        shown.extend(int(frame.image_bgr[0, 0, 0]) for frame in source.frames())
    assert shown == sorted(set(shown)) and shown[-1] == 11


def test_a_camera_that_never_returns_is_given_up_after_its_last_frame(caplog: pytest.LogCaptureFixture) -> None:
    capture, shown = ListCapture(numbered(3)), []
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(SourceError, match=r"camera 7 stopped .* \(nobody answers\); check that it is"),
        LiveSource(connect_to(capture), "camera 7", HASTE) as source,
    ):
        shown.extend(int(frame.image_bgr[0, 0, 0]) for frame in source.frames())
    assert capture.released == 1 and shown[-1] == 2
    assert "camera 7 is lost (nobody answers); trying again" in caplog.text


def test_a_stream_that_returns_goes_on_with_its_clock(caplog: pytest.LogCaptureFixture) -> None:
    first, second = ListCapture(numbered(5)), ListCapture(numbered(50, first=100))
    times_s, shown = [], []
    with caplog.at_level(logging.WARNING), LiveSource(connect_to(first, "still down", second), "s", HASTE) as source:
        for frame in source.frames():
            times_s.append(frame.time_s)
            shown.append(int(frame.image_bgr[0, 0, 0]))
            if shown[-1] >= 110:
                break
    assert shown[0] < 5 and times_s == sorted(times_s)
    assert source.reconnected == 1 and first.released == second.released == 1
    assert "s is lost (still down)" in caplog.text and "s is back after" in caplog.text


def test_while_a_stream_is_lost_its_last_picture_is_given_with_how_long_it_has_been() -> None:
    first, second = ListCapture(numbered(5)), ListCapture(numbered(50, first=100))
    policy = ReconnectPolicy(stall_s=9, first_wait_s=1.2, lost_s=0.3)
    with LiveSource(connect_to(first, second), "s", policy) as source:
        seen = list(takewhile(lambda frame: frame.image_bgr[0, 0, 0] < 100, source.frames()))
    there, lost = [f for f in seen if f.lost_s is None], [f for f in seen if f.lost_s is not None]
    assert seen == [*there, *lost] and 2 <= len(lost) <= 4
    assert all((frame.image_bgr == there[-1].image_bgr).all() for frame in lost)
    assert lost[0].lost_s == pytest.approx(0.3, abs=0.25)
    assert [f.time_s - f.lost_s for f in lost if f.lost_s] == pytest.approx([there[-1].time_s] * len(lost))
    assert all(later.time_s > earlier.time_s and later.pts > earlier.pts for earlier, later in pairwise(seen))


def test_a_short_pause_is_no_loss() -> None:
    with LiveSource(connect_to(ListCapture(numbered(8), pace_s=0.3)), "s", ReconnectPolicy(lost_s=0.9)) as source:
        assert all(frame.lost_s is None for frame in islice(source.frames(), 6))


@pytest.mark.parametrize("lost_for_s", [0.2, 1.0, 3.0, 8.0, 20.0, 59.0])
def test_what_is_back_is_tried_again_within_a_quarter_of_the_time_it_was_lost(lost_for_s: float) -> None:
    policy = ReconnectPolicy()
    tries_s = [policy.first_wait_s]
    while tries_s[-1] < lost_for_s:
        tries_s.append(tries_s[-1] + policy.next_wait_s(tries_s[-1]))
    assert tries_s[-1] <= lost_for_s * 1.25 + policy.first_wait_s
    assert len(tries_s) < 25


def test_the_wait_between_tries_is_bounded() -> None:
    assert ReconnectPolicy().next_wait_s(0) == 0.5 and ReconnectPolicy().next_wait_s(86_400) == 15


def test_a_long_loss_is_told_ever_more_seldom(caplog: pytest.LogCaptureFixture) -> None:
    policy = ReconnectPolicy(stall_s=0.2, first_wait_s=0.005, longest_wait_s=0.005, give_up_s=0.6)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(SourceError),
        LiveSource(connect_to(ListCapture(numbered(3))), "camera 0", policy) as source,
    ):
        list(source.frames())
    assert 3 <= sum("trying again" in line for line in caplog.messages) <= 9


def test_a_stream_that_returns_in_another_size_is_fitted_whole_into_the_old_one() -> None:
    first, second = ListCapture(numbered(3, 50, (80, 60))), ListCapture(numbered(50, 200, (40, 60)))
    with LiveSource(connect_to(first, second), "s", HASTE) as source:
        for frame in source.frames():
            assert frame.image_bgr.shape == (60, 80, 3)
            if frame.image_bgr.max() >= 200:
                break
    assert source.info.size_wh == (80, 60)
    assert (frame.image_bgr[:, 20:60] >= 200).all() and not frame.image_bgr[:, :20].any()
    assert not frame.image_bgr[:, 60:].any()


def test_a_read_that_hangs_is_left_alone_and_another_connection_made(caplog: pytest.LogCaptureFixture) -> None:
    hanging, fresh = ListCapture(numbered(90)), ListCapture(numbered(90, first=100))
    with caplog.at_level(logging.WARNING), LiveSource(connect_to(hanging, fresh), "camera 0", HASTE) as source:
        frames = source.frames()
        next(frames)
        hanging.go.clear()
        for frame in frames:
            if frame.image_bgr[0, 0, 0] >= 100:
                break
        hanging.go.set()
    assert "camera 0 has delivered no picture for 0 s; reconnecting" in caplog.text
    assert hanging.released == 1 and fresh.released == 1
    assert not any(thread.name.startswith("grab") for thread in threading.enumerate())


def test_a_late_picture_of_a_connection_that_was_left_is_not_shown() -> None:
    hanging, fresh = ListCapture(numbered(90)), ListCapture(numbered(250, first=0), pace_s=0.01)
    shown = []
    with LiveSource(connect_to(hanging, fresh), "camera 0", HASTE) as source:
        frames = source.frames()
        next(frames)
        hanging.go.clear()
        for frame in frames:
            shown.append(int(frame.image_bgr[0, 0, 0]))
            if len(shown) == 12:
                break
            if len(shown) == 4:
                hanging.pictures = iter(numbered(9, first=240))
                hanging.go.set()
    assert max(shown) < 240


def test_threads_that_hang_don_t_grow_without_bound() -> None:
    captures = [ListCapture(numbered(90)) for _ in range(9)]
    first = captures[0]
    with LiveSource(connect_to(*captures), "camera 0", ReconnectPolicy(0.05, 0.01, 0.01)) as source:
        frames = source.frames()
        next(frames)
        for capture in captures:
            capture.go.clear()
        first.go.clear()
        waiting = threading.Thread(target=lambda: next(frames), daemon=True)
        waiting.start()
        time.sleep(1.5)
        alive = sum(thread.name == "grab camera 0" for thread in threading.enumerate())
        assert alive <= MOST_HANGING + 1
        for capture in captures:
            capture.go.set()
        waiting.join(5)


def test_the_device_is_released_when_the_loop_breaks() -> None:
    capture = ListCapture(numbered(100))
    with pytest.raises(KeyboardInterrupt), LiveSource(connect_to(capture), "camera 0") as source:
        next(source.frames())
        raise KeyboardInterrupt
    assert capture.released == 1
    assert not any(thread.name.startswith("grab") for thread in threading.enumerate())


def test_closing_does_not_wait_for_the_next_try() -> None:
    policy = ReconnectPolicy(first_wait_s=30)
    with LiveSource(connect_to(ListCapture(numbered(2))), "camera 0", policy) as source:
        next(source.frames())
        time.sleep(0.1)
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 5


def test_without_a_first_picture_it_is_refused_and_released() -> None:
    capture = ListCapture([])
    with pytest.raises(SourceError, match="camera 0 opened but delivers no picture"):
        LiveSource(connect_to(capture), "camera 0")
    assert capture.released == 1


def test_time_of_a_frame_and_its_pts_agree() -> None:
    with LiveSource(connect_to(ListCapture(numbered(50))), "camera 0") as source:
        frame = next(source.frames())
    assert float(frame.pts * source.info.time_base) == pytest.approx(frame.time_s, abs=1e-4)
    assert source.info.is_live and source.info.size_wh == (8, 6) and source.info.duration_s is None


def test_a_camera_whose_connections_all_hang_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    captures = [ListCapture(numbered(90)) for _ in range(9)]
    policy = ReconnectPolicy(stall_s=0.1, first_wait_s=0.01, longest_wait_s=0.01, give_up_s=1.5)
    with LiveSource(connect_to(*captures), "camera 0", policy) as source:
        frames, started_s = source.frames(), time.monotonic()
        next(frames)
        for capture in captures:
            capture.go.clear()
        with pytest.raises(SourceError, match=r"camera 0 stopped .* within 2 s \(it does not answer\)"):
            list(frames)
        assert 1.4 < time.monotonic() - started_s < 8
        for capture in captures:
            capture.go.set()
    assert caplog.text.count("connections hang; waiting until one of them ends") == 1


def test_what_comes_back_for_a_moment_alone_is_tried_ever_more_seldom() -> None:
    tries_s: list[float] = []

    def connect() -> ListCapture:
        tries_s.append(time.monotonic())
        return ListCapture(numbered(2))

    with LiveSource(connect, "s", ReconnectPolicy(stall_s=9, first_wait_s=0.05, longest_wait_s=9)) as source:
        frames = source.frames()
        while time.monotonic() < tries_s[0] + 3:
            next(frames)
    waits_s = [later - earlier for earlier, later in pairwise(tries_s)]
    assert len(tries_s) < 25 and waits_s[-1] > 0.3  # 60 tries where each loss counts as new


def test_what_was_there_for_long_is_tried_again_soon() -> None:
    tries_s: list[float] = []

    def connect() -> ListCapture:
        tries_s.append(time.monotonic())
        return ListCapture(numbered(20), pace_s=0.02)

    with LiveSource(connect, "s", ReconnectPolicy(stall_s=0.2, first_wait_s=0.05, longest_wait_s=9)) as source:
        frames = source.frames()
        while len(tries_s) < 6:
            next(frames)
    assert all(later - earlier < 1.5 for earlier, later in pairwise(tries_s))


def test_whoever_waits_may_be_idle_meanwhile_and_end_the_waiting() -> None:
    capture, calls = ListCapture(numbered(90)), []

    def idle() -> None:
        calls.append(time.monotonic())
        if len(calls) == 8:
            raise KeyboardInterrupt

    with LiveSource(connect_to(capture), "camera 0") as source:
        frames, source.idle = source.frames(), idle
        next(frames)
        capture.go.clear()
        with pytest.raises(KeyboardInterrupt):
            list(frames)
        capture.go.set()
    assert 0.5 < calls[-1] - calls[0] < 3
