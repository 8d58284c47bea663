"""`yoga-train report`, whole, and its page in a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from yoga_live.calibration.runs import load_run
from yoga_live.train import open_run
from yoga_live.train.cli.main import main, parse_args
from yoga_live.train.fit.network import load_network
from yoga_live.train.report.measure import measure_report
from yoga_live.train.report.page import write_report
from yoga_live.train.report.pictures import make_pictures

if TYPE_CHECKING:
    from playwright.sync_api import Page

PARTS = ("network", "landmarks", "together")


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run, tmp_path / "runs" / "first"))


@pytest.fixture(scope="module")
def reported(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the tiny run, beside a copy that answered otherwise."""
    folder = tmp_path_factory.mktemp("reported")
    shutil.copytree(trained_run, folder / "earlier")
    answers = folder / "earlier" / "predictions.csv"
    header, *rows = answers.read_text().splitlines()
    backwards = [",".join([row.split(",")[0], *row.split(",")[:0:-1]]) for row in rows]
    answers.write_text("\n".join([header, *backwards]) + "\n")
    run = load_run(trained_run)
    report = measure_report(run, load_run(folder / "earlier"), top=5)
    network = load_network(trained_run / "weights.safetensors", len(run.labels))
    pictures = make_pictures(run, network, report.list_pictured(), report.list_mapped())
    write_report(report, pictures, folder / "report.html")
    return folder / "report.html"


def test_report_writes_its_page_and_says_the_headline(ask, run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    answer = ask(main, "report", run)
    assert answer.code == 0, answer.err
    page = run / "report" / "report.html"
    assert "test accuracy" in answer.out and "95 % interval" in answer.out and "likely label errors" in answer.out
    assert answer.out.splitlines()[-1].startswith(f"page: {page} (")
    assert page.stat().st_size > 50_000
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path != page}
    assert after == before  # nothing else was touched, nothing half-written is left


def test_report_tells_network_key_points_and_both_together(ask, run: Path) -> None:
    summary = json.loads((run / "run.json").read_text())
    shares = {name: {"accuracy": share, "photos": 8} for name, share in zip(PARTS, (0.75, 0.5, 0.875), strict=True)}
    (run / "run.json").write_text(json.dumps({**summary, "second_opinion": {"used": True, **shares}}))
    line = "second opinion: 8 test photos, the network alone 75.0%, key points alone 50.0%, together 87.5%"
    answer = ask(main, "report", run)
    assert answer.code == 0 and line in answer.out.splitlines(), answer.err
    assert line in (run / "report" / "report.html").read_text()
    assert open_run(run).second_opinion == line and line in open_run(run)._repr_html_()
    (run / "run.json").write_text(json.dumps({**summary, "second_opinion": {"used": True, "together": 3}}))
    assert "second opinion cannot be read" in ask(main, "report", run).refusal()


def test_report_replaces_its_own_page(ask, run: Path) -> None:
    page = run / "report" / "report.html"
    page.write_text("old")
    assert ask(main, "report", run, "--top", 0).code == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_against_prints_a_table_of_both(ask, run: Path, trained_run: Path) -> None:
    answer = ask(main, "report", run, "--against", trained_run)
    assert answer.code == 0, answer.err
    [heading] = [line for line in answer.out.splitlines() if line.startswith("accuracy ")]
    assert heading.split()[-2:] == ["first", "tiny"]
    assert "shared test photos" in answer.out and "0 photos now right, 0 now wrong" in answer.out


def test_photos_that_are_gone_are_said_and_no_crash(ask, run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = ask(main, "report", run, "--photos", tmp_path / "empty")
    assert answer.code == 0, answer.err
    assert "of the page not found" in answer.out


def test_what_can_t_be_reported_is_refused_on_one_line(ask, run: Path, tmp_path: Path) -> None:
    assert "is not a finished run" in ask(main, "report", tmp_path / "nowhere").refusal()
    assert "is the run itself" in ask(main, "report", run, "--against", run).refusal()
    assert "is not a folder" in ask(main, "report", run, "--photos", tmp_path / "nowhere").refusal()
    (run / "predictions.csv").unlink()
    assert "predictions.csv is missing" in ask(main, "report", run).refusal()
    (run / "weights.safetensors").unlink()
    assert "weights.safetensors is missing" in ask(main, "report", run).refusal()


@pytest.mark.parametrize("top", ["-1", "501", "x", "²"])
def test_a_number_of_pictures_that_is_none_is_refused(top: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_args(["report", "runs/first", "--top", top])
    assert "is not a number of photos" in capsys.readouterr().err


@pytest.fixture(scope="module")
def browser_page(reported: Path) -> Iterator[tuple[Page, list[str]]]:
    """The page in Chromium, and what its console complained of."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser_path:
        pytest.skip("no Chromium or Chrome is installed")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if request.url[:4] == "http" else None)
        page.goto(reported.as_uri())
        yield page, complaints
        browser.close()


def has_picture(page: Page, selector: str) -> bool:
    return page.locator(selector).first.evaluate(
        """element => new Promise(resolve => {
            const url = getComputedStyle(element).backgroundImage.slice(5, -2);
            const image = new Image();
            image.onload = () => resolve(image.naturalWidth > 1);
            image.onerror = () => resolve(false);
            image.src = url;
        })"""
    )


def test_a_confusion_cell_shows_its_photos(browser_page: tuple[Page, list[str]]) -> None:
    page, complaints = browser_page
    cell = page.locator("#matrix-test button.right").first
    cell.click()
    assert cell.get_attribute("aria-pressed") == "true"
    assert page.locator("#matrix-test button[aria-pressed=true]").count() == 1
    assert page.locator("#panel-test figure").count() == int(cell.inner_text())
    assert "answer" in page.locator("#panel-test figcaption").first.inner_text()
    assert has_picture(page, "#panel-test .photo") and complaints == []


def test_cells_are_chosen_by_keyboard_too(browser_page: tuple[Page, list[str]]) -> None:
    page, complaints = browser_page
    page.locator("input[name=view][value=validation]").check()
    assert page.locator("#matrix-validation").is_visible() and not page.locator("#matrix-test").is_visible()
    page.locator("#matrix-validation button").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    chosen = page.locator("#matrix-validation button[aria-pressed=true]")
    assert chosen.evaluate("cell => cell === document.activeElement")
    assert page.locator("#panel-validation figure").count() == min(24, int(chosen.inner_text()))
    assert complaints == []


def test_every_cell_is_reached_with_arrows_and_tab_leaves_the_matrix(browser_page: tuple[Page, list[str]]) -> None:
    page, complaints = browser_page
    page.locator("input[name=view][value=test]").check()
    cells = page.locator("#matrix-test .matrix button")
    cells.first.focus()
    reached = set()
    for _ in range(2 * cells.count()):
        reached.add(page.evaluate("document.activeElement.dataset.cell"))
        page.keyboard.press("ArrowRight")
    assert reached >= {cells.nth(i).get_attribute("data-cell") for i in range(cells.count())}
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.matrix')") is None and complaints == []


def test_a_class_map_is_taken_off_one_photo_or_off_all(browser_page: tuple[Page, list[str]]) -> None:
    page, complaints = browser_page
    maps, boxes = page.locator("#losses-test .map"), page.locator("#losses-test input")
    assert maps.count() == 5 and has_picture(page, "#losses-test .map")
    boxes.first.focus()
    page.keyboard.press("Space")
    assert [maps.nth(i).is_visible() for i in range(2)] == [False, True]
    page.locator("input[data-maps=losses-test]").uncheck()
    assert not any(maps.nth(i).is_visible() for i in range(5))
    page.locator("input[data-maps=losses-test]").check()
    assert all(maps.nth(i).is_visible() for i in range(5)) and complaints == []


@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_does_not_scroll_sideways(browser_page: tuple[Page, list[str]], width: int) -> None:
    page, complaints = browser_page
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width and complaints == []
    assert page.locator("#comparison figure").count() > 0
