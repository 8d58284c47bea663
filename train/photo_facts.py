"""What a file really is, decided by decoding it: its kind, size, hashes, or why it is no photo."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..runtime.errors import PhotoError
from ..runtime.photos import EXTENSIONS, MAX_PIXELS, decode_photo, list_formats
from .manifest import DUPLICATE, OK, SAME_CONTENT, ManifestRow
from .photo_folder import hash_photo


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
        """Where the photo lies, relative to the photo folder, with /."""
        return f"{pose}/{self.sha256[:16]}.{self.extension}"

    def to_row(self, pose: str, url: str, *, is_new: bool) -> ManifestRow:
        """Its row in the manifest.  is_new: False where the pose has the same content already."""
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


def identify_photo(path: Path) -> PhotoFacts:
    """Decode a whole file and say what it is.  Raises PhotoError; its message is the bare reason, `kind: details`."""
    extension = _read_extension(path)
    try:
        frame = decode_photo(path)
    except PhotoError as error:
        raise PhotoError(str(error).removeprefix(f"{path} is ").removeprefix(f"{path} ")) from error
    height, width = frame.shape[:2]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PhotoFacts(digest, extension, width, height, *hash_photo(frame))


def _read_extension(path: Path) -> str:
    """Look at the header only.  What can't be recognised is left to the decoder, which says what is wrong with it."""
    with suppress(OSError, SyntaxError, ValueError, EOFError):
        try:
            with Image.open(path, formats=list_formats()) as image:
                width, height = image.size
                kind = image.format or "unknown"
        except Image.DecompressionBombError as error:
            raise PhotoError(f"too many pixels: {error}") from error
        if width * height > MAX_PIXELS:
            raise PhotoError(f"too many pixels: {width} x {height}")
        if kind not in EXTENSIONS:
            raise PhotoError(f"no kind of photo: {kind}")
        return EXTENSIONS[kind]
    return ""
