"""One list of kinds: what is taken for a photo in a folder, and how the rest is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.errors import PhotoError
from yoga_live.runtime.photos import decoding
from yoga_live.runtime.photos.decoding import decode_photo, inspect_photo, list_formats
from yoga_live.runtime.photos.kinds import EXTENSIONS, PHOTO_SUFFIXES, PhotoSieve, count_suffixes, is_heic, is_photo

from ..heic import draw_heic
from ..hostile_pictures import draw_spot, encode


def draw_quarters() -> np.ndarray:
    """Red, green over blue, yellow.  Returns uint8 RGB."""
    image = np.zeros((96, 128, 3), np.uint8)
    image[:48, :64], image[:48, 64:] = (255, 0, 0), (0, 255, 0)
    image[48:, :64], image[48:, 64:] = (0, 0, 255), (255, 255, 0)
    return image


def test_every_kind_that_a_photo_may_be_stored_as_is_found_again_in_a_folder() -> None:
    assert all(f".{extension}" in PHOTO_SUFFIXES for extension in EXTENSIONS.values())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
@pytest.mark.parametrize("name", ["no_suffix", "image.php", "photo.JPG"])
def test_a_photo_without_a_photo_s_name_is_known_by_its_bytes(tmp_path: Path, kind: str, name: str) -> None:
    if kind == "AVIF" and "AVIF" not in list_formats():
        pytest.skip("this Pillow was built without AVIF")
    (tmp_path / name).write_bytes(encode(draw_spot(), kind))
    assert is_photo(tmp_path / name)


def test_a_camera_s_raw_file_is_no_tiff(tmp_path: Path) -> None:
    (tmp_path / "a.nef").write_bytes(encode(draw_spot(), "TIFF"))
    assert not is_photo(tmp_path / "a.nef") and not is_photo(tmp_path / "missing") and not is_photo(tmp_path)


def test_what_is_left_out_is_counted_the_most_frequent_first(tmp_path: Path) -> None:
    sieve = PhotoSieve()
    assert sieve.describe() == ""
    for name in ["a.pdf"] * 3 + ["b.MOV", "b.mov", "c.jpg", "bad.\x1b[2J", "noise"]:
        sieve(tmp_path / name)
    assert sieve.describe() == "ignored 7 files that are not photos: 3 .pdf, 2 .mov, 2 without a suffix"
    many = [Path(f"a.x{number}") for number in range(9)]
    assert count_suffixes(many).endswith("1 .x5, 3 others")


def test_heic_without_its_package_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_load_heif", lambda: False)
    with pytest.raises(
        PhotoError, match=r"is not a picture that .*: it is HEIC, .*; run: pip install pi-heif, or export"
    ):
        decode_photo(draw_heic(draw_quarters()))


@pytest.mark.parametrize(
    ("turns", "corners"),
    [(0, [(255, 0, 0), (0, 255, 0)]), (1, [(0, 255, 0), (255, 255, 0)]), (3, [(0, 0, 255), (255, 0, 0)])],
)
def test_heic_is_decoded_upright(turns: int, corners: list[tuple[int, int, int]]) -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    content = draw_heic(draw_quarters(), turns)
    frame = decode_photo(content)
    size_wh = (96, 128) if turns else (128, 96)
    assert is_heic(content) and frame.shape == (*size_wh[::-1], 3) and inspect_photo(content) == ("HEIF", size_wh)
    for corner, colour in zip((frame[8, 8], frame[8, -8]), corners, strict=True):
        assert np.abs(corner[::-1].astype(int) - colour).max() < 25


def test_an_avif_is_no_heic() -> None:
    assert is_heic(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") and not is_heic(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf")
    assert not is_heic(b"\0\0\0\x1cftypisom\0\0\0\0isomavc1mp41") and not is_heic(b"")


def test_a_tiff_of_a_rare_sort_is_not_called_no_picture_alone() -> None:
    with pytest.raises(PhotoError, match=r"is not a picture that can be read here: it is a TIFF of a rare variant"):
        decode_photo(b"II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(50))


def test_an_apng_lies_on_white() -> None:
    first = Image.new("RGBA", (40, 30))
    first.paste((200, 30, 60, 255), (0, 0, 20, 30))
    second = first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for blend in (0, 1):
        frame = decode_photo(encode(first, "PNG", save_all=True, append_images=[second], duration=100, blend=blend))
        assert (frame[:, :20] == (60, 30, 200)).all() and (frame[:, 20:] == 255).all()
