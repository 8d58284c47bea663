"""The live page over HTTP: files, the newest picture, what is held as server-sent events, and a photo to try.

Python's own server, a thread for each connection: a Jetson carries nothing more for it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from ..errors import PhotoError
from ..system.crashes import describe_crash
from ..system.plain_text import escape_json
from .access import PageGuard, name_head_fault, page_headers, split_target
from .state import LiveBoard
from .try_photo import PhotoTrial
from .uploads import Upload, UploadError, Uploads

PAGES = Path(__file__).parent / "pages"
PAGE_FILES = {
    "": ("live.html", "text/html"),
    "try": ("try.html", "text/html"),
    "live.js": ("live.js", "text/javascript"),
    "strip.js": ("strip.js", "text/javascript"),
    "try.js": ("try.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
}
MOST_VIEWERS = 12
MOST_CONNECTIONS = 96  # a browser opens up to six
MOST_OF_ONE = 24  # of one address: as many as twelve viewers behind a tunnel need
PLACES_OF_MANY = 4  # uploads at once from an address that may be several viewers
IDLE_S = 12.0  # for so long a connection may say or take nothing
HEAD_S = 10.0  # from when a request is awaited until its head is whole, however it trickles
PICTURE_WAIT_S = 4.0
STATE_EVERY_S = 0.2  # at most so often; a hold is counted in whole seconds
BEAT_S = 1.0  # at least so often, so that a page knows a silent server from a lost one
RETRY_MS = 1000
LAST_WORD_S = 1.0
TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
HEADERS = {
    **page_headers("'self' data: blob:"),
    "Permissions-Policy": "camera=(self), screen-wake-lock=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}

log = logging.getLogger(__name__)


class PageServer(ThreadingHTTPServer):
    """Serves one board.  Connections and viewers are bounded; one that takes nothing for IDLE_S is let go."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = os.name != "nt"  # there it would let two programs have one port

    def __init__(
        self,
        at: tuple[socket.AddressFamily, str, int],
        guard: PageGuard,
        board: LiveBoard,
        trial: PhotoTrial,
        introduction: Mapping[str, Any],
    ) -> None:
        """at: family, IP address, port.  introduction: what a viewer is told first, once.  Raises OSError."""
        self.address_family = at[0]
        self.guard, self.board, self.trial, self.introduction = guard, board, trial, introduction
        self.headers = dict(HEADERS)
        if guard.token:  # plain HTTP from elsewhere: browsers ignore this one there, and complain
            del self.headers["Cross-Origin-Opener-Policy"]
        self.files = {name: ((PAGES / file).read_bytes(), kind) for name, (file, kind) in PAGE_FILES.items()}
        self.viewers = threading.BoundedSemaphore(MOST_VIEWERS)
        self.uploads = Uploads()
        self._open: dict[Any, str] = {}  # each connection, and from where it comes
        self._heads: dict[Any, float] = {}  # those that have not said yet what they want, and since when
        super().__init__(at[1:], PageHandler)

    def server_bind(self) -> None:
        """Bind, without asking the network for our name as HTTPServer does."""
        if self.address_family == socket.AF_INET6 and hasattr(socket, "IPV6_V6ONLY"):
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # [::] takes IPv4 too
        if self.allow_reuse_address:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, or turn it away."""
        origin = name_origin(client_address[0])
        theirs = sum(other == origin for other in list(self._open.values()))
        if len(self._open) >= MOST_CONNECTIONS or (self.guard.token and theirs >= MOST_OF_ONE):
            with suppress(OSError):
                request.settimeout(0.1)
                request.sendall(TOO_MANY)
            self.shutdown_request(request)
        else:
            self._open[request] = origin
            self.await_head(request)
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._open.pop(request, None)
        self._heads.pop(request, None)
        super().shutdown_request(request)

    def await_head(self, request: Any, *, is_here: bool = False) -> None:
        """Note that the head of a request is awaited from now on; or that it is here."""
        if is_here:
            self._heads.pop(request, None)
        else:
            self._heads[request] = time.monotonic()

    def service_actions(self) -> None:
        """Hang up, ten times a second, where a head takes too long: a byte now and then would hold a place for ever."""
        latest_s = time.monotonic() - HEAD_S
        for request in [request for request, since_s in list(self._heads.items()) if since_s < latest_s]:
            self._heads.pop(request, None)
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def close(self) -> None:
        """End everything; viewers hear of it first, if they listen."""
        self.board.close()
        until_s = time.monotonic() + LAST_WORD_S
        for _ in range(MOST_VIEWERS):
            self.viewers.acquire(timeout=max(until_s - time.monotonic(), 0.0))
        self.shutdown()
        self.server_close()
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A viewer that goes away is no error; anything else is a bug, and is told."""
        if (error := sys.exc_info()[1]) is not None:
            told = describe_crash("page", sys.argv[1:], error)
            log.error("the page failed to answer %s: unexpected %s", client_address[0], told)


class PageHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True
    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        """Let the system, too, give up on a phone that has gone out of reach."""
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(IDLE_S * 1000))
        super().setup()

    def handle(self) -> None:
        """Answer requests until the other side has gone."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def handle_one_request(self) -> None:
        """Wait for a request, not for ever, and answer it."""
        self.server.await_head(self.request)
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Read the rest of the head.  Returns whether it is a request."""
        is_request = super().parse_request()
        self.server.await_head(self.request, is_here=True)
        if is_request and (fault := name_head_fault(self.headers)):
            # without a length that is certain, what follows can't be told from this request
            is_length = "Transfer-Encoding" in self.headers
            self._refuse(HTTPStatus.LENGTH_REQUIRED if is_length else HTTPStatus.BAD_REQUEST, fault)
            return False
        return is_request

    def do_GET(self) -> None:
        """A file of the page, the picture, the events, the model."""
        if self._has_body():
            self.close_connection = True  # it is not read, so that what follows it can't be told from it
        if (name := self._enter()) is None:
            return
        answers: dict[str, Callable[[], None]] = {
            "picture": self._answer_picture,
            "events": self._answer_events,
            "api/model": lambda: self._answer_json(self.server.trial.describe_model()),
        }
        if name in self.server.files:
            content, kind = self.server.files[name]
            self._answer(content, f"{kind}; charset=utf-8")
        elif name in answers:
            answers[name]()
        elif name == "api/classify":
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "send a photo by POST")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def do_POST(self) -> None:
        """A photo to classify."""
        if (name := self._enter()) is None:
            return
        if name != "api/classify":
            self._refuse(HTTPStatus.NOT_FOUND, "nothing is sent there")
        else:
            origin = name_origin(self.client_address[0])
            try:
                with self.server.uploads.enter(origin, count_places(origin), self._hang_up) as upload:
                    self._answer_photo(upload)
            except UploadError as error:
                status = HTTPStatus.REQUEST_TIMEOUT if error.is_late else HTTPStatus.SERVICE_UNAVAILABLE
                self._refuse(status, str(error))

    def _enter(self) -> str | None:
        """Let in who may ask.  Returns the path after the token, None where it has been answered."""
        guard, path = self.server.guard, split_target(self.path)[1].partition("?")[0]
        if reason := guard.refuse(self.headers.get("Host", ""), self.headers.get("Origin"), self.path):
            self._refuse(HTTPStatus.FORBIDDEN, reason)
            return None
        rest = path.removeprefix("/")
        if not guard.token:
            return rest
        _, slash, rest = rest.partition("/")
        if not slash:
            self._answer(b"", "text/plain", HTTPStatus.FOUND, {"Location": f"/{guard.token}/"})
            return None
        return rest

    def _answer_picture(self) -> None:
        """The newest picture that is another than `after`; 204 where there is none for a while."""
        after = parse_qs(self.path.partition("?")[2]).get("after", ["-1"])[0][:12]
        picture = self.server.board.wait_for_picture(int(after) if after.isdecimal() else -1, PICTURE_WAIT_S)
        if picture is None:
            self._answer(b"", "image/jpeg", HTTPStatus.NO_CONTENT)
        else:
            self._answer(picture.jpeg, "image/jpeg", more={"X-Picture": str(picture.number)})

    def _answer_events(self) -> None:
        """What is held, as it changes (HTML Living Standard, server-sent events), until the viewer goes."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self._send_headers({"Content-Type": "text/event-stream; charset=utf-8", "Connection": "close"})
        if not self.server.viewers.acquire(blocking=False):
            self._send_event("full", {"most": MOST_VIEWERS})
            return
        try:
            self._send_event("begin", self.server.introduction)
            self._send_states()
        finally:
            self.server.viewers.release()

    def _send_states(self) -> None:
        board, past, version = self.server.board, 0, -1
        while not board.is_closed:
            version = board.wait_for_state(version, BEAT_S)
            state = board.describe(past)
            past += len(state["past"])
            self._send_event("state", state)
            time.sleep(STATE_EVERY_S)
        self._send_event("state", board.describe(past))

    def _send_event(self, name: str, content: Mapping[str, Any]) -> None:
        data = escape_json(json.dumps(content, ensure_ascii=False))
        self.wfile.write(f"retry: {RETRY_MS}\nevent: {name}\ndata: {data}\n\n".encode())

    def _answer_photo(self, upload: Upload) -> None:
        """Read it, then wait for nobody: a place is taken once all of it is here, however slowly it came."""
        content = self._read_photo(upload)
        if content is None:
            return
        if not self.server.trial.places.acquire(blocking=False):
            raise UploadError("others are trying photos at this moment; try again")
        try:
            answer = self.server.trial.classify(content)
        except PhotoError as error:
            self._answer_json({"error": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)
        else:
            self._answer_json(answer)
        finally:
            self.server.trial.places.release()

    def _read_photo(self, upload: Upload) -> bytes | None:
        """The body; None where it was refused.  One of another kind than ours comes from another page's form."""
        most, text = self.server.trial.most_bytes, self.headers.get("Content-Length", "")
        if self.headers.get("Content-Type") != "application/octet-stream":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the photo as application/octet-stream")
        elif "Transfer-Encoding" in self.headers or not (text.isascii() and text.isdigit() and len(text) < 16):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "say how long the photo is")
        elif int(text) > most:
            with suppress(UploadError):  # however slowly the rest comes: it is too long
                self._discard(int(text), upload)
            words = f"the photo has {int(text) / 1e6:.0f} MB, more than {most / 1e6:.0f}; make it smaller"
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words)
        else:
            content = self.server.uploads.receive(upload, int(text), self._read_some)
            if len(content) == int(text):
                return content
            self.close_connection = True
        return None

    def _discard(self, length: int, upload: Upload) -> None:
        """Read what is not wanted, within reason: a browser hears the reason only after it has sent all of it."""
        length = min(length, 8 * self.server.trial.most_bytes)
        self.server.uploads.receive(upload, length, self._read_some, keep=False)

    def _read_some(self, most: int, within_s: float) -> bytes:
        """What has come of a body, as soon as something has.  Raises TimeoutError."""
        self.connection.settimeout(within_s)
        try:
            return self.rfile.read1(most)
        finally:
            self.connection.settimeout(self.timeout)

    def _hang_up(self) -> None:
        """Stop waiting for what the other side says; it can still be answered."""
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RD)

    def _has_body(self) -> bool:
        return self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # a body may be unread
        self._answer_json({"error": reason}, status)

    def _answer_json(self, content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        text = escape_json(json.dumps(content, ensure_ascii=False))
        self._answer(text.encode(), "application/json; charset=utf-8", status)

    def _answer(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, more: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        length = {} if status == HTTPStatus.NO_CONTENT else {"Content-Type": kind, "Content-Length": str(len(content))}
        self._send_headers({**length, **(more or {}), **({"Connection": "close"} if self.close_connection else {})})
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_headers(self, headers: Mapping[str, str]) -> None:
        for name, value in {**self.server.headers, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no proper request, in our words instead of a page of the library's."""
        self.command = getattr(self, "command", None) or "GET"
        self.request_version = getattr(self, "request_version", self.protocol_version)
        status = HTTPStatus(code)
        self._refuse(status, message or status.phrase)

    def version_string(self) -> str:
        """Our name alone."""
        return "yoga-live"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are nobody's business, but for who looks for an error."""
        log.debug(format, *args)


def name_origin(address: str) -> str:
    """Where a connection comes from: an IPv4 address, or the network of an IPv6 one, which has no end of them."""
    ip = ip_address(address.partition("%")[0])
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))


def count_places(origin: str) -> int:
    """Uploads at once from one origin: a viewer's one, or some where a tunnel or a network brings several viewers."""
    return PLACES_OF_MANY if "/" in origin or ip_address(origin).is_loopback else 1
