"""One HTTP request for one photo, streamed to a file; every way in which it can fail has a reason and a remedy."""

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
"""A larger body goes to the disk while it comes, so that no number of requests at once fills the memory."""

REDIRECTS = {301, 302, 303, 307, 308}
BUSY = {408, 425, 429}  # and all of 5xx
ATTEMPTS = 3
ATTEMPTS_AFTER_TIMEOUT = 2
"""A time-out holds its place longest and seldom passes; the next run tries it again."""

LONGEST_WAIT_S = 120.0
"""A server that asks for a longer wait is asked again in the next run."""

_RESETS = {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT}


class FetchError(Exception):
    """A request that brought no photo.

    reason: `kind: details`; status: what the manifest shall say; attempts: how many are worth making in all;
    wait_s: how long the server asks to be left alone.
    """

    def __init__(self, reason: str, status: str = REFUSED, *, attempts: int = 1, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.status, self.attempts, self.wait_s = reason, status, attempts, wait_s


class Body:
    """What a server sent: in memory as long as it is small, the rest in the file `part`."""

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
        """Bring everything so far to the file; nothing of an earlier body stays in it.  Raises OutputError."""
        try:
            with self.part.open("ab" if self._is_saved else "wb") as file:
                file.write(self._memory)
        except OSError as error:  # the photo folder's fault, not the URL's
            raise OutputError(f"{self.part.parent.parent} cannot be written: {error.strerror or error}") from error
        self._memory.clear()
        self._is_saved = True


async def fetch(session: aiohttp.ClientSession, url: str, part: Path, max_bytes: int) -> str | Body:
    """Return the body, or where the server redirects to.  Raises FetchError."""
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
"""What a browser sends as it is in a path or a query, letters and digits aside (WHATWG URL); also % itself, so that
what is encoded stays so."""


def make_address(url: str) -> URL:
    """The address that asks for a URL just as it is written, which yarl would rewrite: servers sign the raw path.

    Encoded is only what cannot be sent (non-ASCII letters, quotes and the like).  Raises ValueError.
    """
    address, parts = URL(url), urlsplit(url)
    path = quote(parts.path, safe=_UNTOUCHED)
    if not {".", ".."}.isdisjoint(path.split("/")):
        return address  # resolved, as a browser does before it asks
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
        raise FetchError(f"redirect to no web address: {error}") from error


def _explain_status(response: aiohttp.ClientResponse) -> FetchError:
    reason = f"HTTP {response.status}"
    if response.status not in BUSY and response.status < 500:
        return FetchError(reason)
    wait_s = _read_retry_after(response.headers.get("Retry-After", ""))
    if wait_s > LONGEST_WAIT_S:
        return FetchError(f"{reason}: asks to wait {wait_s:.0f} s", FAILED)
    return FetchError(reason, FAILED, attempts=ATTEMPTS, wait_s=wait_s)


def _read_retry_after(text: str) -> float:
    """Seconds to wait, from a number or an HTTP date (RFC 9110, 10.2.3); 0 if it says nothing usable."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0


def _explain(error: Exception) -> FetchError:
    """Say what an exception of aiohttp means for the photo."""
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
        return FetchError(f"no proper HTTP: {error.message}")
    return FetchError("connection lost", FAILED, attempts=ATTEMPTS)
