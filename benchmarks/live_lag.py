"""How old a live picture is when it is shown, and the pose beside it: `python benchmarks/live_lag.py [--rtsp]`.

Each picture holds the time at which it was made, as stripes, and is read again where the loop shows it, overlay and
all.  The network is the shipped one, slowed to `--network-fps`.  Without `--rtsp` the camera is made here, without a
delay of its own; with it, GStreamer's server on this machine encodes, sends and is decoded (rtsp_server.py says what
to install), which has a lag without us too.

Printed, in milliseconds: the age of each picture shown; the age of the picture that an answer is about when the
answer is first shown, beside one step of the network and one frame after the picture was there; and the age of the
first and the last tenth, which would differ if a queue grew.  Returns 1 where a queue grew, or the median of the
answers is older than that.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import Frame, Hold
from yoga_live.runtime.drawing.overlay import OverlayConfig
from yoga_live.runtime.pipelines.live_loop import run_live
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.sinks.base import StopWatching
from yoga_live.runtime.sources.cameras import open_camera
from yoga_live.runtime.sources.live import LiveSource

BITS = 24


def now_ms() -> int:
    """Milliseconds of the machine's steady clock, as many as the stripes hold."""
    return int(time.monotonic() * 1000) % 2**BITS


def draw_clock(size_wh: tuple[int, int]) -> Frame:
    """Now, as stripes."""
    width, height = size_wh
    bits = np.array([now_ms() >> bit & 1 for bit in reversed(range(BITS))], np.uint8) * 255
    row = np.zeros(width, np.uint8)
    row[: width // BITS * BITS] = bits.repeat(width // BITS)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def read_clock(image: Frame, width: int) -> int:
    """The time in a picture whose stripes were drawn for this width, uint8 (H, W, 3)."""
    height, shown = image.shape[:2]
    pitch = width // BITS * shown / width
    columns = [round((number + 0.5) * pitch) for number in range(BITS)]
    levels = image[height * 45 // 100 : height * 55 // 100][:, columns].mean(axis=(0, 2))
    return int("".join("1" if level > 128 else "0" for level in levels), 2)


def age_ms(born_ms: int) -> int:
    """How long ago that was."""
    return (now_ms() - born_ms) % 2**BITS


class ClockCapture:
    """A camera that takes no time."""

    def __init__(self, size_wh: tuple[int, int], rate: int) -> None:
        self.size_wh, self.rate, self._due_s = size_wh, Fraction(rate), time.monotonic()

    def read(self) -> Frame:
        """The picture of the next moment that is due."""
        self._due_s += float(1 / self.rate)
        time.sleep(max(self._due_s - time.monotonic(), 0))
        return draw_clock(self.size_wh)

    def release(self) -> None:
        """Nothing is held."""


class SlowEngine:
    """The shipped network, slowed; its answers alternate, so that each can be told from the one before it."""

    def __init__(self, step_s: float, width: int) -> None:
        self._inner, self._step_s, self._width = PoseClassifier().engine, step_s, width
        self.info, self.device = self._inner.info, self._inner.device
        self.looks: list[tuple[int, float]] = []  # when the picture was made, ms; what the step took, s

    def infer(self, frames: Frame) -> np.ndarray:
        """Logits, float32 (N, C), after a step."""
        return self.infer_maps(frames)[0]

    def infer_maps(self, frames: Frame) -> tuple[np.ndarray, np.ndarray]:
        """The same and class maps."""
        started_s, born_ms = time.monotonic(), read_clock(frames[0], self._width)
        logits, maps = self._inner.infer_maps(frames)
        logits[:, 0] += 6 * (len(self.looks) % 2)
        time.sleep(max(started_s + self._step_s - time.monotonic(), 0))
        self.looks.append((born_ms, time.monotonic() - started_s))
        return logits, maps


class Screen:
    """Where pictures are shown: notes how old they are, and how old a new answer's picture is."""

    def __init__(self, engine: SlowEngine, width: int, seconds: float) -> None:
        self._engine, self._width, self._until_s = engine, width, time.monotonic() + seconds
        self._confidences: list[float] = []
        self.pictures_ms: list[int] = []
        self.answers_ms: list[int] = []

    def write(self, frame: TimedFrame) -> None:
        """Read the age of what is shown."""
        self.pictures_ms.append(age_ms(read_clock(frame.image_bgr, self._width)))

    def note(self, frame: TimedFrame, hold: Hold) -> None:
        """Another confidence is another answer."""
        if not self._confidences or hold.confidence != self._confidences[-1]:
            self._confidences.append(hold.confidence)
            self.answers_ms.append(age_ms(self._engine.looks[len(self._confidences) - 1][0]))
        if time.monotonic() > self._until_s:
            raise StopWatching

    def complete(self) -> None:
        """Nothing follows."""

    def break_off(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def serve_clock(port: int, size_wh: tuple[int, int], rate: int) -> Iterator[str]:
    """GStreamer's server with the clock.  Yields its address."""
    script = str(Path(__file__).with_name("rtsp_server.py"))
    command = ["/usr/bin/python3", script, *map(str, (port, *size_wh, rate)), "clock"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise SystemExit("the RTSP server can't be started; see rtsp_server.py for what it needs")
        yield f"rtsp://127.0.0.1:{port}/camera"
    finally:
        process.kill()
        process.wait()


def describe(ages_ms: list[int]) -> str:
    """Median, 95th percentile, greatest."""
    return f"{np.median(ages_ms):.0f} (95 %: {np.percentile(ages_ms, 95):.0f}, at most {max(ages_ms)})"


def run(source: LiveSource, step_s: float, seconds: float) -> tuple[Screen, SlowEngine]:
    """Watch for a while."""
    engine = SlowEngine(step_s, source.info.size_wh[0])
    screen = Screen(engine, source.info.size_wh[0], seconds)
    with source:
        run_live(RunPlan(source, PoseClassifier.from_engine(engine), [screen], OverlayConfig(), screen.note))
    return screen, engine


def main() -> int:
    """Watch, print the ages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network-fps", type=float, default=2)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--size", default="1280x720", metavar="WxH")
    parser.add_argument("--rtsp", action="store_true", help="from GStreamer's server")
    parser.add_argument("--port", type=int, default=8565)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    step_s, frame_ms = 1 / args.network_fps, 1000 / args.rate
    if args.rtsp:
        with serve_clock(args.port, (width, height), args.rate) as address:
            screen, engine = run(open_camera(address), step_s, args.seconds)
    else:
        source = LiveSource(lambda: ClockCapture((width, height), args.rate), "clock")
        screen, engine = run(source, step_s, args.seconds)
    pictures, answers = screen.pictures_ms[args.rate :], screen.answers_ms[2:]
    step_ms = float(np.median([step for _, step in engine.looks])) * 1000
    tenth = max(len(pictures) // 10, 1)
    shown = len(screen.pictures_ms) / args.seconds
    print(f"{'RTSP' if args.rtsp else 'a camera made here'}, {args.size} at {args.rate} FPS, network {step_ms:.0f} ms")
    print(f"pictures shown: {shown:.1f} a second, age {describe(pictures)} ms")
    first_ms, last_ms = np.median(pictures[:tenth]), np.median(pictures[-tenth:])
    print(f"age in the first tenth {first_ms:.0f} ms, in the last {last_ms:.0f}")
    bound_ms = float(np.median(pictures)) + step_ms + frame_ms
    print(f"answers: {len(answers)}, age of their picture when first shown {describe(answers)} ms")
    print(f"one step and one frame: {step_ms + frame_ms:.0f} ms; after the picture was shown: {bound_ms:.0f} ms")
    return int(bool(last_ms - first_ms > frame_ms or np.median(answers) > bound_ms + frame_ms / 4))


if __name__ == "__main__":
    sys.exit(main())
