"""The page's server: nothing without the token, nothing for other pages, nothing outside the folder."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from yoga_live.calibration.metrics import Accuracy
from yoga_live.runtime.errors import OptionError, PhotoError
from yoga_live.runtime.people import PeopleFinder
from yoga_live.train.clean import page_connections
from yoga_live.train.clean.previews import Previews
from yoga_live.train.clean.review_list import CleaningList
from yoga_live.train.clean.server import CleaningServer
from yoga_live.train.people import finding


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Asks a server as a browser does, header by header."""

    port: int
    token: str
    photos: CleaningList
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, content: object = None, method: str = "", **headers: str) -> Answer:
        """path: after the token, or the whole of it if it begins with a slash."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        body = content if isinstance(content, bytes) or content is None else json.dumps(content).encode()
        given = {"Content-Type": "application/json"} if body is not None else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        target = path if path.startswith("/") else f"/{self.token}/{path}"
        connection.request(method or ("POST" if body is not None else "GET"), target, body, given)
        answer = connection.getresponse()
        result = Answer(answer.status, dict(answer.headers), answer.read())
        connection.close()
        return result


@pytest.fixture
def client(messy) -> Iterator[Client]:
    """A server in a thread of its own."""
    ready: list[Client] = []
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve(photos: CleaningList) -> None:
        server = CleaningServer(photos)
        async with server.serve() as address:
            ready.append(Client(int(address.split(":")[2].split("/")[0]), server.token, photos))
            started.set()
            await stop.wait()

    with messy.open() as photos, ThreadPoolExecutor(1) as pool:
        running = pool.submit(loop.run_until_complete, serve(photos))
        assert started.wait(10)
        yield ready[0]
        loop.call_soon_threadsafe(stop.set)
        running.result(10)
    loop.close()


def list_view(client: Client, **query: object) -> Any:
    words = "&".join(f"{name}={value}" for name, value in {"view": "likely", **query}.items())
    answer = client.ask(f"api/photos?{words}")
    assert answer.status == 200, answer.body
    return answer.json


def test_the_page_and_its_parts_are_served_and_closed_to_everything_else(client: Client) -> None:
    for name, kind in (("", "text/html"), ("clean.js", "text/javascript"), ("clean.css", "text/css")):
        answer = client.ask(name)
        assert answer.status == 200 and answer.headers["Content-Type"].startswith(kind) and answer.body
        assert answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["X-Frame-Options"] == "DENY"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
    assert b"http" not in client.ask("").body.replace(b"https://www.w3.org", b"")  # nothing from elsewhere


def test_the_session_says_what_there_is(client: Client, messy) -> None:
    session = client.ask("api/session?conflicts=1").json
    assert session["poses"] == ["down_dog", "tree", "warrior_2", "none"] and session["suspects"] == 5
    assert session["views"] == {"likely": 64, "conflicts": 0, "duplicates": 0, "all": 64, "removed": 0, "marked": 0}
    assert session["note"] == "" and session["trusted"] and session["run"] == "messy"
    assert "conflicts" in client.ask("api/session").json["views"]


def test_the_page_opens_where_something_is_left_to_look_at(client: Client) -> None:
    assert client.ask("api/session").json["start"] == ""
    assert client.ask("api/session?start=1").json["start"] == "likely"
    for photo in list_view(client, count=5)["photos"]:
        assert client.ask("api/mark", {"photo": photo["number"], "action": "keep"}).status == 200
    assert client.ask("api/session?start=1").json["start"] == "all"


def test_people_are_looked_for_when_the_page_asks_and_their_boxes_are_sent(client: Client, messy) -> None:
    pytest.importorskip("onnxruntime")
    assert "people" not in client.ask("api/session").json["views"]
    count = client.ask("api/session?people=1").json["views"]["people"]
    flagged = list_view(client, view="people", count=100)
    assert flagged["total"] == count == len(flagged["photos"])
    for photo in flagged["photos"]:
        assert (photo["people"] == "nobody found") is (photo["boxes"] == [])
        assert all(0 <= left < right <= 1 and 0 <= top < low <= 1 for left, top, right, low in photo["boxes"])


def test_a_page_that_ends_does_not_wait_until_all_people_are_found(messy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread would hold the process for minutes after Ctrl-C."""
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(finding, "AHEAD", 1)
    looking = threading.Event()

    class Slow(PeopleFinder):
        def find(self, frame_bgr, region=None):
            looking.set()
            time.sleep(0.2)  # 13 s for all 64
            return super().find(frame_bgr, region)

    monkeypatch.setattr(finding, "PeopleFinder", Slow)

    async def serve(photos: CleaningList) -> None:
        server = CleaningServer(photos)
        async with server.serve() as address:
            port = int(address.split(":")[2].split("/")[0])
            client = Client(port, server.token, photos)
            asking = asyncio.to_thread(client.ask, "api/session?people=1")
            task = asyncio.ensure_future(asking)
            assert await asyncio.to_thread(looking.wait, 20)
        task.cancel()
        with suppress(asyncio.CancelledError, OSError, http.client.HTTPException):
            await task

    with messy.open() as photos:
        started_s = time.monotonic()
        asyncio.run(serve(photos))
        assert time.monotonic() - started_s < 9


def test_the_page_says_when_the_network_only_doubts_labels(client: Client) -> None:
    errors = client.photos.errors
    client.photos.errors = replace(errors, agreement=Accuracy(42, 64))
    session = client.ask("api/session").json
    assert not session["trusted"] and "are only doubted by the network: it agrees with only 42 of" in session["note"]


@pytest.mark.parametrize(
    "path", ["/", "/x/", "/x/api/session", "/x/clean.js", "//api/session", "/%s", "/x/thumbnail/0"]
)
def test_without_the_token_nothing_is_answered(client: Client, path: str) -> None:
    path = path if path != "/%s" else f"/{client.token[:-1]}/api/session"
    assert client.ask(path).status == 403
    assert client.ask("/x/api/mark", {"photo": 0, "action": "remove"}).status == 403
    assert client.photos.select("marked") == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1.nip.io:80", ""])
def test_another_host_name_is_refused(client: Client, host: str) -> None:
    assert client.ask("api/session", Host=host).status == 403
    assert client.ask("api/session", Host=f"localhost:{client.port}").status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:%d", ""])
def test_another_origin_is_refused_even_with_the_token(client: Client, origin: str) -> None:
    origin = origin % client.port if "%d" in origin else origin
    mark = {"photo": 0, "action": "remove"}
    assert client.ask("api/mark", mark, Origin=origin).status == 403
    assert client.ask("api/session", Origin=origin).status == 403
    assert client.photos.select("marked") == []
    assert client.ask("api/mark", mark, Origin=f"http://127.0.0.1:{client.port}").status == 200


def test_marks_come_as_json_by_post_only(client: Client) -> None:
    mark = json.dumps({"photo": 0, "action": "remove"}).encode()
    assert client.ask("api/mark", mark, Content_Type="text/plain").status == 415
    assert client.ask("api/mark", mark, Content_Type="application/x-www-form-urlencoded").status == 415
    assert client.ask("api/mark").status == 405 and client.ask("api/undo").status == 405
    assert client.ask("api/session", {}).status == 405
    for body in (b"{", b"[]", b'"x"', b"\xff", b""):
        assert client.ask("api/mark", body).status == 400
    assert client.ask("api/mark", b" " * 100_000).status == 413
    assert client.photos.select("marked") == []


WRONG_MARKS = [
    ({"photo": 9999, "action": "keep"}, 404), ({"photo": -1, "action": "keep"}, 404), ({"action": "keep"}, 404),
    ({"photo": True, "action": "keep"}, 404), ({"photo": 1.0, "action": "keep"}, 404),
    ({"photo": "../x", "action": "keep"}, 404), ({"photo": [], "action": "keep"}, 404),
    ({"photo": 0, "action": "delete"}, 400), ({"photo": 0}, 400), ({"photo": 0, "action": "relabel"}, 400),
    ({"photo": 0, "action": "relabel", "pose": "../evil"}, 400), ({"photo": 0, "action": "undo"}, 400),
    ({"photo": 0, "action": "keep", "pose": "tree"}, 400), ({"photo": 0, "action": "relabel", "pose": ["tree"]}, 400),
]  # fmt: skip


def test_a_photo_may_be_named_by_a_number_in_words(client: Client) -> None:
    answer = client.ask("api/mark", {"photo": "3", "action": "keep"})
    assert answer.status == 200 and answer.json["photo"]["number"] == 3 and answer.json["photo"]["mark"] == "keep"


def test_wrong_marks_are_refused_with_a_reason(client: Client) -> None:
    for mark, status in WRONG_MARKS:
        answer = client.ask("api/mark", mark)
        assert answer.status == status and answer.json["error"] and "Traceback" not in answer.json["error"], mark
    assert client.photos.select("marked") == []


def test_no_path_leads_to_a_file(client: Client) -> None:
    for path in (
        "thumbnail/../../manifest.csv", "thumbnail/..%2f..%2fetc%2fpasswd", "picture/%00", "picture/64", "picture/-1",
        "picture/1e1", "picture/tree%2f00.png", "..%2f..%2fpyproject.toml", "clean.py", "stats.html", "cleaning.jsonl",
        "thumbnail/%C2%B2",
    ):  # fmt: skip
        assert client.ask(path).status in (403, 404), path


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_out_of_the_folder_is_not_served(client: Client, tmp_path: Path, messy) -> None:
    number = client.photos.select("likely")[0]
    path = messy.photos / client.photos.entries[number].photo.path
    outside = path.rename(tmp_path / "outside.png")
    path.symlink_to(outside)
    answer = client.ask(f"picture/{number}")
    assert answer.status == 404 and "leads out of the folder" in answer.json["error"]
    assert client.ask("api/mark", {"photo": number, "action": "remove"}).status == 404 and outside.exists()


def test_previews_are_small_jpegs_wherever_the_photo_lies_by_now(client: Client) -> None:
    number = client.photos.select("likely")[0]
    for _ in range(2):
        answer = client.ask(f"thumbnail/{number}")
        assert answer.headers["Content-Type"] == "image/jpeg" and answer.body[:2] == b"\xff\xd8"
        assert client.ask("api/mark", {"photo": number, "action": "remove"}).status == 200
    assert client.ask(f"picture/{number}").status == 200


def test_a_broken_photo_has_no_preview_but_can_be_removed(client: Client, messy) -> None:
    number = client.photos.select("likely")[0]
    (messy.photos / client.photos.entries[number].photo.path).write_text("<html>")
    assert client.ask(f"picture/{number}").status == 404
    assert client.ask("api/mark", {"photo": number, "action": "remove"}).json["photo"]["removed"]


def test_a_view_comes_in_pages_and_goes_on_at_the_first_open_photo(client: Client) -> None:
    whole = list_view(client, count=200)
    assert (whole["total"], whole["suspects"], len(whole["photos"])) == (64, 5, 64)
    pages = [list_view(client, **{"from": start, "count": 25}) for start in (0, 30, 63, 999)]
    assert [(page["first"], page["focus"], len(page["photos"])) for page in pages] == [
        (0, 0, 25),
        (25, 30, 25),
        (50, 63, 14),
        (50, 63, 14),
    ]
    assert [p["number"] for page in pages[:3] for p in page["photos"]] == [p["number"] for p in whole["photos"]]
    for photo in whole["photos"][:30]:
        client.ask("api/mark", {"photo": photo["number"], "action": "keep"})
    page = list_view(client, count=25, open=1)
    assert (page["first"], page["focus"], page["done"], page["suspects_done"]) == (25, 30, 30, 5)
    nothing = list_view(client, view="removed", pose="tree", split="test")
    assert (nothing["total"], nothing["focus"], nothing["photos"]) == (0, 0, [])


def test_what_no_view_has_is_refused(client: Client) -> None:
    for query in (
        "", "view=secret", "view=all&pose=cobra", "view=all&split=x", "view=all&count=0", "view=all&count=1000",
        "view=all&from=-1", "view=all&from=x", "view=all&from=9999999999",
    ):  # fmt: skip
        answer = client.ask(f"api/photos?{query}")
        assert answer.status == 400 and answer.json["error"], query


def test_marks_and_undos_say_what_became_of_the_photo(client: Client, messy) -> None:
    first = list_view(client)["photos"][0]
    path, pose = messy.wrong[0]
    assert (first["path"], first["guesses"][0], first["mark"], first["suspect"]) == (path, [pose, 0.99], "", True)
    answer = client.ask("api/mark", {"photo": first["number"], "action": "relabel", "pose": pose}).json
    assert (answer["photo"]["pose"], answer["photo"]["first_pose"], answer["photo"]["mark"]) == (
        pose,
        "tree",
        "relabel",
    )
    assert answer["summary"] == {"relabel": 1, "removed": 0, "undo": True} and not (messy.photos / path).exists()
    answer = client.ask("api/undo", {"view": "likely", "pose": "tree", "split": ""}).json
    assert (answer["photo"]["path"], answer["position"]) == (path, 0) and (messy.photos / path).exists()
    answer = client.ask("api/undo", {"view": "likely"}).json
    assert answer == {"photo": None, "position": None, "summary": {"removed": 0, "undo": False}}


def test_a_port_that_is_taken_is_refused_on_one_line(messy) -> None:
    async def serve(photos: CleaningList, port: int) -> None:
        async with CleaningServer(photos).serve(port):
            raise AssertionError("two servers on one port")

    with socket.socket() as taken, messy.open() as photos:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OptionError, match="cannot listen on"):
            asyncio.run(serve(photos, taken.getsockname()[1]))


def test_previews_are_remembered_up_to_a_size(tmp_path: Path) -> None:
    for name in range(4):
        Image.new("RGB", (400, 300), (name * 60, 0, 0)).save(tmp_path / f"{name}.png")
    previews = Previews(most_bytes=3000)
    first = previews.read(0, tmp_path / "0.png", 100)
    (tmp_path / "0.png").unlink()
    assert previews.read(0, tmp_path / "0.png", 100) == first
    for number in (1, 2, 3):
        previews.read(number, tmp_path / f"{number}.png", 400)
    with pytest.raises(PhotoError):
        previews.read(0, tmp_path / "0.png", 100)


def connect(client: Client, said: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", client.port), timeout=20)
    connection.sendall(said)
    return connection


def begin_mark(client: Client, more: bytes) -> bytes:
    head = f"POST /{client.token}/api/mark HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n" + more + b"\r\n"


def test_a_head_or_a_body_that_trickles_in_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_connections, "BODY_S", 0.3)
    with connect(client, begin_mark(client, b"Content-Length: 90\r\n") + b"{") as body:
        assert body.recv(100).startswith(b"HTTP/1.1 408")
    monkeypatch.setattr(page_connections, "HEAD_S", 0.3)
    with connect(client, b"GET / HTTP/1.1\r\nX: ") as head:
        with suppress(ConnectionError):
            for _ in range(6):
                time.sleep(0.1)
                head.sendall(b"x")
        with suppress(ConnectionResetError):
            assert head.recv(100) == b""
    assert client.ask("api/session").status == 200


def test_a_connection_that_asked_in_time_may_stay(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_connections, "HEAD_S", 0.2)
    asked = f"GET /{client.token}/clean.css HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode()
    with connect(client, asked) as connection:
        assert connection.recv(100_000).startswith(b"HTTP/1.1 200")
        time.sleep(0.5)
        connection.sendall(asked)
        assert connection.recv(100_000)


def test_more_connections_than_a_browser_needs_are_turned_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_connections, "MOST_CONNECTIONS", 3)
    idle = [connect(client, b"") for _ in range(3)]
    time.sleep(0.2)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.ask("api/session")
    for connection in idle:
        connection.close()
    time.sleep(0.2)
    assert client.ask("api/session").status == 200


@pytest.mark.parametrize(
    "more",
    [
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Host: 127.0.0.1\r\nContent-Length: 2\r\n",
    ],
)
def test_a_head_that_contradicts_itself_is_refused(client: Client, more: bytes) -> None:
    with connect(client, begin_mark(client, more) + b"{}") as connection:
        assert connection.recv(100)[:13].endswith(b" 400 "), more


def test_a_target_of_another_host_is_refused(client: Client) -> None:
    here = f"127.0.0.1:{client.port}"
    for host, status in (("evil.example", 403), (here, 200)):
        asked = f"GET http://{host}/{client.token}/ HTTP/1.1\r\nHost: {here}\r\n\r\n"
        with connect(client, asked.encode()) as connection:
            assert connection.recv(100).startswith(b"HTTP/1.1 %d" % status), host
