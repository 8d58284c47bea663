"""Photos from one's own camera: countdown, interval and count by the source's own time; nothing taken is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.drawing.overlay import draw_caption
from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.sinks.base import StopWatching
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.train.gather.capture import capture_photos, pick_frames
from yoga_live.train.gather.config import CaptureConfig
from yoga_live.train.photos.manifest import DUPLICATE, OK, read_manifest


def draw_frame(number: int) -> np.ndarray:
    """Dark on the left, light on the right, and never twice the same."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, 40:] = 200
    image[:, :8] = number % 50 * 3
    return image


def make_frames(*times_s: float) -> Iterator[TimedFrame]:
    return (TimedFrame(draw_frame(n), time_s, round(time_s * 1000)) for n, time_s in enumerate(times_s))


def at_rate(rate: float, seconds: float, start_s: float = 0.0) -> list[float]:
    return [start_s + n / rate for n in range(int(rate * seconds))]


class ListSource:
    """A camera made of a list; what is an exception is raised."""

    def __init__(self, *steps: TimedFrame | BaseException) -> None:
        self.info = SourceInfo("camera 0", (64, 48), Fraction(30), Fraction(1, 1000), is_live=True)
        self._steps = steps

    def __enter__(self) -> ListSource:
        return self

    def __exit__(self, *_: object) -> None: ...

    def frames(self) -> Iterator[TimedFrame]:
        for step in self._steps:
            if isinstance(step, BaseException):
                raise step
            yield step


class ListSink:
    """A window made of a list; q is pressed at frame `quits_at`."""

    def __init__(self, quits_at: int = 10**9) -> None:
        self.frames: list[TimedFrame] = []
        self._quits_at = quits_at

    def write(self, frame: TimedFrame) -> None:
        self.frames.append(frame)
        if len(self.frames) > self._quits_at:
            raise StopWatching

    def complete(self) -> None: ...

    def break_off(self) -> None: ...

    def close(self) -> None: ...


def pick(times_s: list[float], config: CaptureConfig) -> tuple[list[float], list[str]]:
    words: list[str] = []
    picked = [f.time_s for f in pick_frames(make_frames(*times_s), config, lambda frame, said: words.append(said))]
    return picked, words


@pytest.mark.parametrize("rate", [5, 10, 30, 60])
@pytest.mark.parametrize("start_s", [0.0, 7.3])
def test_photos_come_after_the_countdown_one_an_interval_at_any_rate(rate: float, start_s: float) -> None:
    picked, _ = pick(at_rate(rate, 10, start_s), CaptureConfig(countdown_s=2, count=4, every_s=1))
    assert picked == pytest.approx([start_s + s for s in (2, 3, 4, 5)])


def test_the_interval_does_not_drift_with_a_rate_that_does_not_divide_it() -> None:
    picked, _ = pick(at_rate(7, 30), CaptureConfig(countdown_s=0, count=20, every_s=0.5))
    assert len(picked) == 20
    assert all(0 <= time_s - number * 0.5 < 1 / 7 for number, time_s in enumerate(picked))


def test_the_countdown_counts_whole_seconds_down_to_one_then_photos() -> None:
    _, words = pick(at_rate(4, 10), CaptureConfig(countdown_s=3, count=2, every_s=0.5))
    assert list(dict.fromkeys(words)) == ["3", "2", "1", "1 of 2", "2 of 2"]
    assert words.count("3") == words.count("2") == words.count("1") == 4


def test_a_camera_that_hung_is_not_made_up_for_by_a_burst() -> None:
    times = [0.0, 0.1, 9.0, 9.1, 9.2, 9.3, 9.4, 9.5, 9.6, 9.7, 9.8, 9.9, 10.0, 10.1]
    picked, _ = pick(times, CaptureConfig(countdown_s=0, count=5, every_s=1))
    assert len([time_s for time_s in picked if time_s >= 9]) <= 3


def test_while_the_camera_is_lost_nothing_is_taken_and_nothing_counts_down() -> None:
    first, second = make_frames(*at_rate(10, 2)), make_frames(*at_rate(10, 4, 30.0))
    lost = (replace(frame, lost_s=frame.time_s - 1.9) for frame in make_frames(*at_rate(2, 26, 3.9)))
    told: list[str] = []
    config = CaptureConfig(countdown_s=3, every_s=1, count=2)
    kept = list(pick_frames(chain(first, lost, second), config, lambda frame, words: told.append(words)))
    assert [frame.time_s for frame in kept] == pytest.approx([31.1, 32.1], abs=0.11)
    assert told[20:72] == ["no picture"] * 52 and told[19] == told[72] == "2"


def test_of_a_damaged_picture_no_photo_is_taken_but_of_the_next_whole_one() -> None:
    frames = (replace(frame, is_damaged=2 <= n <= 4) for n, frame in enumerate(make_frames(*at_rate(10, 1))))
    taken = [frame.time_s for frame in pick_frames(frames, CaptureConfig(0, 3, 0.2), lambda *_: None)]
    assert taken == pytest.approx([0.0, 0.5, 0.6])


def test_it_stops_reading_the_camera_after_the_last_photo() -> None:
    frames = make_frames(*at_rate(10, 100))
    list(pick_frames(frames, CaptureConfig(0, 2, 0.5), lambda frame, words: None))
    assert next(frames).time_s == pytest.approx(0.6)


def list_photos(photos: Path) -> list[Path]:
    return sorted((photos / "tree").glob("*.jpg"))


def test_photos_are_as_the_camera_saw_them_and_the_window_is_a_mirror(tmp_path: Path) -> None:
    window = ListSink()
    source = ListSource(*make_frames(*at_rate(10, 1)))
    captured = capture_photos(source, "camera:0/now", "tree", tmp_path, CaptureConfig(0, 3, 0.2), window=window)
    assert captured.outcomes == {(OK, ""): 3} and captured.error is None
    for path in list_photos(tmp_path):
        image = decode_photo(path)
        assert image.shape == (48, 64, 3) and image[5, -5].mean() > 180 and image[5, 12].mean() < 20
    assert window.frames[0].image_bgr[5, 5].mean() > 180 and window.frames[0].image_bgr[5, -12].mean() < 20
    rows = list(read_manifest(tmp_path))
    assert [row.url for row in rows] == [f"camera:0/now#t={s:.3f}" for s in (0, 0.2, 0.4)]
    assert {row.path for row in rows} == {path.relative_to(tmp_path).as_posix() for path in list_photos(tmp_path)}


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SourceError("camera 0 stopped and could not be reopened")])
def test_what_was_taken_before_the_end_is_kept(tmp_path: Path, end: BaseException) -> None:
    source = ListSource(*make_frames(0, 1, 2), end, *make_frames(3))
    captured = capture_photos(source, "camera:0/now", "tree", tmp_path, CaptureConfig(0, 9, 1))
    assert len(list_photos(tmp_path)) == sum(captured.outcomes.values()) == 3
    assert captured.error is (end if isinstance(end, SourceError) else None)
    assert captured.stopped == isinstance(end, KeyboardInterrupt)


def test_q_in_the_window_ends_it(tmp_path: Path) -> None:
    source = ListSource(*make_frames(*at_rate(10, 5)))
    captured = capture_photos(
        source, "camera:0/now", "tree", tmp_path, CaptureConfig(0, 50, 0.1), window=ListSink(quits_at=4)
    )
    assert sum(captured.outcomes.values()) == 4


def test_a_picture_that_stands_still_is_stored_once(tmp_path: Path) -> None:
    still = [TimedFrame(draw_frame(0), time_s, 0) for time_s in (0.0, 1.0, 2.0)]
    captured = capture_photos(ListSource(*still), "camera:0/now", "tree", tmp_path, CaptureConfig(0, 3, 1))
    assert captured.outcomes == {(OK, ""): 1, (DUPLICATE, "same content"): 2}
    assert len(list_photos(tmp_path)) == 1


@pytest.mark.parametrize("size_wh", [(1280, 720), (320, 240), (480, 1080)])
@pytest.mark.parametrize("words", ["5", "12 of 200"])
@pytest.mark.parametrize("light", [0, 128, 255])
def test_the_caption_is_large_in_the_middle_and_stands_out(size_wh: tuple[int, int], words: str, light: int) -> None:
    width, height = size_wh
    frame = np.full((height, width, 3), light, np.uint8)
    scene = draw_caption(frame, words)
    assert scene.shape == frame.shape and (frame == light).all()
    rows, columns = np.nonzero((scene > 250).all(axis=2) & (scene.min(axis=2) - frame.min(axis=2) * 0.32 > 150))
    inside = (rows > height * 0.25) & (rows < height * 0.75)
    assert inside.sum() > 20
    assert abs(columns[inside].mean() / width - 0.5) < 0.12 and abs(rows[inside].mean() / height - 0.5) < 0.12
    assert np.ptp(rows[inside]) > min(height, width) * (0.15 if words == "5" else 0.05)
    middle = scene[height // 2, :]
    assert int(middle.max()) - int(middle.min()) > 120


def test_a_tiny_picture_still_takes_a_caption() -> None:
    assert draw_caption(np.zeros((12, 16, 3), np.uint8), "12 of 200").shape == (12, 16, 3)
