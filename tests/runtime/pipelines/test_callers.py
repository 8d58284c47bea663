"""What a program gives `annotate_video` by hand: its exceptions stay its own, its mistakes are one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from yoga_live.runtime import (
    AnnotateConfig,
    ModelError,
    Mounting,
    OptionError,
    OutputError,
    Outputs,
    PoseClassifier,
    PoseTracker,
    ProgressUpdate,
    Roi,
    SourceError,
    TimeRange,
    annotate_video,
)
from yoga_live.runtime.system import progress

BLUE = (255, 0, 0)


@pytest.fixture
def clip(write_clip: Callable[..., Path], tmp_path: Path) -> Path:
    return write_clip(tmp_path / "class.mp4", [BLUE] * 100)


@pytest.mark.parametrize("error", [SourceError("x"), OSError(5, "my log"), OptionError("o"), ValueError("v")])
@pytest.mark.parametrize("name", ["on_progress", "on_frame"])
def test_an_exception_of_a_callback_is_raised_and_nothing_is_replaced(
    error: Exception,
    name: str,
    clip: Path,
    classifier: PoseClassifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A callback may read another video: its SourceError ended this one as if it had come to its end."""
    outputs = Outputs(tmp_path / "o.mp4", tmp_path / "o.csv", tmp_path / "o.png")
    for path in outputs.paths():
        path.write_text("mine")

    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(progress, "PAUSE_S", 0.0)  # a report of each frame; the last one comes when all is written

    with pytest.raises(type(error)) as caught:
        annotate_video(clip, outputs, AnnotateConfig(force=True), classifier=classifier, **{name: fail})
    assert caught.value is error
    assert [path.read_text() for path in outputs.paths()] == ["mine"] * 3


def test_the_last_report_comes_once_everything_is_written(
    clip: Path, classifier: PoseClassifier, tmp_path: Path
) -> None:
    def stop_at_the_end(update: ProgressUpdate) -> None:
        if update.fraction == 1:
            raise KeyboardInterrupt

    outputs = Outputs(summary=tmp_path / "o.png")
    with pytest.raises(KeyboardInterrupt):
        annotate_video(clip, outputs, classifier=classifier, on_progress=stop_at_the_end)
    assert (tmp_path / "o.png").is_file()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "no name"),
        (".", "no name"),
        ("a\0b.mp4", "zero byte"),
        ("rtsp://me:hunter2@127.0.0.1:9/x.mp4", "is an address"),
        ("http://me:hunter2@127.0.0.1:9/x.mp4", "is an address"),
    ],
)
def test_what_is_no_video_is_refused_without_its_password(path: str, reason: str, classifier: PoseClassifier) -> None:
    for given in (path, Path(path)):
        with pytest.raises(SourceError, match=reason) as caught:
            annotate_video(given, classifier=classifier)
        assert "hunter2" not in str(caught.value)


def test_a_folder_is_no_video_and_a_folder_that_looks_like_an_address_may_hold_one(
    write_clip: Callable[..., Path], classifier: PoseClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        annotate_video(tmp_path, classifier=classifier)
    (tmp_path / "monday:").mkdir()
    write_clip(tmp_path / "monday:" / "a.mp4", [BLUE] * 5)
    monkeypatch.chdir(tmp_path)
    assert annotate_video("monday:/a.mp4", Outputs(), classifier=classifier).frames == 5


@pytest.mark.parametrize("name", ["", "a\0.mp4", f"{'x' * 300}.mp4"])
def test_a_name_that_no_output_can_have_is_an_output_error(name: str, clip: Path, classifier: PoseClassifier) -> None:
    with pytest.raises(OutputError):
        annotate_video(clip, Outputs(save=name), classifier=classifier)


def test_a_model_s_name_that_no_file_can_have_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="too long"):
        PoseClassifier("x" * 300 + ".onnx")


def test_another_thing_than_outputs_is_a_type_error_that_shows_the_form(clip: Path, classifier: PoseClassifier) -> None:
    given: Any = "out.mp4"
    with pytest.raises(TypeError, match=r"Outputs\(save='out\.mp4'\)"):
        annotate_video(clip, given, classifier=classifier)


@pytest.mark.parametrize("goal", [math.nan, math.inf, 0, -1, 86_400, "30", True])
def test_a_goal_that_is_no_time_is_refused_before_the_video_is_opened(goal: Any) -> None:
    with pytest.raises(OptionError, match="the goal of 'tree' must be seconds"):
        AnnotateConfig(goals_s={"tree": goal})


@pytest.mark.parametrize(
    "make",
    [lambda: TimeRange(math.nan), lambda: TimeRange(0, math.inf), lambda: Roi(math.nan, 0, 1, 1), lambda: Mounting(45)],
)
def test_settings_that_cannot_be_are_refused_where_they_are_made(make: Callable[[], object]) -> None:
    with pytest.raises(OptionError):
        make()


@pytest.mark.parametrize("frame", [None, [[1]]])
def test_what_opencv_could_not_read_is_said_to_be_no_frame(frame: Any, classifier: PoseClassifier) -> None:
    with pytest.raises(ValueError, match="a frame must be a NumPy array"):
        classifier.classify(frame)
    if frame is not None:  # None is a camera without a picture
        with pytest.raises(ValueError, match="a frame must be a NumPy array"):
            PoseTracker(classifier).update(frame, 0.0)
