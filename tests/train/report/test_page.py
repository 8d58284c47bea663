"""The page: well-formed, escaped, self-contained."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("torch")

from yoga_live.calibration.metrics import Accuracy
from yoga_live.calibration.runs import Run
from yoga_live.train.report.measure import measure_report
from yoga_live.train.report.page import format_interval, render_report, write_report
from yoga_live.train.report.pictures import RunPictures

VOID = {"meta", "link", "input", "br", "img", "hr"}
LINKS = {"src", "href", "action", "data", "poster", "srcset", "xlink:href"}
PICTURE = "data:image/jpeg;base64,AAAA"
EVIL = "<script>alert(1)</script>\"'&"
EVIL_NAME = EVIL.replace("/", "")  # a label can name a folder
WriteRun = Callable[..., Run]
CHAIR, PLANK, TREE = [0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.05, 0.05, 0.9]
ROWS = [("a", "chair", "test", CHAIR), ("b", "tree", "test", PLANK), ("c", "plank", "validation", TREE)]


class PageReader(HTMLParser):
    """Checks that every tag is closed in order; gathers links, ids, classes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.classes: set[str] = set()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in LINKS]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.classes |= {word for name, value in attrs if name == "class" for word in (value or "").split()}
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page(page: str) -> PageReader:
    reader = PageReader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def show_all(report_photos: int = 3) -> RunPictures:
    return RunPictures(dict.fromkeys(range(report_photos), PICTURE), {(1, 1): PICTURE}, 0)


def test_the_page_is_well_formed_and_asks_nothing_of_the_network(write_run: WriteRun) -> None:
    other = write_run("old", [(*row[:3], TREE) for row in ROWS], epochs=1)
    page = render_report(measure_report(write_run("new", ROWS, folds=[CHAIR, TREE, PLANK]), other), show_all())
    reader = read_page(page)
    assert all(link.startswith(("#", "data:")) for link in reader.links)
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))
    urls = re.findall(r"url\(([^)]*)\)", page)
    assert urls == [PICTURE] * 4  # each picture is embedded once
    assert not re.search(r"https?:|@import|\bfetch\(", page)
    assert {"p0", "p1", "p2", "m1-1"} <= reader.classes


def test_every_number_is_on_the_page(write_run: WriteRun) -> None:
    text = read_page(render_report(measure_report(write_run("new", ROWS)), show_all())).text.replace("\xa0", " ")
    for words in ("50.0 %", "95 % interval 9.5 to 90.5", "1 of 2 photos", "66.7 %", "loss 1.61", "tree/b.jpg", "4.0 s"):
        assert words in text, words


def test_without_folds_the_page_says_so_and_how_to_get_them(write_run: WriteRun) -> None:
    run = replace(write_run("new", ROWS), photo_folder=Path("my photos"))
    text = read_page(render_report(measure_report(run), show_all())).text
    assert "yoga-train fit 'my photos' --to RUN --folds 5" in text and "seen by the network" in text
    text = read_page(render_report(measure_report(write_run("folds", ROWS, folds=[TREE] * 3)), show_all())).text
    assert "--folds" not in text and "Every photo was judged by a network that never saw it" in text


def test_names_are_escaped_wherever_they_stand(write_run: WriteRun, tmp_path: Path) -> None:
    labels = ("chair", f"<blink>{EVIL_NAME}", f"tree{EVIL_NAME}")
    rows = [("a", labels[1], "test", TREE), (f"b{EVIL}", labels[2], "test", PLANK), ("c", "chair", "test", TREE)]
    run = write_run("new", [*rows, ("v", "chair", "validation", TREE)], labels=labels, train_only=EVIL)
    other = write_run("old", [(*row[:3], CHAIR) for row in rows], labels=labels, weights=f"{EVIL}.safetensors")
    photos = (replace(run.photos[0], path="tree/caf\udce9<dir>.jpg"), *run.photos[1:])
    report = replace(measure_report(run, other), run=replace(run, photos=photos))
    write_report(report, show_all(), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    reader = read_page(page)
    assert reader.tags.count("script") == 1 and not {"blink", "dir"} & set(reader.tags)
    assert "<script>alert" not in page and "tree/caf\\udce9<dir>.jpg" in reader.text
    assert f"tree{EVIL_NAME}" in reader.text


@pytest.mark.parametrize(
    ("right", "total", "words"), [(0, 9, "0.0 to 29.9"), (9, 9, "70.1 to 100.0"), (0, 0, "none"), (1, 2, "9.5 to 90.5")]
)
def test_intervals_are_written_for_people(right: int, total: int, words: str) -> None:
    assert format_interval(Accuracy(right, total)) == words


def test_test_photos_of_a_room_that_was_trained_on_are_named(write_run: WriteRun) -> None:
    run = write_run("run", ROWS)
    assert measure_report(run).same_room == ""
    for odd in ("yes", {"test_photos": "1"}, {"test_photos": 1, "of": 2, "poses": 3}):
        assert measure_report(replace(run, summary=run.summary | {"same_room": odd})).same_room == ""
    told = {"test_photos": 1, "of": 2, "poses": ["tree", EVIL]}
    run = replace(run, summary=run.summary | {"same_room": told})
    page = render_report(measure_report(run), RunPictures({}, {}, 0))
    sentence = "at least 1 of 2 test photos are of the same room as training photos (most of those of tree): expect"
    assert sentence in read_page(page).text and EVIL not in page


def test_photos_that_are_gone_are_grey_and_counted(write_run: WriteRun) -> None:
    reader = read_page(render_report(measure_report(write_run("new", ROWS)), RunPictures({0: PICTURE}, {}, 2)))
    assert "2 of the 3 photos to be shown were not found" in reader.text
    assert "photo not found" in reader.text and "gone" in reader.classes


def test_an_older_run_that_says_less_is_shown_all_the_same(write_run: WriteRun) -> None:
    run = write_run("new", ROWS)
    (run.folder / "log.csv").unlink()
    report = measure_report(replace(run, summary={"config": {"size": 64}}))
    text = read_page(render_report(report, show_all())).text
    assert "The run has no training log" in text and "frozen, the head alone" not in text


@pytest.mark.parametrize("rows", [[("a", "tree", "test", TREE)], [("a", "tree", "test", TREE)] * 30])
def test_a_run_that_is_always_right_is_shown(
    write_run: WriteRun, rows: list[tuple[str, str, str, list[float]]]
) -> None:
    run = write_run("new", rows)
    text = read_page(render_report(measure_report(run), show_all(len(rows)))).text
    assert "Every test photo was answered right" in text and "–" in text
    assert ("(24 shown)" in text) == (len(rows) > 24)


def test_labels_are_called_wrong_only_by_a_network_that_agrees_with_most_of_them(write_run: WriteRun) -> None:
    sure = [(f"s{n}", "tree", "test", TREE) for n in range(6)]
    report = measure_report(write_run("trusted", [*sure, ("b", "chair", "test", TREE)]))
    text = read_page(render_report(report, RunPictures({}, {}, 0))).text
    assert report.suspects.total.is_trusted and "Likely label errors: " in text and "doubts" not in text
    report = measure_report(write_run("doubtful", [*sure, *[(f"b{n}", "chair", "test", TREE) for n in range(3)]]))
    text = read_page(render_report(report, RunPictures({}, {}, 0))).text
    assert "Labels that the network doubts: " in text and "None of them is called wrong" in text
    assert "agrees with only 6 of the 9 labels" in text and "Likely label errors" not in text
