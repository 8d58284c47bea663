"""Colours as a viewer shows them: profiles converted to sRGB, wide ranges scaled; sRGB pixels stay as they are."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from yoga_live.runtime.photos.decoding import decode_photo, list_formats, read_size_wh

from ..hostile_pictures import draw_spot, encode

D50 = (0.9642, 1.0, 0.8249)
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
"""Red, green and blue in XYZ, adapted to D50, as Apple's and HP's profiles hold them."""


def make_profile(primaries: tuple[tuple[float, float, float], ...], gamma: float = 2.2) -> bytes:
    """An ICC profile (version 2) of three colours and one curve (sRGB's own for gamma 0); of grey without colours."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    text = b"drawn\0"
    levels = np.linspace(0, 1, 1024)
    bent = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    points = [round(gamma * 256)] if gamma else (bent * 65535).round().astype(int).tolist()
    curve = b"curv" + bytes(4) + struct.pack(f">I{len(points)}H", len(points), *points)
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)}
    tags |= {b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": b"XYZ " + bytes(4) + b"".join(map(fixed, D50))}
    for letter, colour in zip("rgb", primaries, strict=False):
        tags[f"{letter}XYZ".encode()] = b"XYZ " + bytes(4) + b"".join(map(fixed, colour))
        tags[f"{letter}TRC".encode()] = curve
    tags |= {} if primaries else {b"kTRC": curve}
    table, data, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, content in tags.items():
        content += bytes(-len(content) % 4)
        table += struct.pack(">4sII", tag, at + len(data), len(content))
        data += content
    space = b"RGB " if primaries else b"GRAY"
    head = struct.pack(">IIII4s4s", 0, 0, 0x02100000, 0x6D6E7472, space, b"XYZ ") + bytes(12) + b"acsp" + bytes(28)
    head += b"".join(map(fixed, D50)) + bytes(48)
    return struct.pack(">I", len(head + table + data)) + (head + table + data)[4:]


def draw_ramp() -> Image.Image:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    return Image.fromarray(
        np.stack([np.tile(ramp, (20, 1)), np.tile(ramp[::-1], (20, 1)), np.full((20, 64), 90)], -1).astype(np.uint8)
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_display_p3_becomes_srgb(kind: str) -> None:
    if kind == "AVIF" and "AVIF" not in list_formats():
        pytest.skip("this Pillow was built without AVIF")
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"quality": 100} if kind == "AVIF" else {}
    options |= {"lossless": True} if kind == "WEBP" else {}
    green = Image.new("RGB", (32, 32), (100, 200, 100))
    frame = decode_photo(encode(green, kind, icc_profile=make_profile(DISPLAY_P3), **options))
    # By hand, with CSS Color 4's matrix: linear (0.1275, 0.5860, 0.1275) in P3 is (0.0245, 0.6052, 0.0914) in sRGB.
    assert np.abs(frame[16, 16].astype(int) - (85, 205, 43)).max() <= 6


def test_an_srgb_profile_leaves_every_pixel_alone() -> None:
    ramp = draw_ramp()
    plain = decode_photo(encode(ramp, "PNG"))
    built_in = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (built_in, make_profile(SRGB, gamma=0)):
        np.testing.assert_array_equal(decode_photo(encode(ramp, "PNG", icc_profile=profile)), plain)


def test_grey_and_ink_are_converted_by_their_profiles() -> None:
    grey = Image.new("L", (32, 32), 60)
    assert decode_photo(encode(grey, "PNG", icc_profile=make_profile((), gamma=1.0)))[0, 0, 0] > 120
    assert decode_photo(encode(grey, "PNG"))[0, 0, 0] == 60


def test_transparent_parts_are_white_in_any_profile() -> None:
    image = Image.new("RGBA", (32, 32))
    image.paste((100, 200, 100, 255), (16, 0, 32, 32))
    frame = decode_photo(encode(image, "PNG", icc_profile=make_profile(DISPLAY_P3)))
    assert (frame[:, :16] >= 254).all() and frame[5, 20, 2] < 80


@pytest.mark.parametrize(
    "profile",
    [b"", b"no profile", bytes(5000), make_profile(DISPLAY_P3)[:300], make_profile((), 2.2), bytes(6_000_000)],
    ids=["empty", "short", "zeros", "cut", "of grey", "huge"],
)
def test_a_broken_profile_or_one_of_another_kind_is_ignored(profile: bytes) -> None:
    spot = draw_spot()
    kind = "TIFF" if len(profile) > 1_000_000 else "PNG"
    np.testing.assert_array_equal(
        decode_photo(encode(spot, kind, icc_profile=profile)), decode_photo(encode(spot, kind))
    )


def test_damage_in_a_profile_never_stops_a_photo() -> None:
    whole = make_profile(DISPLAY_P3)
    rng = np.random.default_rng(0)
    for _ in range(200):
        spoilt = bytearray(whole)
        for at in rng.integers(0, len(spoilt), 6):
            spoilt[at] = rng.integers(0, 256)
        assert decode_photo(encode(draw_spot(), "PNG", icc_profile=bytes(spoilt))).shape == (48, 64, 3)


def save_grey(values: np.ndarray, kind: str = "TIFF") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("top", [1.0, 1.2, 255.0, 65535.0, 3.0e6])
def test_floating_point_pictures_are_shown_in_their_own_range(top: float) -> None:
    ramp = np.linspace(0, top, 256, dtype=np.float32)[None].repeat(20, axis=0)
    shown = decode_photo(save_grey(ramp))[0, :, 0].astype(int)
    assert shown[0] == 0 and shown[-1] >= 250 and (np.diff(shown) >= 0).all() and 100 < shown[128] < 160


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_few_bits_in_sixteen_are_no_dark_picture(bits: int, kind: str) -> None:
    ramp = np.linspace(0, 2**bits - 1, 256).astype(np.uint16)[None].repeat(20, axis=0)
    shown = decode_photo(save_grey(ramp, kind))[0, :, 0].astype(int)
    assert np.abs(shown - np.arange(256)).max() <= 1


def test_numbers_that_are_none_and_negative_ones_are_shown_as_black_or_white() -> None:
    values = np.linspace(-1000, 1000, 256, dtype=np.float32)[None].repeat(20, axis=0)
    values[0, :3] = np.nan, np.inf, -np.inf
    shown = decode_photo(save_grey(values))
    assert shown[0, :3, 0].tolist() == [0, 255, 0] and shown[5, 0, 0] == 0 and 120 < shown[5, 128, 0] < 130


def test_lab_pictures_are_in_colour() -> None:
    lab = ImageCms.applyTransform(
        draw_spot(),
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"),
    )
    assert lab is not None
    assert np.abs(decode_photo(encode(lab, "TIFF")).astype(int) - np.asarray(draw_spot())[:, :, ::-1]).max() < 12


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_size_of_a_turned_tiff_is_that_of_its_decoding(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    content = encode(draw_spot(), "TIFF", exif=exif)
    frame = decode_photo(content)
    assert read_size_wh(content) == (frame.shape[1], frame.shape[0]) == ((64, 48) if turn < 5 else (48, 64))
