"""What is on its way to the page: bounded in time, in bytes altogether, and in number for each viewer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MOST_BYTES = 64_000_000
"""Of all uploads together, as far as they have come."""
GRACE_S, LEAST_BYTES_PER_S = 10.0, 50_000
"""An upload may take so long, and a second more for each so many bytes that have come."""
TURN_S = 10.0
"""How long a viewer's next photo waits for the answer to the one before."""
CHUNK = 1 << 16


class UploadError(Exception):
    """Why an upload is not taken.  is_late: it came too slowly."""

    def __init__(self, reason: str, *, is_late: bool = False) -> None:
        super().__init__(reason)
        self.is_late = is_late


@dataclass
class Upload:
    """One upload.  end: hangs up on its sender; held: its bytes in memory; is_here: all of it has come."""

    viewer: str
    end: Callable[[], None]
    held: int = 0
    is_here: bool = False
    is_replaced: bool = False
    started_s: float = field(default_factory=time.monotonic)


class Uploads:
    """Everybody's uploads.  A newer one of the same viewer takes the place of one that is still on its way.

    So those that trickle in keep nobody else out: not other viewers, whose places are their own, and not their own.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes, self._held = most_bytes, 0
        self._uploads: list[Upload] = []
        self._changed = threading.Condition()

    @contextmanager
    def enter(self, viewer: str, places: int, end: Callable[[], None]) -> Iterator[Upload]:
        """Take one of the viewer's places for an upload, from before its first byte to its answer.

        Raises UploadError where photos of this viewer are still being answered.
        """
        upload = Upload(viewer, end)
        with self._changed:
            self._replace_oldest(viewer, places)
            if not self._changed.wait_for(lambda: self._count(viewer) < places, TURN_S):
                raise UploadError("your last photo is not answered yet; try again")
            self._uploads.append(upload)
        try:
            yield upload
        finally:
            with self._changed:
                self._uploads.remove(upload)
                self._held -= upload.held
                self._changed.notify_all()

    def receive(self, upload: Upload, length: int, read: Callable[[int, float], bytes], *, keep: bool = True) -> bytes:
        """Read a body of `length` bytes, or b"" where its sender hung up.

        read: takes how many bytes at most and for how many seconds, raises TimeoutError.  keep: hold what comes, else
        it is thrown away.  Raises UploadError where it comes too slowly, too much is held already, or a newer one came.
        """
        parts: list[bytes] = []
        came = 0
        while came < length:
            left_s = upload.started_s + GRACE_S + came / LEAST_BYTES_PER_S - time.monotonic()
            try:
                part = read(min(length - came, CHUNK), max(left_s, 0.001)) if left_s > 0 else None
            except TimeoutError:
                part = None
            if upload.is_replaced:
                raise UploadError("a newer photo took the place of this one")
            if part is None:
                raise UploadError("the photo came too slowly; try again, or make it smaller", is_late=True)
            if not part:
                return b""
            came += len(part)
            if keep:
                self._hold(upload, len(part))
                parts.append(part)
        with self._changed:
            upload.is_here = True
        return b"".join(parts)

    def _count(self, viewer: str) -> int:
        return sum(upload.viewer == viewer and not upload.is_replaced for upload in self._uploads)

    def _replace_oldest(self, viewer: str, places: int) -> None:
        if self._count(viewer) < places:
            return
        coming = [each for each in self._uploads if each.viewer == viewer and not (each.is_here or each.is_replaced)]
        if coming:
            coming[0].is_replaced = True
            coming[0].end()

    def _hold(self, upload: Upload, count: int) -> None:
        with self._changed:
            if self._held + count > self._most_bytes:
                raise UploadError("others are sending photos at this moment; try again")
            self._held += count
            upload.held += count
