"""The class at a glance: sums are right, colours stand where the time was spent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from yoga_live.runtime.core.types import Segment
from yoga_live.runtime.drawing import summary
from yoga_live.runtime.drawing.summary import (
    BAR_LEFT,
    MARGIN,
    PALETTE,
    RESTING,
    STRIP,
    WIDTH,
    PoseTotal,
    add_up,
    check_summary_output,
    draw_summary,
    write_summary,
)
from yoga_live.runtime.errors import OutputError

CLASS = (
    Segment(0, 100, "none", 0.9),
    Segment(100, 160, "tree", 0.9),
    Segment(160, 200, "none", 0.9),
    Segment(200, 290, "tree", 0.8),
    Segment(290, 400, "warrior_2", 0.9),
)


def test_totals_are_counts_sums_and_best_holds_longest_first() -> None:
    assert add_up(CLASS) == (PoseTotal("tree", 2, 150, 90), PoseTotal("warrior_2", 1, 110, 110))
    assert add_up(()) == add_up((Segment(0, 9, "none", 1.0),)) == ()


@pytest.mark.parametrize(
    ("time_s", "colour"),
    [(50, RESTING), (130, PALETTE[0]), (180, RESTING), (250, PALETTE[0]), (350, PALETTE[1])],
)
def test_the_strip_has_each_moment_in_its_pose_s_colour(time_s: float, colour: str) -> None:
    picture = draw_summary(CLASS, "class.mp4")
    x = MARGIN + time_s / 400 * (WIDTH - 2 * MARGIN)
    assert picture.getpixel((round(x), 180)) == ImageColor.getrgb(colour)


def test_a_pose_has_the_colour_of_the_live_page_however_long_it_was_held() -> None:
    """There the first pose that comes gets the first colour; here the rows are sorted by time."""
    picture = draw_summary((Segment(0, 1, "plank", 0.9), Segment(1, 10, "tree", 0.9)), "class")
    assert picture.getpixel((MARGIN + 5, 180)) == ImageColor.getrgb(PALETTE[0])
    assert picture.getpixel((WIDTH // 2, 180)) == ImageColor.getrgb(PALETTE[1])


def test_a_short_hold_is_seen_in_a_long_class() -> None:
    segments = (Segment(0, 3600, "none", 1), Segment(3600, 3601, "tree", 1), Segment(3601, 7200, "none", 1))
    strip = np.asarray(draw_summary(segments, "class"))[180]
    assert (strip == ImageColor.getrgb(PALETTE[0])).all(axis=1).any()


@pytest.mark.parametrize("segments", [(), (Segment(0, 0, "none", 1),), (Segment(5, 5, "tree", 1),), CLASS])
def test_any_class_can_be_drawn_with_any_title(segments: tuple[Segment, ...], tmp_path: Path) -> None:
    write_summary(tmp_path / "a.png", segments, "Śvānāsana am Morgen, eine sehr lange Stunde im Park " * 3)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] == WIDTH
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_other_suffixes_and_taken_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"should end in \.png"):
        check_summary_output(tmp_path / "a.jpg")
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        check_summary_output(tmp_path / "a.png")
    check_summary_output(tmp_path / "a.png", force=True)


@pytest.mark.parametrize(
    ("start_s", "end_s", "ticks"), [(0.04, 4.0, "0:00 0:01 0:02 0:03 0:04"), (18.5, 21.4, "0:19 0:20 0:21")]
)
def test_ticks_of_a_part_stand_at_whole_seconds_of_the_video(
    monkeypatch: pytest.MonkeyPatch, start_s: float, end_s: float, ticks: str
) -> None:
    written: dict[str, int] = {}
    monkeypatch.setattr(summary, "_write", lambda pen, at, text, *more, **named: written.setdefault(text, at[0]))
    draw_summary((Segment(start_s, end_s, "tree", 0.9),), "class.mp4")
    marks = {text: x for text, x in written.items() if text in ticks.split()}
    assert list(marks) == ticks.split()
    scale = (WIDTH - 2 * MARGIN) / (end_s - start_s)
    for text, x in marks.items():
        expected = MARGIN + max(int(text[2:]) - start_s, 0) * scale
        assert x == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("holds", "best_s", "words"),
    [(1, 59.7, "once"), (3, 59.7, "3 times, longest 59.7 s"), (2, 3661.0, "2 times, longest 1:01:01")],
)
def test_a_row_says_how_often_and_the_longest_hold(holds: int, best_s: float, words: str) -> None:
    assert summary._describe_holds(summary.PoseTotal("tree", holds, 99.0, best_s)) == words


def test_the_summary_says_how_long_on_each_side_and_what_that_means() -> None:
    sided = (Segment(0, 30, "tree", 0.9, side="left"), Segment(30, 75, "tree", 0.9, side="right"))
    (total,) = add_up(sided)
    assert total.sides_s == {"left": 30, "right": 45}
    assert summary._describe_holds(total) == "2 times, left 30.0 s, right 45.0 s"
    plain = draw_summary(tuple(replace(segment, side=None) for segment in sided), "class")
    assert draw_summary(sided, "class").height > plain.height
    footers = [
        np.asarray(draw_summary(sided, "class", is_flipped=flipped))[plain.height - 50 :] for flipped in (True, False)
    ]
    assert (footers[0] != footers[1]).any()


def test_numbers_do_not_touch_their_bar() -> None:
    sided = tuple(
        Segment(700 * n, 700 * n + 655, "tree", 0.9, side=side) for n, side in enumerate(("left", "right") * 4)
    )
    picture = np.asarray(draw_summary(sided, "class")).astype(int)
    row = picture[130 + STRIP + 80 : 130 + STRIP + 120, BAR_LEFT:]
    bar, words = (np.abs(row - ImageColor.getrgb(colour)).sum(axis=2) < 30 for colour in (PALETTE[0], summary.QUIET))
    assert bar.any() and words.any()
    assert np.flatnonzero(bar.any(axis=0)).max() + 20 < np.flatnonzero(words.any(axis=0)).min()
