"""Annotated videos as a browser shows them: colours, size, length and every picture, in a real headless Chromium."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.base import SourceInfo

from .conftest import set_rotation

playwright = pytest.importorskip("playwright.sync_api", reason='no playwright: pip install ".[dev]"')
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or name one in $CHROMIUM")

PATCHES = ((200, 40, 40), (40, 180, 60), (50, 60, 210), (230, 200, 60), (30, 30, 30), (235, 235, 235))  # RGB
TOLERANCE = (4, 4, 10)
"""Red, green, blue, of 255: H.264 twice, rounding in 8 bit; and without a GPU Chromium (libyuv) takes 2.0 for BT.709's
2.112 times U in blue."""
SHOWN = 0.6  # patches fill this share of the height; what is drawn on the picture lies below
COUNT = 30

SCRIPT = """async ([content, moments, centres]) => {
  const video = document.createElement("video");
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  video.muted = true;
  document.body.append(video);
  const heard = (name) => new Promise((done, fail) => {
    video.addEventListener(name, done, { once: true });
    video.addEventListener("error", () => fail(new Error(video.error.message)), { once: true });
  });
  await heard("loadeddata");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const seen = [];
  for (const moment of moments) {
    video.currentTime = moment;
    await heard("seeked");
    for (let tries = 0; tries < 500; tries += 1) { // on a busy machine the picture comes after the event
      pen.clearRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(video, 0, 0);
      if (pen.getImageData(0, 0, 1, 1).data[3]) break;
      await new Promise((done) => setTimeout(done, 20));
    }
    const read = ([x, y]) => [...pen.getImageData(x * canvas.width, y * canvas.height, 1, 1).data.slice(0, 3)];
    seen.push(centres.map(read));
  }
  video.currentTime = 0;
  await heard("seeked");
  video.playbackRate = 4;
  await Promise.all([heard("ended"), video.play()]);
  const picture = canvas.toDataURL("image/png");
  return { size: [canvas.width, canvas.height], length: video.duration, seen, picture };
}"""


@dataclass(frozen=True)
class Kind:
    """A source: what it is in, how its pixels are kept, in which shape.  times_ms: of its frames, if uneven."""

    pixels: str = "yuv420p"
    matrix: int = 1
    size_wh: tuple[int, int] = (384, 256)
    degrees: int = 0
    is_full: bool = False
    times_ms: tuple[int, ...] = ()
    suffix: str = ".mp4"
    rate: Fraction = Fraction(25)


UNEVEN = tuple(np.cumsum([0, *([10, 75, 40, 33, 100] * 8)])[:COUNT].tolist())
KINDS = {
    "8 bit 4:2:0": Kind(),
    "8 bit 4:2:0, BT.601": Kind(matrix=6),
    "full range, as phones write it": Kind(is_full=True),
    "8 bit 4:2:2": Kind("yuv422p"),
    "8 bit 4:4:4": Kind("yuv444p"),
    "10 bit 4:2:0": Kind("yuv420p10le"),
    "10 bit 4:2:2": Kind("yuv422p10le", rate=Fraction(30000, 1001)),
    "variable rate": Kind(times_ms=UNEVEN, suffix=".mkv"),
    "a phone held upright": Kind(degrees=90),
    "a phone upside down": Kind(degrees=180),
    "a phone held upright, odd sides": Kind("yuv444p", size_wh=(383, 255), degrees=270),
    "odd sides": Kind("yuv444p", size_wh=(383, 255)),
}


def draw_patches(size_wh: tuple[int, int]) -> np.ndarray:
    """Two rows of three patches over grey, uint8 (H, W, 3) RGB."""
    width, height = size_wh
    image = np.full((height, width, 3), 128, np.uint8)
    for number, colour in enumerate(PATCHES):
        row, column = divmod(number, 3)
        top, bottom = (round(height * SHOWN * place / 2) for place in (row, row + 1))
        left, right = (round(width * place / 3) for place in (column, column + 1))
        image[top:bottom, left:right] = colour
    return image


CENTRES = [((column + 0.5) / 3, SHOWN * (row + 0.5) / 2) for row in range(2) for column in range(3)]


def write_source(path: Path, kind: Kind) -> None:
    """A clip of the patches, upright for whoever heeds its rotation flag."""
    upright = (kind.size_wh[1], kind.size_wh[0]) if kind.degrees % 180 else kind.size_wh
    image = np.ascontiguousarray(np.rot90(draw_patches(upright), kind.degrees // 90))
    base = Fraction(1, 1000) if kind.times_ms else 1 / kind.rate
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=kind.rate, options={"crf": "8", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *kind.size_wh, kind.pixels
        stream.time_base = stream.codec_context.time_base = base
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = kind.matrix, kind.matrix, kind.matrix
        context.color_range = 2 if kind.is_full else 1
        matrix = {6: 5}.get(kind.matrix, kind.matrix)  # swscale's number of BT.601
        for number in range(COUNT):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format=kind.pixels, dst_colorspace=matrix, dst_color_range=context.color_range
            )
            picture.pts, picture.time_base = (kind.times_ms or range(COUNT))[number], base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    if kind.degrees:
        set_rotation(path, kind.degrees)


def read_facts(path: Path) -> tuple[list[float], float, tuple[str, str]]:
    """Times of the pictures, length in seconds, codec and pixels."""
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        length_s = float(stream.duration * stream.time_base) if stream.duration else 0.0
        said = stream.codec_context.name, stream.codec_context.pix_fmt
        return [float(frame.pts * frame.time_base) for frame in container.decode(stream)], length_s, said


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = chromium.new_page()
        if not page.evaluate("""document.createElement("video").canPlayType('video/mp4; codecs="avc1.64001f"')"""):
            pytest.skip("this Chromium plays no H.264")
        yield page
        chromium.close()


@pytest.mark.parametrize("name", KINDS)
def test_a_browser_shows_the_copy_as_the_source_was_meant(
    page: Any, live: Callable[..., tuple[int, str, str]], tmp_path: Path, name: str
) -> None:
    kind, out = KINDS[name], tmp_path / "out.mp4"
    source = tmp_path / f"in{kind.suffix}"
    write_source(source, kind)
    assert live("--video", source, "--save", out, "--no-window")[0] == 0
    (times_s, _, _), (copied_s, length_s, said) = read_facts(source), read_facts(out)
    assert copied_s == pytest.approx(times_s, abs=0.0006) and said == ("h264", "yuv420p")
    assert out.read_bytes().index(b"moov") < out.read_bytes().index(b"mdat")
    last_s = times_s[-1] - times_s[-2] if kind.times_ms else float(1 / kind.rate)
    assert length_s == pytest.approx(times_s[-1] + last_s, abs=0.07 if kind.times_ms else 0.002)
    moments = [0.0, times_s[COUNT // 2], times_s[-1]]
    content = base64.b64encode(out.read_bytes()).decode()
    shown = page.evaluate(SCRIPT, [content, moments, CENTRES])
    upright = (kind.size_wh[1], kind.size_wh[0]) if kind.degrees % 180 else kind.size_wh
    assert shown["size"] == [side + side % 2 for side in upright]
    assert shown["length"] == pytest.approx(length_s, abs=0.01)
    for seen in shown["seen"]:
        assert (np.abs(np.array(seen, int) - PATCHES) <= TOLERANCE).all(), seen
    if folder := os.environ.get("KEEP_PICTURES"):  # to be looked at
        Path(folder, f"{name}.png").write_bytes(base64.b64decode(shown["picture"].partition(",")[2]))


def test_a_browser_shows_a_camera_s_pictures_as_they_were(page: Any, tmp_path: Path) -> None:
    info = SourceInfo("camera 0", (383, 255), Fraction(30), Fraction(1, 90_000), is_live=True)
    image = np.ascontiguousarray(draw_patches(info.size_wh)[:, :, ::-1])
    times_s = [0.0, 0.05, 0.1, 0.5, 0.9, 1.0]
    sink = VideoSink(tmp_path / "out.mp4", info)
    for time_s in times_s:
        sink.write(TimedFrame(image, time_s, round(time_s * 90_000)))
    sink.close()
    content = base64.b64encode((tmp_path / "out.mp4").read_bytes()).decode()
    shown = page.evaluate(SCRIPT, [content, [0.0, 0.6, 1.0], CENTRES])
    assert shown["size"] == [384, 256] and shown["length"] == pytest.approx(1 + 1 / 30, abs=0.01)
    for seen in shown["seen"]:
        assert (np.abs(np.array(seen, int) - PATCHES) <= TOLERANCE).all(), seen


def test_a_browser_plays_sound_that_outlasts_the_picture_to_its_end(
    page: Any, live: Callable[..., tuple[int, str, str]], write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    image = np.ascontiguousarray(draw_patches((384, 256))[:, :, ::-1])
    source = write_clip(tmp_path / "in.mp4", [image] * 25, sound="aac", sound_s=3)
    assert live("--video", source, "--save", tmp_path / "out.mp4", "--no-window")[0] == 0
    content = base64.b64encode((tmp_path / "out.mp4").read_bytes()).decode()
    shown = page.evaluate(SCRIPT, [content, [0.5, 2.5], [(0.5, 0.3)]])
    assert shown["length"] == pytest.approx(3, abs=0.06) and shown["size"] == [384, 256]
    assert shown["seen"][0] == shown["seen"][1]  # the last picture stays
