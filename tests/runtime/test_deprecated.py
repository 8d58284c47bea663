"""What the README taught before works for one release, with a warning that names the new form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import yoga_live.runtime.recordings as recordings
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.pipelines.annotate import AnnotateConfig
from yoga_live.runtime.sources.time_range import TimeRange


def take(name: str) -> Any:
    with pytest.warns(DeprecationWarning, match=r"is now yoga_live\.runtime\.pipelines\.annotate\."):
        return getattr(recordings, name)


def test_the_old_way_to_annotate_a_video_works_and_names_the_new_one(
    classifier: PoseClassifier, write_clip: Any, tmp_path: Path
) -> None:
    video = write_clip(tmp_path / "a.mp4", [(255, 0, 0)] * 30)
    outputs, wishes = take("Outputs")(timeline=tmp_path / "a.csv"), take("Wishes")(span=TimeRange(0, 0.5))
    assert wishes == AnnotateConfig(TimeRange(0, 0.5)) and take("Wishes")() == AnnotateConfig()
    watched = take("annotate_video")(classifier, video, outputs, wishes)
    with pytest.warns(DeprecationWarning, match=r"RunResult\.error"):
        assert watched.trouble is None
    assert (tmp_path / "a.csv").is_file()


def test_what_never_was_there_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(recordings, "nothing")  # noqa: B009
