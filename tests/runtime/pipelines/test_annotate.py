"""One video annotated by one call."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.regions import Roi
from yoga_live.runtime.errors import OptionError, OutputError, SourceError
from yoga_live.runtime.pipelines.annotate import AnnotateConfig, Outputs, annotate_video, is_video, read_length_s
from yoga_live.runtime.sources.time_range import TimeRange
from yoga_live.runtime.sources.video import VideoSource

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # tree, warrior_2, none
PROGRAMME = [RED] * 20 + [BLUE] * 60 + [RED] * 30 + [GREEN] * 40


@pytest.fixture(scope="module")
def clip(write_clip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "class.mp4"
    return write_clip(path, PROGRAMME, rate=Fraction(10), sound="aac", options={"movflags": "+faststart"})


def count_frames(path: Path) -> int:
    with VideoSource(path) as source:
        return len(list(source.frames()))


def test_a_part_is_told_in_the_videos_own_time_and_saved_from_zero(
    clip: Path, classifier: PoseClassifier, tmp_path: Path
) -> None:
    outputs = Outputs(tmp_path / "a.mp4", tmp_path / "a.csv", tmp_path / "a.png")
    seen: list[float] = []
    config = AnnotateConfig(TimeRange(4.0, 12.5), zoom=False)
    watched = annotate_video(classifier, clip, outputs, config, lambda frame, hold: seen.append(frame.time_s))
    assert watched.error is None and not watched.stopped
    assert watched.frames == len(seen) == count_frames(tmp_path / "a.mp4") == 85
    assert seen[0] == pytest.approx(4.0) and seen[-1] == pytest.approx(12.4)
    told = [(s.pose, s.start_s, s.end_s) for s in watched.segments]
    assert [pose for pose, *_ in told] == ["tree", "none", "warrior_2"]
    assert told[0][1] == pytest.approx(4.0) and told[-1][2] == pytest.approx(12.5)
    assert told[0][2] == pytest.approx(8.0, abs=0.2) and told[2][1] == pytest.approx(11.0, abs=0.2)
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("4.000,")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.duration / 1e6 == pytest.approx(8.5, abs=0.05) and container.streams.audio


@pytest.mark.parametrize(("saves", "begins"), [(True, "00:00:00.000 -->"), (False, "00:00:04.000 -->")])
def test_chapters_fit_the_clip_that_is_saved_else_the_video(
    clip: Path, classifier: PoseClassifier, tmp_path: Path, saves: bool, begins: str
) -> None:
    outputs = Outputs(tmp_path / "a.mp4" if saves else None, tmp_path / "a.vtt")
    annotate_video(classifier, clip, outputs, AnnotateConfig(TimeRange(4.0), zoom=False))
    assert begins in (tmp_path / "a.vtt").read_text().splitlines()[2]


def test_a_part_is_named_as_the_whole_is(clip: Path, classifier: PoseClassifier) -> None:
    whole = annotate_video(classifier, clip, Outputs())
    part = annotate_video(classifier, clip, Outputs(), AnnotateConfig(TimeRange(3.0, 14.0)))
    assert [s.pose for s in part.segments] == [s.pose for s in whole.segments][1:]
    for mine, theirs in zip(part.segments[1:], whole.segments[2:], strict=True):
        assert mine.start_s == pytest.approx(theirs.start_s, abs=0.13)


def test_a_gif_is_annotated_for_as_long_as_it_is_shown(classifier: PoseClassifier, tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (61, 47), colour) for colour in ((255, 0, 0), (0, 0, 255), (0, 255, 0), (0, 0, 255))]
    for kind in ("gif", "webp"):
        path = tmp_path / f"a.{kind}"
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[20, 350, 70, 2500], lossless=True)
        watched = annotate_video(classifier, path, Outputs(tmp_path / f"{kind}.mp4"), AnnotateConfig(zoom=False))
        assert watched.frames == 4 and watched.segments[-1].end_s == pytest.approx(2.94)
        with av.open(str(tmp_path / f"{kind}.mp4")) as container:
            assert container.duration / 1e6 == pytest.approx(2.94, abs=0.01)
            assert [round(frame.time, 2) for frame in container.decode(video=0)] == [0, 0.02, 0.37, 0.44]


@pytest.mark.parametrize("count", [5, 6, 7, 8])  # with each, x264 ends on other kinds of frames
def test_uneven_frames_last_as_long_as_they_did(
    write_clip: Callable[..., Path], classifier: PoseClassifier, tmp_path: Path, count: int
) -> None:
    times_ms = [0, 40, 500, 520, 1700, 1733, 2500, 2520][:count]
    path = write_clip(tmp_path / "in.mp4", [BLUE] * len(times_ms), pts=times_ms, time_base=Fraction(1, 1000))
    with VideoSource(path) as source:
        lasts_s = list(source.frames())[-1].lasts_s or float(1 / source.info.rate)
    annotate_video(classifier, path, Outputs(tmp_path / "out.mp4"), AnnotateConfig(zoom=False))
    with av.open(str(tmp_path / "out.mp4")) as container:
        shown = sorted(float(p.pts * p.time_base) for p in container.demux(video=0) if p.pts is not None)
        assert [round(time_s * 1000) for time_s in shown] == times_ms
        assert container.duration / 1e6 == pytest.approx(times_ms[-1] / 1000 + lasts_s, abs=0.002)


def test_what_is_no_video_is_an_error_and_leaves_nothing(classifier: PoseClassifier, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("buy a mat")
    with pytest.raises(SourceError, match="cannot open"):
        annotate_video(classifier, path, Outputs(tmp_path / "a.mp4", tmp_path / "a.csv"))
    assert [p.name for p in tmp_path.iterdir()] == ["notes.mp4"]


@pytest.mark.parametrize("taken", ["a.mp4", "a.csv", "a.png"])
def test_no_output_is_replaced_unless_forced(
    clip: Path, classifier: PoseClassifier, tmp_path: Path, taken: str
) -> None:
    (tmp_path / taken).write_text("mine")
    outputs = Outputs(tmp_path / "a.mp4", tmp_path / "a.csv", tmp_path / "a.png")
    with pytest.raises(OutputError, match=taken):
        annotate_video(classifier, clip, outputs)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(taken, "mine")]
    config = AnnotateConfig(TimeRange(0, 0.5), zoom=False, force=True)
    assert annotate_video(classifier, clip, outputs, config).error is None
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "a.csv", "a.png"}


def test_outputs_of_another_kind_and_over_the_video_are_refused(classifier: PoseClassifier, tmp_path: Path) -> None:
    path = tmp_path / "class.part.mp4"
    path.write_text("a video")
    for outputs in (
        Outputs(tmp_path / "class.mp4"),
        Outputs(path),
        Outputs(tmp_path / "a.avi"),
        Outputs(None, tmp_path / "a.txt"),
        Outputs(None, None, tmp_path / "a.jpg"),
    ):
        with pytest.raises(OutputError):
            annotate_video(classifier, path, outputs, AnnotateConfig(force=True))
    assert path.read_text() == "a video" and list(tmp_path.iterdir()) == [path]


def test_a_region_that_does_not_fit_is_an_error(clip: Path, classifier: PoseClassifier) -> None:
    with pytest.raises(OptionError, match="64 x 48"):
        annotate_video(classifier, clip, Outputs(), AnnotateConfig(roi=Roi(50, 0, 20, 20)))


def test_lengths_are_read_without_decoding(clip: Path, tmp_path: Path) -> None:
    assert read_length_s(clip) == pytest.approx(15, abs=0.1)
    assert read_length_s(clip, TimeRange(4, 6)) == pytest.approx(2)
    assert read_length_s(clip, TimeRange(14)) == pytest.approx(1, abs=0.1)
    assert read_length_s(clip, TimeRange(20)) == 0
    assert read_length_s(tmp_path / "no.mp4") == 0


def test_videos_in_a_folder_are_known_by_their_suffix(tmp_path: Path) -> None:
    assert all(is_video(tmp_path / name) for name in ("a.MP4", "a.mov", "a.gif", "a.mkv"))
    assert not any(is_video(tmp_path / name) for name in ("a.jpg", "a.csv", "a.mp4.txt", "a"))
