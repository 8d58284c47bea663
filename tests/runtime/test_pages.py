"""The live page and the page to try the model, in a real, headless Chromium with its stand-in for a camera."""

from __future__ import annotations

import base64
import io
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.serve import state as page_state
from yoga_live.runtime.serve.address import ServeAddress
from yoga_live.runtime.serve.page import LivePage, open_page

from .conftest import paint_photo

playwright = pytest.importorskip("playwright.sync_api", reason='no playwright: pip install ".[dev]"')
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or name one in $CHROMIUM")
PHONE, ON_ITS_SIDE, DESK = ({"width": w, "height": h} for w, h in ((390, 844), (844, 390), (1400, 900)))
BLUE = (255, 0, 0)  # BGR: the colour model's tree
GONE = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--use-fake-device-for-media-stream"]
        arguments += ["--use-fake-ui-for-media-stream", "--host-resolver-rules=MAP *.test 127.0.0.1"]
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


def wait_until(test: Callable[[], bool], within_s: float = 10) -> None:
    until_s = time.monotonic() + within_s
    while not test():
        assert time.monotonic() < until_s
        time.sleep(0.03)


class Show:
    """A page that is served, and the browser's view of it; what the browser complains of fails the test."""

    def __init__(self, browser: Any, classifier: PoseClassifier) -> None:
        self.browser, self.classifier, self.opened = browser, classifier, ExitStack()
        self.complaints: list[str] = []
        self.served = self.serve()

    def serve(self, port: int = 0, host: str = "127.0.0.1", goals_s: dict[str, float] | None = None) -> LivePage:
        page = self.opened.enter_context(open_page(ServeAddress(host, port), self.classifier, goals_s or {}))
        assert page is not None
        page.board.source = "studio"
        return page

    def stop(self) -> None:
        self.opened.close()

    def open(self, path: str = "", viewport: dict[str, int] = DESK, address: str = "", **more: Any) -> Any:
        address = address or self.served.addresses[0]
        page = self.browser.new_context(viewport=viewport, **more).new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda words: self.complaints.append(words.text) if words.type == "error" else None)
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((address, "data:", "blob:")) else self.complaints.append(asked.url)
            ),
        )
        page.goto(address + path)
        return page

    def tell(self, pose: str, start_s: float, end_s: float, confidence: float = 0.94) -> None:
        for time_s in (start_s, end_s):
            self.served.board.show(TimedFrame(np.full((90, 160, 3), BLUE, np.uint8), time_s, 0))
            self.served.publish(time_s, Hold(pose, confidence, time_s - start_s))


@pytest.fixture
def show(browser: Any, classifier: PoseClassifier, monkeypatch: pytest.MonkeyPatch) -> Iterator[Show]:
    monkeypatch.setattr(page_state, "SILENT_S", 60.0)  # a test shows a picture once, and a machine may be busy
    opened = Show(browser, classifier)
    yield opened
    for context in browser.contexts:
        context.close()
    opened.stop()
    assert not [words for words in opened.complaints if not any(gone in words for gone in GONE)]


def text(page: Any, name: str) -> str:
    return page.locator(f"#{name}").inner_text()


def state(page: Any) -> str:
    return page.locator("body").get_attribute("data-state")


def colour_at(page: Any, name: str, x: float, y: float) -> list[int]:
    """The colour of a canvas's pixel, RGB; x and y: shares of its sides."""
    script = """([name, x, y]) => {
        const canvas = document.getElementById(name);
        return [...canvas.getContext("2d").getImageData(canvas.width * x, canvas.height * y, 1, 1).data].slice(0, 3);
    }"""
    return page.evaluate(script, [name, x, y])


def test_pose_hold_confidence_and_picture_are_shown_and_the_timeline_grows(show: Show) -> None:
    page = show.open()
    wait_until(lambda: state(page) == "waiting")
    show.tell("none", 0, 9)
    wait_until(lambda: text(page, "pose") == "no pose")
    assert text(page, "clock") == "" and page.locator("#fill").is_hidden() and "No pose" in text(page, "nothing")
    show.tell("tree", 10, 75)
    wait_until(lambda: text(page, "clock") == "1:05")
    assert (text(page, "pose"), text(page, "second"), text(page, "sure")) == ("Tree", "Vṛkṣāsana", "94% sure")
    assert text(page, "source") == "studio" and text(page, "state") == "live"
    wait_until(lambda: colour_at(page, "picture", 0.5, 0.5) == pytest.approx([0, 0, 255], abs=4))
    assert page.locator("#picture").evaluate("canvas => [canvas.width, canvas.height]") == [160, 90]
    show.tell("none", 76, 80)
    wait_until(lambda: text(page, "second") == "after Tree, 1:06")
    show.tell("warrior_2", 80, 100)
    wait_until(lambda: text(page, "clock") == "0:20")
    show.tell("tree", 101, 120)
    wait_until(lambda: page.locator("#list li").count() == 3)
    assert page.locator("#list li").first.inner_text().split() == ["Tree", "0:19", "at", "1:41"]
    totals = [" ".join(row.split()) for row in page.locator("#totals li").all_inner_texts()]
    assert totals == ["Tree 1:25 2 times, longest 1:06", "Warrior 2 21.0 s once"]
    assert colour_at(page, "strip", 0.3, 0.3) == [0x00, 0x72, 0xB2] == colour_at(page, "strip", 0.95, 0.3)
    assert colour_at(page, "strip", 0.75, 0.3) == [0xE6, 0x9F, 0x00]
    late = show.open(viewport=PHONE)  # who comes late sees all of it, in the same colours
    wait_until(lambda: late.locator("#list li").count() == 3)
    assert colour_at(late, "strip", 0.75, 0.3) == [0xE6, 0x9F, 0x00]


def test_a_goal_counts_down_and_is_reached(show: Show) -> None:
    show.stop()
    show.served = show.serve(goals_s={"tree": 30.0})
    page = show.open()
    show.tell("tree", 1, 18.4)
    wait_until(lambda: text(page, "clock") == "−0:13")
    assert text(page, "sure") == "goal 0:30, 94% sure"
    assert page.locator("#fill").evaluate("bar => bar.style.width") == "58%"
    show.tell("tree", 1, 35)
    wait_until(lambda: text(page, "clock") == "✓ 0:34")
    assert "reached" in page.locator("body").get_attribute("class")


def test_a_stream_that_stops_is_said_and_the_page_goes_on_by_itself_after_a_restart(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = show.open()
    show.tell("tree", 1, 9)
    wait_until(lambda: text(page, "pose") == "Tree")
    monkeypatch.setattr(page_state, "SILENT_S", 0.5)
    wait_until(lambda: state(page) == "silent")
    assert text(page, "pose") == "no picture" and "No picture for" in text(page, "notice")
    monkeypatch.setattr(page_state, "SILENT_S", 60.0)
    show.tell("tree", 1, 12)
    wait_until(lambda: text(page, "pose") == "Tree" and not text(page, "notice"))
    show.served.board.end()
    wait_until(lambda: state(page) == "ended")
    assert text(page, "state") == "finished" and page.locator("#list li").count() == 1
    assert (text(page, "pose"), text(page, "second")) == ("", "0:11, in poses 0:11") and not text(page, "notice")
    assert page.locator("#second").evaluate("one => parseFloat(getComputedStyle(one).fontSize)") < 20
    port = show.served.server.server_port
    show.stop()
    wait_until(lambda: state(page) == "closed")
    assert "was stopped" in text(page, "notice") and page.locator("#list li").count() == 1
    assert text(page, "pose") == "" and "in poses 0:11" in text(page, "second")  # the class had ended before
    show.served = show.serve(port)
    show.tell("warrior_2", 0, 3)
    wait_until(lambda: text(page, "pose") == "Warrior 2")
    assert not text(page, "notice") and page.locator("#list li").count() == 1
    wait_until(lambda: colour_at(page, "picture", 0.5, 0.5) == pytest.approx([0, 0, 255], abs=4))


def test_a_server_that_is_killed_is_said_too(show: Show) -> None:
    page = show.open()
    show.tell("tree", 1, 9)
    wait_until(lambda: text(page, "pose") == "Tree")
    server = show.served.server
    server.board.describe = lambda past_from=0: {}[None]  # type: ignore[index, method-assign]  # every stream breaks off
    server.handle_error = lambda request, address: None  # type: ignore[method-assign]
    wait_until(lambda: state(page) == "lost")
    assert text(page, "pose") == "no connection" and "stopped" in text(page, "notice")
    del server.board.describe
    wait_until(lambda: text(page, "pose") == "Tree")


def test_one_screen_too_many_is_told_so_and_comes_in_later(show: Show) -> None:
    show.tell("tree", 1, 9)
    places = show.served.server.viewers
    while places.acquire(blocking=False):
        pass
    page = show.open()
    wait_until(lambda: state(page) == "full")
    assert "12 screens are watching already" in text(page, "notice") and text(page, "pose") == "full"
    places.release()
    wait_until(lambda: text(page, "pose") == "Tree")


@pytest.mark.parametrize(
    "viewport",
    [PHONE, ON_ITS_SIDE, {"width": 667, "height": 331}, {"width": 320, "height": 568}, DESK],
    ids=lambda v: v["width"],
)
def test_the_page_fits_every_screen_and_is_read_from_afar(show: Show, viewport: dict[str, int]) -> None:
    page = show.open(viewport=viewport)
    for pose in ("tree", "extended_hand_to_big_toe_pose"):
        show.tell(pose, 1, 600)
        wait_until(lambda: text(page, "clock") == "9:59")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for name in ("pose", "clock"):
            element = page.locator(f"#{name}")
            assert element.evaluate("one => one.scrollWidth <= one.clientWidth + 1"), (name, pose)
        box = page.locator("#clock").bounding_box()
        assert box and box["y"] + box["height"] <= viewport["height"]
        assert float(page.locator("#clock").evaluate("one => parseFloat(getComputedStyle(one).fontSize)")) >= 80
        show.tell("none", 600, 601)
        wait_until(lambda: text(page, "pose") == "no pose")
    box = page.locator("#strip").bounding_box()
    assert box and (viewport["width"] < viewport["height"] or box["y"] + box["height"] <= viewport["height"])
    for button in page.locator("button:visible, nav a").all():
        box = button.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= viewport["width"]


@pytest.mark.parametrize("viewport", [ON_ITS_SIDE, {"width": 667, "height": 331}], ids=lambda v: v["width"])
def test_a_phone_on_its_side_shows_the_whole_strip_whatever_is_missing(
    show: Show, viewport: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = show.open(viewport=viewport)
    show.tell("extended_hand_to_big_toe_pose", 1, 600)

    def see_strip() -> bool:
        box = page.locator("#strip").bounding_box()
        return page.evaluate("scrollY") == 0 and box["y"] + box["height"] <= viewport["height"]

    wait_until(lambda: state(page) == "watching" and see_strip())
    monkeypatch.setattr(page_state, "SILENT_S", 0.2)
    wait_until(lambda: state(page) == "silent" and see_strip())
    show.served.board.end()
    wait_until(lambda: state(page) == "ended" and see_strip())


def test_nothing_is_said_twice(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    page = show.open()

    def count(words: str) -> int:
        return page.locator("body").inner_text().lower().count(words)

    wait_until(lambda: state(page) == "waiting")
    assert count("waiting") == 1
    show.tell("tree", 10, 75)
    wait_until(lambda: text(page, "clock") == "1:05")
    assert count("sure”") == 1 and page.locator("#sums").is_hidden() and page.locator("#list li").count() == 1
    monkeypatch.setattr(page_state, "SILENT_S", 0.2)
    wait_until(lambda: state(page) == "silent")
    assert text(page, "state") == "" and text(page, "pose") == "no picture"
    show.served.board.end()
    wait_until(lambda: state(page) == "ended")
    assert count("finished") == 1 and count("ended") == 0


def test_a_pose_that_is_only_kept_is_quiet_and_says_no_confidence(show: Show) -> None:
    page = show.open()
    show.tell("tree", 1, 9)
    wait_until(lambda: text(page, "sure") == "94% sure")
    show.served.publish(9.6, Hold("tree", 0.94, 8.0, leads=False))
    wait_until(lambda: text(page, "sure") == "")
    assert text(page, "pose") == "Tree" and text(page, "clock") == "0:08" and page.locator("#fill").is_hidden()
    assert "resting" in page.locator("body").get_attribute("class")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(show: Show) -> None:
    for path, expected in (("", ["awake", "full", "try it"]), ("try", ["back to the live picture", "file", "camera"])):
        page = show.open(path)
        page.wait_for_load_state()
        seen = []
        for _ in expected:
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert seen == expected
    page.locator("#file").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    outlines = "names => names.map((name) => getComputedStyle(document.querySelector(name)).outlineStyle)"
    assert page.evaluate(outlines, ["label.button", "#camera"]) == ["solid", "none"]


def test_a_hidden_page_asks_for_no_picture(show: Show) -> None:
    page = show.open()
    show.tell("tree", 1, 2)
    wait_until(lambda: show.served.board.encoded == 1)
    hide = "Object.defineProperty(document, 'hidden', { value: true, configurable: true })"
    page.evaluate(hide)
    show.tell("tree", 1, 3)  # the request that waits already is answered
    time.sleep(0.6)
    before = show.served.board.encoded
    for second in range(4, 8):
        show.tell("tree", 1, second)
        time.sleep(0.05)
    assert show.served.board.encoded == before


def make_photo(colour: tuple[int, int, int], kind: str = "PNG") -> bytes:
    """A plain picture; colour: RGB."""
    buffer = io.BytesIO()
    paint_photo(colour, (160, 120)).save(buffer, kind)
    return buffer.getvalue()


def choose(page: Any, content: bytes, name: str = "photo.png") -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})


def test_a_photo_is_answered_with_bars_and_a_bad_one_with_its_line(show: Show) -> None:
    page = show.open("try")
    choose(page, make_photo((0, 0, 255)))
    wait_until(lambda: text(page, "pose") == "Tree")
    assert text(page, "second") == "Vṛkṣāsana" and page.locator("#bars .chosen").inner_text().endswith("%")
    rows = [row.split("\n")[0] for row in page.locator("#bars li").all_inner_texts()]
    assert rows[0] == "Tree" and set(rows) == {"Tree", "Warrior 2", "no pose"}
    assert float(page.locator("#bars li.chosen > div > div").evaluate("bar => parseFloat(bar.style.width)")) > 90
    assert page.locator("#photo").is_visible() and "A pose is named from" in text(page, "threshold")
    choose(page, make_photo((255, 0, 0)))
    wait_until(lambda: text(page, "pose") == "no pose")
    choose(page, b"buy a mat", "notes.png")
    wait_until(lambda: text(page, "trouble") == "the file is not a picture")
    assert page.locator("#pose").is_hidden() and page.locator("#photo").is_hidden()
    choose(page, make_photo((0, 255, 0), "TIFF"), "photo.tiff")  # no browser of this kind shows it, the model sees it
    wait_until(lambda: text(page, "pose") == "Warrior 2")
    assert "can't show" in text(page, "invitation") and page.locator("#trouble").is_hidden()
    show.complaints[:] = [words for words in show.complaints if "422" not in words]


def test_a_server_without_a_free_place_is_said_to_be(show: Show) -> None:
    page = show.open("try")
    wait_until(lambda: bool(text(page, "threshold")))
    page.route("**/api/classify", lambda route: route.fulfill(status=503, body=""))
    choose(page, make_photo((0, 0, 255)))
    wait_until(lambda: text(page, "trouble") == "Too many are here at this moment; try again.")
    show.complaints[:] = [words for words in show.complaints if "503" not in words]


def test_a_photo_that_is_too_large_is_refused_before_it_is_sent(show: Show) -> None:
    show.served.server.trial.most_bytes = 1_000_000
    page = show.open("try")
    wait_until(lambda: bool(text(page, "threshold")))
    choose(page, b"\xff\xd8" * 1_500_000)
    wait_until(lambda: "3 MB, more than 1" in text(page, "trouble"))


def test_a_photo_can_be_dropped_anywhere(show: Show) -> None:
    page = show.open("try")
    script = """(content) => {
        const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "photo.png", { type: "image/png" }));
        for (const name of ["dragenter", "dragover", "drop"]) {
            document.body.dispatchEvent(new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
        }
    }"""
    page.evaluate(script, base64.b64encode(make_photo((0, 0, 255))).decode())
    wait_until(lambda: text(page, "pose") == "Tree")
    assert "dropping" not in page.locator("body").get_attribute("class")


def test_the_browsers_camera_is_answered_frame_by_frame_one_at_a_time(show: Show) -> None:
    page = show.open("try", permissions=["camera"])
    asked: list[int] = []
    page.on("request", lambda request: asked.append(1) if "classify" in request.url else None)
    page.on("response", lambda answer: asked.append(-1) if "classify" in answer.url else None)
    page.get_by_role("button", name="use this camera").click()
    wait_until(lambda: text(page, "pose") == "Warrior 2")  # Chromium's stand-in is green
    page.wait_for_timeout(800)
    most = max(sum(asked[: end + 1]) for end in range(len(asked)))
    assert len(asked) >= 6 and most == 1 and page.locator("#video").is_visible()
    page.get_by_role("button", name="stop the camera").click()
    page.wait_for_timeout(400)
    before = len(asked)
    page.wait_for_timeout(400)
    assert len(asked) == before and page.locator("#video").is_hidden()
    choose(page, make_photo((0, 0, 255)))
    wait_until(lambda: text(page, "pose") == "Tree")


def test_over_plain_http_from_elsewhere_it_says_why_there_is_no_camera(show: Show) -> None:
    public = show.serve(host="0.0.0.0")
    token, port = public.server.guard.token, public.server.server_port
    host = f"{socket.gethostname().partition('.')[0].lower()}.test"  # resolved to 127.0.0.1 by the browser alone
    page = show.open("try", address=f"http://{host}:{port}/{token}/")
    assert not page.evaluate("isSecureContext")
    page.get_by_role("button", name="use this camera").click()
    wait_until(lambda: f"plain HTTP from {host}:{port}" in text(page, "trouble"))
    choose(page, make_photo((0, 0, 255)))
    wait_until(lambda: text(page, "pose") == "Tree")
    page.get_by_role("link", name="back to the live picture").click()
    page.get_by_role("button", name="screen on").click()
    wait_until(lambda: "only over HTTPS" in text(page, "notice"))
