"""The numbers of benchmarks/second_opinion.py on answers whose truth is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from second_opinion import Seen, list_photos, measure_auroc, measure_row, print_table

from ..opinions import LABELS, OTHERS, PERSON, make_opinion


def test_auroc_counts_pairs_and_half_of_the_ties() -> None:
    scores, is_positive = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    assert measure_auroc(scores, is_positive) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert np.isnan(measure_auroc(scores, np.ones(4, bool)))


def test_a_row_tells_which_pose_apart_from_whether() -> None:
    logs = np.log(np.array([[0.3, 0.2, 0.5], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]]))
    row = measure_row(logs, np.array([0, 0, 2, 2]), 2)
    assert [cell.split()[0] for cell in row] == ["50.0%", "50.0%", "100.0%", "50.0%", "0.750"]
    assert row[0].endswith("of 4") and row[2].endswith("of 2")


def test_photos_of_a_folder_and_of_a_table_are_listed_without_what_is_left_out(tmp_path: Path) -> None:
    for place in ("tree/a.jpg", "tree/old/b.jpg", "chair/c.jpg", "none/d.jpg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"\xff\xd8\xff")
    photos = list_photos(tmp_path, LABELS, ["tree/old/*"])
    assert [(photo.path.name, photo.pose) for photo in photos] == [("d.jpg", "none"), ("a.jpg", "tree")]
    (tmp_path / "labels.csv").write_text("file,pose,kind\nchair/c.jpg,tree,\ntree/a.jpg,lunge,\n")
    [photo] = list_photos(tmp_path / "labels.csv", LABELS)
    assert photo.path == tmp_path / "chair/c.jpg" and photo.pose == "tree"


def test_the_table_tells_network_key_points_and_both(capsys: pytest.CaptureFixture[str]) -> None:
    landmarks = np.zeros((3, 53), np.float32)
    landmarks[0, PERSON], landmarks[1, OTHERS] = 1, 1
    seen = Seen(landmarks, np.array([[1.0, 0, 1.1], [0, 1, 0], [0, 0, 1]]), np.array([0, 1, 2]))
    print_table("three", make_opinion(), seen)
    lines = capsys.readouterr().out.splitlines()
    assert "three: 3 photos, somebody found in 66.7%" in lines
    rows = {line.split(" | ")[0]: line.split(" | ")[1].split()[0] for line in lines if line.startswith("| ")}
    assert rows["| network alone"] == "66.7%" and rows["| key points alone"] == rows["| together"] == "100.0%"
    assert "1 now right, 0 now wrong" in lines[-1]
