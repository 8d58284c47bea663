"""A server that fails in every way that the web does, and what downloads from it."""

from __future__ import annotations

import asyncio
import io
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from aiohttp import web
from PIL import Image

from yoga_live.train.gather.config import DownloadConfig
from yoga_live.train.gather.download import DownloadSummary, download
from yoga_live.train.photos.manifest import MANIFEST, ManifestRow, read_manifest


def draw(number: int, kind: str = "JPEG", size_wh: tuple[int, int] = (96, 64), mode: str = "RGB") -> bytes:
    """A photo-like picture of its own for every number."""
    blotches = np.random.default_rng(number).integers(0, 255, (4, 6, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(blotches).resize(size_wh, Image.Resampling.BICUBIC).convert(mode).save(content, kind)
    return content.getvalue()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PhotoServer:
    """An aiohttp server in a thread.  asked: requests by path; most_at_once: the most that were open together."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.open = self.most_at_once = 0
        self.pages: dict[str, bytes | Handler] = {}
        self.latency_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> PhotoServer:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> int:
        application = web.Application()
        application.router.add_route("GET", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return self._runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        self.agents.add(request.headers.get("User-Agent", ""))
        self.open += 1
        self.most_at_once = max(self.most_at_once, self.open)
        try:
            await asyncio.sleep(self.latency_s)
            page = self.pages.get(request.path, self.pages.get("*"))
            if page is None:
                return web.Response(status=404)
            return web.Response(body=page) if isinstance(page, bytes) else await page(request)
        finally:
            self.open -= 1

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class Bench:
    """One list, one photo folder."""

    def __init__(self, folder: Path, server: PhotoServer) -> None:
        self.lists, self.photos, self.server = folder / "lists", folder / "photos", server
        self.lists.mkdir()

    def list(self, *paths: str, pose: str = "tree") -> None:
        lines = [path if "://" in path else self.server.url(path) for path in paths]
        (self.lists / f"{pose}.csv").write_text("\n".join(["url", *lines]) + "\n")

    def run(self, **options: object) -> DownloadSummary:
        settings: dict[str, object] = {"allow_private": True, "timeout_s": 10.0, "backoff_s": 0.01, **options}
        return download(self.lists, self.photos, DownloadConfig(**settings))  # type: ignore[arg-type]

    def rows(self) -> dict[str, ManifestRow]:
        """Rows by path of the URL."""
        base = self.server.url("")
        return {row.url.removeprefix(base): row for row in read_manifest(self.photos)}

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.photos.rglob("*") if path.is_file() and path.name not in {".lock", MANIFEST})
        return {path.relative_to(self.photos).as_posix(): path.read_bytes() for path in found}


def claim_pixels(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def answer_status(status: int, then: bytes | None = None, after: int = 1, **headers: str) -> Handler:
    """Answer `status`, and from the request number `after` + 1 on a picture."""
    count = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal count
        count += 1
        if then is not None and count > after:
            return web.Response(body=then)
        return web.Response(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return answer


def redirect(target: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    return answer


async def stall(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def stall_in_the_middle(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "5000"})
    await response.prepare(request)
    await response.write(draw(1)[:300])
    await asyncio.sleep(30)
    return response


async def cut_short(request: web.Request) -> web.StreamResponse:
    content = draw(2)
    response = web.StreamResponse(headers={"Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def send_without_end(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(400):
        await response.write(bytes(10_000))
    return response


async def send_bad_gzip(_: web.Request) -> web.Response:
    return web.Response(body=b"no gzip at all", headers={"Content-Encoding": "gzip"})
