"""The report's pictures: found wherever they went, never the wrong one, never a crash."""

from __future__ import annotations

import base64
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from yoga_live.calibration.runs import Run, load_run
from yoga_live.train.clean.previews import shrink_photo
from yoga_live.train.fit.network import PoseNetwork, load_network
from yoga_live.train.report.pictures import LARGE, SMALL, PhotoFinder, make_pictures


@pytest.fixture
def run(trained_run: Path, drawn_photos: Path, tmp_path: Path) -> Run:
    """The tiny run with photos of its own, to move about."""
    shutil.copytree(drawn_photos, tmp_path / "photos")
    return load_run(trained_run, tmp_path / "photos")


@pytest.fixture
def network(run: Run) -> PoseNetwork:
    return load_network(run.folder / "weights.safetensors", len(run.labels))


def decode(url: str) -> Image.Image:
    head, _, content = url.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_each_photo_is_encoded_once_and_large_where_a_class_map_covers_it(run: Run, network: PoseNetwork) -> None:
    pictures = make_pictures(run, network, [0, 1, 1, 2], [(2, 0), (2, 1), (3, 0), (3, 0)])
    assert set(pictures.photos) == {0, 1, 2, 3} and set(pictures.maps) == {(2, 0), (2, 1), (3, 0)}
    assert pictures.missing == 0
    assert max(decode(pictures.photos[0]).size) == SMALL
    plain, covered = decode(pictures.photos[2]), decode(pictures.maps[2, 0])
    assert plain.size == covered.size and SMALL < max(plain.size) <= LARGE
    assert pictures.maps[2, 0] != pictures.maps[2, 1]


def test_a_photo_that_moved_to_another_pose_is_found(run: Run) -> None:
    photo = run.photos[0]
    before = run.photo_folder / photo.path
    content = before.read_bytes()
    elsewhere = run.photo_folder / "_removed" / "why" / before.name
    elsewhere.parent.mkdir(parents=True)
    before.rename(elsewhere)
    assert PhotoFinder(run.photo_folder).read(photo) == content
    elsewhere.rename(elsewhere.with_stem(photo.sha256[:16]))  # the name that `download` gives
    assert PhotoFinder(run.photo_folder).read(photo) == content


def test_another_photo_of_the_same_name_is_not_taken_for_it(run: Run, network: PoseNetwork) -> None:
    photo = run.photos[0]
    (run.photo_folder / photo.path).write_bytes((run.photo_folder / run.photos[1].path).read_bytes())
    assert PhotoFinder(run.photo_folder).read(photo) is None
    pictures = make_pictures(run, network, [0, 1], [(0, 0)])
    assert (set(pictures.photos), pictures.maps, pictures.missing) == ({1}, {}, 1)


def test_a_folder_that_is_gone_leaves_all_photos_out(run: Run, network: PoseNetwork) -> None:
    pictures = make_pictures(replace(run, photo_folder=Path("nowhere")), network, [0, 1], [(2, 0)])
    assert (pictures.photos, pictures.maps, pictures.missing) == ({}, {}, 3)


def test_a_name_that_no_file_can_have_is_a_missing_photo(run: Run) -> None:
    assert PhotoFinder(run.photo_folder).read(replace(run.photos[0], path="tree/\0.jpg", sha256="0")) is None


def test_shrinking_keeps_the_shape_and_never_enlarges() -> None:
    assert shrink_photo(np.zeros((300, 600, 3), np.uint8), 100).shape == (50, 100, 3)
    assert shrink_photo(np.zeros((3000, 2, 3), np.uint8), 100).shape == (100, 1, 3)
    assert shrink_photo(np.zeros((30, 60, 3), np.uint8), 100).shape == (30, 60, 3)
