"""`report.html` and `stats.html` in a real, headless Chromium: they fit a phone, and are read in the dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("jinja2")
pytest.importorskip("torch")

from yoga_live.calibration.runs import Run
from yoga_live.train.photos.stats import measure_folder, write_page
from yoga_live.train.report.measure import measure_report
from yoga_live.train.report.page import write_report
from yoga_live.train.report.pictures import RunPictures

playwright = pytest.importorskip("playwright.sync_api", reason='no playwright: pip install ".[dev]"')
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or name one in $CHROMIUM")
LONG = "utthita_hasta_padangusthasana_with_a_twist"
LABELS = ("chair", LONG, "parivrtta_ardha_chandrasana", "pose_without_an_underscore_at_all".replace("_", ""))
SIZES = [(320, 568), (390, 844), (844, 390), (1440, 900)]
PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def report(write_run: Callable[..., Run], tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        split, pose = ("test", "validation")[number % 2], LABELS[number % len(LABELS)]
        rows.append((f"a_file_with_a_long_name_{number}", pose, split, rng.dirichlet(np.ones(len(LABELS))).tolist()))
    other = [(*row[:3], rng.dirichlet(np.ones(len(LABELS))).tolist()) for row in rows]
    runs = write_run("a_run_with_a_long_name", rows, labels=LABELS), write_run("old", other, labels=LABELS, epochs=9)
    write_report(measure_report(*runs), RunPictures(dict.fromkeys(range(40), PICTURE), {}, 0), tmp_path / "report.html")
    return tmp_path / "report.html"


@pytest.fixture
def stats(tmp_path: Path) -> Path:
    for pose in LABELS:
        (tmp_path / "photos" / pose).mkdir(parents=True)
        for number in range(7):
            picture = np.random.default_rng(number).integers(0, 255, (64, 80, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "photos" / pose / f"a_photo_with_a_long_name_{number}.png")
    (tmp_path / "photos" / "chair" / f"{LONG}{LONG}.jpg").write_text("no picture")
    photos, counted = measure_folder(tmp_path / "photos")
    assert counted.conflicts and counted.broken
    write_page(counted, photos, tmp_path / "stats.html")
    return tmp_path / "stats.html"


@pytest.mark.parametrize("name", ["report", "stats"])
def test_the_page_fits_every_screen(browser: Any, request: pytest.FixtureRequest, name: str) -> None:
    path: Path = request.getfixturevalue(name)
    for width, height in SIZES:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(path.as_uri())
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), (width, height)
        beyond = """() => [...document.querySelectorAll('img, .shot, figcaption, .numbers li, p, h2')]
            .filter((one) => one.getBoundingClientRect().right > innerWidth || one.scrollWidth > one.clientWidth + 1)
            .filter((one) => getComputedStyle(one).textOverflow !== 'ellipsis').map((one) => one.textContent)"""
        assert page.evaluate(beyond) == []
        page.close()


@pytest.mark.parametrize("name", ["report", "stats"])
def test_words_are_read_in_light_and_in_the_dark(browser: Any, request: pytest.FixtureRequest, name: str) -> None:
    """WCAG 2.1, 1.4.3: 4.5 to 1 between words and what they stand on."""
    path: Path = request.getfixturevalue(name)
    grounds = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(path.as_uri())
        pairs = page.evaluate(
            """() => [...document.querySelectorAll('p, h1, h2, th, td, a, b, figcaption, span, small, code, dt')]
            .filter((one) => one.textContent.trim().length > 1 && one.getClientRects().length)
            .map((one) => {
                let ground = one;
                while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
                const colours = [getComputedStyle(one).color, getComputedStyle(ground).backgroundColor];
                return [...colours, one.outerHTML.slice(0, 80)];
            })"""
        )
        assert len(pairs) > 40
        for ink, ground, words in pairs:
            assert contrast(ink, ground) >= 4.5, (scheme, words, ink, ground)
        grounds.append(luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")))
        page.close()
    assert grounds[0] > 0.8 and grounds[1] < 0.05


def contrast(one: str, other: str) -> float:
    """Of two colours as a browser says them, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1) of `rgb(1, 2, 3)`."""
    shares = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
