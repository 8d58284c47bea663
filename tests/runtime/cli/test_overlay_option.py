"""`--overlay` chooses where the words stand, in every output that is drawn on; the demo is known to its end."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.classifier import DEFAULT_MODEL
from yoga_live.runtime.cli.watch import Screen
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.sources.demo import list_steps
from yoga_live.runtime.sources.drawn_figure import POSES
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.tracking.observer import Tracked

from ..conftest import paint_photo

pytest.importorskip("onnxruntime")
BLUE = (255, 0, 0)  # BGR: the colour model's tree
Live = Callable[..., tuple[int, str, str]]


@pytest.fixture
def clip(write_clip: Callable[..., Path], tmp_path: Path) -> Path:
    return write_clip(tmp_path / "class.mp4", [BLUE] * 40, rate=Fraction(10), sound="aac", size_wh=(320, 180))


def read_last(path: Path) -> np.ndarray:
    with VideoSource(path) as video:
        return list(video.frames())[-1].image_bgr


def find_drawn(path: Path) -> np.ndarray:
    """Where the last frame is not as blue as its middle, bool (H, W)."""
    image = read_last(path).astype(int)
    return np.abs(image - image[90, 160]).max(axis=2) > 40


def test_each_place_is_where_it_says(live: Live, clip: Path, tmp_path: Path) -> None:
    drawn: dict[str, np.ndarray] = {}
    for place in ("corner", "bottom", "below", "none"):
        saved = tmp_path / f"{place}.mp4"
        code, _, err = live("--video", clip, "--save", saved, "--overlay", place, "--zoom", "off", "--explain")
        assert code == 0, err
        with VideoSource(saved) as video:
            assert video.info.audio_from and len(list(video.frames())) == 40
        drawn[place] = find_drawn(saved)
    assert drawn["corner"][:40, :120].any() and not drawn["corner"][60:].any()
    assert drawn["bottom"][160:].any() and not drawn["bottom"][:150].any()
    assert not drawn["none"].any()
    below = drawn["below"]
    assert below.shape[0] > 180 and below.shape[0] % 2 == 0 and not below[:178].any() and below[184:].mean() > 0.9
    assert live("--video", clip, "--save", tmp_path / "default.mp4", "--zoom", "off", "--explain")[0] == 0
    np.testing.assert_array_equal(find_drawn(tmp_path / "default.mp4"), drawn["corner"])


def test_several_videos_and_photos_are_drawn_on_so_too(live: Live, clip: Path, tmp_path: Path) -> None:
    paint_photo((0, 0, 255), (320, 240)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    second = clip.with_name("second.mp4")
    second.write_bytes(clip.read_bytes())
    assert live("--video", clip, second, "--save", out, "--overlay", "below", "--zoom", "off")[0] == 0
    assert read_last(out / "class.mp4").shape[0] > 180
    assert live("--images", tmp_path / "a.png", "--save", out, "--overlay", "below")[0] == 0
    photo, drawn = (decode_photo(path).astype(int) for path in (tmp_path / "a.png", out / "a.jpg"))
    assert drawn.shape[0] > 240 and drawn.shape[1] == 320 and np.abs(drawn[:232] - photo[:232]).mean() < 3


def test_a_recording_of_the_source_keeps_its_size(live: Live, tmp_path: Path) -> None:
    saved, recorded = tmp_path / "a.mp4", tmp_path / "raw.mp4"
    assert live("--demo", "--save", saved, "--record", recorded, "--overlay", "below")[0] == 0
    with VideoSource(saved) as drawn, VideoSource(recorded) as raw:
        assert raw.info.size_wh == (960, 540) and drawn.info.size_wh[0] == 960 and drawn.info.size_wh[1] > 600


def test_the_demo_names_no_pose_over_a_person_who_stands_still(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[float, Hold]] = []
    show = Screen.show

    def note(self: Any, frame: TimedFrame, tracked: Tracked) -> None:
        shown.append((frame.time_s, tracked.hold))
        show(self, frame, tracked)

    monkeypatch.setattr(Screen, "show", note)
    assert live("--demo", "--timeline", tmp_path / "demo.csv", model=DEFAULT_MODEL)[0] == 0
    start_s, standing = 0.0, POSES["standing"]
    for step in list_steps():
        end_s = start_s + step.duration_s
        if step.start == step.end:
            inside = [hold for time_s, hold in shown if start_s + 0.2 <= time_s <= end_s - 0.2]
            assert inside and all(hold.is_resting == (step.start == standing) for hold in inside)
        start_s = end_s
    assert all(hold.confidence > 0.6 for _, hold in shown if not hold.is_resting)
