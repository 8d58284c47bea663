"""`run.report()`: the page in a notebook and as a file."""

from __future__ import annotations

import re
import shutil
from html import unescape
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from yoga_live.runtime import ModelError, OptionError, OutputError, ProgressUpdate, RunError, TakenError
from yoga_live.train import RunReport, open_run
from yoga_live.train.cli.main import main


@pytest.fixture(scope="module")
def report(trained_run: Path) -> RunReport:
    return open_run(trained_run).report(top=3)


def test_the_page_is_that_of_the_command(ask, trained_run: Path, report: RunReport, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "tiny"))
    assert ask(main, "report", run, "--top", 3).code == 0
    assert (run / "report" / "report.html").read_text(encoding="utf-8") == report.html
    assert report.missing == 0 and not re.search(r"""(src|href)=["']?https?:""", report.html)


def test_a_notebook_shows_the_whole_page_in_a_frame_of_its_own(report: RunReport) -> None:
    html = report._repr_html_()
    [page] = re.findall(r'^<iframe srcdoc="([^"]*)" sandbox="allow-scripts" ', html)
    assert unescape(page).replace('<base href="about:srcdoc">', "") == report.html
    assert "html" not in repr(report).replace("report.html", "")  # a megabyte


def test_the_page_works_inside_a_notebook(report: RunReport, tmp_path: Path) -> None:
    """Links lead to headings, cells show their photos, the notebook stays where it is."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser_path:
        pytest.skip("no Chromium or Chrome is installed")
    (tmp_path / "notebook.html").write_text(
        f"<!doctype html><p>cell 7 of it</p>{report._repr_html_()}", encoding="utf-8"
    )
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((tmp_path / "notebook.html").as_uri())
        frame = page.frame_locator("iframe")
        frame.locator("nav a", has_text="Training").click()
        page.wait_for_function("() => document.querySelector('iframe').getBoundingClientRect().height > 700")
        top = frame.locator("#training").evaluate("section => section.getBoundingClientRect().top")
        assert abs(top) < 760 and frame.locator("body").evaluate("() => window.scrollY") > 0
        assert frame.locator("p", has_text="cell 7 of it").count() == 0  # the notebook is not shown within itself
        frame.locator("#matrix-test button.right").first.click()
        assert frame.locator("#panel-test figure").count() > 0 and complaints == []
        browser.close()


def test_it_is_saved_where_it_is_told(report: RunReport, trained_run: Path, tmp_path: Path) -> None:
    path = report.save(tmp_path / "page.html")
    assert path == tmp_path / "page.html" and path.read_text(encoding="utf-8") == report.html
    with pytest.raises(TakenError, match=r"page\.html exists already"):
        report.save(str(path))
    assert report.save(path, force=True) == path
    with pytest.raises(OutputError, match=r"page\.pdf should end in \.html"):
        report.save(tmp_path / "page.pdf")
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    own = RunReport(run, "<p>new")
    (run / "report" / "report.html").write_text("old")
    assert own.save() == run / "report" / "report.html" and own.save().read_text() == "<p>new"


def test_moved_photos_are_found_where_they_are(trained_run: Path, tmp_path: Path) -> None:
    run, told = open_run(trained_run), list[ProgressUpdate]()
    (tmp_path / "empty").mkdir()
    assert run.report(photos=tmp_path / "empty", top=0, on_progress=told.append).missing > 0
    assert {update.stage for update in told} == {"pictures"}
    with pytest.raises(OptionError, match="nowhere is not a folder; give the one that now holds"):
        run.report(photos=tmp_path / "nowhere")


def test_two_runs_are_compared(trained_run: Path, tmp_path: Path) -> None:
    other = open_run(shutil.copytree(trained_run, tmp_path / "earlier"))
    for against in (other, other.run):
        assert "Beside earlier" in open_run(trained_run).report(against=against, top=0).html
    with pytest.raises(OptionError, match="is the run itself"):
        other.report(against=other)


def test_what_cannot_be_reported_is_an_error_of_ours(trained_run: Path, tmp_path: Path) -> None:
    run = open_run(trained_run)
    for top in (-1, 501, True, "3"):
        with pytest.raises(OptionError, match="top must be a whole number from 0 to 500"):
            run.report(top=top)  # pyright: ignore[reportArgumentType]
    with pytest.raises(RunError, match="is not a finished run"):
        run.report(against=tmp_path / "nowhere")
    bare = open_run(shutil.copytree(trained_run, tmp_path / "bare"))
    (bare.run / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="is missing"):
        bare.report()
