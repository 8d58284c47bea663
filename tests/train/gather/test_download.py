"""Downloading against a local server that fails in every way that the web does."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image

from yoga_live.train.clean.cleaner import open_cleaner
from yoga_live.train.cli.main import main
from yoga_live.train.gather.http_fetch import _read_retry_after, make_address
from yoga_live.train.photos.manifest import MANIFEST, read_manifest

from ..photo_bench import (
    Bench,
    Handler,
    PhotoServer,
    answer_status,
    claim_pixels,
    cut_short,
    draw,
    redirect,
    send_bad_gzip,
    send_without_end,
    stall,
    stall_in_the_middle,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    with PhotoServer() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, server: PhotoServer) -> Bench:
    return Bench(tmp_path, server)


def test_a_photo_is_kept_byte_for_byte_under_its_hash_and_true_kind(bench: Bench) -> None:
    photos = {
        "/a.jpg": draw(1),
        "/really_png.jpg": draw(2, "PNG"),
        "/webp": draw(3, "WEBP"),
        "/grey.gif": draw(4, "GIF"),
    }
    bench.server.pages.update(photos)
    bench.list(*photos)
    assert bench.run().outcomes == {("ok", ""): 4}
    rows, files = bench.rows(), bench.files()
    for path, suffix in zip(photos, ("jpg", "png", "webp", "gif"), strict=True):
        row = rows[path]
        assert row.path == f"tree/{row.sha256[:16]}.{suffix}"
        assert files[row.path] == photos[path]
        assert (row.status, row.width, row.height) == ("ok", "96", "64")
        assert len(row.phash) == len(row.mirror_phash) == 16 and row.phash != row.mirror_phash
    assert len(files) == 4
    assert all(agent.startswith("yoga-live/") for agent in bench.server.agents)


@pytest.mark.parametrize(
    ("page", "status", "reason", "requests"),
    [
        (answer_status(404), "refused", "HTTP 404", 1),
        (answer_status(403), "refused", "HTTP 403", 1),
        (answer_status(410), "refused", "HTTP 410", 1),
        (answer_status(500), "failed", "HTTP 500", 3),
        (answer_status(503), "failed", "HTTP 503", 3),
        (answer_status(429, Retry_After="3600"), "failed", "HTTP 429: requests a wait of 3600 s", 1),
        (stall, "failed", "timed out", 2),
        (stall_in_the_middle, "failed", "timed out", 2),
        (cut_short, "failed", "body cut short", 3),
        (send_without_end, "refused", "too large: more than 1,000,000 bytes", 1),
        (bytes(2_000_000), "refused", "too large: 2,000,000 bytes", 1),
        (send_bad_gzip, "refused", "broken content encoding", 1),
        (b"", "refused", "empty", 1),
        (b"<!DOCTYPE html><html>gone</html>", "refused", "not a picture but an HTML page", 1),
        (b"plain words", "refused", "not a picture", 1),
        (draw(5)[:-200], "refused", "damaged: ", 1),
        (draw(6, "TGA"), "refused", "not a photo format: TGA", 1),
        (draw(6, "EPS"), "refused", "not a picture but PostScript", 1),
        (redirect("/again"), "refused", "too many redirects", 6),
        (redirect("ftp://a.example/1.jpg"), "refused", "redirect to an invalid address: not http or https", 1),
        (redirect(""), "refused", "redirect without a target: HTTP 302", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_failure_has_its_true_reason_and_only_some_are_retried(
    bench: Bench, page: bytes | Handler, status: str, reason: str, requests: int
) -> None:
    bench.server.pages.update({"/again": page, "/good": draw(0)})
    bench.list("/again", "/good")
    bench.run(max_bytes=1_000_000, timeout_s=0.5 if reason == "timed out" else 10.0)
    rows = bench.rows()
    assert (rows["/again"].status, rows["/again"].reason[: len(reason)]) == (status, reason)
    assert bench.server.asked["/again"] == requests
    assert rows["/good"].status == "ok"
    assert list(bench.files()) == [rows["/good"].path]


def test_a_server_that_recovers_gives_its_photo(bench: Bench) -> None:
    bench.server.pages["/a"] = answer_status(500, draw(1), after=2)
    bench.list("/a")
    assert bench.run().outcomes == {("ok", ""): 1}
    assert bench.server.asked["/a"] == 3


def test_retry_after_is_honoured_by_the_whole_host(bench: Bench) -> None:
    bench.server.pages.update({"/busy": answer_status(429, draw(0), Retry_After="1"), "/other": draw(1)})
    bench.list("/busy", "/other")
    started_s = time.monotonic()
    assert bench.run(per_host=1).outcomes == {("ok", ""): 2}
    assert time.monotonic() - started_s >= 1.0


@pytest.mark.parametrize(("text", "seconds"), [("7", 7), (" 7 ", 7), ("", 0), ("soon", 0), ("-3", 0), ("²", 0)])
def test_retry_after_in_any_form_is_a_number_of_seconds(text: str, seconds: float) -> None:
    assert _read_retry_after(text) == seconds
    assert _read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert _read_retry_after("Wed, 21 Oct 2099 07:28:00 GMT") > 1e9


def test_a_chain_of_redirects_ends_at_the_photo(bench: Bench) -> None:
    chain = {f"/{i}": redirect(f"/{i + 1}#part") for i in range(5)}
    bench.server.pages.update({**chain, "/5": draw(1)})
    bench.list("/0")
    assert bench.run().outcomes == {("ok", ""): 1}


def test_a_decompression_bomb_is_refused_by_its_pixels(bench: Bench) -> None:
    bench.server.pages.update({"/bomb": claim_pixels(12_000, 11_000), "/worse": claim_pixels(60_000, 60_000)})
    bench.list("/bomb", "/worse")
    bench.run()
    rows = bench.rows()
    assert rows["/bomb"].reason == "too many pixels: 12000 x 11000 pixels, more than 120,000,000"
    assert rows["/worse"].reason.startswith("too many pixels: ")


SPELLINGS = ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0")


def test_private_addresses_are_refused_in_every_spelling_and_never_asked(bench: Bench) -> None:
    bench.server.pages["/a"] = draw(1)
    bench.list(*(f"http://{host}:{bench.server.port}/a" for host in SPELLINGS))
    bench.run(allow_private=False)
    rows = list(read_manifest(bench.photos))
    assert len(rows) == len(SPELLINGS)
    assert {row.kind for row in rows} <= {"private address", "malformed URL"}
    assert sum(row.status == "forbidden" for row in rows) >= 4
    assert not bench.server.asked and not bench.files()


def test_a_redirect_into_the_own_network_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first host counts as public here, the redirect's target, another spelling of this machine, doesn't."""
    from yoga_live.train.gather import ssrf_guard

    true_guard = ssrf_guard.is_public
    monkeypatch.setattr(ssrf_guard, "is_public", lambda address: address == "127.0.0.1" or true_guard(address))
    bench.server.pages.update({"/ok": draw(1), "/in": redirect(f"http://127.0.0.2:{bench.server.port}/ok")})
    bench.server.pages["/name"] = redirect(f"http://[::1]:{bench.server.port}/ok")
    bench.list("/ok", "/in", "/name")
    bench.run(allow_private=False)
    rows = bench.rows()
    assert rows["/ok"].status == "ok"
    assert (rows["/in"].status, rows["/in"].reason) == ("forbidden", "private address: 127.0.0.2")
    assert (rows["/name"].status, rows["/name"].reason) == ("forbidden", "private address: ::1")
    assert bench.server.asked["/ok"] == 1


def test_what_was_forbidden_is_fetched_once_private_addresses_are_allowed(bench: Bench) -> None:
    bench.server.pages["/a"] = draw(1)
    bench.list("/a")
    assert bench.run(allow_private=False).outcomes == {("forbidden", "private address"): 1}
    assert bench.run(allow_private=False).settled_before == 1
    assert bench.run().outcomes == {("ok", ""): 1}


def test_same_content_is_one_file_and_a_row_for_every_url(bench: Bench) -> None:
    bench.server.pages.update({f"/{i}": draw(1) for i in range(5)} | {"/other": draw(2)})
    bench.list(*(f"/{i}" for i in range(5)), "/other")
    bench.list("/3", pose="plank")
    assert bench.run().outcomes == {("ok", ""): 3, ("duplicate", "same content"): 4}
    rows = [row for row in read_manifest(bench.photos) if row.pose == "tree"]
    assert [row.status for row in rows] == ["ok", *["duplicate"] * 4, "ok"]
    assert {row.reason for row in rows[1:5]} == {f"same content: {bench.server.url('/0')}"}
    assert len(bench.files()) == 3  # another pose keeps its own copy: a conflict to be seen


@pytest.mark.parametrize(("total", "per_host", "expected"), [(16, 3, 3), (4, 8, 4)])
def test_requests_at_once_stay_within_both_bounds(bench: Bench, total: int, per_host: int, expected: int) -> None:
    bench.server.latency_s = 0.02
    bench.server.pages.update({f"/{i}": draw(i) for i in range(10)})
    bench.list(*(f"/{i}" for i in range(30)))
    summary = bench.run(total=total, per_host=per_host)
    assert bench.server.most_at_once == expected
    assert summary.outcomes == {("ok", ""): 10, ("refused", "HTTP 404"): 20}


def test_a_second_run_asks_only_for_what_may_still_come(bench: Bench) -> None:
    pages = {"/ok": draw(1), "/copy": draw(1), "/html": b"<html>", "/busy": answer_status(503, draw(2), after=3)}
    bench.server.pages.update(pages)
    bench.list(*pages, "/missing")
    bench.run()
    first = dict(bench.server.asked)
    assert first == {"/ok": 1, "/copy": 1, "/html": 1, "/busy": 3, "/missing": 1}
    summary = bench.run()
    assert dict(bench.server.asked) == {**first, "/busy": 4}
    assert (summary.settled_before, dict(summary.outcomes)) == (4, {("ok", ""): 1})
    before = (bench.photos / MANIFEST).read_bytes()
    assert bench.run().settled_before == 5
    assert (bench.photos / MANIFEST).read_bytes() == before
    assert dict(bench.server.asked) == {**first, "/busy": 4}


def test_a_photo_that_is_gone_from_the_folder_is_fetched_again(bench: Bench) -> None:
    bench.server.pages.update({"/a": draw(1), "/b": draw(2)})
    bench.list("/a", "/b")
    bench.run()
    (bench.photos / bench.rows()["/a"].path).unlink()
    assert bench.run().outcomes == {("ok", ""): 1}
    assert bench.server.asked == {"/a": 2, "/b": 1}
    assert len(bench.files()) == 2


def test_no_server_and_no_such_name_may_pass_another_time(bench: Bench) -> None:
    bench.list("http://127.0.0.1:9/closed", "http://no-such-name.invalid/a")
    bench.run()
    rows = {row.url: row for row in read_manifest(bench.photos)}
    assert rows["http://127.0.0.1:9/closed"].reason == "no connection: Connection refused"
    assert rows["http://no-such-name.invalid/a"].reason == "name not found"
    assert {row.status for row in rows.values()} == {"failed"}


def test_messy_files_end_as_a_photo_or_a_row_with_a_true_reason(bench: Bench) -> None:
    """Drawn here: what real collections hold."""
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(io.BytesIO(draw(9))).save(turned, "JPEG", exif=exif)
    rgba = draw(3, "PNG", mode="RGBA")
    expected = {
        "/truncated.jpg": (draw(1)[:700], "damaged"),
        "/cmyk.jpg": (draw(2, "JPEG", mode="CMYK"), ".jpg"),
        "/alpha.png": (rgba, ".png"),
        "/palette.png": (draw(4, "PNG", mode="P"), ".png"),
        "/grey.jpg": (draw(5, "JPEG", mode="L"), ".jpg"),
        "/drawing.gif": (draw(6, "GIF"), ".gif"),
        "/photo.webp": (draw(7, "WEBP"), ".webp"),
        "/avif.jpg": (draw(8, "AVIF"), ".avif"),
        "/turned.jpg": (turned.getvalue(), ".jpg"),
        "/html.jpg": (b"<html><body>not here</body></html>", "not a picture but an HTML page"),
        "/empty.jpg": (b"", "empty"),
        "/bmp.jpg": (draw(10, "BMP"), ".bmp"),
        "/tiff.jpg": (draw(11, "TIFF"), ".tif"),
    }
    bench.server.pages.update({path: content for path, (content, _) in expected.items()})
    bench.list(*expected)
    bench.run()
    rows = bench.rows()
    assert {path: Path(row.path).suffix or row.kind for path, row in rows.items()} == {
        path: outcome for path, (_, outcome) in expected.items()
    }
    assert (rows["/turned.jpg"].width, rows["/turned.jpg"].height) == ("64", "96")


def test_the_command_prints_outcomes_by_reason(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.server.pages.update({"/a": draw(1), "/busy": answer_status(500)})
    bench.list("/a", "/missing", "/busy", "ftp://a.example/")
    options = ["--allow-private", "--per-host", "2", "--total", "4", "--timeout", "1"]
    assert main(["download", str(bench.lists), "--to", str(bench.photos), *options]) == 0
    out = capsys.readouterr().out
    for line in ("1 ok", "1 refused    HTTP 404", "1 failed     HTTP 500", "1 line ignored: not http or https"):
        assert line in out
    assert "to try 1 failed URL again" in out


def test_collected_lists_are_what_download_reads(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.server.pages["/a"] = draw(1)
    found = bench.lists.parent / "found.txt"
    found.write_text(f"tree/1.jpg\t{bench.server.url('/a')}\nnonsense\n")
    for added in (1, 0):
        assert main(["collect", "--urls", str(found), "--pose", "tree", "--to", str(bench.lists)]) == 0
        out = capsys.readouterr().out
        assert f"{added} URL" in out and "1 line ignored" in out
    assert bench.run().outcomes == {("ok", ""): 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["download", "missing", "--to", "photos"], "missing has no URL list"),
        (["collect", "--urls", "missing.csv", "--pose", "tree", "--to", "lists"], "missing.csv cannot be read"),
        (["collect", "--urls", "missing.csv", "--pose", "../x", "--to", "lists"], "cannot be the name of a pose"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("yoga-train: error: ") and message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [["--per-host", "0"], ["--total", "x"], ["--timeout", "-1"], ["--timeout", "nan"]])
def test_bad_options_are_refused_by_name(capsys: pytest.CaptureFixture[str], option: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["download", "lists", "--to", "photos", *option])
    assert option[0] in capsys.readouterr().err


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_the_result_is_the_same() -> None:
    script = [
        sys.executable,
        str(ROOT / "benchmarks" / "download_kill.py"),
        "--rounds",
        "2",
        "--urls",
        "60",
        "--no-stalls",
    ]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("mark", [("remove",), ("relabel", "plank")])
def test_another_url_of_a_photo_that_was_cleaned_is_asked_once(bench: Bench, mark: tuple[str, ...]) -> None:
    bench.server.pages.update({"/a": draw(0), "/b": draw(0), "/other": draw(1)})
    bench.list("/a")
    bench.list("/other", pose="plank")
    bench.run()
    with open_cleaner(bench.photos) as cleaner:
        cleaner.mark(next(photo for photo in cleaner.photos if photo.pose == "tree"), *mark)
    cleaned = bench.files()
    bench.list("/a", "/b")
    for _ in range(3):
        bench.run()
    assert bench.server.asked["/a"] == bench.server.asked["/b"] == 1
    assert bench.files() == cleaned


def test_another_url_of_a_photo_whose_file_is_gone_brings_it_back(bench: Bench) -> None:
    bench.server.pages.update({"/a": draw(0), "/b": draw(0)})
    bench.list("/a", "/b")
    bench.run()
    [path] = bench.files()
    (bench.photos / path).unlink()
    bench.run()
    assert list(bench.files()) == [path]


AS_IT_IS = "/img/a%2Cb%3Ac/(1)~x,y:z;@&=+$!*'/%7Bk%7d/100%/[a]|?sig=a%2Fb%3D%3d&u=//x.example/%20,+*&e="


@pytest.mark.parametrize("redirected", [False, True])
def test_a_url_is_asked_for_byte_by_byte_as_the_list_has_it(bench: Bench, redirected: bool) -> None:
    """Servers sign the path as it is written; yarl would send `,` for %2C."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.Response(body=draw(0))

    bench.server.pages = {"/from": redirect(AS_IT_IS), "*": answer}
    bench.list("/from" if redirected else AS_IT_IS)
    bench.run()
    assert asked == [AS_IT_IS]
    assert len(bench.files()) == 1


def test_what_can_not_be_sent_is_encoded() -> None:
    assert str(make_address("http://ñ.example:81/ñ{a}^`/<b>?q=ñ#")) == (
        "http://xn--ida.example:81/%C3%B1%7Ba%7D%5E%60/%3Cb%3E?q=%C3%B1"
    )
    assert str(make_address("http://[::1]:81")) == "http://[::1]:81/"
    assert make_address("http://a.example/x/../y").raw_path == "/y"


def test_a_picture_with_an_endless_row_gets_its_row_and_is_not_asked_for_again(bench: Bench) -> None:
    row = b"\0" * (3 * 49_999_999 + 1)
    endless = claim_pixels(49_999_999, 1).replace(zlib.compress(b""), zlib.compress(row, 1))
    bench.server.pages.update({"/endless": endless, "/fine": draw(1)})
    bench.list("/endless", "/fine")
    for _ in range(2):
        bench.run()
        rows = bench.rows()
        assert rows["/fine"].status == "ok" and rows["/endless"].status == "refused"
        assert rows["/endless"].reason.startswith("too long a side: 49999999 x 1 pixels")
    assert bench.server.asked["/endless"] == 1


def test_a_picture_of_one_colour_is_a_photo_of_none_alone(bench: Bench) -> None:
    content = io.BytesIO()
    Image.new("RGB", (80, 60), (9, 9, 9)).save(content, "PNG")
    bench.server.pages["/plain"] = content.getvalue()
    bench.list("/plain")
    bench.list("/plain", pose="none")
    bench.run()
    rows = {row.pose: row for row in read_manifest(bench.photos)}
    assert rows["tree"].reason == "of one colour: #090909 everywhere, it shows nobody"
    assert (rows["tree"].status, rows["none"].status) == ("refused", "ok")
