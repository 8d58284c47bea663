"""Uploads to the page: those that trickle in, pile up or contradict themselves keep nobody else out."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from PIL import Image

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.serve import uploads
from yoga_live.runtime.serve.address import ServeAddress
from yoga_live.runtime.serve.page import LivePage, open_page
from yoga_live.runtime.serve.server import count_places, name_origin
from yoga_live.runtime.serve.uploads import UploadError, Uploads

from ..page_client import ask, wait_until

HEAD = b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"


@pytest.fixture
def page(classifier: PoseClassifier) -> Iterator[LivePage]:
    with open_page(ServeAddress("127.0.0.1", 0), classifier, {}) as opened:
        assert opened is not None
        yield opened


def draw_photo() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(file, "PNG")
    return file.getvalue()


def connect(page: LivePage, said: bytes, source: str = "127.0.0.1") -> socket.socket:
    connection = socket.create_connection(
        ("127.0.0.1", page.server.server_port), timeout=20, source_address=(source, 0)
    )
    connection.sendall(said)
    return connection


def read_status(connection: socket.socket) -> int:
    with connection:
        return int(connection.recv(100).split()[1])


def trickle(page: LivePage, count: int) -> list[socket.socket]:
    return [connect(page, HEAD + b"Content-Length: 5000000\r\n\r\nx") for _ in range(count)]


def test_uploads_that_trickle_in_keep_nobody_out(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "GRACE_S", 1.5)
    slow = trickle(page, 6)
    time.sleep(0.2)
    for _ in range(3):  # also from the same address
        assert ask(page, "api/classify", draw_photo())[0] == 200
    for _ in range(8):
        for connection in slow:
            with suppress(OSError):
                connection.sendall(b"x")
        time.sleep(0.2)
    statuses = [read_status(connection) for connection in slow]
    assert set(statuses) <= {408, 503} and 408 in statuses
    wait_until(lambda: page.server.connections == 0)


def test_a_slow_upload_that_goes_on_is_answered(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "GRACE_S", 0.5)
    monkeypatch.setattr(uploads, "LEAST_BYTES_PER_S", 100)
    photo = draw_photo() + b"\0" * 400  # a PNG may be followed by anything
    connection = connect(page, HEAD + b"Content-Length: %d\r\n\r\n" % len(photo))
    for start in range(0, len(photo), 100):  # takes longer than the grace
        connection.sendall(photo[start : start + 100])
        time.sleep(0.2)
    assert read_status(connection) == 200


def test_what_is_too_large_is_not_read_for_ever(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "GRACE_S", 0.4)
    with connect(page, HEAD + b"Content-Length: 90000000\r\n\r\nx") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_the_memory_of_all_uploads_together_is_bounded() -> None:
    room = Uploads(most_bytes=150_000)

    def read(most: int, within_s: float) -> bytes:
        return b"x" * most

    with room.enter("a", 1, lambda: None) as first, room.enter("b", 1, lambda: None) as second:
        assert len(room.receive(first, 100_000, read)) == 100_000
        with pytest.raises(UploadError, match="others are sending"):
            room.receive(second, 100_000, read)
        assert room.receive(second, 10_000_000, read, keep=False) == b""
    with room.enter("c", 1, lambda: None) as third:
        assert len(room.receive(third, 150_000, read)) == 150_000


def test_a_viewer_s_newer_photo_takes_the_place_of_one_on_its_way() -> None:
    room, ended, errors = Uploads(), threading.Event(), list[str]()

    def read_slowly(most: int, within_s: float) -> bytes:
        ended.wait(10)
        return b""

    def send() -> None:
        try:
            with room.enter("a", 1, ended.set) as upload:
                started.set()
                room.receive(upload, 10, read_slowly)
        except UploadError as error:
            errors.append(str(error))

    started = threading.Event()
    thread = threading.Thread(target=send)
    thread.start()
    assert started.wait(10)
    with room.enter("b", 1, lambda: None):  # another viewer's place is another
        assert not ended.is_set()
        with room.enter("a", 1, lambda: None) as newer:
            thread.join(10)
            assert errors == ["a newer photo took the place of this one"] and not newer.is_replaced


def test_a_viewer_s_next_photo_waits_for_the_answer_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "TURN_S", 0.2)
    room = Uploads()
    with room.enter("a", 1, lambda: None) as upload:
        room.receive(upload, 3, lambda most, within_s: b"x" * most)
        with pytest.raises(UploadError, match="not answered yet"), room.enter("a", 1, lambda: None):
            pass
        assert not upload.is_replaced
    with room.enter("a", 1, lambda: None):
        pass


def test_a_viewer_has_one_place_and_a_tunnel_or_a_network_several() -> None:
    assert count_places(name_origin("192.168.1.20")) == 1
    assert all(count_places(name_origin(each)) > 1 for each in ("127.0.0.1", "::1", "2001:db8::7", "::ffff:127.0.0.1"))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n", 400),
        (HEAD + b"Content-Length: 1\r\ncontent-length: 9\r\n", 400),
        (HEAD + b"Content-Length: 1, 1\r\n", 411),
        (HEAD + b"Content-Length: +1\r\n", 411),
        (HEAD + b"Content-Length : 1\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 411),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 411),
        (b"GET / HTTP/1.1\r\nno header\r\nHost: localhost\r\n", 400),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n", 403),
        (b"GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n", 403),
        (b"GET http://me@localhost/ HTTP/1.1\r\nHost: localhost\r\n", 403),
        (b"GET http://LOCALHOST/?x HTTP/1.1\r\nHost: localhost\r\n", 200),
        (b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", 200),
    ],
)
def test_heads_that_contradict_themselves_are_refused_and_nothing_after_them_is_read(
    page: LivePage, head: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(page, head + b"\r\n") as connection:
        answer = http_read(connection)
        assert int(answer.split()[1]) == status, answer[:200]
        if status != 200:
            assert b"Connection: close" in answer and json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
            assert connection.recv(10) == b""
    assert caplog.text == ""


def http_read(connection: socket.socket) -> bytes:
    """A whole answer."""
    content = b""
    while b"\r\n\r\n" not in content and (part := connection.recv(4096)):
        content += part
    head, _, body = content.partition(b"\r\n\r\n")
    length = next(int(line.split()[1]) for line in head.splitlines() if line.startswith(b"Content-Length"))
    while len(body) < length and (part := connection.recv(4096)):
        body += part
    return head + b"\r\n\r\n" + body
