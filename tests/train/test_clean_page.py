"""The cleaning page in a real, headless Chromium: every mark by key and by click, and nothing is lost on the way."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

playwright = pytest.importorskip("playwright.sync_api", reason='no playwright: pip install ".[dev]"')
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or name one in $CHROMIUM")
WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


class Cleaning:
    """The command and its page in the browser; what the browser complains of fails the test."""

    def __init__(self, browser, messy) -> None:
        self.browser, self.messy = browser, messy
        self.complaints: list[str] = []
        self.page = self.open_page()

    def open_page(self, viewport: dict[str, int] = WIDE):
        command = [
            sys.executable,
            "-m",
            "yoga_live.train",
            "clean",
            str(self.messy.photos),
            str(self.messy.run),
            "--no-browser",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        address = next(found.group() for line in self.process.stdout or () if (found := re.search(r"http://\S+", line)))
        page = self.browser.new_page(viewport=viewport)
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda words: self.complaints.append(words.text) if words.type == "error" else None)
        page.on(
            "request",
            lambda asked: self.complaints.append(asked.url) if not asked.url.startswith((address, "data:")) else None,
        )
        page.goto(address)
        page.locator("#grid button.here").wait_for()
        return page

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def path(self) -> str:
        """The photo in focus."""
        return self.page.locator("#path").inner_text()

    def press(self, *keys: str) -> None:
        """Press keys as fast as it goes, then wait until everything is answered."""
        for key in keys:
            self.page.keyboard.press(key)
        self.page.evaluate("queue")

    def click(self, name: str) -> None:
        """Press a button by the name that a screen reader says."""
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.evaluate("queue")

    def choose(self, **filters: str) -> None:
        for name, value in filters.items():
            self.page.get_by_label(name, exact=True).select_option(value)
        self.page.evaluate("queue")

    def marks(self) -> list[str]:
        return self.page.locator("#grid button.done > span").all_inner_texts()

    def progress(self) -> str:
        return self.page.locator("#progress").inner_text()


@pytest.fixture
def cleaning(browser, messy) -> Iterator[Cleaning]:
    opened = Cleaning(browser, messy)
    yield opened
    opened.page.close()
    opened.process.terminate()
    opened.process.communicate(timeout=10)
    assert not opened.complaints


def test_one_key_each_keeps_removes_relabels_and_goes_on(cleaning: Cleaning, in_folder) -> None:
    photos, (first, second, third, fourth, _) = cleaning.messy.photos, cleaning.messy.wrong
    assert cleaning.path() == first[0] and "0 of 5 likely wrong ones done" in cleaning.progress()
    cleaning.press("k")
    assert cleaning.path() == second[0]
    cleaning.press("s")
    assert cleaning.path() == third[0]
    cleaning.press("x", "4")  # faster than the answers come: the second key means the next photo
    assert cleaning.marks() == ["kept", "→ tree", "removed", "kept"]
    assert "4 of 5 likely wrong ones done, 1 left" in cleaning.progress()
    files = in_folder(photos)
    assert f"_removed/{third[0]}" in files and second[0] not in files and {first[0], fourth[0]} <= files
    assert len({path for path in files if path.startswith("tree/")}) == 17


def test_undo_takes_back_one_after_the_other_and_goes_there(cleaning: Cleaning, in_folder) -> None:
    before = in_folder(cleaning.messy.photos)
    cleaning.press("x", "s", "k", "1")
    assert len(cleaning.marks()) == 4 and in_folder(cleaning.messy.photos) != before
    cleaning.press("u")
    assert cleaning.path() == cleaning.messy.wrong[3][0] and len(cleaning.marks()) == 3
    cleaning.press("u", "u")
    cleaning.click("undo")
    assert cleaning.path() == cleaning.messy.wrong[0][0] and cleaning.marks() == []
    assert in_folder(cleaning.messy.photos) == before and cleaning.page.locator("#undo").is_disabled()


def test_everything_works_by_click_too(cleaning: Cleaning) -> None:
    page, wrong = cleaning.page, cleaning.messy.wrong
    cleaning.click("keep: tree")
    cleaning.click("it is tree")
    cleaning.click("remove")
    page.keyboard.press("Space")  # the clicked button has let go of the focus: Space keeps, it does not remove again
    page.evaluate("queue")
    assert cleaning.marks() == ["kept", "→ tree", "removed", "kept"]
    page.locator("#poses").get_by_role("button", name="down_dog", exact=True).click()
    page.evaluate("queue")
    assert cleaning.marks()[-1] == "→ down_dog"
    page.locator("#grid button").nth(2).click()
    page.evaluate("queue")
    assert cleaning.path() == f"_removed/{wrong[2][0]}" and page.locator("#remove").is_disabled()
    cleaning.click("put back: down_dog")
    assert (cleaning.messy.photos / wrong[2][0]).exists()


def test_a_pose_is_found_by_typing(cleaning: Cleaning) -> None:
    cleaning.press("r")
    cleaning.page.keyboard.type("dog")
    assert cleaning.page.locator("#found button").all_inner_texts() == ["down_dog"]
    cleaning.press("Enter")
    assert cleaning.marks() == ["→ down_dog"]
    cleaning.press("r")
    cleaning.page.keyboard.press("Escape")
    cleaning.page.locator("#picker").wait_for(state="hidden")
    assert cleaning.marks() == ["→ down_dog"]


def test_filters_and_views_combine_and_a_reload_comes_back_to_them(cleaning: Cleaning) -> None:
    page = cleaning.page
    cleaning.press("x")
    cleaning.choose(pose="tree", split="train")
    total = page.locator("#where").inner_text()
    assert re.fullmatch(r"1–\d+ of \d+", total) and cleaning.marks() == ["removed"]
    page.reload()
    page.locator("#grid button.here").wait_for()
    assert page.locator("#where").inner_text() == total and page.locator("#pose").input_value() == "tree"
    assert cleaning.marks() == ["removed"] and cleaning.path() == cleaning.messy.wrong[4][0]
    cleaning.click("removed 1")
    assert page.locator("#grid button").count() == 1 and "put back" in page.locator("#keep").inner_text()
    cleaning.choose(pose="none")
    assert "No photo fits these filters" in page.locator("#empty").inner_text() and page.locator("#focus").is_hidden()
    cleaning.choose(pose="", split="")
    cleaning.press("k")
    assert "Nothing was removed" in page.locator("#empty").inner_text()
    cleaning.click("all 64")
    assert page.locator("#where").inner_text() == "1–60 of 64"
    cleaning.click("next page")
    assert page.locator("#where").inner_text() == "61–64 of 64"
    cleaning.press("ArrowLeft", "ArrowRight", "ArrowRight")
    assert page.locator("#where").inner_text() == "61–64 of 64"
    cleaning.click("conflicts 0")
    assert "No picture lies under several poses" in page.locator("#empty").inner_text()


def test_boxes_are_drawn_around_several_people(browser, messy) -> None:
    pytest.importorskip("onnxruntime")
    two = np.hstack([draw_figure(POSES["goddess"], (200, 300)), draw_figure(POSES["tree"], (200, 300))])
    assert cv2.imwrite(str(messy.photos / "tree" / "two.png"), two)
    for number, figure in enumerate(("tree", "goddess", "standing") * 12):
        frame = draw_figure(POSES[figure], (300 + number, 240))
        assert cv2.imwrite(str(messy.photos / "tree" / f"more{number}.png"), frame)
    opened = Cleaning(browser, messy)
    try:
        page = opened.page
        view = page.get_by_role("button", name=re.compile(r"nobody, several \d+"))
        view.wait_for()
        view.click()
        page.evaluate("queue")
        page.locator('#grid button[title="tree/two.png"]').click()
        page.evaluate("queue")
        page.locator("#boxes rect").nth(1).wait_for()
        assert page.locator("#people").inner_text() == "2 people" and page.locator("#boxes rect").count() == 2
        picture, boxes = (page.locator(name).bounding_box() for name in ("#picture", "#boxes rect >> nth=0"))
        assert picture and boxes and picture["x"] <= boxes["x"] and boxes["width"] < picture["width"] / 2
        assert not opened.complaints
    finally:
        opened.page.close()
        opened.process.terminate()
        opened.process.communicate()


def test_it_opens_on_all_photos_where_no_label_looks_wrong(cleaning: Cleaning) -> None:
    assert cleaning.page.locator("#views button[aria-pressed=true]").inner_text().startswith("likely wrong")
    for path, _ in cleaning.messy.wrong:
        assert cleaning.path() == path
        cleaning.press("k")
    cleaning.page.goto(cleaning.page.url.partition("#")[0] + "?again")
    cleaning.page.locator("#grid button.here").wait_for()
    assert cleaning.page.locator("#views button[aria-pressed=true]").inner_text().startswith("all")
    assert "No likely wrong label is left to check." in cleaning.page.locator("#note").inner_text()


def test_a_killed_server_says_so_and_the_next_one_goes_on_there(cleaning: Cleaning) -> None:
    cleaning.press("x", "s", "k")
    cleaning.kill()
    cleaning.press("x")
    assert "every mark up to here is saved" in cleaning.page.locator("#trouble").inner_text()
    cleaning.complaints.clear()  # the browser's own word for a server that is gone
    cleaning.page.close()
    cleaning.page = cleaning.open_page()
    assert cleaning.marks() == ["removed", "→ tree", "kept"]
    assert cleaning.path() == cleaning.messy.wrong[3][0]
    cleaning.press("u", "u", "u")
    assert cleaning.marks() == [] and (cleaning.messy.photos / cleaning.messy.wrong[0][0]).exists()


def test_a_phone_shows_it_without_scrolling_sideways_and_by_keyboard_every_button_is_reached(
    cleaning: Cleaning,
) -> None:
    page = cleaning.page
    page.set_viewport_size(NARROW)
    page.evaluate("""() => { for (const list of document.querySelectorAll("select")) {
        list.append(new Option("utthita_hasta_padangusthasana_with_a_twist"));
    } }""")
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name in ("keep", "suggest", "remove", "undo"):
        box = page.locator(f"#{name}").bounding_box()
        assert box and box["height"] >= 44 and box["x"] + box["width"] <= NARROW["width"]
    page.locator("#remove").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    cleaning.press("Enter")  # presses the button that has the focus, and not "keep"
    assert cleaning.marks() == ["removed"]
    assert page.locator("#picture").get_attribute("alt") == "photo labelled warrior_2"
    assert all(
        page.locator("button").evaluate_all(
            "all => all.map((one) => (one.ariaLabel || one.innerText).trim() !== '' || !one.offsetParent)"
        )
    )
