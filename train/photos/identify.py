"""Identifies a file by decoding it: its format, size and hashes, or why it is not a photo."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import PhotoError
from ...runtime.photos.decoding import decode_photo, inspect_photo, read_photo
from ...runtime.photos.kinds import EXTENSIONS
from ...runtime.photos.limits import check_shown
from .folder import hash_photo
from .manifest import DUPLICATE, OK, SAME_CONTENT, ManifestRow

_LEAD = re.compile(r"^(the file )?(is |has )?")
"""Start of a message that names the file, which the manifest's row already does."""


@dataclass(frozen=True)
class PhotoFacts:
    """One readable photo.  width, height: pixels, upright; the two hashes are 64-bit perceptual hashes."""

    sha256: str
    extension: str
    width: int
    height: int
    phash: int
    mirror_phash: int

    def path_under(self, pose: str) -> str:
        """The photo's path, relative to the photo folder, with /."""
        return f"{pose}/{self.sha256[:16]}.{self.extension}"

    def to_row(self, pose: str, url: str, *, is_new: bool) -> ManifestRow:
        """Make its row in the manifest.  is_new: False if the pose already has the same content."""
        return ManifestRow(
            pose,
            url,
            self.sha256,
            f"{self.phash:016x}",
            str(self.width),
            str(self.height),
            status=OK if is_new else DUPLICATE,
            reason="" if is_new else SAME_CONTENT,
            path=self.path_under(pose),
            mirror_phash=f"{self.mirror_phash:016x}",
        )


def identify_photo(path: Path, *, blank_is_fine: bool = False) -> PhotoFacts:
    """Decode a whole file and return its facts.  Raises PhotoError, whose message is only the reason, `kind: details`.

    blank_is_fine: a picture of one colour may be a photo of `none`, but not of a pose.
    """
    try:
        content = read_photo(path)
        frame = decode_photo(content)
        kind, _ = inspect_photo(content)
    except PhotoError as error:
        raise PhotoError(_LEAD.sub("", str(error).removeprefix(f"{path} "))) from error
    if kind not in EXTENSIONS:
        raise PhotoError(f"not a photo format: {kind}")
    check_shown(frame, blank_is_fine=blank_is_fine)
    height, width = frame.shape[:2]
    return PhotoFacts(hashlib.sha256(content).hexdigest(), EXTENSIONS[kind], width, height, *hash_photo(frame))
