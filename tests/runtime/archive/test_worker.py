"""What a worker does, without a cluster around it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import pytest

from yoga_live.runtime.archive import shards
from yoga_live.runtime.archive.inputs import Recorded
from yoga_live.runtime.archive.scheduler import Failed, OpenTask, Schedule
from yoga_live.runtime.archive.shards import VideoResult
from yoga_live.runtime.archive.worker import ArchiveWorker, WorkerConfig
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.presentation import Mounting
from yoga_live.runtime.core.regions import Roi
from yoga_live.runtime.errors import ClusterError, ModelError, SourceError
from yoga_live.runtime.pipelines.annotate import AnnotateConfig, Outputs, annotate_video
from yoga_live.runtime.sinks.timeline import format_timeline
from yoga_live.runtime.sources import frame_sampling

from ...opinions import make_opinion
from ..conftest import LABELS

pytest.importorskip("onnxruntime")

BLUE, RED = (255, 0, 0), (0, 0, 255)


def make_order(config: AnnotateConfig | None = None, summary: bool = False, yoga_live: str = "") -> WorkerConfig:
    return WorkerConfig("cpu", 1, config or AnnotateConfig(), summary, yoga_live or version("yoga-live"))


@pytest.fixture
def video(write_clip: Callable[..., Path], tmp_path: Path) -> Recorded:
    path = write_clip(tmp_path / "a.mp4", ([RED] * 30 + [BLUE] * 50) * 2, rate=Fraction(10))
    return Recorded(path, PurePosixPath("a.mp4"))


@pytest.fixture
def start(model_path: Path) -> Callable[..., ArchiveWorker]:
    def begin(order: WorkerConfig) -> ArchiveWorker:
        worker = ArchiveWorker()
        assert worker.start(model_path.read_bytes(), order) == "cpu"
        return worker

    return begin


def test_a_short_video_is_watched_at_once(start: Callable[..., ArchiveWorker], video: Recorded) -> None:
    told = start(make_order(summary=True)).work(OpenTask(video))
    assert isinstance(told, VideoResult) and [s.pose for s in told.segments] == ["none", "tree", "none", "tree"]
    assert told.picture is not None and told.picture.startswith(b"\x89PNG")


def test_a_long_one_goes_through_the_schedule_in_pieces_that_can_be_sent(
    start: Callable[..., ArchiveWorker], video: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = start(make_order()).work(OpenTask(video))
    for module in (frame_sampling, shards):
        monkeypatch.setattr(module, "CHUNK_S", 4.0)
        monkeypatch.setattr(module, "WARM_UP_S", 1.0)
    worker, schedule, count = start(make_order()), Schedule([video]), 0
    while task := schedule.next():
        count += 1
        outcome = schedule.take(task, pickle.loads(pickle.dumps(worker.work(pickle.loads(pickle.dumps(task))))))
    assert count == 1 + 4 + 1 and outcome is not None and outcome.result == whole


def test_results_of_several_people_are_those_of_one_run(
    start: Callable[..., ArchiveWorker], two_people: Path, model_path: Path, tmp_path: Path
) -> None:
    """Timeline and summary, byte for byte; a camera that was flipped is said in both."""
    config = AnnotateConfig(people="all", mats=True, mounting=Mounting(flip=True))
    outputs = Outputs(timeline=tmp_path / "alone.json", summary=tmp_path / "alone.png")
    annotate_video(PoseClassifier(model_path, "cpu", 1), two_people, outputs, config)
    told = start(make_order(config, summary=True)).work(OpenTask(Recorded(two_people, PurePosixPath("two.mp4"))))
    assert isinstance(told, VideoResult) and {segment.person for segment in told.segments} == {1, 2}
    assert any(segment.side for segment in told.segments) and any(segment.angles for segment in told.segments)
    assert format_timeline(".json", told.segments) == (tmp_path / "alone.json").read_text()
    assert told.picture == (tmp_path / "alone.png").read_bytes()


def test_a_model_with_a_second_opinion_has_sides_without_zoom_too(
    write_model: Callable[..., Path], two_people: Path, tmp_path: Path
) -> None:
    info = ModelInfo(LABELS, 32, threshold=0.7, second_opinion=make_opinion().to_document())
    model, config = write_model(tmp_path / "informed.onnx", info.to_json()), AnnotateConfig(zoom=False, people="main")
    alone = tmp_path / "alone.csv"
    annotate_video(two_people, Outputs(timeline=alone), config, classifier=PoseClassifier(model, "cpu", 1))
    worker = ArchiveWorker()
    worker.start(model.read_bytes(), make_order(config))
    told = worker.work(OpenTask(Recorded(two_people, PurePosixPath("two.mp4"))))
    assert isinstance(told, VideoResult) and told.columns == ("side",)
    assert format_timeline(".csv", told.segments, told.columns) == alone.read_text()


def test_what_is_wrong_with_a_video_is_an_answer(
    start: Callable[..., ArchiveWorker], video: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start(make_order(AnnotateConfig(roi=Roi(50, 0, 50, 20))))
    (tmp_path / "notes.mp4").write_text("buy a mat")
    for path, part in (
        (video.path, "64 x 48"),
        (tmp_path / "notes.mp4", "cannot open"),
        (tmp_path / "no.mp4", "exist"),
    ):
        answer = worker.work(OpenTask(Recorded(path, PurePosixPath("x"))))
        assert isinstance(answer, Failed) and part in answer.reason

    def break_down(*_: object) -> None:
        raise ZeroDivisionError("a bug\nof two lines")

    monkeypatch.setattr(shards, "plan_video", break_down)
    answer = worker.work(OpenTask(video))
    assert answer == Failed("unexpected, please report: ZeroDivisionError: a bug of two lines")


def test_another_version_or_model_is_refused(model_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"install the same version on all"):
        ArchiveWorker().start(model_path.read_bytes(), make_order(yoga_live="99.9"))
    with pytest.raises(ModelError):
        ArchiveWorker().start(b"no model", make_order())


def test_errors_can_be_sent(video: Recorded) -> None:
    error = pickle.loads(pickle.dumps(SourceError("gone")))
    assert str(error) == "gone"


def test_a_worker_answers_the_poses_that_it_is_told(start: Callable[..., ArchiveWorker], video: Recorded) -> None:
    told = start(replace(make_order(), poses=("warrior_2",))).work(OpenTask(video))
    assert isinstance(told, VideoResult) and {segment.pose for segment in told.segments} == {"none"}
