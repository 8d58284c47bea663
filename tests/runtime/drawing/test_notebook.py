"""What a notebook shows of a result: markup that is whole, escaped and needs nothing from elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from yoga_live.runtime import Prediction, Segment
from yoga_live.runtime.drawing.notebook import MOST_ROWS, format_bar, format_table, format_timeline

NASTY = '<img src=x onerror="alert(1)">&\'"'


class Reader(HTMLParser):
    """Checks that tags are closed in their order; keeps names and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open, self.tags, self.texts = list[str](), list[str](), list[str]()
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.append(tag)
        assert not {name for name, _ in attrs} - {"style", "title"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(html: str) -> Reader:
    reader = Reader(html)
    assert not {"script", "img", "style", "link"} & set(reader.tags)
    return reader


def test_a_prediction_shows_its_answer_and_the_likeliest_labels() -> None:
    labels = {"tree": 0.9, "none": 0.05, "warrior_2": 0.03, "a": 0.01, "b": 0.005, "c": 0.005}
    texts = read(Prediction("tree", 0.9, labels)._repr_html_()).texts
    assert texts == [
        "Tree", " 90%", "Tree", "90.0%", "no pose", "5.0%", "Warrior 2", "3.0%", "A", "1.0%", "B", "0.5%",
    ]  # fmt: skip
    assert read(Prediction("none", 0.6, labels)._repr_html_()).texts[:2] == [
        "no pose",
        " 60% that no single pose is shown",
    ]


def test_labels_that_hold_markup_are_text() -> None:
    assert "".join(read(Prediction(NASTY, 0.5, {NASTY: 0.5})._repr_html_()).texts).lower().count("onerror") == 2
    reader = read(format_timeline((Segment(0, 2, NASTY, 0.9), Segment(2, 3, "none", 0.9))))
    assert "onerror" in "".join(reader.texts).lower()
    assert read(format_table((NASTY,), [(NASTY, format_bar(0.5))])).texts == [NASTY, NASTY]


def test_a_timeline_is_a_strip_and_a_row_for_each_hold() -> None:
    rest, tree = Segment(0, 5, "none", 0.9), Segment(5, 65.26, "tree", 0.954)
    html = format_timeline((rest, tree, Segment(65.26, 70.4, "plank", 0.8)))
    texts = read(html).texts
    assert texts == [
        "pose", "from", "to", "held", "confidence",
        "Tree", "0:05", "1:05", "1:00", "95%", "Plank", "1:05", "1:10", "5.1 s", "80%",
    ]  # fmt: skip
    assert 'title="no pose, 0:05" style="width:7.102%' in html
    assert read(format_timeline((rest,))).texts == read(format_timeline(())).texts == ["no pose was seen"]


def test_each_of_several_people_has_a_strip_and_a_column_says_whose_a_hold_is() -> None:
    two = Segment(0, 10, "tree", 0.9, person=1), Segment(5, 10, "plank", 0.8, person=2)
    html = format_timeline(two)
    texts = read(html).texts
    assert texts[:8] == ["person 1", "person 2", "pose", "from", "to", "held", "confidence", "person"]
    assert texts[-1] == "2"
    assert 'title="Tree, 0:10" style="width:100.000%' in html  # of their own strip
    assert 'title="no pose, 0:05" style="width:50.000%' in html and 'title="Plank, 0:05" style="width:50.000%' in html


def test_a_long_timeline_says_how_much_is_left_out() -> None:
    html = format_timeline([Segment(each, each + 1, "tree", 1.0) for each in range(MOST_ROWS + 20)])
    reader = read(html)
    assert reader.tags.count("tr") == 1 + MOST_ROWS and reader.texts[-1] == "and 20 more"


@pytest.mark.parametrize(("fraction", "width"), [(-1, "0%"), (0.5, "50%"), (0.98765, "98.8%"), (7, "100%")])
def test_a_bar_stays_within_its_frame(fraction: float, width: str) -> None:
    assert f"width:{width}" in format_bar(fraction)
