"""The source of a photo is recognised from names, folders, capture runs or times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from yoga_live.train.photos.folder import Photo
from yoga_live.train.photos.manifest import OK, Manifest, ManifestRow
from yoga_live.train.photos.sessions import UNNAMED, find_sources


def make_photos(*paths: str) -> list[Photo]:
    return [Photo(path, path.partition("/")[0], "", 0, 0) for path in paths]


def test_file_names_come_first_then_folders_that_several_poses_have(tmp_path: Path) -> None:
    named = ["tree/anna__1.jpg", "chair/anna__2.jpg", "tree/cleo/anna__3.jpg"]
    folders = ["tree/cleo/1.jpg", "chair/cleo/monday/2.jpg", "none/cleo/3.jpg"]
    kinds = ["none/standing/1.jpg", "none/standing/2.jpg", "tree/side/1.jpg", "tree/side/2.jpg"]
    found = find_sources(tmp_path, make_photos(*named, *folders, *kinds))
    assert found.names == ("anna",) * 3 + ("cleo",) * 3 + (UNNAMED,) * 4
    assert found.describe() == (
        "3 sources of photos: 1 by what stands before `__` in file names, 1 by folders that several poses have, "
        '4 photos of no recognised source count as one, "unnamed"'
    )


def test_a_photo_alone_is_no_source_and_those_left_aside_have_none(tmp_path: Path) -> None:
    photos = make_photos("tree/anna__1.jpg", "tree/anna__2.jpg", "tree/bo__1.jpg", "none/drawn_none__1.png")
    assert find_sources(tmp_path, photos, {3}).names == ("anna", "anna", UNNAMED, "")


def test_capture_runs_are_sources(tmp_path: Path) -> None:
    paths = [f"{pose}/{number}.jpg" for pose in ("tree", "chair") for number in range(4)]
    for number, path in enumerate(paths):
        with Manifest(tmp_path) as manifest:
            manifest.add(ManifestRow(path.partition("/")[0], f"cam{number % 2}#t={number}", status=OK, path=path))
    found = find_sources(tmp_path, make_photos(*paths))
    assert found.names == ("capture cam0", "capture cam1") * 4
    assert found.describe() == "2 sources of photos: 2 by capture runs"


def test_sessions_of_exif_times_are_sources_only_where_nearly_all_have_one(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    paths = [f"tree/{number}.jpg" for number in range(10)]
    for number, path in enumerate(paths):
        exif = Image.Exif()
        if number < 9:
            exif.get_ifd(0x8769)[0x9003] = f"2026:01:0{1 + number % 3} 10:00:0{number}"
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / path, exif=exif)
    found = find_sources(tmp_path, make_photos(*paths))
    assert len({*found.names[:9]}) == 3 and found.names[9] == UNNAMED
    (tmp_path / "tree" / "8.jpg").unlink()  # 8 of 10
    assert {*find_sources(tmp_path, make_photos(*paths)).names} == {UNNAMED}
