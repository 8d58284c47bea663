"""The live page under attack: slow bodies, doubled headers, absolute targets, large uploads; then it still answers."""

from __future__ import annotations

import http.client
import io
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fault_kinds.bench import Bench
from fault_kinds.command_worker import list_command
from fault_kinds.outcome import Outcome
from fault_kinds.picture_corpus import BOMB_SIDE, draw_png
from fault_kinds.shape_model import draw_quadrants

KIND = "live page"
START_S, ANSWER_S, SLOW_S = 30.0, 15.0, 40.0
"""Seconds until the page is up, until a request is answered, and while slow bodies go on."""
PATIENCE_S = 30.0
"""So long an honest upload may have to wait for others."""
MOST_MB = 500.0
"""What uploads may cost of memory, beyond what the page has without any."""
UPLOAD_MB = 29


@dataclass(frozen=True)
class Request:
    """A request as bytes; {host} and {port} are put in.  codes: what it may be answered with; None: hanging up."""

    name: str
    text: str
    codes: tuple[int | None, ...]
    body: bytes = b""


@dataclass(frozen=True)
class Page:
    """A page that is up."""

    port: int
    process: subprocess.Popen[bytes]
    said: list[str]


def run(bench: Bench) -> Iterator[Outcome]:
    """Odd requests one by one, then the attacks that take time, then whether it still answers."""
    with serve_page(bench) as page:
        for request in bench.choose(list_requests()):
            yield judge_request(page, request)
        yield try_slow_bodies(page)
        yield try_bomb(page, "a PNG of 1 x 50,000,000 pixels", draw_png(1, BOMB_SIDE))
        yield try_bomb(page, "a PNG of 49,999,999 x 1 pixels", draw_png(BOMB_SIDE - 1, 1))
        yield try_large_uploads(page)
        yield try_many_of_one(page)
        yield judge_end(page)


@contextmanager
def serve_page(bench: Bench) -> Iterator[Page]:
    """The demo with its page, at a free port of this machine alone."""
    arguments = ["--demo", "--serve", "127.0.0.1:0", "--no-window", "--model", bench.model, "--device", "cpu"]
    process = subprocess.Popen(
        list_command("yoga-live", *arguments), env=bench.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    said: list[str] = []
    assert process.stderr is not None
    errors = process.stderr
    threading.Thread(target=lambda: said.extend(line.decode(errors="replace") for line in errors), daemon=True).start()
    try:
        until_s = time.monotonic() + START_S
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", "".join(said))):
            if time.monotonic() > until_s or process.poll() is not None:
                raise RuntimeError(f"the page did not come up: {''.join(said)}")
            time.sleep(0.05)
        yield Page(int(found[1]), process, said)
    finally:
        process.kill()
        process.wait()


def list_requests() -> list[Request]:
    """Requests that a browser never makes, and the answers that are safe."""
    host, photo = "Host: 127.0.0.1:{port}\r\n", "Content-Type: application/octet-stream\r\n"
    post = f"POST /api/classify HTTP/1.1\r\n{host}{photo}"
    no: tuple[int | None, ...] = (400, None)
    bad: tuple[int | None, ...] = (400, 403, 404, None)
    text, chunks = "Content-Type: text/plain\r\n", "Transfer-Encoding: chunked\r\n"
    return [
        Request("an honest request", f"GET / HTTP/1.1\r\n{host}\r\n", (200,)),
        Request("an absolute target of ours", f"GET http://127.0.0.1:{{port}}/ HTTP/1.1\r\n{host}\r\n", (200, 400)),
        *(
            Request(f"an absolute target: {target}", f"GET {target} HTTP/1.1\r\n{host}\r\n", bad)
            for target in ("http://evil.example/", "https://evil.example/page.css", "http://127.0.0.1:1/", "http://", "ftp://a/")
        ),
        Request("two equal lengths", f"{post}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", no),
        Request("two lengths", f"{post}Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd", no),
        Request("two lengths on a GET", f"GET / HTTP/1.1\r\n{host}Content-Length: 0\r\nContent-Length: 5\r\n\r\n", no),
        Request("two lengths in one", f"{post}Content-Length: 4, 4\r\n\r\nabcd", (400, 411, None)),
        Request("two equal hosts", f"GET / HTTP/1.1\r\n{host}{host}\r\n", bad),
        Request("two hosts, ours first", f"GET / HTTP/1.1\r\n{host}Host: evil.example\r\n\r\n", bad),
        Request("two hosts, ours last", f"GET / HTTP/1.1\r\nHost: evil.example\r\n{host}\r\n", bad),
        Request("no host", "GET / HTTP/1.1\r\n\r\n", bad),
        Request("another host", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", bad),
        Request("a host with more in it", "GET / HTTP/1.1\r\nHost: 127.0.0.1@evil.example\r\n\r\n", bad),
        Request("another origin", f"GET / HTTP/1.1\r\n{host}Origin: http://evil.example\r\n\r\n", bad),
        Request("chunks", f"{post}{chunks}\r\n4\r\nabcd\r\n0\r\n\r\n", (400, 411, 501, None)),
        Request("chunks and a length", f"{post}{chunks}Content-Length: 4\r\n\r\n0\r\n\r\n", (400, 411, None)),
        Request("a space before a colon", f"GET / HTTP/1.1\r\n{host}Content-Length : 5\r\n\r\n", (400, 200, None)),
        *(
            Request(f"a length of {length!r}", f"{post}Content-Length: {length}\r\n\r\n", (400, 411, 413, 422, None))
            for length in ("-1", "+4", "0x10", "4.0", "1e3", "", "9" * 30, "\u0664")
        ),
        Request("no length", f"{post}\r\n", (400, 411, None)),
        Request("another kind of body", f"{post.replace(photo, text)}Content-Length: 4\r\n\r\nabcd", (400, 403, 415)),
        Request("a body that is no photo", f"{post}Content-Length: 4\r\n\r\nabcd", (422,)),
        Request("an empty body", f"{post}Content-Length: 0\r\n\r\n", (400, 411, 422)),
        Request("too long a body", f"{post}Content-Length: 31000000\r\n\r\n", (413, None)),
        *(
            Request(f"out of the folder: {path}", f"GET {path} HTTP/1.1\r\n{host}\r\n", bad)
            for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/live.js/../../x.py")
        ),
        *(
            Request(f"the method {method}", f"{method} / HTTP/1.1\r\n{host}\r\n", (400, 403, 404, 405, 501, None))
            for method in ("PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "G\0T", "get")
        ),
        Request("a head of 200 kB", f"GET / HTTP/1.1\r\n{host}X: {'a' * 200_000}\r\n\r\n", (400, 414, 431, None)),
        Request("a target of 200 kB", f"GET /{'a' * 200_000} HTTP/1.1\r\n{host}\r\n", (400, 404, 414, None)),
        Request("1,000 headers", f"GET / HTTP/1.1\r\n{host}" + "X: a\r\n" * 1000 + "\r\n", (400, 431, None)),
        Request("HTTP/0.9", "GET /\r\n", (400, 403, 505, None)),
        Request("HTTP/9.9", f"GET / HTTP/9.9\r\n{host}\r\n", (400, 505, None)),
        Request("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505, None)),
        Request("no number", f"GET /picture?after=\u0664 HTTP/1.1\r\n{host}\r\n", (200, 204, 400, None)),
        Request("a NUL in a header", f"GET / HTTP/1.1\r\n{host}X: \0\r\n\r\n", (200, 400, None)),
        Request("garbage", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + "\xff" * 50 + "\r\n\r\n", (400, 505, None)),
    ]  # fmt: skip


def ask(
    page: Page, head: str, body: bytes = b"", source: str = "127.0.0.1", wait_s: float = ANSWER_S
) -> tuple[int | None, bytes]:
    """Send bytes.  Returns the status, None where it hangs up without one, and what came; raises TimeoutError."""
    with socket.create_connection(("127.0.0.1", page.port), wait_s, (source, 0)) as connection:
        with suppress(ConnectionError):  # it may have answered and gone before all is sent
            connection.sendall(head.replace("{port}", str(page.port)).encode("latin-1", "backslashreplace") + body)
        answer = b""
        with suppress(ConnectionError):
            while b"\r\n\r\n" not in answer and (part := connection.recv(65536)):
                answer += part
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return (int(found[1]) if found else None), answer


def judge_request(page: Page, request: Request) -> Outcome:
    """One request, one safe answer, once."""
    wanted = ", ".join("hanging up" if code is None else str(code) for code in request.codes)
    try:
        code, answer = ask(page, request.text, request.body)
    except TimeoutError:
        return Outcome(KIND, request.name, "wrong", f"no answer within {ANSWER_S:.0f} s", wanted)
    if code not in request.codes:
        return Outcome(KIND, request.name, "wrong", "it hangs up" if code is None else str(code), wanted)
    if answer.count(b"HTTP/1.1 ") > 1:
        return Outcome(KIND, request.name, "wrong", "two answers", "one answer")
    return Outcome(KIND, request.name, "handled" if code in (200, 204) else "refused")


def make_upload(length: int, page: Page) -> str:
    """The head of an upload."""
    lines = ["POST /api/classify HTTP/1.1", f"Host: 127.0.0.1:{page.port}", "Content-Type: application/octet-stream"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "Connection: close", "", ""])


def make_photo() -> bytes:
    """A small JPEG."""
    content = io.BytesIO()
    Image.fromarray(draw_quadrants(96, 72)).save(content, "JPEG")
    return content.getvalue()


def try_slow_bodies(page: Page) -> Outcome:
    """Eight uploads from four addresses, a byte a second, again and again; somebody else tries a photo."""
    is_over = threading.Event()

    def trickle(source: str) -> None:
        until_s = time.monotonic() + SLOW_S
        while time.monotonic() < until_s and not is_over.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", page.port), 5, (source, 0)) as connection:
                connection.sendall(make_upload(1_000_000, page).encode())
                while time.monotonic() < until_s and not is_over.is_set():
                    connection.sendall(b"a")
                    time.sleep(1)
            time.sleep(0.2)

    threads = [threading.Thread(target=trickle, args=(f"127.0.0.{2 + number % 4}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    began_s, photo, code = time.monotonic(), make_photo(), None
    while code != 200 and time.monotonic() - began_s < PATIENCE_S:
        with suppress(OSError):
            code, _ = ask(page, make_upload(len(photo), page), photo, "127.0.0.99", wait_s=5)
        time.sleep(0.5)
    waited_s = time.monotonic() - began_s
    is_over.set()
    for thread in threads:
        thread.join()
    fault = "" if code == 200 else f"an honest photo is refused for {waited_s:.0f} s, at last with {code}"
    right = f"answered within {PATIENCE_S:.0f} s" if fault else ""
    return Outcome(KIND, "eight slow bodies", "wrong" if fault else "handled", fault, right)


def read_memory_mb(page: Page, field: str) -> float:
    """VmRSS or VmHWM of the page's process; 0 where that cannot be read."""
    with suppress(OSError):
        for line in Path(f"/proc/{page.process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0


def reset_peak(page: Page) -> float:
    """Let the kernel count the peak anew.  Returns the memory in use, MB."""
    with suppress(OSError):
        Path(f"/proc/{page.process.pid}/clear_refs").write_text("5")
    return read_memory_mb(page, "VmRSS")


def try_bomb(page: Page, name: str, content: bytes) -> Outcome:
    """A small file of a large picture."""
    before_mb = reset_peak(page)
    try:
        code, _ = ask(page, make_upload(len(content), page), content, wait_s=60)
    except TimeoutError:
        code = 0
    cost_mb = read_memory_mb(page, "VmHWM") - before_mb
    fault = f"{round(cost_mb, -2):.0f} MB of memory" if cost_mb > MOST_MB else ""
    fault = fault or ("" if code in (200, 413, 422) else f"answered with {code}")
    right = f"an answer, less than {MOST_MB:.0f} MB" if fault else ""
    return Outcome(KIND, name, "wrong" if fault else "refused", fault, right)


def try_large_uploads(page: Page) -> Outcome:
    """Twenty uploads of 29 MB at once, from ten addresses."""
    before_mb, body = reset_peak(page), bytes(UPLOAD_MB * 1_000_000)

    def upload(source: str) -> None:
        with suppress(OSError):
            ask(page, make_upload(len(body), page), body, source, wait_s=30)

    threads = [threading.Thread(target=upload, args=(f"127.0.0.{2 + number % 10}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cost_mb = read_memory_mb(page, "VmHWM") - before_mb
    fault = f"{round(cost_mb, -1):.0f} MB of memory" if cost_mb > MOST_MB else ""
    right = f"less than {MOST_MB:.0f} MB" if fault else ""
    return Outcome(KIND, "twenty uploads of 29 MB at once", "wrong" if fault else "handled", fault, right)


def try_many_of_one(page: Page) -> Outcome:
    """Twenty uploads of one address that stand still, and a photo: it is answered, most of the twenty are ended.

    From a loopback address several viewers may come at once, by a tunnel.
    """
    photo, code = make_photo(), None
    with ExitStack() as held:
        slow = [
            held.enter_context(socket.create_connection(("127.0.0.1", page.port), 5, ("127.0.0.50", 0)))
            for _ in range(20)
        ]
        for connection in slow:
            connection.sendall(make_upload(1000, page).encode() + bytes(10))
        time.sleep(0.5)
        with suppress(TimeoutError):
            code, _ = ask(page, make_upload(len(photo), page), photo, "127.0.0.50", wait_s=5)
        going_on = sum(not _is_answered(connection) for connection in slow)
    fault = "" if code == 200 and going_on < 10 else f"the photo is answered with {code}, {going_on} of 20 go on"
    right = "200, and less than ten go on" if fault else ""
    return Outcome(KIND, "twenty uploads of one address at once", "wrong" if fault else "handled", fault, right)


def _is_answered(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        connection.recv(1)
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def judge_end(page: Page) -> Outcome:
    """After all that, the page answers, and nothing was thrown."""
    fault = "" if page.process.poll() is None else f"it has ended with {page.process.returncode}"
    if not fault:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=ANSWER_S)
            connection.request("GET", "/")
            status = connection.getresponse().status
            fault = "" if status == 200 else f"it answers {status}"
        except OSError as error:
            fault = f"it does not answer: {error}"
    if "Traceback" in "".join(page.said):
        named = [line.strip() for line in page.said if re.match(r"[\w.]+(Error|Exception)\b", line)]
        fault = fault or f"a traceback on stderr: {named[-1] if named else ''}"
    right = "the page answers, no traceback" if fault else ""
    return Outcome(KIND, "the page after all this", "wrong" if fault else "handled", fault, right)
