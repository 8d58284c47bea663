"""Makes one HTTP request for one photo, streamed to a file; every failure has a reason and a retry policy."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from ...runtime.errors import OutputError
from ..photos.manifest import FAILED, FORBIDDEN, REFUSED
from .ssrf_guard import ForbiddenAddressError
from .url_lists import RefusedUrl, clean_url

CHUNK_BYTES = 65_536
IN_MEMORY_BYTES = 1_000_000
"""A larger body is written to disk while it arrives, so that many requests do not fill the memory."""

REDIRECTS = {301, 302, 303, 307, 308}
BUSY = {408, 425, 429}  # and all of 5xx
ATTEMPTS = 3
ATTEMPTS_AFTER_TIMEOUT = 2
"""A time-out takes longest and is rarely temporary; the next command tries it again."""

LONGEST_WAIT_S = 120.0
"""A server that requests a longer wait is tried again by the next command."""

_RESETS = {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT}


class FetchError(Exception):
    """A request without a photo as its result.

    reason: `kind: details`; status: for the manifest; attempts: most attempts in all; wait_s: wait that the server
    requests.
    """

    def __init__(self, reason: str, status: str = REFUSED, *, attempts: int = 1, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.status, self.attempts, self.wait_s = reason, status, attempts, wait_s


class Body:
    """The body of a response: in memory while it is small, else in the file `part`."""

    def __init__(self, part: Path) -> None:
        self.part = part
        self._memory = bytearray()
        self._is_saved = False

    def add(self, chunk: bytes) -> None:
        """Append one chunk."""
        self._memory += chunk
        if len(self._memory) > IN_MEMORY_BYTES:
            self.save()

    def save(self) -> None:
        """Write everything so far to the file, replacing an earlier body.  Raises OutputError."""
        try:
            with self.part.open("ab" if self._is_saved else "wb") as file:
                file.write(self._memory)
        except OSError as error:  # concerns the photo folder, not the URL
            raise OutputError(f"cannot write to {self.part.parent.parent}: {error.strerror or error}") from error
        self._memory.clear()
        self._is_saved = True


async def fetch(session: aiohttp.ClientSession, url: str, part: Path, max_bytes: int) -> str | Body:
    """Return the body, or the target of a redirect.  Raises FetchError."""
    try:
        address = make_address(url)
        async with session.get(address, allow_redirects=False) as response:
            if response.status in REDIRECTS:
                return _read_location(response)
            if response.status != 200:
                raise _explain_status(response)
            return await _read_body(response, part, max_bytes)
    except (aiohttp.ClientError, asyncio.TimeoutError, ForbiddenAddressError, ValueError) as error:
        raise _explain(error) from error


_UNTOUCHED = "!$%&'()*+,-./:;=@[]_|~"
"""Characters besides letters and digits that a browser sends unencoded in a path or query (WHATWG URL); also %, so that
encoded text stays encoded."""


def make_address(url: str) -> URL:
    """Make an address that requests a URL exactly as written, which yarl would rewrite: servers sign the raw path.

    Only characters that cannot be sent are encoded (non-ASCII letters, quotes and the like).  Raises ValueError.
    """
    address, parts = URL(url), urlsplit(url)
    path = quote(parts.path, safe=_UNTOUCHED)
    if not {".", ".."}.isdisjoint(path.split("/")):
        return address  # resolved, as a browser does
    query = f"?{quote(parts.query, safe=_UNTOUCHED + '?`{}^')}" if parts.query else ""
    return URL(f"{address.scheme}://{address.raw_authority}{path or '/'}{query}", encoded=True)


async def _read_body(response: aiohttp.ClientResponse, part: Path, max_bytes: int) -> Body:
    if (response.content_length or 0) > max_bytes:
        raise FetchError(f"too large: {response.content_length:,} bytes")
    body = Body(part)
    size = 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            raise FetchError(f"too large: more than {max_bytes:,} bytes")
        body.add(chunk)
    return body


def _read_location(response: aiohttp.ClientResponse) -> str:
    location = response.headers.get("Location", "")
    if not location:
        raise FetchError(f"redirect without a target: HTTP {response.status}")
    try:
        return clean_url(urljoin(str(response.url), location))
    except (RefusedUrl, ValueError) as error:
        raise FetchError(f"redirect to an invalid address: {error}") from error


def _explain_status(response: aiohttp.ClientResponse) -> FetchError:
    reason = f"HTTP {response.status}"
    if response.status not in BUSY and response.status < 500:
        return FetchError(reason)
    wait_s = _read_retry_after(response.headers.get("Retry-After", ""))
    if wait_s > LONGEST_WAIT_S:
        return FetchError(f"{reason}: requests a wait of {wait_s:.0f} s", FAILED)
    return FetchError(reason, FAILED, attempts=ATTEMPTS, wait_s=wait_s)


def _read_retry_after(text: str) -> float:
    """Read the seconds to wait from a number or an HTTP date (RFC 9110, 10.2.3); 0 if unusable."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0


def _explain(error: Exception) -> FetchError:
    """Translate an exception of aiohttp."""
    if isinstance(error, ForbiddenAddressError):
        return FetchError(f"private address: {error}", FORBIDDEN)
    if isinstance(error, aiohttp.InvalidURL | ValueError) and not isinstance(error, aiohttp.ClientSSLError):
        return FetchError("malformed URL")
    if isinstance(error, asyncio.TimeoutError):
        return FetchError("timed out", FAILED, attempts=ATTEMPTS_AFTER_TIMEOUT)
    if isinstance(error, aiohttp.ClientSSLError):
        return FetchError(f"TLS error: {error.__cause__ or error}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FetchError("name not found", FAILED)
    if isinstance(error, aiohttp.ClientConnectorError):
        text = os.strerror(error.errno) if error.errno else str(error.os_error)
        return FetchError(f"no connection: {text}", FAILED, attempts=ATTEMPTS if error.errno in _RESETS else 1)
    if isinstance(error, aiohttp.ClientPayloadError):
        if isinstance(error.__cause__, ContentEncodingError):
            return FetchError("broken content encoding")
        return FetchError("body cut short", FAILED, attempts=ATTEMPTS)
    if isinstance(error, aiohttp.ClientResponseError):
        return FetchError(f"invalid HTTP: {error.message}")
    return FetchError("connection lost", FAILED, attempts=ATTEMPTS)
