"""A local web of photos for the download benchmarks: `python benchmarks/photo_server.py FOLDER`.

Photo number n is at /n.jpg of any of its hosts (127.0.0.1, 127.0.0.2, ...).  What goes wrong with which is fixed by
its number: two in a hundred each are missing, stall, end in the middle, are an HTML page, or sit behind redirects.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from aiohttp import web
from PIL import Image

FAULTS = ("missing", "stall", "cut", "html", "redirect")
FAULT_PERCENT = 2
REDIRECTS = 3
STALL_S = 60.0
HTML = b"<!DOCTYPE html><html><body>This picture has moved.</body></html>"


def find_fault(number: int) -> str | None:
    """What goes wrong with a photo."""
    draw = int(np.random.default_rng(number).integers(100))
    return FAULTS[draw // FAULT_PERCENT] if draw < FAULT_PERCENT * len(FAULTS) else None


def find_outcome(number: int) -> tuple[str, str]:
    """The status and the kind of reason that the manifest should give, leaving copies aside."""
    return {
        "missing": ("refused", "HTTP 404"),
        "stall": ("failed", "timed out"),
        "cut": ("failed", "body cut short"),
        "html": ("refused", "no picture but an HTML page"),
    }.get(find_fault(number) or "", ("ok", ""))


def list_files(folder: Path | None) -> list[Path]:
    """Photos of a folder, in an order that doesn't follow its sub-folders."""
    files = [] if folder is None else [path for path in folder.rglob("*.*") if path.suffix.lower() in {".jpg", ".png"}]
    return sorted(files, key=lambda path: path.name[::-1])


def draw_photo(number: int) -> bytes:
    """A picture of coloured blotches, 256 x 192, about 10 kB."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8)).resize((256, 192), Image.Resampling.BICUBIC)
    noisy = np.asarray(small, np.int16) + rng.integers(-8, 8, (192, 256, 1), np.int16)
    content = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(content, "JPEG", quality=85)
    return content.getvalue()


class PhotoWeb:
    """The request handler."""

    def __init__(self, files: list[Path], latency_s: float) -> None:
        self._files, self._latency_s = files, latency_s
        self._drawn: dict[int, bytes] = {}

    def read(self, number: int) -> bytes:
        """The bytes of a photo, drawn once where there are no files."""
        if self._files:
            return self._files[number % len(self._files)].read_bytes()
        if number not in self._drawn:
            self._drawn[number] = draw_photo(number)
        return self._drawn[number]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request after the latency."""
        await asyncio.sleep(self._latency_s)
        number = int(request.match_info["number"])
        hop = int(request.query.get("hop", "0"))
        match find_fault(number):
            case "missing":
                return web.Response(status=404)
            case "stall":
                await asyncio.sleep(STALL_S)
            case "html":
                return web.Response(body=HTML, content_type="text/html")
            case "cut":
                return await _send_half(request, self.read(number))
            case "redirect" if hop < REDIRECTS:
                return web.Response(status=302, headers={"Location": f"{request.path}?hop={hop + 1}"})
        return web.Response(body=self.read(number), content_type="image/jpeg")


async def _send_half(request: web.Request, content: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def serve(photos: PhotoWeb, hosts: int) -> None:
    """Serve until killed; the first line printed is the port."""
    application = web.Application()
    application.router.add_get("/{number:[0-9]+}.jpg", photos.answer)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    port = runner.addresses[0][1]
    for host in range(2, hosts + 1):
        await web.TCPSite(runner, f"127.0.0.{host}", port, backlog=1024).start()
    print(port, flush=True)
    await asyncio.Event().wait()


@contextmanager
def run_server(folder: Path | None, latency_ms: int, hosts: int) -> Iterator[int]:
    """Run this file in its own process.  Yields the port."""
    command = [sys.executable, __file__, *([str(folder)] if folder else [])]
    command += ["--latency-ms", str(latency_ms), "--hosts", str(hosts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def list_urls(count: int, port: int, hosts: int) -> list[str]:
    """The addresses of the first photos, spread over the hosts."""
    return [f"http://127.0.0.{1 + number % hosts}:{port}/{number}.jpg" for number in range(count)]


def main() -> int:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="photos to serve; drawn if not given")
    parser.add_argument("--latency-ms", type=int, default=50)
    parser.add_argument("--hosts", type=int, default=1)
    args = parser.parse_args()
    asyncio.run(serve(PhotoWeb(list_files(args.folder), args.latency_ms / 1000), args.hosts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
