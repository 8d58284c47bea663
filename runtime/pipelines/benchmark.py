"""Measures the time of each stage of the live loop, in the loop itself."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..classifier import PoseClassifier
from ..core.frames import DecodedFrame, TimedFrame
from ..core.regions import Region
from ..core.types import Floats, Frame
from ..cropping.croppers import Cropper, WholeFrame
from ..drawing.overlay import OverlayConfig
from ..engines.base import Engine
from ..errors import SourceError
from ..people.cropper import PersonCropper
from ..sinks.video import VideoSink
from ..sources.base import SourceInfo
from ..sources.demo import DemoSource
from ..sources.video import VideoSource
from ..system.plain_text import format_count
from ..system.progress import Progress, track
from ..tracking.sampling_observer import OBSERVATIONS_PER_S
from .live_loop import run_live
from .loop import RunPlan

WARM_UP = 10
"""Frames at the start that are not counted, while buffers are made and the decoder's and encoder's threads start."""

DEMO_SIZE_WH = (1280, 720)
BETWEEN = ("preprocess", "network", "smoothing")
"""The stages from a frame to its label."""


class StageTimes:
    """Milliseconds of each stage, one per frame; `mark` assigns the time since the last mark to a stage."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._last_s = clock, clock()
        self._stages: dict[str, list[float]] = defaultdict(list)

    def clear(self) -> None:
        """Discard the measurements."""
        self._stages.clear()

    def mark(self, stage: str) -> None:
        """End a stage."""
        now_s = self._clock()
        self._stages[stage].append((now_s - self._last_s) * 1000)
        self._last_s = now_s

    def milliseconds(self, skip: int = 0) -> dict[str, npt.NDArray[np.float64]]:
        """Stage -> float64 (frames,), in the order of their first marks, without the first `skip` frames.

        An interrupted frame (Ctrl-C) is left out.
        """
        whole = min((len(values) for values in self._stages.values()), default=0)
        return {stage: np.array(values[skip:whole]) for stage, values in self._stages.items()}


class TimedEngine:
    """An engine that marks where preprocessing ends and the network begins."""

    def __init__(self, engine: Engine, times: StageTimes) -> None:
        self.info, self.device = engine.info, engine.device
        self._engine, self._times = engine, times

    def infer(self, frames: Frame) -> Floats:
        """Logits, float32 (N, C)."""
        self._times.mark("preprocess")
        logits = self._engine.infer(frames)
        self._times.mark("network")
        return logits

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """Logits and class maps."""
        self._times.mark("preprocess")
        answer = self._engine.infer_maps(frames)
        self._times.mark("network")
        return answer


class TimedCropper:
    """A cropper that marks where the choice of the frame's part ends; without a choice it takes no time."""

    def __init__(self, cropper: Cropper | None, times: StageTimes) -> None:
        self._cropper, self._times = cropper or WholeFrame(), times
        self.remembers = self._cropper.remembers

    def renew(self) -> TimedCropper:
        """Make a new one with the same times."""
        return TimedCropper(self._cropper.renew(), self._times)

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region | None:
        """Choose, then mark."""
        region = self._cropper.choose_crop(time_s, frame_bgr)
        if not isinstance(self._cropper, WholeFrame):
            self._times.mark("view")
        return region


class TimedPersonCropper(PersonCropper):
    """A cropper that finds people, and marks where that ends."""

    def __init__(self, cropper: PersonCropper, times: StageTimes) -> None:
        self.__dict__.update(vars(cropper), _times=times)

    def renew(self) -> TimedPersonCropper:
        """Make a new one with the same times."""
        return TimedPersonCropper(super().renew(), self.__dict__["_times"])

    def choose_crop(self, time_s: float, frame_bgr: Frame) -> Region | None:
        """Choose, then mark."""
        region = super().choose_crop(time_s, frame_bgr)
        self.__dict__["_times"].mark("view")
        return region


class TimedConversion(DecodedFrame):
    """A file's frame that marks the end of its conversion to BGR, which only the network needs."""

    def __init__(self, frame: DecodedFrame, times: StageTimes) -> None:
        self.__dict__.update(vars(frame), times=times)

    @property
    def image_bgr(self) -> Frame:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Convert, then mark."""
        image_bgr = super().image_bgr
        self.__dict__["times"].mark("convert")
        return image_bgr


class FirstFrames:
    """The first frames of a video; records when the counted frames begin."""

    def __init__(self, source: VideoSource, count: int, times: StageTimes) -> None:
        self._source, self._count, self._times = source, count, times
        self.info: SourceInfo = replace(source.info, end_s=0.0)  # the sound ends with the pictures that are read
        self.counted_from: tuple[float, float] | None = None  # seconds of the wall's clock and of this process's CPU

    def __enter__(self) -> FirstFrames:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def frames(self) -> Iterator[TimedFrame]:
        """The first frames, warm-up and counted ones."""
        frames = (TimedConversion(frame, self._times) for frame in self._source.frames())
        yield from itertools.islice(frames, WARM_UP)
        now = time.perf_counter(), time.process_time()  # before the first of them is decoded
        for frame in itertools.islice(frames, self._count):
            self.counted_from = self.counted_from or now
            yield frame


@dataclass(frozen=True)
class Benchmark:
    """milliseconds: stage -> float64 (frames,).

    wall_s: from the first counted frame until the written video is complete; cpu_s: this process's CPU seconds then.
    stopped: interrupted before the last frame (Ctrl-C).
    """

    source: SourceInfo
    milliseconds: dict[str, npt.NDArray[np.float64]]
    wall_s: float
    cpu_s: float
    stopped: bool = False

    @property
    def frames(self) -> int:
        return len(next(iter(self.milliseconds.values())))


def run_benchmark(
    classifier: PoseClassifier,
    video: Path | None,
    count: int,
    save: Path | None = None,
    cropper: Cropper | None = None,
    *,
    force: bool = False,
    explain: bool = False,
) -> Benchmark:
    """Decode, classify, annotate and encode `count` frames.  Raises SourceError for a video that is too short.

    video: a file; None draws the demo at 720p and encodes it first.  save: where to keep the annotated video, None:
    nowhere.  cropper: chooses the part of a frame to classify; None: the whole frame.  explain: draw the class map too.
    """
    with tempfile.TemporaryDirectory(prefix="yoga-live-benchmark-") as name, ExitStack() as stack:
        folder = Path(name)
        source = stack.enter_context(VideoSource(video or draw_demo(folder / "demo.mp4", WARM_UP + count)))
        times = StageTimes()
        first = FirstFrames(source, count, times)
        sink = VideoSink(save or folder / "annotated.mp4", first.info, force=force)
        return _measure(classifier, first, times, sink, count, cropper, OverlayConfig(explain=explain))


def _measure(
    classifier: PoseClassifier,
    source: FirstFrames,
    times: StageTimes,
    sink: VideoSink,
    count: int,
    cropper: Cropper | None,
    overlay: OverlayConfig,
) -> Benchmark:
    poses = classifier.labels if classifier.excluded_poses else None
    timed = PoseClassifier.from_engine(TimedEngine(classifier.engine, times), poses=poses)
    looking = TimedPersonCropper(cropper, times) if isinstance(cropper, PersonCropper) else TimedCropper(cropper, times)
    with Progress("measuring", WARM_UP + count, "frames") as progress:
        watched = run_live(
            RunPlan(source, timed, [sink], overlay, lambda *_: progress.advance(), looking, mark=times.mark)
        )
    ended_s, ended_cpu_s = time.perf_counter(), time.process_time()
    if watched.error:
        raise watched.error
    if source.counted_from is None and not watched.whole:
        raise KeyboardInterrupt(f"stopped after {format_count(watched.frames, 'frame')}, before the first one counted")
    if source.counted_from is None:
        raise SourceError(
            f"{source.info.name} has only {format_count(watched.frames, 'frame')} and the first {WARM_UP} are not "
            "counted; give a longer video"
        )
    wall_s, cpu_s = ended_s - source.counted_from[0], ended_cpu_s - source.counted_from[1]
    return Benchmark(source.info, times.milliseconds(WARM_UP), wall_s, cpu_s, not watched.whole)


def draw_demo(path: Path, count: int) -> Path:
    """Write the first `count` frames of the drawn demo (all, if it has fewer) as H.264, 720p."""
    source = DemoSource(DEMO_SIZE_WH)
    sink = VideoSink(path, source.info)
    try:
        for frame in track(itertools.islice(source.frames(), count), "drawing the clip", count, "frames"):
            sink.write(frame)
    finally:
        sink.close()
    return path


def format_benchmark(benchmark: Benchmark) -> list[str]:
    """Format the table: milliseconds by stage, then the loop as a whole."""
    stages = benchmark.milliseconds
    whole = np.sum(list(stages.values()), axis=0)
    rows = dict(stages)
    rows["frame to label"] = np.sum([stages[stage] for stage in BETWEEN], axis=0)
    rows["all"] = whole
    lines = [f"{'stage':15} {'p50':>8} {'p95':>8} {'p99':>8}  fraction of the time"]
    for name, values in rows.items():
        p50, p95, p99 = np.quantile(values, [0.5, 0.95, 0.99])
        fraction = values.sum() / whole.sum()
        lines.append(f"{name:15} {p50:8.2f} {p95:8.2f} {p99:8.2f}  {fraction:4.0%}")
    rate = benchmark.frames / benchmark.wall_s
    lines.append(
        f"{rate:.1f} frames a second (the video: {float(benchmark.source.rate):.4g}), "
        f"{benchmark.cpu_s / benchmark.wall_s:.1f} of {os.cpu_count()} cores busy, "
        f"peak memory {_format_memory(find_peak_memory())}"
    )
    label_ms = float(np.median(rows["frame to label"]))
    lines.append(
        f"live, up to {1000 / label_ms:.0f} frames a second can be classified on this machine; "
        f"{OBSERVATIONS_PER_S:.0f} a second are enough for a held pose"
    )
    return lines


def find_peak_memory() -> int | None:
    """Measure this process's peak memory, bytes; None if the system does not report it (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB on Linux


def _format_memory(size: int | None) -> str:
    return f"{size / 1e6:.0f} MB" if size else "not known on this system"
