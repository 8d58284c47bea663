"""The two pictures of the README, from the drawn demo: a frame with the overlay, and the live page on two screens.

python benchmarks/readme_pictures.py       writes runtime/images/overlay.png and live.png; needs Chromium and playwright
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.cropping.croppers import ZoomCropper
from yoga_live.runtime.drawing.overlay import OverlayConfig
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.pipelines.recorded_loop import run_recorded
from yoga_live.runtime.serve import state
from yoga_live.runtime.serve.address import ServeAddress
from yoga_live.runtime.serve.page import LivePage, open_page
from yoga_live.runtime.sources.demo import DemoSource

IMAGES = Path(__file__).parents[1] / "runtime" / "images"
OVERLAY_S, PAGE_S = 12.5, 32.3  # moments of the demo: Warrior 2, Goddess
GOALS_S = {"goddess": 5.0}
HEIGHT, DESK_WH, PHONE_WH, GAP = 700, (1120, 700), (390, 845), 20


class Until(DemoSource):
    """The demo up to a moment, and four seconds more, which the smoother looks ahead."""

    def __init__(self, end_s: float) -> None:
        super().__init__()
        self._end_s = end_s

    def frames(self) -> Any:
        """The first frames."""
        return itertools.takewhile(lambda frame: frame.time_s < self._end_s + 4, super().frames())


class KeepOne:
    """A sink that keeps the frame of a moment."""

    def __init__(self, time_s: float) -> None:
        self._time_s = time_s
        self.image_bgr: Any = None

    def write(self, frame: TimedFrame) -> None:
        """Keep it if it is the one."""
        if frame.time_s <= self._time_s:
            self.image_bgr = frame.image_bgr

    def complete(self) -> None:
        """Nothing to finish."""

    def break_off(self) -> None:
        """Nothing to finish."""

    def close(self) -> None:
        """Nothing to finish."""


def draw_overlay_picture(classifier: PoseClassifier) -> Image.Image:
    """A frame as a saved video shows it."""
    sink = KeepOne(OVERLAY_S)
    overlay = OverlayConfig(show_fps=False)
    run_recorded(RunPlan(Until(OVERLAY_S), classifier, [sink], overlay), lambda: Until(OVERLAY_S))
    picture = Image.fromarray(np.ascontiguousarray(sink.image_bgr[:, :, ::-1]))
    return picture.resize((720, 405), Image.Resampling.LANCZOS)


def show_page(classifier: PoseClassifier, page: LivePage) -> None:
    """Bring the page to its moment."""
    sink, board = page.make_sink(DemoSource().info, paced=False), page.board

    def publish(frame: TimedFrame, hold: Hold) -> None:
        if frame.time_s <= PAGE_S:
            board.publish(frame.time_s, hold)

    class ToThere(KeepOne):
        def write(self, frame: TimedFrame) -> None:
            if frame.time_s <= PAGE_S:
                sink.write(frame)

    plan = RunPlan(
        Until(PAGE_S), classifier, (), OverlayConfig(show_fps=False), publish, ZoomCropper(), pages=[ToThere(PAGE_S)]
    )
    run_recorded(plan, lambda: Until(PAGE_S))


def draw_page_picture(classifier: PoseClassifier) -> Image.Image:
    """The page on a desk in the light and on a phone in the dark, side by side."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    shots = []
    state.SILENT_S = 60.0  # the page is not to say that no picture follows
    with open_page(ServeAddress("127.0.0.1", 0), classifier, GOALS_S) as page, sync_playwright() as playwright:
        assert page is not None
        show_page(classifier, page)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        screens: list[tuple[tuple[int, int], Literal["light", "dark"]]] = [(DESK_WH, "light"), (PHONE_WH, "dark")]
        for (width, height), scheme in screens:
            view = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            view.goto(page.addresses[0])
            view.wait_for_timeout(1500)
            shot = Image.open(io.BytesIO(view.screenshot())).convert("RGB")
            shots.append(shot.resize((round(width * HEIGHT / height), HEIGHT), Image.Resampling.LANCZOS))
        browser.close()
    picture = Image.new("RGB", (sum(shot.width for shot in shots) + GAP, HEIGHT), "white")
    picture.paste(shots[0], (0, 0))
    picture.paste(shots[1], (shots[0].width + GAP, 0))
    return picture.quantize(128)


def main() -> None:
    """Write both."""
    classifier = PoseClassifier(device="cpu")
    draw_overlay_picture(classifier).save(IMAGES / "overlay.png", optimize=True)
    draw_page_picture(classifier).save(IMAGES / "live.png", optimize=True)


if __name__ == "__main__":
    main()
