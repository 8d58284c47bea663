"""Remote files (s3://, gs://, https://, anything that fsspec supports), read block by block, never whole."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..errors import MissingPackageError, SourceError, YogaLiveError

log = logging.getLogger(__name__)

BLOCK_BYTES, BLOCKS = 4 * 1024 * 1024, 8
"""Size of a block, and number of cached blocks: 32 MiB per open file."""
TRIES, WAIT_S = 4, 1.0
"""Attempts to read, and the wait before the second one; each wait is twice the last."""
VERSION_KEYS = (
    *("ETag", "etag", "md5Hash", "crc32c", "generation", "content_md5"),
    *("LastModified", "last_modified", "updated", "mtime", "created"),
)  # fmt: skip
"""Keys of fsspec's file systems for what changes with a file; the most reliable first."""


@dataclass(frozen=True)
class RemoteFile:
    """A file by its URL.  As text it lacks the password or signature that the URL may hold."""

    url: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(urlsplit(self.url).path).name

    @property
    def suffix(self) -> str:
        """The suffix of its name."""
        return PurePosixPath(self.name).suffix

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Open it for reading at any position, with retries.  Raises OSError."""
        assert mode == "rb"
        return io.BufferedReader(RetryingReader(self._open), 256 * 1024)

    def _open(self) -> Any:
        fs, path = find_file_system(self.url)
        options = {"block_size": BLOCK_BYTES, "cache_type": "background", "cache_options": {"maxblocks": BLOCKS}}
        try:
            return fs.open(path, "rb", **options)
        except (TypeError, ValueError):  # a file system without caches
            return fs.open(path, "rb")


class RetryingReader(io.RawIOBase):
    """Reads a remote file; a failed read is retried after opening the file again."""

    def __init__(self, opens: Callable[[], Any], wait_s: float = WAIT_S) -> None:
        """opens: returns a file with read, seek and close.  Raises what it raises."""
        self._opens, self._wait_s = opens, wait_s
        self._position = 0
        self._file: Any = None
        self._size: int = self._retry(lambda file: file.seek(0, io.SEEK_END))

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer.  Raises OSError if all attempts fail."""
        count = min(len(buffer), max(self._size - self._position, 0))
        if not count:
            return 0

        def read(file: Any) -> bytes:
            file.seek(self._position)
            return file.read(count)

        data = self._retry(read)
        if not data:
            raise OSError(f"the file ends at byte {self._position} of {self._size}")
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        if not self.closed and self._file is not None:
            self._file.close()
        super().close()

    def _retry(self, work: Callable[[Any], Any]) -> Any:
        """Do the work; after an error, open the file again and retry.  Raises OSError if all attempts fail."""
        for wait_s in [self._wait_s * 2**n for n in range(TRIES - 1)]:
            answer, error = self._attempt(work)
            if error is None:
                return answer
            log.debug("read again after %s", error)
            time.sleep(wait_s)
        answer, error = self._attempt(work)
        if error is not None:
            raise OSError(f"{type(error).__name__}: {error}".splitlines()[0]) from error
        return answer

    def _attempt(self, work: Callable[[Any], Any]) -> tuple[Any, Exception | None]:
        """Do the work once.  Returns its result, or a temporary error.  Raises permanent errors."""
        try:
            self._file = self._file or self._opens()
            return work(self._file), None
        except (FileNotFoundError, PermissionError, YogaLiveError):
            raise
        except Exception as error:  # noqa: BLE001 - each file system has its own network errors
            self._file = None
            return None, error


def is_url(text: str) -> bool:
    """Whether this is a URL, including file://."""
    return "://" in text


def find_file_system(url: str) -> tuple[Any, str]:
    """Find the file system of a URL, and the path in it.  Raises MissingPackageError, SourceError."""
    try:
        import fsspec
    except ImportError as error:
        raise MissingPackageError(
            f'{RemoteFile(url)} needs the package fsspec ({error}); run: pip install "yoga-live[cluster]"'
        ) from error
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:  # s3fs, gcsfs, ...: fsspec says which
        raise MissingPackageError(f"{RemoteFile(url)} cannot be read: {error}") from error
    except ValueError as error:
        raise SourceError(f"{RemoteFile(url)} cannot be read: {error}") from error


def read_version(info: dict[str, Any]) -> str:
    """Read what changes with a file from fsspec's description of it; "" if the file system has nothing."""
    return next((f"{key} {str(info[key]).strip(chr(34))}" for key in VERSION_KEYS if info.get(key)), "")
