"""Gathering the shipped model's photos from a made-up copy of the sources."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.errors import OutputError, RunError
from yoga_live.runtime.sources.drawn_figure import POSES
from yoga_live.train.clean.journal import JOURNAL, RELABEL, REMOVE, Mark, read_journal
from yoga_live.train.photos.folder import PLACES

sys.path.append(str(Path(__file__).parents[3] / "benchmarks" / "shipped_model"))

import photos  # pyright: ignore[reportMissingImports]
from photos import (  # pyright: ignore[reportMissingImports]
    ANIMATIONS,
    DRAWINGS_PER_POSE,
    LISTS,
    gather_photos,
    main,
)

TEN = {name for name in POSES if name != "standing"}


def read_list(name: str) -> list[dict[str, str]]:
    with (LISTS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Every source folder with three small pictures, and the animations."""
    folder = tmp_path / "sources"
    for number, row in enumerate(read_list("sources.csv")):
        (folder / row["folder"]).mkdir(parents=True, exist_ok=True)
        for i in range(3):
            Image.new("RGB", (8, 8), (number, i, 0)).save(folder / row["folder"] / f"{i}.png")
    (folder / ANIMATIONS).mkdir(parents=True)
    for name in {row["animation"] for row in read_list("frames.csv")}:
        frames = [Image.new("RGB", (8, 8), (5 * number, 0, 0)) for number in range(50)]
        frames[0].save(folder / ANIMATIONS / f"{name}.gif", save_all=True, append_images=frames[1:])
    return folder


def test_lists_name_the_ten_poses_and_none_and_the_journal_names_photos_of_theirs() -> None:
    rows, frames = read_list("sources.csv"), read_list("frames.csv")
    assert {row["pose"] for row in rows} == TEN | {"none"}
    assert len({row["folder"] for row in rows}) == len(rows)
    assert all(bool(row["kind"]) == (row["pose"] == "none") for row in rows + frames)
    starts = {f"{row['pose']}/{row['kind']}".rstrip("/") + "/" + row["folder"].replace("/", "__") for row in rows}
    marks = read_journal(LISTS / JOURNAL)
    assert len(marks) > 500 and len({mark.path for mark in marks}) == len(marks)
    for mark in marks:
        assert mark.path.rpartition("__")[0] in starts and len(mark.sha256) == 64
        assert mark.action == REMOVE or mark.to_pose in TEN | {"none"}


def test_every_pose_gets_its_sources_frames_and_drawings(sources: Path, tmp_path: Path) -> None:
    counts = gather_photos(sources, tmp_path / "photos")
    assert set(counts) == TEN | {"none"}
    frames = Counter(row["pose"] for row in read_list("frames.csv"))
    for pose, count in counts.items():
        names = [path.name for path in (tmp_path / "photos" / pose).rglob("*.png")]
        assert len(names) == count
        assert sum(name.startswith("drawn__") for name in names) == DRAWINGS_PER_POSE * (2 if pose == "none" else 1)
        assert sum(name.startswith("sun_salutation__") for name in names) == frames[pose]
    assert (tmp_path / "photos" / "tree" / "five__tree__0.png").is_file()
    assert (tmp_path / "photos" / "none" / PLACES / "everyday__0.png").is_file()
    with Image.open(tmp_path / "photos" / "low_lunge" / "sun_salutation__4-equestrianL__22.png") as picture:
        assert abs(picture.getpixel((4, 4))[0] - 110) < 4  # type: ignore[index]


def test_drawings_are_the_same_every_time_and_can_be_left_out(sources: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        gather_photos(sources, tmp_path / name, frozenset({"tree"}))
    first, second = ([p.read_bytes() for p in sorted((tmp_path / n / "tree").iterdir())] for n in ("a", "b"))
    assert first == second
    gather_photos(sources, tmp_path / "c", frozenset({"tree"}), drawings=False)
    assert not list((tmp_path / "c").rglob("drawn__*"))
    assert [path.name for path in (tmp_path / "c").iterdir() if path.is_dir()] == ["tree"]


def test_the_journal_removes_and_relabels_by_content(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "sources.csv").write_text("pose,kind,folder\ntree,,five/tree\nnone,people,people\n")
    (lists / "frames.csv").write_text("pose,kind,animation,frame\n")
    names = [f"five__tree__{number}.png" for number in range(3)]
    digests = [sha256((sources / "five" / "tree" / f"{number}.png").read_bytes()).hexdigest() for number in range(2)]
    marks = [
        Mark(1, REMOVE, digests[0], "tree", "tree", f"tree/{names[0]}", f"_removed/tree/{names[0]}"),
        Mark(2, RELABEL, digests[1], "tree", "none", f"tree/{names[1]}", f"none/{names[1]}"),
        Mark(3, REMOVE, "0" * 64, "tree", "tree", f"tree/{names[2]}", f"_removed/tree/{names[2]}"),  # another photo now
    ]
    (lists / JOURNAL).write_text("".join(json.dumps(asdict(mark)) + "\n" for mark in marks))
    monkeypatch.setattr(photos, "LISTS", lists)
    counts = gather_photos(sources, tmp_path / "photos", drawings=False)
    assert counts == {"tree": 1, "none": 4}
    assert (tmp_path / "photos" / "tree" / names[2]).is_file()
    assert (tmp_path / "photos" / "none" / names[1]).is_file()
    assert (tmp_path / "photos" / "_removed" / "tree" / names[0]).is_file()


def test_photos_keep_their_bytes(sources: Path, tmp_path: Path) -> None:
    gather_photos(sources, tmp_path / "photos", frozenset({"plank"}), drawings=False)
    copy = tmp_path / "photos" / "plank" / "five__plank__2.png"
    assert copy.read_bytes() == (sources / "five" / "plank" / "2.png").read_bytes()
    assert np.asarray(Image.open(copy)).shape == (8, 8, 3)


def test_a_missing_source_an_existing_output_or_an_unknown_pose_is_refused(sources: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is missing; .*sources\.csv"):
        gather_photos(tmp_path / "nowhere", tmp_path / "photos")
    with pytest.raises(OutputError, match="exists already"):
        gather_photos(sources, tmp_path)
    with pytest.raises(RunError, match="headstand"):
        gather_photos(sources, tmp_path / "other", frozenset({"tree", "headstand"}))


def test_missing_animations_are_refused_like_missing_folders(sources: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(sources / ANIMATIONS / "5-plank.gif")
    with pytest.raises(RunError, match="has no frame 2"):
        gather_photos(sources, tmp_path / "photos")
    (sources / ANIMATIONS / "5-plank.gif").unlink()
    with pytest.raises(RunError, match="is missing"):
        gather_photos(sources, tmp_path / "photos")
    assert not list(tmp_path.glob("photos*"))


def test_the_command_counts_what_it_gathered_and_refuses_on_one_line(ask, sources: Path, tmp_path: Path) -> None:
    answer = ask(main, sources, "--to", tmp_path / "photos", "--poses", "tree,plank", "--no-drawings")
    assert answer.code == 0 and sorted(line.split()[1] for line in answer.out.splitlines()) == ["plank", "tree"]
    assert "exists already" in ask(main, sources, "--to", tmp_path / "photos").refusal()
