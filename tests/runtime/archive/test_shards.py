"""Pieces of a recording, joined, are the whole: the same looks, the same timeline, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from yoga_live.runtime.archive import shards
from yoga_live.runtime.archive.shards import (
    Shard,
    ShardResult,
    finish_video,
    join_shards,
    observe_shard,
    plan_shards,
    plan_video,
)
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.regions import Roi
from yoga_live.runtime.errors import OptionError, SourceError
from yoga_live.runtime.pipelines.annotate import AnnotateConfig, Outputs, annotate_video
from yoga_live.runtime.sinks.timeline import format_timeline
from yoga_live.runtime.sources import frame_sampling
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, draw_figure
from yoga_live.runtime.sources.time_range import TimeRange

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # tree, warrior_2, none
RATE, SECONDS = 20, 17


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches of three seconds, two to warm up."""
    for module in (frame_sampling, shards):
        monkeypatch.setattr(module, "CHUNK_S", 3.0)
        monkeypatch.setattr(module, "WARM_UP_S", 2.0)


def draw_class() -> list[np.ndarray]:
    """Someone small who walks about, and changes colour every few seconds."""
    frames, rng = [], np.random.default_rng(3)
    for number in range(RATE * SECONDS):
        time_s = number / RATE
        frame = np.full((150, 200, 3), 30, np.uint8) + rng.integers(0, 6, (150, 200, 1), np.uint8)
        x, y = int(70 + 20 * np.sin(time_s * 0.9)), int(30 + 10 * np.cos(time_s * 2.3))
        frame[y : y + 85, x : x + 60] = (RED, BLUE, RED, GREEN)[int(time_s / 4.1) % 4]
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return draw_class()


def write(path: Path, frames: list[np.ndarray], codec: str, options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(RATE), options=options)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def clip(frames: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Open groups of pictures with B-frames, key frames at no multiple of anything."""
    options = {"preset": "veryfast", "x264-params": "open-gop=1:bframes=3:keyint=37:min-keyint=37:scenecut=0"}
    return write(tmp_path_factory.mktemp("clip") / "class.mp4", frames, "libx264", options)


def tell_whole(classifier: PoseClassifier, path: Path, config: AnnotateConfig, tmp_path: Path) -> str:
    annotate_video(classifier, path, Outputs(timeline=tmp_path / "whole.csv"), config)
    text = (tmp_path / "whole.csv").read_text()
    (tmp_path / "whole.csv").unlink()
    return text


def test_a_file_whose_times_begin_anew_is_one_piece(
    frames: list[np.ndarray], classifier: PoseClassifier, tmp_path: Path
) -> None:
    part = write(tmp_path / "part.ts", frames[: 8 * RATE], "libx264", {"preset": "ultrafast"}).read_bytes()
    (path := tmp_path / "class.ts").write_bytes(part + part)
    for config in (AnnotateConfig(zoom=False), AnnotateConfig(TimeRange(7.0, 15.0), zoom=False)):
        told = tell_whole(classifier, path, config, tmp_path)
        assert tell_in_pieces(classifier, path, config, 1) == told and told.count("\n") >= 3


def tell_in_pieces(classifier: PoseClassifier, path: Path, config: AnnotateConfig, count: int) -> str:
    planned = plan_video(path, config)
    assert len(planned) == count, planned
    # the last one first, each for itself: none has what another remembers
    observations = [observe_shard(classifier, path, config, shard, threads=1) for shard in reversed(planned)]
    told = finish_video(join_shards(observations[::-1]), classifier.info)
    return format_timeline(".csv", told.segments, told.columns)


WISHES = {
    "zoom": (AnnotateConfig(), 6),
    "whole frame": (AnnotateConfig(zoom=False), 6),
    "roi": (AnnotateConfig(roi=Roi(0.2, 0, 0.7, 1)), 6),
    "part": (AnnotateConfig(TimeRange(4.3, 13.9)), 4),
    "part from within a warm-up": (AnnotateConfig(TimeRange(5.4)), 5),
    "part within one stretch": (AnnotateConfig(TimeRange(3.2, 5.0)), 1),
}


@pytest.mark.parametrize("name", WISHES)
def test_the_timeline_of_the_pieces_is_the_whole_ones(
    clip: Path, classifier: PoseClassifier, tmp_path: Path, name: str
) -> None:
    config, count = WISHES[name]
    whole = tell_whole(classifier, clip, config, tmp_path)
    assert tell_in_pieces(classifier, clip, config, count) == whole
    assert len(whole.splitlines()) > 2 or "within one" in name


FILES = {
    "closed groups": ("mp4", "libx264", {"preset": "ultrafast", "g": "30"}),
    "one key frame": ("mp4", "libx264", {"preset": "veryfast", "g": "9999", "sc_threshold": "0"}),
    "by bytes": ("ts", "libx264", {"preset": "veryfast", "g": "25", "bf": "2"}),
    "matroska": ("mkv", "libx264", {"preset": "veryfast", "g": "40", "bf": "3"}),
    "packed": ("avi", "mpeg4", {"g": "33", "bf": "2"}),
    "mpeg-2": ("mpg", "mpeg2video", {"g": "15", "bf": "2"}),
}


@pytest.mark.parametrize("name", FILES)
def test_containers_and_codecs_make_no_difference(
    frames: list[np.ndarray], classifier: PoseClassifier, tmp_path: Path, name: str
) -> None:
    suffix, codec, options = FILES[name]
    path = write(tmp_path / f"class.{suffix}", frames, codec, options)
    planned = plan_video(path, AnnotateConfig())
    assert len(planned) >= 5
    assert tell_in_pieces(classifier, path, AnnotateConfig(), len(planned)) == tell_whole(
        classifier, path, AnnotateConfig(), tmp_path
    )


def test_uneven_frames_and_gaps_make_no_difference(
    frames: list[np.ndarray], write_clip: Callable[..., Path], classifier: PoseClassifier, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    steps_ms = rng.choice([1, 7, 33, 50, 120, 400], len(frames), p=[0.1, 0.2, 0.4, 0.2, 0.08, 0.02])
    steps_ms[150] = 4500  # longer than a stretch: one stretch's warm-up is never used
    times_ms = np.cumsum(steps_ms).tolist()
    path = write_clip(tmp_path / "uneven.mkv", frames, pts=times_ms, time_base=Fraction(1, 1000))
    planned = plan_video(path, AnnotateConfig())
    assert len(planned) >= 4
    whole = tell_whole(classifier, path, AnnotateConfig(), tmp_path)
    assert tell_in_pieces(classifier, path, AnnotateConfig(), len(planned)) == whole


def test_sides_of_pieces_are_those_of_the_whole(
    write_clip: Callable[..., Path], classifier: PoseClassifier, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    look = Appearance(top=(255, 40, 40), wall=(255, 60, 60), floor=(255, 60, 60), mat=(255, 60, 60))  # blue: a tree
    trees = [draw_figure(POSES["tree"], (320, 240), replace(look, mirror=mirror)) for mirror in (False, True)]
    path = write_clip(
        tmp_path / "tree.mp4", [trees[n >= 8 * RATE] for n in range(16 * RATE)], rate=Fraction(RATE), size_wh=(320, 240)
    )
    config = AnnotateConfig(people="main")
    whole = tell_whole(classifier, path, config, tmp_path)
    assert whole.splitlines()[0].endswith(",side") and any(side in whole for side in (",left", ",right"))
    assert tell_in_pieces(classifier, path, config, len(plan_video(path, config))) == whole


def test_a_close_up_ends_no_hold_in_pieces_either(
    write_clip: Callable[..., Path], classifier: PoseClassifier, tmp_path: Path
) -> None:
    """Two seconds of nobody lie where a piece ends."""
    pytest.importorskip("onnxruntime")
    look = Appearance(top=(255, 40, 40), wall=(255, 60, 60), floor=(255, 60, 60), mat=(255, 60, 60))  # blue: a tree
    tree, nobody = draw_figure(POSES["tree"], (320, 240), look), np.full((240, 320, 3), (60, 60, 255), np.uint8)
    pictures = [nobody if 7 * RATE <= n < 9 * RATE else tree for n in range(16 * RATE)]
    path = write_clip(tmp_path / "tree.mp4", pictures, rate=Fraction(RATE), size_wh=(320, 240))
    config = AnnotateConfig(people="main")
    whole = tell_whole(classifier, path, config, tmp_path)
    assert [row.split(",")[2] for row in whole.splitlines()[1:]] == ["tree"]
    assert len(plan_video(path, config)) > 1
    assert tell_in_pieces(classifier, path, config, len(plan_video(path, config))) == whole


@pytest.mark.parametrize(
    "config",
    [
        AnnotateConfig(people="all"),
        AnnotateConfig(people="all", mats=True),
        AnnotateConfig(people=1),
        AnnotateConfig(TimeRange(1.3, 6.2), people="all"),
        AnnotateConfig(roi=Roi(0.5, 0, 0.5, 1), people="all"),
    ],
    ids=["all", "mats", "number", "part", "roi"],
)
def test_several_people_are_those_of_one_run(
    two_people: Path, classifier: PoseClassifier, tmp_path: Path, config: AnnotateConfig
) -> None:
    pytest.importorskip("onnxruntime")
    whole = tell_whole(classifier, two_people, config, tmp_path)
    assert whole.startswith("start_s,end_s,pose,confidence,person,side\n") and ",warrior_2," in whole
    count = 1 if config.people == 1 or config.roi else 2
    assert {line.split(",")[4] for line in whole.splitlines()[1:]} == set("12"[:count])
    assert tell_in_pieces(classifier, two_people, config, 1) == whole  # in pieces nobody would keep their number


def test_several_people_of_a_recording_that_breaks_off_are_those_of_one_run(
    two_people: Path, classifier: PoseClassifier, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    config, content = AnnotateConfig(people="all"), bytearray(two_people.read_bytes())
    with av.open(str(two_people)) as container:
        packets: Any = [packet for packet in container.demux(video=0) if packet.pos]
        at = next(packet.pos for packet in packets if packet.dts * packet.time_base > 4.5)
    end = content.rindex(b"moov") - 4
    content[at:end] = b"\xff" * (end - at)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    watched = annotate_video(classifier, broken, Outputs(), config)
    told = finish_video(observe_shard(classifier, broken, config, Shard(0.0, None)), classifier.info)
    assert told.reason == str(watched.error) and "damaged after 4" in str(told.reason)
    assert told.segments == watched.segments and {segment.person for segment in told.segments} == {1, 2}


def test_where_nobody_is_found_the_columns_are_those_of_one_run(
    clip: Path, classifier: PoseClassifier, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    config = AnnotateConfig(TimeRange(0.0, 4.0), people="all")
    whole = tell_whole(classifier, clip, config, tmp_path)
    assert whole.splitlines()[1].endswith(",,") and tell_in_pieces(classifier, clip, config, 1) == whole


def test_looks_are_the_same_to_the_last_bit(clip: Path, classifier: PoseClassifier) -> None:
    whole = observe_shard(classifier, clip, AnnotateConfig(), Shard(0.0, None))
    parts = [observe_shard(classifier, clip, AnnotateConfig(), shard) for shard in plan_shards(SECONDS)]
    joined = join_shards(parts)
    assert np.array_equal(joined.times_s, whole.times_s) and np.array_equal(joined.rows, whole.rows)
    assert joined.end_s == whole.end_s and len(whole.times_s) == pytest.approx(6 * SECONDS, abs=2)


def test_the_zoom_is_warm_where_a_stretch_begins(clip: Path, classifier: PoseClassifier) -> None:
    """A view that began cold would show the whole frame: other probabilities than the zoomed ones just before."""
    warm = observe_shard(classifier, clip, AnnotateConfig(people="off"), Shard(6.0, 9.0))
    cold = observe_shard(classifier, clip, AnnotateConfig(TimeRange(6.0), people="off"), Shard(6.0, 9.0))
    assert warm.times_s[0] == cold.times_s[0] == pytest.approx(6.0)
    assert not np.allclose(warm.rows[0], cold.rows[0], atol=0.02)


def test_a_piece_beyond_the_end_is_empty(clip: Path, classifier: PoseClassifier) -> None:
    planned = plan_shards(SECONDS + 7)  # a file that says it is longer than it is
    observations = [observe_shard(classifier, clip, AnnotateConfig(), shard) for shard in planned]
    assert len(observations[-1].times_s) == 0 and observations[-1].reason is None
    assert np.array_equal(
        join_shards(observations).times_s, observe_shard(classifier, clip, AnnotateConfig(), Shard(0, None)).times_s
    )


@pytest.mark.parametrize("is_torn_off", [False, True])
def test_a_damaged_recording_is_what_one_run_makes_of_it(
    clip: Path, classifier: PoseClassifier, tmp_path: Path, caplog: pytest.LogCaptureFixture, is_torn_off: bool
) -> None:
    container = av.open(str(clip))
    packets: Any = [packet for packet in container.demux(video=0) if packet.pos]
    at = next(packet.pos for packet in packets if packet.dts * packet.time_base > 7.5)
    container.close()
    content = bytearray(clip.read_bytes())
    end = content.rindex(b"moov") - 4 if is_torn_off else at + 4000
    content[at:end] = b"\xff" * (end - at)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    watched = annotate_video(classifier, broken, Outputs(), AnnotateConfig())
    assert (watched.error is not None) == is_torn_off
    joined = join_shards(
        [observe_shard(classifier, broken, AnnotateConfig(), shard) for shard in plan_video(broken, AnnotateConfig())]
    )
    told = finish_video(joined, classifier.info)
    assert told.segments == watched.segments and told.reason == (str(watched.error) if is_torn_off else None)
    assert is_torn_off or ("damaged packet" in told.damage and "damaged packet" in caplog.text)


def test_what_can_not_be_opened_is_an_error(clip: Path, classifier: PoseClassifier, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("buy a mat")
    with pytest.raises(SourceError, match="cannot open"):
        plan_video(tmp_path / "notes.mp4", AnnotateConfig())
    with pytest.raises(SourceError, match="after the end"):
        plan_video(clip, AnnotateConfig(TimeRange(60.0)))
    with pytest.raises(OptionError, match="200 x 150"):
        plan_video(clip, AnnotateConfig(roi=Roi(150, 0, 100, 50)))


@pytest.mark.parametrize(
    ("length_s", "time_range", "expected"),
    [
        (None, None, [(0, None)]),
        (2.0, None, [(0, None)]),
        (4.4, None, [(0, None)]),  # a rest of less than half a stretch is no piece
        (4.6, None, [(0, 3), (3, None)]),
        (9.0, None, [(0, 3), (3, 6), (6, None)]),
        (10.0, TimeRange(3.0, 7.7), [(3, 6), (6, None)]),
        (10.0, TimeRange(2.9), [(2.9, 3), (3, 6), (6, None)]),
        (10.0, TimeRange(0.0, 900.0), [(0, 3), (3, 6), (6, None)]),
    ],
)
def test_pieces_begin_on_the_grid(length_s: float | None, time_range: TimeRange | None, expected: list[Any]) -> None:
    assert [(shard.start_s, shard.end_s) for shard in plan_shards(length_s, time_range)] == expected


def test_a_summary_is_drawn_where_it_is_wanted(clip: Path, classifier: PoseClassifier) -> None:
    observations = observe_shard(classifier, clip, AnnotateConfig(), Shard(0, None))
    picture = finish_video(observations, classifier.info, "class.mp4").picture
    assert (
        picture is not None
        and picture.startswith(b"\x89PNG")
        and finish_video(observations, classifier.info).picture is None
    )


def test_damage_of_several_pieces_is_not_added_up() -> None:
    one, other = (
        ShardResult(np.array([time_s]), np.zeros((1, 3), np.float32), time_s + 1, damage=damage)
        for time_s, damage in ((0.0, "a.mp4: 1 damaged packet left out"), (3.0, "a.mp4: 3 damaged packets left out"))
    )
    whole = replace(one, damage="")
    assert join_shards([whole, whole]).damage == ""
    assert join_shards([whole, one]).damage == "a.mp4: 1 damaged packet left out"
    assert join_shards([one, whole, other]).damage == "a.mp4: 1 damaged packet left out; more in 1 other part"
    assert join_shards([one, other, one]).damage == "a.mp4: 1 damaged packet left out; more in 2 other parts"
