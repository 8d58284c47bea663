"""The page over HTTP: nothing for strangers, nothing that a slow, rude or vanished viewer could hold up."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.serve import server
from yoga_live.runtime.serve.address import ServeAddress
from yoga_live.runtime.serve.page import LivePage, open_page, read_token
from yoga_live.runtime.serve.server import MOST_VIEWERS, PageHandler, name_origin

from ..conftest import paint_photo
from ..page_client import Viewer, ask, wait_until

NOISE = TimedFrame(np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8), 0.0, 0)  # over a megabyte
ROUTES = ["", "try", "live.js", "page.css", "picture", "events", "api/model"]


@pytest.fixture
def page(classifier: PoseClassifier) -> Iterator[LivePage]:
    with open_page(ServeAddress("127.0.0.1", 0), classifier, {"tree": 30.0}) as opened:
        assert opened is not None
        yield opened


@pytest.fixture
def public(classifier: PoseClassifier) -> Iterator[LivePage]:
    """Served to the network, with a token."""
    with open_page(ServeAddress("0.0.0.0", 0), classifier, {}) as opened:
        assert opened is not None and opened.server.guard.token
        yield opened


def test_without_an_address_nothing_is_served(classifier: PoseClassifier) -> None:
    with open_page(None, classifier, {}) as page:
        assert page is None


def test_the_pages_and_their_parts_are_served_and_load_nothing_from_elsewhere(page: LivePage) -> None:
    assert page.addresses == (f"http://127.0.0.1:{page.server.server_port}/",)
    kinds = {"": "html", "try": "html", "live.js": "javascript", "strip.js": "javascript", "try.js": "javascript",
             "page.css": "css"}  # fmt: skip
    for name, kind in kinds.items():
        status, headers, body = ask(page, name)
        assert status == 200 and kind in headers["Content-Type"] and b"http" not in body, name
        assert headers["Cache-Control"] == "no-store" and headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in headers["Content-Security-Policy"] and headers["Server"] == "yoga-live"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("host", ["evil.example", "192.168.1.20:80", "127.0.0.1.nip.io", ""])
def test_another_host_name_is_refused_everywhere(page: LivePage, host: str) -> None:
    for route in ROUTES:
        assert ask(page, route, Host=host)[0] == 403
    assert ask(page, "api/classify", b"x", Host=host)[0] == 403
    assert ask(page, "", Host="localhost:9000")[0] == 200  # the other end of a tunnel


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_another_origin_is_refused_everywhere(page: LivePage, origin: str) -> None:
    for route in ROUTES:
        assert ask(page, route, Origin=origin)[0] == 403
    assert ask(page, "api/classify", b"x", Origin=origin)[0] == 403


def test_beyond_this_machine_nothing_is_answered_without_the_token(public: LivePage) -> None:
    public.board.show(NOISE)
    token = public.server.guard.token
    for wrong in ("", "/", "/x/", f"/{token[:-1]}/", f"/{token}x/", f"/x/{token}/"):
        for route in ROUTES:
            status, _, body = ask(public, f"{wrong or '/'}{route}")
            assert status == 403 and token.encode() not in body
        assert ask(public, f"{wrong or '/'}api/classify", b"x")[0] == 403
    assert ask(public, "")[0] == ask(public, "picture")[0] == ask(public, "api/model")[0] == 200
    status, headers, _ = ask(public, f"/{token}")
    assert status == 302 and headers["Location"] == f"/{token}/"
    assert all(address.endswith(f"/{token}/") for address in public.addresses)
    assert ask(public, "", Host="192.168.7.7:80")[0] == 200 and ask(public, "", Host="evil.example")[0] == 403


def test_no_path_leads_to_a_file(page: LivePage) -> None:
    for path in ("/../pyproject.toml", "/pages/live.html", "/%2e%2e/page.py", "/live.html", "/x", "//etc/passwd"):
        status, headers, body = ask(page, path)
        assert status == 404 and json.loads(body)["error"] and "Content-Security-Policy" in headers, path


def test_a_viewer_is_told_what_is_held_and_what_was(page: LivePage) -> None:
    page.board.show(NOISE)
    page.board.publish(0.0, Hold("none", 0.5, 0.0))
    page.publish(4.0, Hold("tree", 0.97, 1.5))
    early, late = Viewer(page), Viewer(page)
    for viewer in (early, late):
        name, begun = viewer.read()
        assert name == "begin" and begun["goals_s"] == {"tree": 30.0} and begun["poses"]["tree"]["name"] == "Tree"
        name, state = viewer.read()
        assert (name, state["state"], state["pose"], state["hold_s"]) == ("state", "watching", "tree", 1.5)
        assert state["past"] == [[0.0, 2.5, "none"]]
    page.publish(9.0, Hold("none", 0.8, 1.0))
    for viewer in (early, late):
        states = [viewer.read()[1] for _ in range(2)]
        assert [2.5, 8.0, "tree"] in [segment for state in states for segment in state["past"]]
    page.board.end()
    while early.read()[1]["state"] != "ended":
        pass
    early.close()
    late.close()


def test_a_silent_stream_still_beats_and_says_so(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yoga_live.runtime.serve.state.SILENT_S", 0.3)
    monkeypatch.setattr(server, "BEAT_S", 0.1)
    page.board.show(NOISE)
    viewer = Viewer(page)
    states = [viewer.read()[1].get("state") for _ in range(6)]
    assert states[1] == "watching" and states[-1] == "silent"
    viewer.close()


def test_the_picture_is_the_newest_and_comes_once(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PICTURE_WAIT_S", 0.1)
    assert ask(page, "picture")[0] == 204
    for _ in range(3):
        page.board.show(NOISE)
    status, headers, body = ask(page, "picture")
    assert status == 200 and headers["X-Picture"] == "3" and body[:2] == b"\xff\xd8"
    assert ask(page, "picture?after=3")[0] == 204
    assert ask(page, "picture?after=%C2%B2x")[0] == 200 == ask(page, "picture?after=99999")[0]
    assert page.board.encoded == 1


def test_beyond_the_most_viewers_one_is_told_so_and_a_place_becomes_free(page: LivePage) -> None:
    viewers = [Viewer(page) for _ in range(MOST_VIEWERS)]
    assert all(viewer.read()[0] == "begin" for viewer in viewers)
    extra = Viewer(page)
    assert (
        extra.answer.status == 200 and extra.read() == ("full", {"most": MOST_VIEWERS}) and extra.read() == ("", None)
    )
    extra.close()
    viewers.pop().close()

    def gets_in() -> bool:
        viewer = Viewer(page)
        viewers.append(viewer)
        return viewer.read()[0] == "begin"

    wait_until(gets_in)
    for viewer in viewers:
        viewer.close()


def stall(page: LivePage) -> socket.socket:
    """A viewer that asks for pictures and takes none of them."""
    connection = socket.create_connection(("127.0.0.1", page.server.server_port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(b"GET /picture?after=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40)
    return connection


def test_viewers_that_take_nothing_slow_neither_the_loop_nor_others_and_are_let_go(
    page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PageHandler, "timeout", 1.0)
    page.board.show(NOISE)
    stalled = [stall(page) for _ in range(6)]
    time.sleep(0.3)
    longest_s, started_s = 0.0, time.monotonic()
    for number in range(60):
        before_s = time.monotonic()
        page.board.show(NOISE)
        page.publish(number / 60, Hold("tree", 0.9, number / 60))
        longest_s = max(longest_s, time.monotonic() - before_s)
        time.sleep(0.005)
    assert longest_s < 0.15 and time.monotonic() - started_s < 3
    status, headers, _ = ask(page, "picture")
    assert status == 200 and int(headers["X-Picture"]) == 61
    wait_until(lambda: not page.server.connections)
    for connection in stalled:
        connection.close()


def test_too_many_connections_are_turned_away(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    idle = [socket.create_connection(("127.0.0.1", page.server.server_port)) for _ in range(3)]
    wait_until(lambda: page.server.connections == 3)
    assert ask(page, "")[0] == 503
    for connection in idle:
        connection.close()
    wait_until(lambda: page.server.connections == 0)
    assert ask(page, "")[0] == 200


def photo(tmp_path: Path, colour: tuple[int, int, int] = (0, 0, 255)) -> bytes:
    path = tmp_path / "photo.png"
    paint_photo(colour, (64, 48)).save(path)
    return path.read_bytes()


def test_a_photo_is_answered_and_a_bad_one_gets_its_line(page: LivePage, tmp_path: Path) -> None:
    status, _, body = ask(page, "api/classify", photo(tmp_path))
    assert status == 200 and json.loads(body)["pose"] == "tree"
    for content, reason in ((b"buy a mat", "is not a picture"), (b"", "is empty"), (photo(tmp_path)[:50], "damaged")):
        status, _, body = ask(page, "api/classify", content)
        assert status == 422 and reason in json.loads(body)["error"]
    assert ask(page, "api/classify", photo(tmp_path), Origin=f"http://127.0.0.1:{page.server.server_port}")[0] == 200


def test_what_is_no_upload_of_ours_is_refused(page: LivePage, tmp_path: Path) -> None:
    for kind in ("image/png", "text/plain", "multipart/form-data; boundary=x", None):
        assert ask(page, "api/classify", photo(tmp_path), Content_Type=kind)[0] == 415
    assert ask(page, "api/classify")[0] == 405 and ask(page, "", b"x")[0] == 404
    for length in ("-1", "x", "", "9" * 20):
        assert ask(page, "api/classify", b"x", Content_Length=length)[0] == 411
    assert ask(page, "api/classify", b"0\r\n\r\n", Transfer_Encoding="chunked", Content_Length="5")[0] == 411


def test_a_photo_that_is_too_large_hears_why(page: LivePage) -> None:
    page.server.trial.most_bytes = 2_000_000
    status, _, body = ask(page, "api/classify", b"\xff\xd8" * 2_500_000)
    assert status == 413 and json.loads(body)["error"] == "the photo has 5 MB, more than 2; make it smaller"


def test_others_who_try_photos_are_waited_for_by_nobody(page: LivePage, tmp_path: Path) -> None:
    while page.server.trial.places.acquire(blocking=False):
        pass
    status, _, body = ask(page, "api/classify", photo(tmp_path))
    assert status == 503 and "try again" in json.loads(body)["error"]
    page.server.trial.places.release()
    assert ask(page, "api/classify", photo(tmp_path))[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"HELLO / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        b"Content-Type: application/octet-stream\r\n\r\nx",
    ],
    ids=lambda content: str(content[:12]),
)
def test_what_is_no_request_harms_nobody(
    page: LivePage, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", page.server.server_port), timeout=10) as connection:
        with suppress(OSError):
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(OSError):
            while part := connection.recv(65536):
                answer += part
    assert b"<html" not in answer.lower() and b"Traceback" not in answer and not caplog.records
    assert ask(page, "")[0] == 200


def is_gone(connection: socket.socket) -> bool:
    """Whether the other side has ended it; it may find bytes or a connection that it never took, and resets it then."""
    with connection:
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True


def test_the_end_is_told_and_leaves_nothing_behind(classifier: PoseClassifier) -> None:
    with open_page(ServeAddress("127.0.0.1", 0), classifier, {}) as page:
        assert page is not None
        viewer, idle = Viewer(page), socket.create_connection(("127.0.0.1", page.server.server_port))
        assert viewer.read()[0] == "begin"
        port, started_s = page.server.server_port, time.monotonic()
    assert time.monotonic() - started_s < 3
    last = None
    while (event := viewer.read())[0]:
        last = event[1]["state"]
    assert last == "closed" and is_gone(idle)
    idle.close()
    viewer.close()
    with open_page(ServeAddress("127.0.0.1", port), classifier, {}) as again:  # a restart finds its port free
        assert again is not None and ask(again, "")[0] == 200


def test_a_port_that_is_taken_is_refused_on_one_line(classifier: PoseClassifier) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = ServeAddress("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OptionError, match=rf"cannot listen on --serve {address}: .* in use; .* 0 for a free one"):
            open_page(address, classifier, {}).__enter__()


def test_a_host_that_is_not_ours_is_refused_on_one_line(classifier: PoseClassifier) -> None:
    with pytest.raises(OptionError, match=r"cannot listen on --serve 192\.0\.2\.1:0"):
        open_page(ServeAddress("192.0.2.1", 0), classifier, {}).__enter__()


def test_both_families_are_served_where_both_are_asked_for(classifier: PoseClassifier) -> None:
    try:
        socket.create_server(("::", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with open_page(ServeAddress("::", 0), classifier, {}) as page:
        assert page is not None and ask(page, "")[0] == 200  # over 127.0.0.1


def test_the_token_is_kept_for_the_next_start_and_for_the_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "token"
    token = read_token(path)
    assert len(token) == 14 and read_token(path) == token and path.stat().st_mode & 0o777 == 0o600
    for spoilt in ("", "../../x", "a" * 15, "é" * 14):
        path.write_text(spoilt, encoding="utf-8")
        assert read_token(path) not in {token, spoilt} and path.stat().st_mode & 0o777 == 0o600


def test_a_token_that_can_t_be_kept_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert read_token(tmp_path / "file" / "token") != read_token(tmp_path / "file" / "token")
    assert "another address next time" in caplog.text


def connect(page: LivePage, said: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", page.server.server_port), timeout=10)
    connection.sendall(said)
    return connection


def test_a_head_that_trickles_loses_its_place(public: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.6)
    slow = [connect(public, b"GET / HTTP/1.1\r\nX: "), connect(public)]
    for _ in range(8):
        time.sleep(0.15)
        for connection in slow:
            with suppress(OSError):
                connection.sendall(b"x")
    assert all(is_gone(connection) for connection in slow)
    wait_until(lambda: public.server.connections == 0)


def test_a_viewer_stays_longer_than_a_head_may_take(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.3)
    viewer = Viewer(page)
    events = [viewer.read()[0] for _ in range(4)]
    assert events == ["begin", "state", "state", "state"]
    viewer.close()


def test_one_address_does_not_take_all_places(public: LivePage) -> None:
    taken = [connect(public) for _ in range(server.MOST_OF_ONE)]
    wait_until(lambda: public.server.connections == server.MOST_OF_ONE)
    with connect(public) as one_more:
        assert one_more.recv(100).startswith(b"HTTP/1.1 503")
    with socket.create_connection(
        ("127.0.0.1", public.server.server_port), timeout=10, source_address=("127.0.0.2", 0)
    ) as other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 403")
    for connection in taken:
        connection.close()


def test_an_origin_is_an_address_or_a_network_of_them() -> None:
    assert name_origin("192.168.1.20") == name_origin("::ffff:192.168.1.20") == "192.168.1.20"
    assert name_origin("fe80::1%eth0") == name_origin("fe80::2") != name_origin("2001:db8::2")


@pytest.mark.parametrize("target", ["http://[bad", "//[", "http://127.0.0.1/", "/?%", "?", "[", "/%2e%2e/"])
def test_odd_targets_are_refused_without_a_word(
    public: LivePage, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    with connect(public, f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 403")
    assert caplog.text == ""
