"""HEIC files as an iPhone writes them, drawn with PyAV: no package that writes them is needed to test reading them."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

PARAMETER_SETS = (32, 33, 34)  # NAL unit types of HEVC (H.265, table 7-1): video, sequence, picture


def draw_heic(
    image_rgb: npt.NDArray[np.uint8], quarter_turns: int = 0, claims_wh: tuple[int, int] | None = None
) -> bytes:
    """Encode a picture as HEIC (ISO/IEC 23008-12).  image_rgb: uint8 (H, W, 3), even sides.

    quarter_turns: counter-clockwise, to be done by whoever shows it.  claims_wh: the size that the header states.
    """
    height, width = image_rgb.shape[:2]
    units = _encode(image_rgb)
    sets = [(kind, unit) for kind, unit in units if kind in PARAMETER_SETS]
    data = b"".join(struct.pack(">I", len(unit)) + unit for kind, unit in units if kind not in PARAMETER_SETS)
    arrays = b"".join(bytes([0x80 | kind, 0, 1]) + struct.pack(">H", len(unit)) + unit for kind, unit in sets)
    header = (
        bytes([1, 1]) + b"\x60\0\0\0" + b"\x90\0\0\0\0\0" + bytes([93, 0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F])
    )
    properties = _box(b"hvcC", header + bytes([len(sets)]) + arrays)
    properties += _box(b"ispe", bytes(4) + struct.pack(">II", *(claims_wh or (width, height))))
    properties += _box(b"irot", bytes([quarter_turns]))
    used = struct.pack(">IHB", 1, 1, 3) + bytes([0x81, 0x02, 0x83])
    infe = _box(b"infe", struct.pack(">IHH", 2 << 24, 1, 0) + b"hvc1\0")
    parts = [
        _box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        _box(b"pitm", bytes(4) + struct.pack(">H", 1)),
        _box(b"iinf", bytes(4) + struct.pack(">H", 1) + infe),
        _box(b"iprp", _box(b"ipco", properties) + _box(b"ipma", bytes(4) + used)),
    ]
    brand = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    iloc_length = 8 + 4 + 2 + 2 + 2 + 2 + 2 + 8
    at = len(brand) + 8 + 4 + sum(map(len, parts)) + iloc_length + 8
    iloc = _box(b"iloc", bytes(4) + b"\x44\0" + struct.pack(">HHHHII", 1, 1, 0, 1, at, len(data)))
    assert len(iloc) == iloc_length
    return brand + _box(b"meta", bytes(4) + b"".join([*parts, iloc])) + _box(b"mdat", data)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _encode(image_rgb: npt.NDArray[np.uint8]) -> list[tuple[int, bytes]]:
    """One key frame as NAL units with their types."""
    codec = av.CodecContext.create("libx265", "w")
    codec.height, codec.width = image_rgb.shape[:2]
    codec.pix_fmt, codec.framerate = "yuv420p", Fraction(25)
    codec.options = {"crf": "10", "x265-params": "log-level=none:info=0"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_rgb), "rgb24").reformat(format="yuv420p")
    stream = b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
    units = [unit.rstrip(b"\0") for unit in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]]
    return [((unit[0] >> 1) & 0x3F, unit) for unit in units]
