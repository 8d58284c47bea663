"""Faces are hidden on every frame that is drawn: of a recording ahead of time, of a camera without waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.regions import Roi
from yoga_live.runtime.core.types import Floats, Frame, Hold
from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.people import KEYPOINTS, People
from yoga_live.runtime.pipelines.annotate import AnnotateConfig, Outputs, annotate_video, open_recording
from yoga_live.runtime.pipelines.hidden_faces import Followed, hide_faces
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, draw_figure
from yoga_live.runtime.tracking.observer import Tracked

from ..conftest import assert_refused

SIZE_WH = (200, 100)


class FakeFinder:
    """Finds a face where the brightest pixel is; none in a dark picture."""

    def __init__(self) -> None:
        self.looks = 0

    def find(self, frame_bgr: Frame, region: Any = None, *, min_score: float | None = None) -> People:
        self.looks += 1
        y, x = np.unravel_index(int(frame_bgr.max(axis=2).argmax()), frame_bgr.shape[:2])
        if frame_bgr.max() < 128:
            return People.nobody()
        points = np.tile(np.array([x, y], np.float32), (len(KEYPOINTS), 1))
        points[3:5, 0] += [-10, 10]
        box = np.array([[max(x - 20, 0), max(y - 20, 0), x + 20, y + 60]], np.float32)
        return People(box, points[None], np.ones((1, 17), np.float32), np.ones(1, np.float32))


def show(time_s: float, x: int | None) -> Followed:
    image = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    if x is not None:
        image[50, x] = 255
    return TimedFrame(image, time_s, round(1000 * time_s)), Tracked(Hold("none", 0.5, 0.0), None), None


def is_hidden(followed: Followed, regions: list[Any]) -> bool:
    image = followed[0].image_bgr
    y, x = np.unravel_index(int(image.max(axis=2).argmax()), image.shape[:2])
    return any(r.left <= x < r.left + r.width and r.top <= y < r.top + r.height for r in regions)


@pytest.mark.parametrize("is_live", [False, True])
def test_every_frame_comes_once_in_order_with_its_face_hidden(is_live: bool) -> None:
    finder, frames = FakeFinder(), [show(n / 25, 40 + n // 2) for n in range(200)]
    told = list(hide_faces(frames, finder, is_live=is_live))  # pyright: ignore[reportArgumentType]
    assert [followed[0].time_s for followed, _ in told] == [n / 25 for n in range(200)]
    assert all(is_hidden(followed, regions) for followed, regions in told)
    assert finder.looks <= 8 * (9 if is_live else 5)


def test_a_recorded_face_is_hidden_before_the_look_that_finds_it() -> None:
    frames = [show(n / 25, 100 if n >= 3 else None) for n in range(50)]
    told = list(hide_faces(frames, FakeFinder(), is_live=False))  # pyright: ignore[reportArgumentType]
    assert all(is_hidden(followed, regions) for followed, regions in told[3:])


def test_a_camera_s_frame_does_not_wait_for_the_next() -> None:
    given: list[float] = []

    def frames() -> Iterator[Followed]:
        for number in range(20):
            given.append(number / 25)
            yield show(number / 25, 60)

    for followed, _ in hide_faces(frames(), FakeFinder(), is_live=True):  # pyright: ignore[reportArgumentType]
        assert given[-1] == followed[0].time_s


def test_what_was_read_before_an_error_comes_out_hidden() -> None:
    def frames() -> Iterator[Followed]:
        for number in range(10):
            yield show(number / 25, 60)
        raise OSError("gone")

    told: list[tuple[Followed, list[Any]]] = []
    with pytest.raises(OSError, match="gone"):
        told.extend(hide_faces(frames(), FakeFinder(), is_live=False))  # pyright: ignore[reportArgumentType]
    assert len(told) == 0 or all(is_hidden(*each) for each in told)


def read_saved(path: Path) -> Floats:
    with open_recording(path) as source:
        return np.stack([frame.image_bgr for frame in source.frames()]).astype(float)


@pytest.mark.parametrize("options", [{}, {"roi": Roi(0, 0, 60, 60)}, {"people": "off"}])
def test_a_saved_video_shows_no_head_and_the_rest_as_it_was(
    tmp_path: Path, write_clip: Callable[..., Path], classifier: PoseClassifier, options: dict[str, Any]
) -> None:
    pytest.importorskip("onnxruntime")
    look = Appearance(hair=(0, 0, 0), skin=(200, 230, 255))  # a head in detail
    drawn = draw_figure(POSES["standing"], (320, 240), look)
    clip = write_clip(tmp_path / "clip.mp4", [drawn] * 30, size_wh=(320, 240))
    saved = {}
    for blur in (False, True):
        config = AnnotateConfig(overlay="none", blur_faces=blur, **options)
        annotate_video(clip, Outputs(save=tmp_path / f"{blur}.mp4"), config, classifier=classifier)
        saved[blur] = read_saved(tmp_path / f"{blur}.mp4")
    apart = np.abs(saved[True] - saved[False]).mean(axis=3)
    assert saved[True].shape == saved[False].shape == (30, 240, 320, 3)
    head = np.abs(draw_figure(POSES["standing"], (320, 240), look).astype(float) - look.wall).sum(axis=2) > 40
    top = int(np.flatnonzero(head.any(axis=1)).min())
    assert (apart[:, top : top + 20, 140:180].mean(axis=(1, 2)) > 8).all()
    assert apart[:, 150:].mean() < 1


def test_faces_are_not_hidden_where_the_raw_picture_is_saved(
    live: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, _, said = live("--demo", "--blur-faces", "--record", tmp_path / "raw.mp4")
    assert code == 2 and said.count("\n") == 1
    assert "--record saves the camera's own picture, faces included; use --save with --blur-faces" in said


def test_hiding_faces_where_no_picture_is_made_is_refused_before_any_work(
    live: Callable[..., tuple[int, str, str]],
    write_clip: Callable[..., Path],
    classifier: PoseClassifier,
    tmp_path: Path,
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [(9, 9, 9)] * 5)
    other = write_clip(tmp_path / "other.mp4", [(9, 9, 9)] * 5)
    timeline, folder = tmp_path / "a.csv", tmp_path / "timelines"
    asked = (
        ("--video", clip, "--timeline", timeline),
        ("--video", clip, "--summary", tmp_path / "a.png", "--events"),  # it is drawn, and shows nobody
        ("--video", clip, other, "--timeline", folder),
        ("--camera", "0", "--no-window", "--timeline", timeline),
        ("--camera", "0", "--timeline", timeline),  # its window has no display here
        ("--demo", "--events"),
    )
    for words in asked:
        assert_refused(live(*words, "--blur-faces"), "none is written or shown: add --save or --serve")
    assert not timeline.exists() and not folder.exists()
    with pytest.raises(OptionError, match=r"give Outputs\(save=...\)"):
        annotate_video(clip, Outputs(timeline=timeline), AnnotateConfig(blur_faces=True), classifier=classifier)
