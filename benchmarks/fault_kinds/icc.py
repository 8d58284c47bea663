"""An ICC profile that says what no eye could miss: red and blue change places."""

from __future__ import annotations

import struct

SRGB_XYZ = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""Red, green and blue of sRGB in the profile connection space (D50), IEC 61966-2-1."""
WHITE_D50 = (0.9642, 1.0, 0.8249)


def make_swapped_profile() -> bytes:
    """A matrix profile (ICC.1, version 2) with sRGB's primaries, red and blue exchanged, and a gamma of 2.2."""
    red, green, blue = SRGB_XYZ[2], SRGB_XYZ[1], SRGB_XYZ[0]
    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    words = b"swapped"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(words) + 1) + words + bytes(1 + 78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": _pack_xyz(WHITE_D50),
        **{
            name: _pack_xyz(colour)
            for name, colour in zip((b"rXYZ", b"gXYZ", b"bXYZ"), (red, green, blue), strict=True)
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma),
    }
    at = 128 + 4 + 12 * len(tags)
    table, bodies = b"", b""
    for name, body in tags.items():
        padded = body + bytes(-len(body) % 4)
        table += struct.pack(">4sII", name, at + len(bodies), len(body))
        bodies += padded
    size = at + len(bodies)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *(round(value * 65536) for value in WHITE_D50))
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + bodies


def _pack_xyz(colour: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in colour))
