"""Milliseconds by stage: every one of them counted once, in the real loop."""

import itertools
import os
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.cropping.croppers import ZoomCropper
from yoga_live.runtime.errors import OutputError, SourceError
from yoga_live.runtime.pipelines.benchmark import (
    WARM_UP,
    Benchmark,
    StageTimes,
    draw_demo,
    find_peak_memory,
    format_benchmark,
    run_benchmark,
)
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.sources.video import VideoSource

STAGES = ["decode", "convert", "preprocess", "network", "smoothing", "overlay", "encode"]
BLUE = (255, 0, 0)


@pytest.fixture
def clip(write_clip: Callable[..., Path], tmp_path: Path) -> Path:
    return write_clip(tmp_path / "class.mp4", [BLUE] * 40, rate=Fraction(10), sound="aac")


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_time_belongs_to_the_stage_that_ended() -> None:
    clock = itertools.accumulate([0.0, 0.001, 0.002, 0.004, 0.008, 0.016])
    times = StageTimes(lambda: next(clock))
    for stage in ("decode", "network", "decode", "network", "decode"):
        times.mark(stage)
    stages = times.milliseconds()
    np.testing.assert_allclose(stages["decode"], [1, 4])  # the third frame was broken off
    np.testing.assert_allclose(stages["network"], [2, 8])
    np.testing.assert_allclose(times.milliseconds(skip=1)["network"], [8])


def test_every_stage_of_every_counted_frame_is_measured(classifier: PoseClassifier, engine: Any, clip: Path) -> None:
    result = run_benchmark(classifier, clip, 20)
    assert list(result.milliseconds) == STAGES
    assert {len(values) for values in result.milliseconds.values()} == {20} == {result.frames}
    assert len(engine.batches) == WARM_UP + 20
    assert all((values > 0).all() for values in result.milliseconds.values())
    assert sum(values.sum() for values in result.milliseconds.values()) / 1000 < result.wall_s
    assert result.cpu_s > 0


def test_short_video_is_measured_to_its_end(classifier: PoseClassifier, clip: Path) -> None:
    assert run_benchmark(classifier, clip, 1000).frames == 40 - WARM_UP


def test_video_shorter_than_the_warm_up_is_refused(
    classifier: PoseClassifier, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "short.mp4", [BLUE] * WARM_UP)
    with pytest.raises(SourceError, match=rf"short\.mp4 has only {WARM_UP} frames"):
        run_benchmark(classifier, clip, 20)


def test_zoom_is_a_stage_of_its_own(classifier: PoseClassifier, clip: Path) -> None:
    stages = ["decode", "convert", "view", *STAGES[2:]]
    assert list(run_benchmark(classifier, clip, 20, cropper=ZoomCropper()).milliseconds) == stages


def test_explaining_has_the_same_stages(classifier: PoseClassifier, engine: Any, clip: Path) -> None:
    result = run_benchmark(classifier, clip, 20, explain=True)
    assert list(result.milliseconds) == STAGES and result.frames == 20
    assert len(engine.batches) == WARM_UP + 20


def test_nothing_is_kept_unless_asked(
    classifier: PoseClassifier, clip: Path, tmp_path: Path, own_temporary_folder: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    run_benchmark(classifier, clip, 20)
    assert sorted(tmp_path.rglob("*")) == before
    run_benchmark(classifier, clip, 20, tmp_path / "annotated.mp4")
    with VideoSource(tmp_path / "annotated.mp4") as video:
        assert len(list(video.frames())) == WARM_UP + 20
    assert list(own_temporary_folder.iterdir()) == []
    with pytest.raises(OutputError, match="exists already"):
        run_benchmark(classifier, clip, 20, tmp_path / "annotated.mp4")


def test_demo_is_drawn_at_720p_as_h264(tmp_path: Path) -> None:
    import av

    path = draw_demo(tmp_path / "demo.mp4", 5)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 1280, 720)
        assert sum(1 for _ in container.decode(stream)) == 5


def test_table_says_milliseconds_rate_cores_and_memory() -> None:
    milliseconds = {stage: np.full(10, float(number)) for number, stage in enumerate(STAGES, start=1)}
    source = SourceInfo("class.mp4", (64, 48), Fraction(25), Fraction(1, 25))
    lines = format_benchmark(Benchmark(source, milliseconds, wall_s=0.5, cpu_s=0.6))
    rows = {line[:15].strip(): line[15:].split() for line in lines[1:-2]}
    assert list(rows) == [*STAGES, "frame to label", "all"]
    assert rows["network"] == ["4.00", "4.00", "4.00", "14%"]
    assert rows["frame to label"] == ["12.00", "12.00", "12.00", "43%"]  # preprocess, network, smoothing
    assert rows["all"] == ["28.00", "28.00", "28.00", "100%"]
    assert lines[-1].startswith("live, up to 83 frames a second")  # 12 ms
    assert lines[-2].startswith(
        f"20.0 frames a second (the video: 25), 1.2 of {os.cpu_count()} cores busy, peak memory "
    )


def test_peak_memory_is_in_bytes_and_never_falls() -> None:
    pytest.importorskip("resource")
    before = find_peak_memory()
    block = np.ones(50_000_000, np.uint8)
    after = find_peak_memory()
    assert before and after and 10_000_000 < before <= after < 100_000_000_000
    assert block.any()
