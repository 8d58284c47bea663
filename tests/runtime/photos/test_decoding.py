"""Every picture that people collect decodes upright and in colour, or says why not."""

import io
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from yoga_live.runtime.errors import PhotoError
from yoga_live.runtime.photos.decoding import decode_photo, list_formats, read_size_wh
from yoga_live.runtime.photos.limits import MAX_PIXELS
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

MESSY = Path(__file__).parents[3] / ".." / "shared" / "data" / "messy"
ORIENTATION = 0x0112
QUARTERS = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 255, 255)]  # BGR: red, green over blue, yellow


def quartered(width: int = 64, height: int = 48) -> np.ndarray:
    """Red, green over blue, yellow: any turn or flip shows.  Returns uint8 BGR."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = QUARTERS[:2]
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = QUARTERS[2:]
    return image


def as_pil(image_bgr: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image_bgr[:, :, ::-1]))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def assert_same_picture(decoded: np.ndarray, expected: np.ndarray, tolerance: float = 6) -> None:
    assert decoded.shape == expected.shape and decoded.dtype == np.uint8 and decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - expected).mean() < tolerance


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM", "TGA"])
def test_colours_and_sides_survive_every_format(tmp_path: Path, kind: str) -> None:
    if kind == "AVIF" and "AVIF" not in list_formats():
        pytest.skip("this Pillow was built without AVIF")
    path = tmp_path / "named.jpg"  # people's suffixes lie
    path.write_bytes(encode(as_pil(quartered()), kind))
    assert_same_picture(decode_photo(path), quartered())


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_turned_photo_comes_out_upright(turn: int) -> None:
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
        8: lambda a: np.rot90(a, -1),
    }[turn]
    stored = np.ascontiguousarray(undo(quartered()))
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    for kind in ("JPEG", "PNG", "WEBP"):
        assert_same_picture(decode_photo(encode(as_pil(stored), kind, exif=exif)), quartered())


def test_cmyk_jpeg_has_the_colours_of_its_rgb_twin() -> None:
    content = encode(as_pil(quartered()).convert("CMYK"), "JPEG", quality=95)
    assert_same_picture(decode_photo(content), quartered())


def test_palette_with_alpha_becomes_white_where_it_is_transparent(tmp_path: Path) -> None:
    image = Image.new("P", (40, 30), 1)
    image.putpalette([0, 0, 0, 200, 30, 60] + [0] * 762)
    image.paste(0, (0, 0, 20, 30))
    path = tmp_path / "palette.png"
    image.save(path, transparency=0)
    decoded = decode_photo(path)
    assert (decoded[:, :20] == 255).all() and (decoded[:, 20:] == (60, 30, 200)).all()


def test_palette_with_an_alpha_table_blends_with_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0] + [0] * 765)
    decoded = decode_photo(encode(image, "PNG", transparency=bytes([128])))
    assert np.abs(decoded.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparent_pixels_become_white_and_hide_their_colour(kind: str) -> None:
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[:, 15:] = (255, 0, 0, 255)
    decoded = decode_photo(encode(Image.fromarray(rgba), kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert (decoded[:, :15] == 255).all() and (decoded[:, 15:] == (0, 0, 255)).all()


def test_grey_with_alpha_lies_on_white() -> None:
    grey_alpha = np.zeros((10, 12, 2), np.uint8)
    grey_alpha[:, :6] = (80, 255)
    decoded = decode_photo(encode(Image.fromarray(grey_alpha), "PNG"))
    assert (decoded[:, :6] == 80).all() and (decoded[:, 6:] == 255).all()


def test_rgb_with_a_transparent_colour_becomes_white_there() -> None:
    image = Image.new("RGB", (10, 10), (1, 2, 3))
    image.paste((90, 80, 70), (5, 0, 10, 10))
    decoded = decode_photo(encode(image, "PNG", transparency=(1, 2, 3)))
    assert (decoded[:, :5] == 255).all() and (decoded[:, 5:] == (70, 80, 90)).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_shades(kind: str) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    decoded = decode_photo(encode(Image.fromarray(ramp), kind))
    assert np.abs(decoded[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L"])
def test_black_and_white_and_grey_become_three_channels(mode: str) -> None:
    image = Image.new("L", (16, 8), 0)
    image.paste(255, (8, 0, 16, 8))
    decoded = decode_photo(encode(image.convert(mode), "PNG"))
    assert decoded.shape == (8, 16, 3) and (decoded[:, :8] == 0).all() and (decoded[:, 8:] == 255).all()


def test_animated_gif_gives_its_first_frame() -> None:
    first, second = Image.new("RGB", (20, 20), (255, 0, 0)), Image.new("RGB", (20, 20), (0, 0, 255))
    decoded = decode_photo(encode(first, "GIF", save_all=True, append_images=[second], duration=100))
    assert (decoded == (0, 0, 255)).all()


def test_bytes_and_path_give_the_same_pixels(tmp_path: Path) -> None:
    content = encode(as_pil(quartered()), "JPEG")
    (tmp_path / "a.jpg").write_bytes(content)
    np.testing.assert_array_equal(decode_photo(content), decode_photo(tmp_path / "a.jpg"))


def test_min_side_decodes_a_large_jpeg_smaller_but_never_under_it() -> None:
    content = encode(as_pil(draw_figure(POSES["tree"], (1600, 1200))), "JPEG")
    decoded = decode_photo(content, min_side=272)
    assert 272 <= min(decoded.shape[:2]) < 600
    assert decoded.shape[1] / decoded.shape[0] == pytest.approx(4 / 3, abs=0.01)
    assert min(decode_photo(content, min_side=1300).shape[:2]) == 1200


@pytest.mark.parametrize("side_wh", [(4000, 300), (300, 4000)])
def test_min_side_holds_for_the_shorter_side_of_a_panorama(side_wh: tuple[int, int]) -> None:
    content = encode(Image.new("RGB", side_wh, (9, 9, 9)), "JPEG")
    assert min(decode_photo(content, min_side=272).shape[:2]) >= 272


def test_truncated_jpeg_is_refused_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    content = encode(as_pil(draw_figure(POSES["tree"], (320, 240))), "JPEG")
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(PhotoError, match=r"half\.jpg is damaged: .*truncated"):
        decode_photo(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "ICO", "PPM"])
def test_damage_of_any_kind_ends_in_a_picture_or_a_photo_error(kind: str) -> None:
    """Cut anywhere, or with bytes overwritten: another exception would end a training."""
    if kind == "AVIF" and "AVIF" not in list_formats():
        pytest.skip("this Pillow was built without AVIF")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    options = {"exif": exif} if kind in {"JPEG", "PNG", "WEBP", "AVIF", "TIFF"} else {}
    content = encode(as_pil(quartered(24, 20)), kind, **options)
    rng = np.random.default_rng(0)
    cuts = [content[: int(at)] for at in rng.integers(1, len(content), 40)]
    spoilt = []
    for _ in range(80):
        copy = bytearray(content)
        for at in rng.integers(0, min(len(copy), 400), 4):
            copy[at] = rng.integers(0, 256)
        spoilt.append(bytes(copy))
    refused = 0
    for damaged in [*cuts, *spoilt]:
        refused += 1
        with suppress(PhotoError):
            assert decode_photo(damaged).shape[2] == 3
            refused -= 1
    assert refused > 0


def test_html_named_jpg_is_called_an_html_page(tmp_path: Path) -> None:
    path = tmp_path / "tree.jpg"
    path.write_text("\n  <!DOCTYPE html><html><body>404</body></html>")
    with pytest.raises(PhotoError, match=r"tree\.jpg is not a picture but an HTML page"):
        decode_photo(path)


ENDLESS_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n{} loop\n%%EOF\n"


@pytest.fixture
def ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for the program that Pillow starts for EPS: it leaves a file behind, and does nothing."""
    marker, program = tmp_path / "was_started", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n: > {marker}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # where it was looked for already
    return marker


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_no_picture_starts_another_program(tmp_path: Path, ghostscript: Path) -> None:
    path = tmp_path / "loop.jpg"
    path.write_bytes(ENDLESS_EPS)
    with suppress(OSError), Image.open(path) as image:
        image.load()
    assert ghostscript.exists(), "Pillow by itself starts it: the test would show nothing"
    ghostscript.unlink()
    for source in (path, ENDLESS_EPS):
        with pytest.raises(PhotoError, match="is not a picture but PostScript"):
            decode_photo(source)
    with pytest.raises(PhotoError, match="is not a picture but PostScript"):
        read_size_wh(ENDLESS_EPS)
    assert not ghostscript.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7\n", "but a PDF"),
        (b"8BPS\0\1" + bytes(40), "but a Photoshop file"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', r"but a drawing \(SVG\)"),
    ],
)
def test_what_else_people_call_jpg_is_named(content: bytes, words: str) -> None:
    with pytest.raises(PhotoError, match=f"is not a picture {words}$"):
        decode_photo(content)


def test_empty_missing_and_folder_each_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(PhotoError, match="is empty"):
        decode_photo(tmp_path / "empty.jpg")
    with pytest.raises(PhotoError, match="cannot be read: No such file"):
        decode_photo(tmp_path / "missing.jpg")
    with pytest.raises(PhotoError, match="cannot be read"):
        decode_photo(tmp_path)
    with pytest.raises(PhotoError, match="the file"):
        decode_photo(b"just text")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (12_000, 11_000)])
def test_bomb_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    """A PNG of a few bytes that claims far too many pixels."""
    assert width * height > MAX_PIXELS

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    with pytest.raises(PhotoError, match="pixels"):
        decode_photo(bomb)


@pytest.mark.skipif(not MESSY.is_dir(), reason="the project's messy photos (../shared/data/messy) are not here")
def test_messy_photos_decode_or_are_refused_for_the_right_reason() -> None:
    reasons = {"truncated.jpg": "damaged", "html_named.jpg": "HTML", "empty.jpg": "empty"}
    for path in sorted(MESSY.iterdir()):
        if "avif" in path.name and "AVIF" not in list_formats():
            continue
        if path.name in reasons:
            with pytest.raises(PhotoError, match=reasons[path.name]):
                decode_photo(path)
        else:
            assert decode_photo(path).std() > 5
    turned = decode_photo(MESSY / "exif_rotated_upright_is_portrait.jpg")
    assert turned.shape[0] > turned.shape[1]
