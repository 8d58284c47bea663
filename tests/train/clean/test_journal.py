"""The journal: whole lines only, nothing taken from it that leads out of the folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from yoga_live.runtime.errors import RunError
from yoga_live.train.clean.journal import Journal, Mark, RowChange, RowState, is_inside, read_journal, trace_photos

ROW = RowChange(
    "tree", "http://a/", RowState("ok", "tree/a.jpg"), RowState("removed", "_removed/tree/a.jpg", "cleaned")
)
REMOVED = Mark(1, "remove", "ab", "tree", "tree", "tree/a.jpg", "_removed/tree/a.jpg", (ROW,), run="first")
BACK = Mark(2, "undo", "ab", "tree", "tree", "_removed/tree/a.jpg", "tree/a.jpg", (ROW.reverse(),), undoes=1)


def test_marks_are_read_as_they_were_written(tmp_path: Path) -> None:
    odd = Mark(3, "keep", "cd", "vṛkṣāsana", "vṛkṣāsana", "vṛkṣāsana/\udcff \n.jpg", "vṛkṣāsana/\udcff \n.jpg")
    with Journal(tmp_path) as journal:
        for mark in (REMOVED, BACK, odd):
            journal.append(mark)
    assert read_journal(journal.path) == [REMOVED, BACK, odd]
    assert len(journal.path.read_bytes().splitlines()) == 3


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "cleaning.jsonl") == []


@pytest.mark.parametrize(
    "change",
    [
        {"to_path": "../../escaped.jpg"}, {"path": "/etc/passwd"}, {"to_path": "tree/../../x"}, {"action": "delete"},
        {"path": "manifest.csv"}, {"to_path": ".hidden/x"}, {"rows": [{"pose": "tree"}]}, {"extra": 1}, {"rows": None},
    ],
)  # fmt: skip
def test_a_journal_from_elsewhere_can_not_move_files_about(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "cleaning.jsonl"
    path.write_text(json.dumps(asdict(REMOVED)) + "\n" + json.dumps({**asdict(REMOVED), **change}) + "\n")
    with pytest.raises(RunError, match="line 2, is not a mark"):
        read_journal(path)


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff\xfe", b"null", b"{}"])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "cleaning.jsonl").write_bytes(line + b"\n")
    with pytest.raises(RunError, match="line 1, is not a mark"):
        read_journal(tmp_path / "cleaning.jsonl")


def test_marks_that_do_not_fit_together_are_refused() -> None:
    for marks in (
        [BACK],
        [REMOVED, BACK, BACK],
        [REMOVED, Mark(2, "undo", "ab", "tree", "tree", "tree/b", "tree/b", (), 1)],
    ):
        with pytest.raises(ValueError, match="undoes"):
            trace_photos(marks)


def test_a_photo_is_followed_from_place_to_place() -> None:
    away = Mark(3, "relabel", "ab", "tree", "plank", "tree/a.jpg", "plank/a.jpg")
    history = trace_photos([REMOVED, BACK, away])
    [photo] = history.photos
    assert (photo.path, photo.pose, photo.places) == (
        "plank/a.jpg",
        "plank",
        ["tree/a.jpg", "_removed/tree/a.jpg", "plank/a.jpg"],
    )
    assert [mark.number for mark, _ in history.done] == [3] and photo.marks == [away]


def test_only_files_below_a_pose_or_the_removed_ones_are_inside() -> None:
    assert is_inside("tree/a.jpg") and is_inside("_removed/tree/a.jpg") and is_inside("tree/own/a..b.jpg")
    assert not any(map(is_inside, ("a.jpg", "", "/tree/a", "tree/../a/b", "_other/a", ".git/a", "tree/a\0")))
