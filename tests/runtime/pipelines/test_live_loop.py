"""The loop: every frame through, sinks closed however it ends, what was seen kept."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.regions import parse_roi
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.cropping.croppers import FixedCropper
from yoga_live.runtime.drawing.overlay import SOFT, OverlayConfig
from yoga_live.runtime.drawing.summary import add_up
from yoga_live.runtime.errors import DeviceError, OutputError, SourceError, YogaLiveError
from yoga_live.runtime.pipelines.live_loop import RateMeter, run_live
from yoga_live.runtime.pipelines.loop import RunPlan, RunResult
from yoga_live.runtime.serve.state import LiveBoard
from yoga_live.runtime.sinks.base import StopWatching
from yoga_live.runtime.sinks.events import Events
from yoga_live.runtime.sinks.timeline import TimelineFile
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.tracking.observer import open_cropper

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # tree, warrior_2, none
INFO = SourceInfo("a list", (96, 64), Fraction(10), Fraction(1, 10))
PROGRAMME = [RED] * 20 + [BLUE] * 40 + [RED] * 30 + [GREEN] * 30


class ListSource:
    """Colours as frames, ten a second; an exception in the list is raised in its turn."""

    def __init__(self, steps: list[tuple[int, int, int] | BaseException]) -> None:
        self.info, self.steps = INFO, steps

    def __enter__(self) -> "ListSource":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def frames(self) -> Iterator[TimedFrame]:
        for index, step in enumerate(self.steps):
            if isinstance(step, BaseException):
                raise step
            yield TimedFrame(np.full((64, 96, 3), step, np.uint8), index / 10, index)


class ListSink:
    """Keeps what it is given; `breaks_at` and `breaks_closing` raise."""

    def __init__(
        self,
        breaks_at: int = -1,
        error: type[Exception] = StopWatching,
        breaks_closing: type[Exception] | None = None,
    ) -> None:
        self.frames: list[TimedFrame] = []
        self.closed, self.completed, self.broken_off = 0, False, False
        self.breaks_at, self.error, self.breaks_closing = breaks_at, error, breaks_closing

    def write(self, frame: TimedFrame) -> None:
        if len(self.frames) == self.breaks_at:
            raise self.error("told to")
        self.frames.append(frame)

    def complete(self) -> None:
        assert not self.closed
        self.completed = True

    def break_off(self) -> None:
        assert not self.closed
        self.broken_off = True

    def close(self) -> None:
        self.closed += 1
        if self.breaks_closing:
            raise self.breaks_closing("told to")


def test_class_is_seen_pose_by_pose(classifier: PoseClassifier) -> None:
    watched = run_live(RunPlan(ListSource([*PROGRAMME]), classifier, []))
    assert [s.pose for s in watched.segments] == ["none", "tree", "none", "warrior_2"]
    assert [s.start_s for s in watched.segments] == pytest.approx([0, 2, 6, 9], abs=0.4)
    assert watched.frames == len(PROGRAMME) and watched.error is None and not watched.stopped and watched.wall_s > 0


def test_every_sink_gets_every_annotated_frame_at_its_time(classifier: PoseClassifier) -> None:
    first, second = ListSink(), ListSink()
    run_live(RunPlan(ListSource([BLUE] * 12), classifier, [first, second]))
    for sink in (first, second):
        assert [f.pts for f in sink.frames] == list(range(12)) and sink.closed == 1
        assert [f.time_s for f in sink.frames] == [i / 10 for i in range(12)]
        assert all(not (f.image_bgr == BLUE).all() for f in sink.frames)  # the overlay


def test_every_annotated_frame_is_the_sinks_own_to_keep(classifier: PoseClassifier) -> None:
    sink = ListSink()
    run_live(RunPlan(ListSource([BLUE] * 12), classifier, [sink]))
    assert not any(np.shares_memory(one.image_bgr, sink.frames[0].image_bgr) for one in sink.frames[1:])


def test_sinks_may_come_as_any_iterable(classifier: PoseClassifier) -> None:
    sink = ListSink()
    sinks: Any = iter([sink])
    run_live(RunPlan(ListSource([BLUE] * 3), classifier, sinks))
    assert len(sink.frames) == 3 and sink.closed == 1 and sink.completed


def test_annotation_does_not_reach_the_frame_that_is_classified(classifier: PoseClassifier) -> None:
    seen = []
    run_live(
        RunPlan(
            ListSource([BLUE] * 3), classifier, [ListSink()], on_frame=lambda frame, hold: seen.append(frame.image_bgr)
        )
    )
    assert all((image == BLUE).all() for image in seen)


def test_listener_hears_pose_and_hold_time(classifier: PoseClassifier) -> None:
    holds = []
    run_live(RunPlan(ListSource([BLUE] * 30), classifier, [], on_frame=lambda frame, hold: holds.append(hold)))
    assert len(holds) == 30
    assert holds[-1].pose == "tree" and holds[-1].hold_s == pytest.approx(2.9, abs=0.3)


def test_q_in_the_window_ends_well_and_closes_all(classifier: PoseClassifier) -> None:
    window, video = ListSink(breaks_at=5), ListSink()
    watched = run_live(RunPlan(ListSource([*PROGRAMME]), classifier, [window, video]))
    assert watched.error is None and watched.frames == 5 and watched.stopped
    assert window.closed == video.closed == 1 and not video.completed
    assert video.broken_off and watched.by_key and not watched.whole


def test_stopping_a_live_source_is_its_normal_end(classifier: PoseClassifier) -> None:
    def watch_camera(end: BaseException) -> tuple[RunResult, ListSink]:
        camera, sink = ListSource([*[BLUE] * 5, end]), ListSink()
        camera.info = replace(INFO, is_live=True)
        return run_live(RunPlan(camera, classifier, [sink])), sink

    watched, video = watch_camera(KeyboardInterrupt())
    assert watched.stopped and watched.whole and not watched.by_key and video.closed and not video.broken_off
    watched, video = watch_camera(DeviceError("the GPU is lost"))
    assert watched.error and not watched.whole and video.broken_off


def test_broken_source_keeps_what_was_seen_and_says_why(classifier: PoseClassifier) -> None:
    sink = ListSink()
    watched = run_live(RunPlan(ListSource([*[BLUE] * 25, SourceError("unplugged")]), classifier, [sink]))
    assert str(watched.error) == "unplugged"
    assert (
        watched.segments[-1].pose == "tree"
        and watched.frames == len(sink.frames) == 25
        and sink.closed == 1
        and not sink.completed
    )
    assert watched.whole and not sink.broken_off  # as far as the source went


@pytest.mark.parametrize("error", [ValueError, MemoryError])
def test_error_in_a_sink_closes_all_of_them_and_is_not_swallowed(
    classifier: PoseClassifier, error: type[Exception]
) -> None:
    broken, other = ListSink(breaks_at=3, error=error), ListSink()
    with pytest.raises(error):
        run_live(RunPlan(ListSource([BLUE] * 9), classifier, [other, broken]))
    assert broken.closed == other.closed == 1


def test_full_disk_costs_the_video_but_not_what_was_seen(classifier: PoseClassifier) -> None:
    watched = run_live(RunPlan(ListSource([BLUE] * 30), classifier, [ListSink(breaks_at=20, error=OutputError)]))
    assert isinstance(watched.error, OutputError)
    assert watched.segments[-1].pose == "tree" and watched.segments[-1].end_s > 1.5


@pytest.mark.parametrize("error", [DeviceError, OSError])
def test_what_was_seen_is_kept_whatever_breaks_off(classifier: PoseClassifier, error: type[Exception]) -> None:
    watched = run_live(RunPlan(ListSource([*[BLUE] * 25, error("broke off")]), classifier, [ListSink()]))
    assert isinstance(watched.error, YogaLiveError) and "broke off" in str(watched.error)
    assert watched.segments[-1].pose == "tree" and watched.frames == 25


def test_lines_that_nobody_reads_are_no_trouble(classifier: PoseClassifier) -> None:
    with pytest.raises(BrokenPipeError):
        run_live(RunPlan(ListSource([BLUE, BrokenPipeError()]), classifier, []))


def test_an_hour_without_a_picture_is_nowhere_a_pose(classifier: PoseClassifier, tmp_path: Path) -> None:
    """Ten seconds of tree, an hour in which the camera is lost, ten seconds of rest."""

    class LostSource(ListSource):
        def frames(self) -> Iterator[TimedFrame]:
            blue, red = (np.full((64, 96, 3), colour, np.uint8) for colour in (BLUE, RED))
            yield from (TimedFrame(blue, n / 10, n) for n in range(100))
            for second in range(12, 3610):
                yield TimedFrame(blue, float(second), second * 10, lost_s=second - 9.9)
            yield from (TimedFrame(red, 3610 + n / 10, 36100 + n) for n in range(100))

    board, lines = LiveBoard(), list[str]()
    events, timeline = Events(lines.append, {"tree": 30.0}), TimelineFile(tmp_path / "a.csv")

    def show(frame: TimedFrame, hold: Hold) -> None:
        events.update(frame.time_s, hold)
        board.publish(frame.time_s, hold)

    watched = run_live(RunPlan(LostSource([]), classifier, [], on_frame=show, timeline=timeline))
    told = [(s.pose, round(s.start_s, 1), round(s.end_s, 1)) for s in watched.segments]
    assert told == [("none", 0, 0.1), ("tree", 0.1, 9.9), ("none", 9.9, 3619.9)]
    told = [(line["event"], line["time_s"]) for line in map(json.loads, lines)]
    assert told == [("begin", 0.1), ("end", 9.9)]
    assert [0.1, 9.9, "tree"] in board.describe()["past"] and board.describe()["pose"] == "none"
    assert (tmp_path / "a.csv").read_text().splitlines()[2].startswith("0.100,9.900,tree")
    assert [(total.pose, round(total.best_s, 1)) for total in add_up(watched.segments)] == [("tree", 9.8)]


def test_sink_that_fails_to_close_leaves_no_other_open(classifier: PoseClassifier) -> None:
    sinks = [ListSink(breaks_closing=OutputError), ListSink(), ListSink(breaks_closing=OutputError), ListSink()]
    watched = run_live(RunPlan(ListSource([BLUE] * 3), classifier, sinks))
    assert isinstance(watched.error, OutputError)
    assert [sink.closed for sink in sinks] == [1, 1, 1, 1]


def test_sound_that_turns_out_damaged_while_closing_costs_no_timeline(classifier: PoseClassifier) -> None:
    watched = run_live(RunPlan(ListSource([BLUE] * 20), classifier, [ListSink(breaks_closing=SourceError)]))
    assert watched.error is not None and watched.segments[-1].pose == "tree"


def test_view_chooses_what_is_classified_and_sinks_see_the_whole_frame_with_its_corners_marked(
    classifier: PoseClassifier,
) -> None:
    class HalfSource(ListSource):
        def frames(self) -> Iterator[TimedFrame]:
            for frame in super().frames():
                frame.image_bgr[:, 48:] = GREEN
                yield frame

    sink = ListSink()
    watched = run_live(
        RunPlan(HalfSource([BLUE] * 20), classifier, [sink], cropper=FixedCropper(parse_roi("0.5,0,0.5,1")))
    )
    assert watched.segments[-1].pose == "warrior_2"
    plain = run_live(
        RunPlan(HalfSource([BLUE] * 20), classifier, [ListSink()], cropper=FixedCropper(parse_roi("0,0,0.5,1")))
    )
    assert plain.segments[-1].pose == "tree"
    image = sink.frames[-1].image_bgr
    assert image.shape == (64, 96, 3) and (image[0, 48] == SOFT).all() and (image[40, :48] == BLUE).all()


def test_empty_source_gives_nothing_and_closes(classifier: PoseClassifier) -> None:
    sink = ListSink()
    watched = run_live(RunPlan(ListSource([]), classifier, [sink]))
    assert watched.segments == () and watched.frames == 0 and sink.closed == 1


def test_ctrl_c_in_the_middle_keeps_a_playable_video_that_is_no_whole_one(
    classifier: PoseClassifier, tmp_path: Path
) -> None:
    source = ListSource([*[BLUE] * 30, KeyboardInterrupt()])
    watched = run_live(RunPlan(source, classifier, [VideoSink(tmp_path / "a.mp4", INFO)]))
    assert watched.frames == 30 and watched.error is None and not watched.whole
    with VideoSource(tmp_path / "a.part.mp4") as video:
        assert len(list(video.frames())) == 30
    assert [p.name for p in tmp_path.iterdir()] == ["a.part.mp4"]


def test_ctrl_c_before_the_first_frame_leaves_no_file(classifier: PoseClassifier, tmp_path: Path) -> None:
    run_live(RunPlan(ListSource([KeyboardInterrupt()]), classifier, [VideoSink(tmp_path / "a.mp4", INFO)]))
    assert list(tmp_path.iterdir()) == []


def test_error_in_the_middle_leaves_a_playable_video_or_none(classifier: PoseClassifier, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run_live(
            RunPlan(ListSource([*[BLUE] * 12, RuntimeError("bug")]), classifier, [VideoSink(tmp_path / "a.mp4", INFO)])
        )
    assert [p.name for p in tmp_path.iterdir()] == ["a.part.mp4"]
    with VideoSource(tmp_path / "a.part.mp4") as video:
        assert len(list(video.frames())) == 12


def test_video_in_gives_a_video_out_frame_for_frame(
    classifier: PoseClassifier, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "in.mp4", PROGRAMME, rate=Fraction(10), sound="aac")
    out = tmp_path / "out.mp4"
    with VideoSource(clip) as source:
        watched = run_live(RunPlan(source, classifier, [VideoSink(out, source.info)]))
        rate = source.info.rate
    assert [s.pose for s in watched.segments] == ["none", "tree", "none", "warrior_2"]
    with VideoSource(out) as annotated:
        assert annotated.info.audio_from == out and annotated.info.rate == rate
        assert len(list(annotated.frames())) == len(PROGRAMME)


class LossySource(ListSource):
    """A camera that gives no picture from 4.9 s to 12 s: its last one is given again, twice a second."""

    def frames(self) -> Iterator[TimedFrame]:
        frames = [*super().frames()]
        yield from frames[:50]
        for number in range(10):
            time_s = 7 + number / 2
            yield replace(frames[49], time_s=time_s, pts=round(time_s * 10), lost_s=time_s - 4.9)
        yield from frames[120:]


def test_what_is_held_ends_with_the_last_picture_for_all_who_watch(classifier: PoseClassifier, tmp_path: Path) -> None:
    told: list[str] = []
    events, board, raw, shown = Events(told.append, {"tree": 6}), LiveBoard(), ListSink(), ListSink()
    timeline, holds = TimelineFile(tmp_path / "a.csv"), {}

    def listen(frame: TimedFrame, hold: Hold) -> None:
        events.update(frame.time_s, hold)
        board.publish(frame.time_s, hold)
        holds[frame.time_s] = hold

    watched = run_live(
        RunPlan(LossySource([BLUE] * 160), classifier, [shown], None, listen, timeline=timeline, record=raw)
    )
    events.close(15.9)
    assert watched.frames == len(raw.frames) == 90 and len(shown.frames) == 100
    *_, tree, gap, again = watched.segments
    assert (tree.pose, gap.pose, again.pose) == ("tree", "none", "tree") and gap.confidence < 0.6
    assert tree.end_s == gap.start_s == pytest.approx(4.9) and gap.end_s == again.start_s == pytest.approx(12, abs=0.3)
    rows = (tmp_path / "a.csv").read_text().splitlines()[-3:]
    assert [row.split(",")[2] for row in rows] == ["tree", "none", "tree"] and rows[0].split(",")[1] == "4.900"
    lines = [json.loads(line) for line in told]
    assert [(line["event"], line["pose"]) for line in lines] == [("begin", "tree"), ("end", "tree")] * 2  # no goal
    assert lines[1]["time_s"] == 4.9 and lines[2]["time_s"] == pytest.approx(12, abs=0.3)
    assert [pose for *_, pose in board.describe()["past"]][-2:] == ["tree", "none"]
    assert board.describe()["past"][-2][1] == 4.9
    assert all(hold.pose == "none" for time_s, hold in holds.items() if 5 < time_s < 12)
    assert holds[12.0].hold_s == pytest.approx(7.1) and holds[15.9].hold_s < 4


def test_rate_meter_settles_on_the_rate() -> None:
    meter = RateMeter()
    assert meter.tick(0.0) is None
    rates = [meter.tick(i / 25) for i in range(1, 100)]
    assert rates[0] == pytest.approx(25) and rates[-1] == pytest.approx(25)


def test_rate_meter_follows_a_change_within_seconds_and_survives_equal_times() -> None:
    meter = RateMeter()
    for i in range(50):
        meter.tick(i / 50)
    for i in range(20):
        slow = meter.tick(1 + i / 5)
    assert slow == pytest.approx(5, abs=1.5)
    assert meter.tick(1 + 19 / 5) == slow


def test_what_explains_draws_whom_the_crop_follows(classifier: PoseClassifier) -> None:
    """The bones are lighter than anything that the heat leaves of what is under them."""
    pytest.importorskip("onnxruntime")

    class Drawn(ListSource):
        def frames(self) -> Iterator[TimedFrame]:
            figure = draw_figure(POSES["goddess"], (320, 180))
            yield from (TimedFrame(figure.copy(), index / 10, index) for index in range(4))

    drawn = {}
    for people in ("main", "off"):
        for explain in (True, False):
            sink, overlay = ListSink(), OverlayConfig(place="none", explain=explain, show_fps=False)
            cropper = open_cropper(classifier, None, True, (320, 180), people)
            watched = run_live(RunPlan(Drawn([]), classifier, [sink], overlay, cropper=cropper))
            assert watched.error is None
            drawn[people, explain] = sink.frames[-1].image_bgr
    figure = draw_figure(POSES["goddess"], (320, 180))
    assert (drawn["main", False] == figure).all() and (drawn["off", False] == figure).all()
    white = (drawn["main", True].min(axis=2) > 225) & (figure.min(axis=2) < 200)
    assert white.sum() > 20
    assert not ((drawn["off", True].min(axis=2) > 225) & (figure.min(axis=2) < 200)).any()
