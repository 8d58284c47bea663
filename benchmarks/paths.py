"""Modules and functions of the product that one thing passes through: `python benchmarks/paths.py`.

Six frames of a camera, a recorded file from its name to its timeline and video, and a fit.  Counted by
sys.setprofile in every thread: functions of yoga_live that are called, each once; comprehensions, lambdas and what runs
while a module is imported are left out.  Fewer are easier to follow.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

ROOM = "yoga_live"


class Trace:
    """Which code of the product is called while the block lasts."""

    def __init__(self) -> None:
        self.codes: set[CodeType] = set()
        self._modules: dict[CodeType, str] = {}

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        """What sys.setprofile calls."""
        if event == "call" and frame.f_code not in self._modules:
            module = str(frame.f_globals.get("__name__", ""))
            self._modules[frame.f_code] = module
            if module.split(".")[0] == ROOM and not frame.f_code.co_name.startswith("<"):
                self.codes.add(frame.f_code)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Trace this thread and those that are started."""
        threading.setprofile(self.note)
        sys.setprofile(self.note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def count(self) -> tuple[int, int]:
        """Modules and functions."""
        return len({self._modules[code] for code in self.codes}), len(self.codes)


def trace_camera(folder: Path) -> Trace:
    """A live source: frames of a fake camera, classified beside the loop, drawn and saved."""
    from yoga_live.runtime.classifier import PoseClassifier

    trace = Trace()
    images = [np.full((240, 320, 3), 40 * number, np.uint8) for number in range(6)]

    class Camera:
        rate, shown = 30, 0

        def read(self) -> Any:
            self.shown += 1
            return images[self.shown - 1] if self.shown <= len(images) else None

        def release(self) -> None:
            pass

    with trace.on():
        _watch(Camera(), PoseClassifier(), folder)
    return trace


def _watch(camera: Any, classifier: Any, folder: Path) -> None:
    """Through the public loop; the names of commit 0943129 serve to compare."""
    try:
        from yoga_live.runtime.pipelines.live_loop import run_live
        from yoga_live.runtime.pipelines.loop import RunPlan
        from yoga_live.runtime.sinks.video import VideoSink
        from yoga_live.runtime.sources.live import LiveSource, ReconnectPolicy

        policy = ReconnectPolicy(give_up_s=0.2, stall_s=0.1)
        with LiveSource(lambda: camera, "camera", policy) as source:
            run_live(RunPlan(source, classifier, [VideoSink(folder / "camera.mp4", source.info)]))
    except ModuleNotFoundError:
        from yoga_live.runtime.live import watch  # pyright: ignore[reportMissingImports]
        from yoga_live.runtime.live_sources import LiveSource, Patience  # pyright: ignore[reportMissingImports]
        from yoga_live.runtime.video_sink import VideoSink  # pyright: ignore[reportMissingImports]

        with LiveSource(lambda: camera, "camera", Patience(give_up_s=0.2, stall_s=0.1)) as source:
            watch(source, classifier, [VideoSink(folder / "camera.mp4", source.info)])


def trace_command(room: str, words: list[str]) -> Trace:
    """A whole command."""
    import importlib

    trace = Trace()
    try:
        main = importlib.import_module(f"{ROOM}.{room}.cli.main").main
    except ModuleNotFoundError:
        main = importlib.import_module(f"{ROOM}.{room}.command").main
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said, trace.on():
        code = main(words)
    if code:
        raise SystemExit(said.getvalue())
    return trace


def draw_clip(path: Path) -> None:
    """Two seconds of the demo's figure."""
    import av

    try:
        from yoga_live.runtime.sources.demo import DemoSource
    except ModuleNotFoundError:
        from yoga_live.runtime.demo import DemoSource  # pyright: ignore[reportMissingImports]
    with DemoSource() as source, av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 960, 540, "yuv420p"
        for number, frame in enumerate(source.frames()):
            if number == 50:
                break
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image_bgr, format="bgr24")))
        container.mux(stream.encode(None))


def draw_photos(folder: Path) -> None:
    """Three poses of eight photos of noise each."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for pose in ("tree", "plank", "none"):
        (folder / pose).mkdir(parents=True)
        for number in range(8):
            picture = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((64, 48))
            picture.save(folder / pose / f"{number}.png")


def main() -> None:
    """Trace all three; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="name the modules too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_clip(folder / "clip.mp4")
        draw_photos(folder / "photos")
        video = [
            "--video",
            folder / "clip.mp4",
            "--save",
            folder / "o.mp4",
            "--timeline",
            folder / "o.csv",
            "--no-window",
        ]
        fit = [
            "fit",
            folder / "photos",
            "--to",
            folder / "run",
            "--weights",
            "none",
            "--arch",
            "resnet18",
            "--size",
            32,
        ]
        fit += ["--epochs-frozen", 1, "--epochs", 1, "--batch", 8]
        rows = {
            "a camera's frames, watched and saved": trace_camera(folder),
            "a recorded file": trace_command("runtime", [str(word) for word in video]),
            "a fit": trace_command("train", [str(word) for word in fit]),
        }
    print("| what | modules | functions |\n|---|---|---|")
    for what, trace in rows.items():
        modules, functions = trace.count()
        print(f"| {what} | {modules} | {functions} |")
        if args.list:
            print(*sorted({trace._modules[code].removeprefix(f"{ROOM}.") for code in trace.codes}), sep=" ")


if __name__ == "__main__":
    main()
