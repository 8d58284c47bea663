"""`annotate_video` as programs call it: paths, defaults, callbacks, and the result in a notebook."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from yoga_live.runtime import (
    AnnotateConfig,
    OutputError,
    Outputs,
    PoseClassifier,
    ProgressUpdate,
    SourceError,
    TakenError,
    TimeRange,
    annotate_video,
)

BLUE, RED = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def clip(write_clip: Callable[..., Path], tmp_path: Path) -> Path:
    """Four seconds of `tree`, then two of `none`, 25 frames a second."""
    return write_clip(tmp_path / "class.mp4", [BLUE] * 100 + [RED] * 50)


def list_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_path_alone_is_annotated_beside_it_as_the_command_does(clip: Path, classifier: PoseClassifier) -> None:
    result = annotate_video(str(clip), classifier=classifier)
    assert [segment.pose for segment in result.segments] == ["tree", "none"] and result.error is None
    assert result.files == (clip.with_name("class.annotated.mp4"), clip.with_name("class.annotated.poses.csv"))
    assert list_names(clip.parent) == {"class.mp4", *(path.name for path in result.files)}
    assert Outputs.beside(clip) == Outputs(*result.files) == Outputs(*map(str, result.files))


def test_what_exists_is_replaced_only_when_asked(clip: Path, classifier: PoseClassifier) -> None:
    taken = clip.with_name("class.annotated.poses.csv")
    taken.write_text("mine")
    with pytest.raises(TakenError, match=r"class\.annotated\.poses\.csv"):
        annotate_video(clip, classifier=classifier)
    assert taken.read_text() == "mine" and list_names(clip.parent) == {"class.mp4", taken.name}
    assert annotate_video(clip, config=AnnotateConfig(force=True), classifier=classifier).whole
    assert taken.read_text().startswith("start_s,")


def test_the_classifier_may_come_first(clip: Path, classifier: PoseClassifier) -> None:
    nothing, part = Outputs(), AnnotateConfig(TimeRange(1, 2))
    first = annotate_video(classifier, clip, nothing, part)
    same = annotate_video(clip, nothing, part, classifier=classifier)
    named = annotate_video(classifier=classifier, path=clip, outputs=nothing, config=part)
    assert replace(first, wall_s=0) == replace(same, wall_s=0) == replace(named, wall_s=0)
    assert first.files == () and list_names(clip.parent) == {"class.mp4"}
    assert [*inspect.signature(annotate_video).parameters][:2] == ["path", "outputs"]


@pytest.mark.parametrize("saves", [True, False])
def test_progress_is_told_in_seconds_of_the_part_that_is_watched(
    clip: Path, classifier: PoseClassifier, saves: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[ProgressUpdate] = []
    outputs = Outputs(clip.with_name("a.mp4") if saves else None)
    annotate_video(classifier, clip, outputs, AnnotateConfig(TimeRange(1, 5)), on_progress=told.append)
    assert told and told[-1].done == told[-1].total == pytest.approx(4, abs=0.05) and told[-1].fraction == 1
    assert [update.done for update in told] == sorted(update.done for update in told)
    assert {(update.stage, update.unit) for update in told} == {("annotating", "s of video")}
    assert told[-1].note == "none"
    assert capsys.readouterr() == ("", "")


def test_a_callback_can_stop_the_run(clip: Path, classifier: PoseClassifier) -> None:
    """As Ctrl-C does, or a notebook's stop button."""

    def stop(frame: object, hold: object) -> None:
        raise KeyboardInterrupt

    result = annotate_video(classifier, clip, Outputs(clip.with_name("a.mp4")), on_frame=stop)
    assert result.stopped and not result.whole and result.files == (clip.with_name("a.part.mp4"),)
    assert ">stopped</div>" in result._repr_html_()


def test_an_error_in_a_callback_is_the_callers(clip: Path, classifier: PoseClassifier) -> None:
    def fail(update: ProgressUpdate) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        annotate_video(classifier, clip, Outputs(), on_progress=fail)
    assert annotate_video(classifier, clip, Outputs()).whole  # nothing is held on to


def test_what_cannot_be_done_is_an_error_of_ours(clip: Path, classifier: PoseClassifier) -> None:
    with pytest.raises(SourceError, match=r"missing\.mp4"):
        annotate_video(classifier, clip.with_name("missing.mp4"), Outputs())
    with pytest.raises(OutputError, match="nowhere"):
        annotate_video(classifier, clip, Outputs(timeline=clip.with_name("nowhere") / "a.csv"))
    with pytest.raises(OutputError, match="csv"):
        annotate_video(classifier, clip, Outputs(timeline=clip.with_name("a.txt")))


def test_a_notebook_shows_what_was_held_and_which_files_were_written(clip: Path, classifier: PoseClassifier) -> None:
    result = annotate_video(classifier, clip, Outputs(timeline=clip.with_name("<b>.csv")))
    html = result._repr_html_()
    assert "Tree</td>" in html and "&lt;b&gt;.csv" in html and "<b>.csv" not in html
    assert f"{result.frames} frames in" in html
    broken = replace(result, error=SourceError("it broke <off>"))
    assert "ended early: it broke &lt;off&gt;" in broken._repr_html_()
