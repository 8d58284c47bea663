"""Recordings: what is drawn knows the future, and agrees with the timeline."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.drawing.overlay import OverlayConfig
from yoga_live.runtime.errors import DeviceError, OutputError
from yoga_live.runtime.pipelines import loop, recorded_loop
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.pipelines.recorded_loop import run_recorded
from yoga_live.runtime.sinks.base import Sink, StopWatching
from yoga_live.runtime.sinks.threaded import ThreadedSink
from yoga_live.runtime.sinks.timeline import TimelineFile
from yoga_live.runtime.sources.animated_webp import AnimationSource
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.sources.demux import open_media
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.tracking.adaptive_sampling import EVERY
from yoga_live.runtime.tracking.observer import Observer
from yoga_live.runtime.tracking.sampling_observer import OBSERVATIONS_PER_S, SamplingObserver

from ..conftest import LABELS, ColourEngine

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # tree, warrior_2, none
FPS = 20
PROGRAMME = [RED] * 40 + [BLUE] * 120 + [RED] * 40 + [GREEN] * 100 + [RED] * 20
TRUTH = [("none", 0, 2), ("tree", 2, 8), ("none", 8, 10), ("warrior_2", 10, 15), ("none", 15, 16)]


class ListSink:
    """Keeps the times of what it was given; stops or breaks at a frame if it is told to."""

    def __init__(self, raises: BaseException | None = None, at: int = 0) -> None:
        self.times_s: list[float] = []
        self.raises, self.at, self.closed, self.completed, self.broken_off = raises, at, False, False, False

    def write(self, frame: TimedFrame) -> None:
        if self.raises and len(self.times_s) == self.at:
            raise self.raises
        self.times_s.append(frame.time_s)

    def complete(self) -> None:
        assert not self.closed
        self.completed = True

    def break_off(self) -> None:
        assert not self.closed
        self.broken_off = True

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def recording(write_clip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("recording") / "class.mp4", PROGRAMME, rate=Fraction(FPS))


def run(path: Path, engine: ColourEngine, *sinks: Sink, style: OverlayConfig | None = None):
    shown: list[tuple[float, Hold]] = []
    with VideoSource(path) as source:
        watched = run_recorded(
            RunPlan(
                source,
                PoseClassifier.from_engine(engine),
                sinks,
                style,
                on_frame=lambda frame, hold: shown.append((frame.time_s, hold)),
            ),
            partial(VideoSource, path, OBSERVATIONS_PER_S),
        )
    return watched, shown


def test_every_frame_is_drawn_with_the_pose_it_shows(recording: Path, engine: ColourEngine) -> None:
    sink = ListSink()
    watched, shown = run(recording, engine, sink)
    assert len(sink.times_s) == len(shown) == watched.frames == len(PROGRAMME) and sink.closed and sink.completed
    edges_s = [start_s for _, start_s, _ in TRUTH]
    for time_s, hold in shown:
        if min(abs(time_s - edge_s) for edge_s in edges_s) > 1 / OBSERVATIONS_PER_S:
            pose, start_s, _ = next(row for row in TRUTH if row[1] <= time_s < row[2])
            assert hold.pose == pose, time_s
            assert hold.hold_s == pytest.approx(time_s - start_s, abs=1 / OBSERVATIONS_PER_S)


def test_what_is_drawn_is_what_the_timeline_says(recording: Path, engine: ColourEngine) -> None:
    watched, shown = run(recording, engine, ListSink())
    assert [s.pose for s in watched.segments] == [pose for pose, *_ in TRUTH]
    for time_s, hold in shown:
        assert hold.pose == next((s.pose for s in watched.segments if time_s < s.end_s), watched.segments[-1].pose)
    assert watched.segments[-1].end_s == pytest.approx(len(PROGRAMME) / FPS)  # the last frame is shown too


def test_few_frames_are_looked_at(recording: Path, engine: ColourEngine) -> None:
    run(recording, engine, ListSink())
    due = len(PROGRAMME) / FPS * OBSERVATIONS_PER_S
    disagree = (len(TRUTH) - 1) * (EVERY - 1)
    assert len(engine.batches) == pytest.approx(due / EVERY + disagree, abs=4)


def test_frames_too_large_to_be_kept_are_drawn_the_same(
    recording: Path, engine: ColourEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, shown = run(recording, engine, ListSink())
    monkeypatch.setattr(recorded_loop, "HELD_BYTES", 0)
    looked_at = len(engine.batches)
    sink = ListSink()
    twice, shown_twice = run(recording, engine, sink)
    assert len(engine.batches) == 2 * looked_at and len(sink.times_s) == len(PROGRAMME)
    assert twice.segments == kept.segments and shown_twice == shown


@pytest.mark.parametrize("twice", [False, True])
def test_frames_that_wait_are_as_many_as_is_counted_with(
    recording: Path, engine: ColourEngine, monkeypatch: pytest.MonkeyPatch, twice: bool
) -> None:
    waiting, most = 0, 0
    frames, annotate_frame = VideoSource.frames, loop.annotate_frame

    def arrive(source: VideoSource) -> Iterator[TimedFrame]:
        nonlocal waiting, most
        for frame in frames(source):
            if source is drawn:
                waiting += 1
                most = max(most, waiting)
            yield frame

    def leave(*args: Any) -> TimedFrame:
        nonlocal waiting
        waiting -= 1
        return annotate_frame(*args)

    monkeypatch.setattr(VideoSource, "frames", arrive)
    monkeypatch.setattr(loop, "annotate_frame", leave)
    monkeypatch.setattr(recorded_loop, "HELD_BYTES", 0 if twice else recorded_loop.HELD_BYTES)
    with VideoSource(recording) as drawn:
        counted = recorded_loop._held_bytes(drawn) / (drawn.info.size_wh[0] * drawn.info.size_wh[1] * 1.5)
        again = partial(VideoSource, recording, OBSERVATIONS_PER_S)
        run_recorded(RunPlan(drawn, PoseClassifier.from_engine(engine), [ListSink()]), again)
    assert waiting == 0
    assert most <= (recorded_loop.OBSERVED_AHEAD // 2 + recorded_loop.IN_HAND if twice else counted)


def test_explaining_draws_the_newest_look_of_each_frame(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, Any]] = []
    annotate_frame = loop.annotate_frame

    def note(frame: TimedFrame, *args: Any) -> TimedFrame:
        seen.append((frame.time_s, args[4].maps.argmax()))
        return annotate_frame(frame, *args)

    monkeypatch.setattr(loop, "annotate_frame", note)
    run(recording, ColourEngine(), ListSink(), style=OverlayConfig(explain=True))
    assert len(seen) == len(PROGRAMME)
    for time_s, strongest in seen:
        look_s = max(look_s for look_s in np.arange(0, 17, 1 / OBSERVATIONS_PER_S) if look_s <= time_s + 1e-6)
        if min(abs(look_s - start_s) for _, start_s, _ in TRUTH) > 1 / OBSERVATIONS_PER_S:
            assert LABELS[strongest] == next(row[0] for row in TRUTH if row[1] <= look_s < row[2])


def test_without_pictures_the_timeline_is_the_same(recording: Path) -> None:
    drawn, _ = run(recording, ColourEngine(), ListSink())
    read, shown = run(recording, ColourEngine())
    assert [s.pose for s in read.segments] == [s.pose for s in drawn.segments]
    assert read.segments == drawn.segments and read.frames == drawn.frames == len(PROGRAMME)
    assert read.segments[-1].end_s == pytest.approx(len(PROGRAMME) / FPS)
    assert shown[-1][0] == pytest.approx(len(PROGRAMME) / FPS, abs=2 / OBSERVATIONS_PER_S)


@pytest.mark.parametrize("error", [StopWatching(), KeyboardInterrupt(), OutputError("the disk is full")])
def test_what_was_seen_is_kept_however_it_ends(recording: Path, engine: ColourEngine, error: Exception) -> None:
    sink = ListSink(error, at=100)
    watched, _ = run(recording, engine, sink)
    assert sink.closed and not sink.completed and len(sink.times_s) == watched.frames == 100
    assert sink.broken_off and not watched.whole
    assert [s.pose for s in watched.segments][:2] == ["none", "tree"]
    assert watched.segments[-1].end_s == pytest.approx(100 / FPS)
    assert isinstance(watched.error, OutputError) == isinstance(error, OutputError)


def test_a_run_that_is_stopped_before_its_first_frame_keeps_no_timeline(
    recording: Path, engine: ColourEngine, tmp_path: Path
) -> None:
    again, timeline = partial(VideoSource, recording, OBSERVATIONS_PER_S), TimelineFile(tmp_path / "a.csv")
    with VideoSource(recording) as source:
        sinks = [ListSink(KeyboardInterrupt(), at=0)]
        watched = run_recorded(RunPlan(source, PoseClassifier.from_engine(engine), sinks, timeline=timeline), again)
    assert watched.stopped and watched.frames == 0 and watched.segments == ()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_for_the_sink_beside_is_told_and_all_is_closed(
    recording: Path, engine: ColourEngine
) -> None:
    sink = ListSink(OutputError("the disk is full"), at=100)
    watched, _ = run(recording, engine, ThreadedSink(sink))
    assert str(watched.error) == "the disk is full" and sink.closed and not sink.completed and sink.broken_off
    assert 100 <= watched.frames <= 105 and [s.pose for s in watched.segments][:2] == ["none", "tree"]


class BreakingEngine(ColourEngine):
    """Breaks at a look, as a GPU that is lost does."""

    def __init__(self, at: int, error: Exception) -> None:
        super().__init__()
        self.at, self.error = at, error

    def infer(self, frames: np.ndarray) -> np.ndarray:
        if len(self.batches) == self.at:
            raise self.error
        return super().infer(frames)


@pytest.mark.parametrize("sinks", [1, 0])
def test_a_network_that_breaks_off_costs_nothing_that_was_seen(recording: Path, sinks: int) -> None:
    sink, breaks_s = ListSink(), 10
    observations = round(breaks_s * OBSERVATIONS_PER_S / EVERY) + 2 * (
        EVERY - 1
    )  # those between are looked at beside two edges
    watched, _ = run(recording, BreakingEngine(observations, DeviceError("the GPU is lost")), *[sink][:sinks])
    assert str(watched.error) == "the GPU is lost" and not watched.stopped
    assert [s.pose for s in watched.segments] == ["none", "tree", "none"]
    assert watched.segments[-1].end_s == pytest.approx(breaks_s, abs=2 / FPS)
    assert not sinks or (sink.closed and sink.times_s[-1] == pytest.approx(breaks_s, abs=2 / FPS))


def test_a_full_disk_met_by_the_timeline_costs_no_report(recording: Path, engine: ColourEngine) -> None:
    class FullTimeline:
        def autosave(self, read: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", "class.part.csv")

        def finish(self, content: Any, *, whole: bool) -> None:
            assert [s.pose for s in content] == ["none"] and not whole

    with VideoSource(recording) as source:
        timeline: Any = FullTimeline()
        again = partial(VideoSource, recording, OBSERVATIONS_PER_S)
        sink = ListSink()
        watched = run_recorded(RunPlan(source, PoseClassifier.from_engine(engine), [sink], timeline=timeline), again)
    assert isinstance(watched.error, OutputError) and "No space left" in str(watched.error) and sink.closed
    assert "class.part.csv" in str(watched.error)


def test_damage_is_said_once_however_often_it_is_met(
    write_clip: Callable[..., Path],
    tmp_path: Path,
    engine: ColourEngine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = write_clip(tmp_path / "a.mp4", PROGRAMME, rate=Fraction(FPS), options={"movflags": "+faststart"})
    content = bytearray(path.read_bytes())
    with open_media(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    at = content.index(b"".join(packets[100:103]))
    content[at : at + 6] = b"\xff" * 6
    path.write_bytes(content)
    monkeypatch.setattr(recorded_loop, "HELD_BYTES", 0)
    watched, _ = run(path, engine, ListSink())
    assert watched.error is None and watched.frames >= len(PROGRAMME) - 3
    assert caplog.text.count("damaged packet") == 1


def test_an_animation_whose_frames_are_large_is_looked_at_beside(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(
        path := tmp_path / "a.webp", save_all=True, append_images=[Image.new("RGB", (64, 48), (0, 0, 255))]
    )
    with AnimationSource(path) as source:
        assert recorded_loop._held_bytes(source) > recorded_loop.HELD_BYTES


def test_a_damaged_recording_is_drawn_up_to_the_damage(
    write_clip: Callable[..., Path], tmp_path: Path, engine: ColourEngine
) -> None:
    path = write_clip(tmp_path / "a.mp4", PROGRAMME, rate=Fraction(FPS), options={"movflags": "+faststart"})
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4 :] = np.random.default_rng(1).bytes(len(content) - len(content) * 3 // 4)
    path.write_bytes(content)
    sink = ListSink()
    watched, _ = run(path, engine, sink)
    assert watched.error is not None and "is damaged after" in str(watched.error)
    assert watched.whole and not sink.broken_off  # as far as the file goes
    assert len(sink.times_s) > 100 and "tree" in {s.pose for s in watched.segments}


class DamagedSource:
    """A recording made of a list, whose damaged frames show another pose than the others."""

    def __init__(self, programme: list[tuple[tuple[int, int, int], float, bool]]) -> None:
        self.info = SourceInfo("class.ts", (64, 48), Fraction(FPS), Fraction(1, FPS))
        self._frames = list[TimedFrame]()
        for colour, seconds, is_damaged in programme:
            for _ in range(round(seconds * FPS)):
                number, image = len(self._frames), np.full((48, 64, 3), colour, np.uint8)
                self._frames.append(TimedFrame(image, number / FPS, number, 1 / FPS, is_damaged=is_damaged))

    def __enter__(self) -> DamagedSource:
        return self

    def __exit__(self, *_: object) -> None: ...

    def frames(self) -> Iterator[TimedFrame]:
        for frame in self._frames:
            self.info.seen.count(frame.time_s, frame.lasts_s)
            yield frame


@pytest.mark.parametrize(
    ("programme", "expected"),
    [
        ([(BLUE, 5, False), (GREEN, 0.4, True), (BLUE, 5, False)], [("tree", 0, 10.4)]),
        ([(BLUE, 5, False), (GREEN, 6, True), (BLUE, 5, False)], [("tree", 0, 5), ("none", 5, 11), ("tree", 11, 16)]),
        ([(GREEN, 0.3, True), (BLUE, 5, False)], [("tree", 0, 5.3)]),
        ([(GREEN, 0.1, True)], [("none", 0, 0.1)]),
        ([(GREEN, 4, True), (BLUE, 4, False)], [("none", 0, 4), ("tree", 4, 8)]),
    ],
)
@pytest.mark.parametrize("drawn", [True, False])
def test_damaged_frames_are_shown_but_not_classified(
    engine: ColourEngine,
    programme: list[tuple[tuple[int, int, int], float, bool]],
    expected: list[tuple[str, float, float]],
    drawn: bool,
) -> None:
    sink, told = ListSink(), list[str]()
    source = DamagedSource(programme)
    watched = run_recorded(
        RunPlan(
            source,
            PoseClassifier.from_engine(engine),
            [sink] if drawn else [],
            on_frame=lambda frame, hold: told.append(hold.pose),
        ),
        lambda: DamagedSource(programme),
    )
    assert watched.error is None and (not drawn or len(sink.times_s) == watched.frames == len(told))
    assert [segment.pose for segment in watched.segments] == [pose for pose, _, _ in expected]
    for segment, (_, start_s, end_s) in zip(watched.segments, expected, strict=True):
        assert (segment.start_s, segment.end_s) == (pytest.approx(start_s, abs=0.5), pytest.approx(end_s, abs=0.5))
    assert set(told) == {pose for pose, _, _ in expected}
    assert not any((batch.mean(axis=(1, 2))[:, 1] > 200).any() for batch in engine.batches), "a damaged frame was seen"


def test_a_long_damage_keeps_no_more_frames_waiting_than_any_other_part(engine: ColourEngine) -> None:
    watcher = SamplingObserver(Observer(PoseClassifier.from_engine(engine)))
    source = DamagedSource([(BLUE, 2, False), (GREEN, 60, True)])
    last_look_s = 0.0
    for step in watcher.observe_along(source.frames()):
        last_look_s = max([last_look_s, *(observation.time_s for observation in step.observations)])
        assert step.frame is None or step.frame.time_s - last_look_s < 1
