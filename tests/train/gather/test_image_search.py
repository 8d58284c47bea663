"""Image search against a local stand-in of the engines: the real ddgs asks it, the internet is never asked."""

from __future__ import annotations

import html
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("ddgs")

from ddgs.engines.bing_images import BingImages
from ddgs.engines.duckduckgo_images import DuckduckgoImages

from yoga_live.train.cli.main import main
from yoga_live.train.gather import image_search
from yoga_live.train.gather.image_search import DdgsSearcher, ImageSearch, SearchBlocked, SearchError
from yoga_live.train.gather.url_lists import read_list

PER_PAGE = 35

ITEM = """
<div class="iuscp isv"><div class="imgpt"><a class="iusc" style="height:180px;width:270px" m="{facts}"
 href="/images/search?view=detailV2"><div class="img_cont hoff"><img class="mimg" src="{thumbnail}"
 alt="Image result" /></div></a>
 <div class="img_info hon"><span class="nowrap">1200 x 800 &#183; jpeg</span></div></div>
 <div class="infopt"><ul class="b_dataList"><li><div class="lnkw"><a href="{page}">a.example</a></div></li></ul></div>
 </div>
"""


def draw_bing_page(urls: list[str]) -> str:
    """A page of image results as Bing's /images/async gives it: facts as JSON inside an attribute."""
    items = ""
    for number, url in enumerate(urls):
        thumbnail = f"https://tse1.mm.example/th?id=OIP.{number}"
        page = f"https://a.example/page/{number}?a=1&b=2"
        facts = {"cid": "x", "purl": page, "murl": url, "turl": thumbnail, "md5": "00", "t": 'Down "Dog" & <b>Pose</b>'}
        items += ITEM.format(facts=html.escape(json.dumps(facts)), thumbnail=thumbnail, page=html.escape(page))
    return f'<!DOCTYPE html><html><body><div id="mmComponent_images"><ul>{items}</ul></div></body></html>'


def name_urls(query: str, first: int, count: int = PER_PAGE) -> list[str]:
    word = query.replace(" ", "-")
    return [f"https://photos.example/{word}/{n}.jpg?w=1,200&x=é" for n in range(first, first + count)]


Answer = Callable[[str, int], tuple[int, str]]
"""(query, page) -> status and body."""


@dataclass
class Engine:
    """The stand-in.  asked: (query, page) in order."""

    url: str
    answer: Answer = lambda query, page: (200, draw_bing_page(name_urls(query, PER_PAGE * (page - 1))))
    asked: list[tuple[str, int]] = field(default_factory=list)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            options = parse_qs(parts.query)
            offset = int(options["first"][0]) - 1 if "first" in options else int(options.get("s", ["0"])[0])
            page = offset // (PER_PAGE if "first" in options else 100) + 1
            standin.asked.append((options["q"][0], page))
            status, body = standin.answer(options["q"][0], page)
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            with suppress(BrokenPipeError):  # the client has given up waiting
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    standin = Engine(f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(BingImages, "search_url", f"{standin.url}/images/async")
    monkeypatch.setattr(DuckduckgoImages, "search_url", f"{standin.url}/i.js")
    monkeypatch.setattr(DuckduckgoImages, "_get_vqd", lambda self, query: "4-123")  # else the real site is asked
    monkeypatch.setattr(image_search, "PAUSE_S", 0.0)
    yield standin
    server.shutdown()
    thread.join()
    server.server_close()


def pages(*answers: tuple[int, str]) -> Answer:
    """One answer a page, whatever the query; after the last one empty pages."""
    return lambda query, page: answers[page - 1] if page <= len(answers) else (200, draw_bing_page([]))


def full_page(page: int = 1) -> tuple[int, str]:
    return 200, draw_bing_page(name_urls("q", PER_PAGE * (page - 1)))


def search(*queries: str, most: int = 400, engines: tuple[str, ...] = ("bing",)) -> list[image_search.SearchOutcome]:
    searchers = {name: DdgsSearcher(name) for name in engines}
    return list(ImageSearch(searchers, most, pause_s=0.0).run(list(queries)))


def test_pages_are_read_until_one_is_empty(engine: Engine) -> None:
    engine.answer = pages(full_page(1), full_page(2), full_page(3))
    [outcome] = search("down dog")
    assert list(outcome.urls) == name_urls("q", 0, 3 * PER_PAGE)
    assert (outcome.reason, outcome.pages) == ("", 4)
    assert engine.asked == [("down dog", page) for page in (1, 2, 3, 4)]


def test_it_stops_at_the_most_that_were_wanted(engine: Engine) -> None:
    [outcome] = search("tree", most=PER_PAGE + 5)
    assert list(outcome.urls) == name_urls("tree", 0, PER_PAGE + 5)
    assert len(engine.asked) == 2


def test_an_engine_that_repeats_its_last_page_is_left(engine: Engine) -> None:
    engine.answer = lambda query, page: full_page()
    [outcome] = search("tree")
    assert len(outcome.urls) == PER_PAGE and len(engine.asked) == 2


@pytest.mark.parametrize("status", [403, 429])
def test_a_refusal_on_the_third_page_keeps_the_first_two_and_is_said(engine: Engine, status: int) -> None:
    engine.answer = pages(full_page(1), full_page(2), (status, "<html>Forbidden</html>"))
    [outcome] = search("tree")
    assert len(outcome.urls) == 2 * PER_PAGE
    assert f"bing refuses further searches for now (HTTP {status})" in outcome.reason


def test_a_robot_check_is_told_from_an_empty_page(engine: Engine) -> None:
    engine.answer = pages((200, "<html><body><h1>One last step</h1><div class='captcha'>solve</div></body></html>"))
    with pytest.raises(SearchBlocked, match="robot check"):
        DdgsSearcher("bing").search("tree", 1)
    engine.answer = pages()
    assert DdgsSearcher("bing").search("tree", 1) == []


def test_an_engine_that_refuses_is_not_asked_again(engine: Engine) -> None:
    engine.answer = pages((429, "slow down"))
    first, second = search("tree", "chair")
    assert "HTTP 429" in first.reason and second.reason.startswith("skipped")
    assert engine.asked == [("tree", 1)]


def test_a_server_error_ends_one_query_only(engine: Engine) -> None:
    engine.answer = lambda query, page: (502, "bad gateway") if query == "tree" else full_page()
    first, second = search("tree", "chair", most=10)
    assert (first.reason, first.pages) == ("bing answered HTTP 502", 0)
    assert len(second.urls) == 10 and not second.reason


def test_silence_is_a_time_out_not_an_empty_answer(engine: Engine) -> None:
    def sleep(query: str, page: int) -> tuple[int, str]:
        time.sleep(2)
        return full_page()

    engine.answer = sleep
    with pytest.raises(SearchError, match="did not answer in time"):
        DdgsSearcher("bing", timeout_s=1).search("tree", 1)


def test_a_connection_that_is_refused_is_said(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BingImages, "search_url", "http://127.0.0.1:1/images/async")
    with pytest.raises(SearchError, match="bing could not be reached"):
        DdgsSearcher("bing").search("tree", 1)


def test_a_page_of_another_form_is_said(engine: Engine) -> None:
    engine.answer = lambda query, page: (200, draw_bing_page(["x"]).replace("&quot;murl&quot;:", "murl"))
    with pytest.raises(SearchError, match="changed its form"):
        DdgsSearcher("bing").search("tree", 1)


def test_duckduckgo_is_read_and_its_refusal_too(engine: Engine) -> None:
    facts = {"title": "", "thumbnail": "", "url": "", "height": 1, "width": 1}
    rows = [{**facts, "image": url} for url in name_urls("t", 0)]
    engine.answer = lambda query, page: (200, json.dumps({"results": rows if page == 1 else []}))
    [outcome] = search("tree", engines=("duckduckgo",))
    assert list(outcome.urls) == name_urls("t", 0) and not outcome.reason
    engine.answer = lambda query, page: (202, "<html>anomaly</html>")
    [outcome] = search("tree", engines=("duckduckgo",))
    assert "duckduckgo refuses further searches for now (HTTP 202)" in outcome.reason


class Canned:
    """A searcher without a network."""

    def __init__(self, *answers: list[str] | SearchError) -> None:
        self.answers = list(answers)

    def search(self, query: str, page: int) -> list[str]:
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, SearchError):
            raise answer
        return answer


def test_the_second_engine_fills_up_what_the_first_lacked_without_repeating_it() -> None:
    engines = {"one": Canned(["a", "b"]), "two": Canned(["b", "c", "d"])}
    first, second = ImageSearch(engines, 3, pause_s=0.0).run(["tree"])
    assert (first.urls, second.urls) == (("a", "b"), ("c",))


def test_a_page_known_from_another_query_does_not_end_the_search() -> None:
    canned = Canned(["a", "b"], [], ["a", "b"], ["c"])
    outcomes = list(ImageSearch({"one": canned}, 9, pause_s=0.0).run(["tree", "vrksasana"]))
    assert [outcome.urls for outcome in outcomes] == [("a", "b"), ("c",)]


def test_there_is_a_pause_before_every_request_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(image_search.time, "sleep", pauses.append)
    list(ImageSearch({"one": Canned(["a"], ["b"], [], ["c"])}, 9, pause_s=1.5).run(["tree", "chair"]))
    assert pauses == [1.5] * 4


def collect(lists: Path, *arguments: str) -> int:
    return main(["collect", *arguments, "--pose", "down_dog", "--to", str(lists)])


def test_collect_merges_several_queries_into_one_list(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = tmp_path / "lists"
    arguments = ("down dog", "dog pose", "--max", "40", "--engine", "bing")
    assert collect(lists, *arguments) == 0
    out = capsys.readouterr().out
    assert "40 found by bing: down dog\n" in out and "40 found by bing: dog pose\n" in out
    assert f"{lists / 'down_dog.csv'}: 80 URLs added, 0 already known" in out
    text = (lists / "down_dog.csv").read_bytes()
    urls = list(read_list(lists / "down_dog.csv"))
    assert urls[:40] == name_urls("down-dog", 0, 40) and len(urls) == 80
    assert collect(lists, *arguments) == 0
    assert "0 URLs added, 80 already known" in capsys.readouterr().out
    assert (lists / "down_dog.csv").read_bytes() == text


def test_collect_keeps_what_came_before_a_refusal_and_ends_well(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answer = pages(full_page(), (429, "slow down"))
    assert collect(tmp_path, "down dog", "dog pose", "--engine", "bing") == 0
    out = capsys.readouterr().out
    assert "35 found by bing: down dog (bing refuses further searches" in out
    assert "0 found by bing: dog pose (skipped" in out
    assert len(list(read_list(tmp_path / "down_dog.csv"))) == PER_PAGE


def test_collect_says_what_was_empty_and_writes_no_empty_list(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answer = pages()
    assert collect(tmp_path, "qwxz", "--engine", "bing") == 0
    assert "0 found by bing: qwxz (nothing new; try other words)" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_collect_fails_on_one_line_if_nothing_could_be_searched(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "down_dog.csv").write_text("url\nhttp://a.example/1.jpg\n")
    engine.answer = lambda query, page: (403, "no")
    assert collect(tmp_path, "down dog", "dog pose") == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert "no search succeeded" in line and "HTTP 403" in line
    assert (tmp_path / "down_dog.csv").read_text() == "url\nhttp://a.example/1.jpg\n"
    assert {query for query, _ in engine.asked} == {"down dog"}


def test_results_that_are_no_urls_are_counted_and_left_out(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answer = pages((200, draw_bing_page(["data:image/png;base64,AAAA", "http://a.example/1.jpg"])))
    assert collect(tmp_path, "down dog", "--engine", "bing") == 0
    assert "1 line ignored: not http or https" in capsys.readouterr().out
    assert list(read_list(tmp_path / "down_dog.csv")) == ["http://a.example/1.jpg"]


@pytest.mark.parametrize("arguments", [[], ["tree", "--urls", "found.csv"]])
def test_collect_takes_either_words_or_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert collect(tmp_path, *arguments) == 2
    assert "either words to search for" in capsys.readouterr().err
