"""Reads the orientation of a photo, and turns it upright."""

from __future__ import annotations

import re
import struct

import numpy as np
from PIL import Image

from ..core.opencv import cv2
from ..core.types import Frame

ORIENTATION = 0x0112  # tag of EXIF and TIFF
UPRIGHT = 1
LIES_ON_ITS_SIDE = frozenset((5, 6, 7, 8))
XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def read_turn(image: Image.Image) -> int:
    """Read the orientation of a loaded image that is still to be undone, 1 to 8 as in EXIF.

    Parsed here, because Pillow copies every value of the EXIF, and a hostile file has thousands that overlap.
    """
    if hasattr(image, "tag_v2"):  # a TIFF, which Pillow turns itself
        return UPRIGHT
    turn = None
    if isinstance(exif := image.info.get("exif"), bytes):
        turn = find_orientation(exif)
    elif isinstance(profile := image.info.get("Raw profile type exif"), str):
        turn = find_orientation(_unpack_profile(profile))
    if turn is None:
        xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
        found = XMP.search(xmp.encode() if isinstance(xmp, str) else xmp)
        turn = int(found[1]) if found else UPRIGHT
    return turn


def lies_on_its_side(image: Image.Image) -> bool:
    """Whether turning an opened image upright swaps its width and height."""
    if hasattr(image, "tag_v2"):
        return image.tag_v2.get(ORIENTATION) in LIES_ON_ITS_SIDE  # pyright: ignore[reportAttributeAccessIssue]
    return read_turn(image) in LIES_ON_ITS_SIDE


def _unpack_profile(profile: str) -> bytes:
    """Read EXIF as ImageMagick writes it into a PNG's text: three lines, then hexadecimal digits."""
    try:
        return bytes.fromhex("".join(profile.split("\n")[3:]))
    except ValueError:
        return b""


def find_orientation(exif: bytes) -> int | None:
    """Find the orientation in EXIF's first directory (TIFF 6.0, section 2); None if there is none."""
    start = 6 * sum(exif.startswith(b"Exif\0\0", at) for at in (0, 6))
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    try:
        if order is None:
            return None
        (first,) = struct.unpack_from(f"{order}I", exif, start + 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start + first)
        for at in range(start + first + 2, start + first + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, at)
            if tag == ORIENTATION:
                form = {1: "B", 3: "H", 4: "I"}.get(kind)
                return struct.unpack_from(f"{order}{form}", exif, at + 8)[0] if form else None
    except struct.error:  # it is cut off
        pass
    return None


def turn_upright(frame: Frame, turn: int) -> Frame:
    """Undo an orientation.  frame: uint8 (H, W, 3)."""
    if turn in (2, 3, 4):
        turned = cv2.flip(frame, {2: 1, 3: -1, 4: 0}[turn])
    elif turn in (5, 7):
        turned = cv2.transpose(frame)
        turned = turned if turn == 5 else cv2.flip(turned, -1)
    elif turn in (6, 8):
        turned = cv2.rotate(frame, cv2.ROTATE_90_CLOCKWISE if turn == 6 else cv2.ROTATE_90_COUNTERCLOCKWISE)
    else:
        return frame
    return np.asarray(turned, dtype=np.uint8)
