"""Previews of photos for a page: decoded, upright, as JPEG; the most recent ones are cached in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from ...runtime.core.opencv import cv2
from ...runtime.core.types import Frame
from ...runtime.errors import PhotoError
from ...runtime.photos.decoding import decode_photo
from ...runtime.system.item_failures import Failure, attempt

THUMBNAIL, PICTURE = 240, 1600  # pixels, the longer side
QUALITY = 82
MOST_BYTES = 64_000_000  # in memory; a thumbnail takes 5,000 to 15,000


class Previews:
    """Makes previews and caches them.  Thread-safe."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._made: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, number: int, path: Path, side: int) -> bytes:
        """Read the preview of a photo as JPEG.  number: of the photo, wherever it is now.  Raises PhotoError."""
        key = (number, side)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        content = attempt(path, lambda: encode_preview(path, side))
        if isinstance(content, Failure):
            raise PhotoError(content.reason)
        with self._lock:
            if key not in self._made:
                self._made[key] = content
                self._bytes += len(content)
            while self._bytes > self._most_bytes and len(self._made) > 1:
                self._bytes -= len(self._made.popitem(last=False)[1])
        return content


def encode_preview(path: Path, side: int) -> bytes:
    """Decode a photo and encode it again, with no side longer than `side` pixels.  Raises PhotoError.

    The file's own bytes are never sent: whatever else a scraped file holds does not reach the browser.
    """
    frame = shrink_photo(decode_photo(path, min_side=side), side)
    done, content = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise PhotoError(f"{path} cannot be encoded as JPEG")
    return content.tobytes()


def shrink_photo(frame_bgr: Frame, side: int) -> Frame:
    """Shrink a picture so that its longer side is at most `side` pixels, keeping its aspect ratio."""
    height, width = frame_bgr.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return frame_bgr
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(frame_bgr, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)
