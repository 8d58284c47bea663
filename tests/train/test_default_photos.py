"""Gathering the default model's photos from a made-up copy of the sources."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.errors import OutputError, RunError
from yoga_live.runtime.figure import POSES
from yoga_live.train import default_photos
from yoga_live.train.default_photos import DRAWINGS_PER_POSE, LAST_FRAMES, LISTS, gather_photos, main

TEN = {name for name in POSES if name != "standing"}


def read_list(name: str) -> list[dict[str, str]]:
    with (LISTS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Every source folder with three small pictures, and the GIFs."""
    folder = tmp_path / "sources"
    for number, row in enumerate(read_list("sources.csv")):
        (folder / row["folder"]).mkdir(parents=True, exist_ok=True)
        for i in range(3):
            Image.new("RGB", (8, 8), (number, i, 0)).save(folder / row["folder"] / f"{i}.png")
    for name in (name for names in LAST_FRAMES.values() for name in names):
        (folder / "video" / "sun_salutation").mkdir(parents=True, exist_ok=True)
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
        path = folder / "video" / "sun_salutation" / f"{name}.gif"
        frames[0].save(path, save_all=True, append_images=frames[1:])
    return folder


def test_lists_name_the_ten_poses_and_none_and_only_known_reasons_exclude() -> None:
    rows = read_list("sources.csv")
    assert {row["pose"] for row in rows} == TEN | {"none"}
    assert len({(row["pose"], row["folder"]) for row in rows}) == len(rows)
    assert all(row["most"] == "" or int(row["most"]) > 0 for row in rows)
    folders = {row["folder"] for row in rows}
    for row in read_list("excluded.csv"):
        assert len(row["sha256"]) == 16 and int(row["sha256"], 16) >= 0
        assert row["path"].rpartition("/")[0] in folders and row["reason"]


def test_every_pose_gets_its_sources_last_frames_and_drawings(sources: Path, tmp_path: Path) -> None:
    counts = gather_photos(sources, tmp_path / "photos")
    assert set(counts) == TEN | {"none"}
    for pose, count in counts.items():
        files = sorted(path.name for path in (tmp_path / "photos" / pose).iterdir())
        assert len(files) == count
        assert sum(name.startswith("drawn__") for name in files) == DRAWINGS_PER_POSE
        assert sum(name.startswith("sun_salutation__") for name in files) == len(LAST_FRAMES.get(pose, ()))
    assert (tmp_path / "photos" / "tree" / "five__tree__0.png").is_file()
    with Image.open(tmp_path / "photos" / "low_lunge" / f"sun_salutation__{LAST_FRAMES['low_lunge'][0]}.png") as last:
        assert last.getpixel((4, 4))[2] > 200  # type: ignore[index]  # blue, the last one


def test_drawings_are_the_same_every_time_and_can_be_left_out(sources: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        gather_photos(sources, tmp_path / name, frozenset({"tree"}))
    first, second = ([p.read_bytes() for p in sorted((tmp_path / n / "tree").iterdir())] for n in ("a", "b"))
    assert first == second
    gather_photos(sources, tmp_path / "c", frozenset({"tree"}), drawings=False)
    assert not list((tmp_path / "c").rglob("drawn__*"))
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["tree"]


def test_excluded_photos_are_passed_over_by_hash_and_path(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    digest = hashlib.sha256((sources / "five" / "tree" / "1.png").read_bytes()).hexdigest()[:16]
    (lists / "sources.csv").write_text("pose,folder,most\ntree,five/tree,\ntree,mixed/tree,2\n")
    (lists / "excluded.csv").write_text(
        f"sha256,path,reason\n{digest},five/tree/1.png,wrong\n{'0' * 16},five/tree/2.png,another photo now\n"
    )
    monkeypatch.setattr(default_photos, "LISTS", lists)
    counts = gather_photos(sources, tmp_path / "photos", drawings=False)
    names = sorted(path.name for path in (tmp_path / "photos" / "tree").iterdir())
    assert names[:2] == ["five__tree__0.png", "five__tree__2.png"]
    assert counts == {"tree": 4} and len([name for name in names if name.startswith("mixed")]) == 2


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
    (sources / "video" / "sun_salutation" / f"{LAST_FRAMES['none'][0]}.gif").unlink()
    with pytest.raises(RunError, match="is missing"):
        gather_photos(sources, tmp_path / "photos")


def test_the_command_counts_what_it_gathered_and_refuses_on_one_line(ask, sources: Path, tmp_path: Path) -> None:
    answer = ask(main, sources, "--to", tmp_path / "photos", "--poses", "tree,plank", "--no-drawings")
    assert answer.code == 0 and sorted(line.split()[1] for line in answer.out.splitlines()) == ["plank", "tree"]
    assert "exists already" in ask(main, sources, "--to", tmp_path / "photos").refusal()
