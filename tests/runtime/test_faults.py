"""Small real files that fail easily, where they lie beside the repository; each kind has a drawn test elsewhere too."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

import av
import numpy as np
import pytest

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.video import VideoSource

FAULTS = Path(__file__).parents[3] / "shared" / "faults"
pytestmark = pytest.mark.skipif(not FAULTS.is_dir(), reason=f"{FAULTS} is not on this machine")


def copy_through(name: str, folder: Path) -> tuple[list[TimedFrame], VideoSource, Path]:
    to = folder / "copy.mp4"
    with VideoSource(FAULTS / name) as source:
        sink, frames = VideoSink(to, source.info), list[TimedFrame]()
        for frame in source.frames():
            frames.append(frame)
            sink.write(frame)
        sink.complete()
        sink.close()
    return frames, source, to


def lengths_s(path: Path) -> dict[str, float]:
    with av.open(str(path)) as container:
        return {stream.type: float(stream.duration * stream.time_base) for stream in container.streams}  # pyright: ignore


@pytest.mark.skipif(not which("ffmpeg"), reason="ffmpeg, which shows what is right, is not installed")
@pytest.mark.parametrize("name", ["sar43.mp4", "mirror.mp4", "zero_matrix.mp4", "cover_first.mp4"])
def test_it_looks_as_ffmpeg_shows_it_and_so_does_its_copy(tmp_path: Path, name: str) -> None:
    import cv2

    frames, source, copy = copy_through(name, tmp_path)
    scale = "scale=round(iw*sar):ih"
    for number, path in enumerate((FAULTS / name, copy)):
        shown = tmp_path / f"{number}.png"
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", scale, "-frames:v", "1", str(shown)]
        subprocess.run(command, check=True, timeout=60)
        expected = cv2.imread(str(shown))
        assert expected is not None and expected.shape == frames[0].image_bgr.shape
        assert np.abs(frames[0].image_bgr.astype(int) - expected).mean() < 6
    assert len(frames) == 30 and lengths_s(copy)["video"] == pytest.approx(3.0)
    assert not source.damage


@pytest.mark.parametrize(
    ("name", "lasting_s", "told"),
    [
        ("smeared.ts", {"video": 4.0}, "s with a damaged picture"),
        ("amr.3gp", {"video": 4.933, "audio": 5.0}, ""),
        ("cut.webm", {"video": 4.0, "audio": 4.0}, "ends after 4.0 s instead of 8.0 s as its header says"),
        ("raw30.h264", {"video": 3.0}, "the file has no timestamps; assumed 30 frames per second"),
        ("slowmo.mp4", {"video": 0.525}, ""),
    ],
)
def test_nothing_is_lost_and_what_is_wrong_is_told(
    tmp_path: Path, name: str, lasting_s: dict[str, float], told: str
) -> None:
    frames, source, copy = copy_through(name, tmp_path)
    assert lengths_s(copy) == {kind: pytest.approx(length_s, abs=0.02) for kind, length_s in lasting_s.items()}
    assert (told in source.damage) if told else not source.damage
    damaged = sum(frame.is_damaged for frame in frames)
    assert (10 <= damaged < 20) if name == "smeared.ts" else not damaged
    if "audio" in lasting_s:
        with av.open(str(copy)) as container:
            heard_s = sum(frame.samples / frame.rate for frame in container.decode(audio=0))
        assert heard_s == pytest.approx(lasting_s["audio"], abs=0.15)
