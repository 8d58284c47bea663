"""No picture costs more memory than is stated, whatever it claims; what shows nobody is told from photos."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.errors import PhotoError
from yoga_live.runtime.photos.decoding import decode_photo, inspect_photo, list_formats
from yoga_live.runtime.photos.limits import LEAST_SIDE, MAX_SIDE, MOST_MEMORY, RefusedPicture, _Memory, check_shown

from ..hostile_pictures import HOSTILE, draw_png, draw_spot, encode

BESIDE = 120_000_000
"""Bytes that a file itself, text and profiles in it, and the reading of its header may take beside the decoding."""


def measure_peak(path: Path) -> tuple[int, str]:
    """Decode and letterbox a picture in a process of its own.  Returns the most bytes it took, and how it ended."""
    import resource

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            try:
                told = str(letterbox(decode_photo(path), 224).shape)
            except BaseException as error:  # noqa: BLE001 - the parent is told, whatever it is
                told = f"{type(error).__name__}: {error}"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            os.write(writer, f"{peak * 1024} {told}".encode()[:2000])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        peak, _, told = pipe.read().decode().partition(" ")
    os.waitpid(child, 0)
    return int(peak or MOST_MEMORY * 100), told


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process's peak of memory is told in kB on Linux only")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_no_picture_takes_more_memory_than_is_stated(name: str, tmp_path: Path) -> None:
    if name == "avif" and "AVIF" not in list_formats():
        pytest.skip("this Pillow was built without AVIF")
    path = tmp_path / "hostile.jpg"
    path.write_bytes(HOSTILE[name]())
    Image.init()
    peak, told = measure_peak(path)
    assert peak < MOST_MEMORY + BESIDE, f"{peak / 1e6:.0f} MB: {told}"
    assert told.startswith(("(224, 224, 3)", "PhotoError: ")), told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("size_wh", "words"), [((MAX_SIDE + 1, 1), "too long a side"), ((1, 70_000), "too long a side")]
)
def test_a_side_that_no_photo_has_is_refused_before_decoding(size_wh: tuple[int, int], words: str) -> None:
    with pytest.raises(PhotoError, match=words):
        decode_photo(draw_png(*size_wh))
    with pytest.raises(PhotoError, match=words):
        inspect_photo(draw_png(*size_wh))


def test_the_longest_strip_that_is_allowed_is_decoded_and_letterboxed() -> None:
    frame = decode_photo(draw_png(MAX_SIDE, 20))
    assert frame.shape == (20, MAX_SIDE, 3) and letterbox(frame, 224).shape == (224, 224, 3)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (12, 200, 90)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_of_one_colour_shows_nobody(kind: str, colour: tuple[int, int, int]) -> None:
    frame = decode_photo(encode(Image.new("RGB", (120, 90), colour), kind))
    with pytest.raises(PhotoError, match=r"^of one colour: #[0-9a-f]{6} everywhere"):
        check_shown(frame)
    check_shown(frame, blank_is_fine=True)


@pytest.mark.parametrize("size_wh", [(1, 1), (LEAST_SIDE - 1, 400), (400, LEAST_SIDE - 1)])
def test_a_few_pixels_show_nobody(size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for blank_is_fine in (False, True):
        with pytest.raises(PhotoError, match=f"^too small: {width} x {height} pixels"):
            check_shown(noise, blank_is_fine=blank_is_fine)


def test_one_spot_or_faint_shades_are_a_picture() -> None:
    spot = np.full((900, 1200, 3), 255, np.uint8)
    spot[333, 777] = 0  # between the few pixels that are looked at first
    check_shown(spot)
    check_shown(np.linspace(20, 30, 200).astype(np.uint8)[:, None, None].repeat(200, axis=1).repeat(3, axis=2))


def test_decoders_share_their_memory_and_wait_for_one_another() -> None:
    memory, most, now = _Memory(100), 0, 0
    lock = threading.Lock()

    def decode() -> None:
        nonlocal most, now
        for _ in range(50):
            with memory.hold(40):
                with lock:
                    now += 1
                    most = max(most, now)
                with lock:
                    now -= 1

    threads = [threading.Thread(target=decode) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads) and 1 <= most <= 2
    with pytest.raises(RefusedPicture, match="is too large"), memory.hold(101):
        pass


def test_memory_is_given_back_by_a_picture_that_fails() -> None:
    memory = _Memory(100)
    for _ in range(3):
        with suppress(ValueError), memory.hold(100):
            raise ValueError("damaged")
    with memory.hold(100):
        pass


@pytest.mark.parametrize(
    "error", [MemoryError(), OverflowError("x"), AssertionError(), RecursionError("deep"), KeyError(1)]
)
def test_whatever_a_decoder_raises_is_a_photo_error(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Image.Image, "crop", fail)
    with pytest.raises(PhotoError, match=r"^the file (is damaged: .+|needs more memory than is available)"):
        decode_photo(encode(draw_spot(), "PNG"))


def test_devices_pipes_and_huge_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(PhotoError, match="is a device or pipe, not a file"):
            decode_photo(path)
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(500_000_000)
    with pytest.raises(PhotoError, match="is too large: 500,000,000 bytes"):
        decode_photo(tmp_path / "huge.jpg")
