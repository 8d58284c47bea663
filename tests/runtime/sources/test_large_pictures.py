"""A video whose pictures would fill the memory is refused before one of them is decoded."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.photos.limits import RefusedPicture
from yoga_live.runtime.sources import demux
from yoga_live.runtime.sources.cameras import StreamCapture
from yoga_live.runtime.sources.video import VideoSource

SIDE = 16000


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """A GIF of a few bytes with a screen of a gigabyte, as pictures are decoded."""
    side = SIDE.to_bytes(2, "little")
    frame = b"!\xf9\x04\x04\x0a\0\0\0," + bytes(4) + b"\1\0\1\0\0" + b"\x02\x02D\x01\0"
    path = tmp_path / "bomb.gif"
    path.write_bytes(b"GIF89a" + side + side + b"\x80\0\0\0\0\0\xff\xff\xff" + 2 * frame + b";")
    return path


@pytest.fixture
def growing(tmp_path: Path) -> Path:
    """A stream of small pictures, and of larger ones from the second second on."""
    parts = [_encode(tmp_path / "small.ts", 64), _encode(tmp_path / "large.ts", 256)]
    path = tmp_path / "growing.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def _encode(path: Path, side: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for number in range(25):
            grey = np.full((side * 3 // 2, side), 90 + number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demux, "MOST_PIXELS", 128 * 128)


def test_a_gif_with_a_huge_screen_costs_nothing(bomb: Path) -> None:
    code = (
        "import sys, resource\nfrom pathlib import Path\nfrom yoga_live.runtime.sources.video import VideoSource\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    VideoSource(Path(sys.argv[1]))\nexcept Exception as error:\n    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(bomb)], capture_output=True, text=True, check=True)
    said, kilobytes = answer.stdout.splitlines()
    assert said == f"{bomb} has too many pixels: 16000 x 16000 pixels, more than 36,000,000"
    assert int(kilobytes) * (1 if sys.platform == "linux" else 1 / 1024) < 200_000


@pytest.mark.usefixtures("few_pixels")
@pytest.mark.parametrize("name", ["large.ts", "large.mp4", "large.h264"])
def test_a_video_of_too_large_pictures_is_refused_when_it_is_opened(name: str, tmp_path: Path) -> None:
    path = _encode(tmp_path / name, 256)
    with pytest.raises(SourceError, match=r"large.* has too many pixels: 256 x 256 pixels, more than 16,384$"):
        VideoSource(path)


@pytest.mark.usefixtures("few_pixels")
def test_pictures_that_grow_too_large_end_a_video_and_what_came_before_is_kept(growing: Path) -> None:
    seen = 0
    with VideoSource(growing) as source, pytest.raises(SourceError, match=r"256 x 256 .* after 1\.0 s; the frames"):
        for _ in source.frames():
            seen += 1
    assert seen == 25


@pytest.mark.usefixtures("few_pixels")
def test_a_stream_of_too_large_pictures_is_refused(
    growing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens: Callable[..., object] = demux.open_media
    monkeypatch.setattr(
        "yoga_live.runtime.sources.cameras.open_media", lambda url, **_: opens(Path(url.removeprefix("http://h/")))
    )
    with pytest.raises(SourceError, match=r"^camera has too many pixels"):
        StreamCapture(f"http://h/{_encode(tmp_path / 'large.mp4', 256)}", "camera")
    capture = StreamCapture(f"http://h/{growing}", "camera")
    with pytest.raises(SourceError, match=r"^camera has too many pixels"):
        while capture.read() is not None:
            pass
    capture.release()


def test_8k_is_not_too_large() -> None:
    for size_wh in ((7680, 4320), (8192, 4320), (4320, 7680)):
        demux.check_size(size_wh, demux.MOST_PIXELS)
    with pytest.raises(RefusedPicture):
        demux.check_size((8192, 8192), demux.MOST_PIXELS)
