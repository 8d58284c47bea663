"""What a training is given: kinds and places from the folders that photos lie in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, random_appearance
from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.data import number_kinds, read_training_data
from yoga_live.train.photos.folder import PLACES, Photo


def make_photo(path: str) -> Photo:
    return Photo(path, path.partition("/")[0], path, 0, 0)


def test_kinds_are_folders_and_what_lies_beside_them_is_not_known() -> None:
    paths = ("tree/1", "none/a/1", "none/b/c/2", "none/3", "chair/1", "tree/2", "none/a/4")
    kinds = number_kinds(tuple(make_photo(path) for path in paths))
    assert kinds is not None
    tree, a, c, beside, chair, tree_again, a_again = kinds.tolist()
    assert (tree, a, beside) == (tree_again, a_again, -1)
    assert sorted({tree, a, c, chair}) == [0, 1, 2, 3]


def test_without_folders_inside_poses_there_are_no_kinds() -> None:
    assert number_kinds((make_photo("tree/1"), make_photo("none/2"))) is None


def test_places_are_found_and_parts_balanced(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = {"tree": 12, "chair": 12, f"none/{PLACES}": 4, "none/asanas/crow": 16, "none/asanas/crane": 20}
    for folder, count in counts.items():
        (tmp_path / folder).mkdir(parents=True)
        for number in range(count):
            noise = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            photo = Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC)
            photo.save(tmp_path / folder / f"{number}.png")
    data = read_training_data(tmp_path, FitConfig("none", size=32, device="cpu"), Workers())
    split = data.select(np.arange(len(data.targets)))
    paths = [photo.path for photo in data.photo_set.photos]
    assert split.scenes is not None and split.sizes_wh is not None and split.kinds is not None
    assert [paths[i] for i in split.scenes] == [path for path in paths if path.startswith(f"none/{PLACES}/")]
    assert (split.sizes_wh == (64, 48)).all() and split.kind_count == 5
    places = np.isin(np.arange(len(paths)), split.scenes)
    asanas = np.array([path.startswith("none/asanas") for path in paths])
    np.testing.assert_allclose(split.draw_weights[asanas].sum() / split.draw_weights[places].sum(), 3)  # 6 to 2


def draw_people(folder: Path) -> None:
    for pose in ("tree", "goddess"):
        (folder / pose).mkdir(parents=True)
        for number in range(4):
            frame = draw_figure(POSES[pose], (300 + 8 * number, 240), random_appearance(np.random.default_rng(number)))
            Image.fromarray(frame[:, :, ::-1]).save(folder / pose / f"{number}.png")


def test_people_are_looked_for_only_where_training_is_to_see_their_crops(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    draw_people(tmp_path)
    config = FitConfig("none", size=96, device="cpu")
    assert read_training_data(tmp_path, config, Workers()).crops is None
    cropping = replace(config, augmentation=replace(config.augmentation, person=0.5))
    data = read_training_data(tmp_path, cropping, Workers())
    assert data.crops is not None and data.crops.shape == (8, 4)
    left, top, width, height = data.crops.T
    assert (width > 30).all() and (left >= 0).all() and (left + width <= 96).all() and (top + height <= 96).all()
    crops = data.select(np.array([5, 2])).crops
    assert crops is not None and crops.tolist() == data.crops[[5, 2]].tolist()


def test_where_nobody_is_found_photos_stay_whole_and_a_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    for name in ("cup", "plate"):
        (tmp_path / name).mkdir()
        for number in range(4):
            noise = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((90, 90)).save(tmp_path / name / f"{number}.png")
    config = FitConfig("none", size=32, device="cpu")
    config = replace(config, augmentation=replace(config.augmentation, person=0.5))
    assert read_training_data(tmp_path, config, Workers()).crops is None
    assert "people are found in few of the photos, so all are seen whole in training" in caplog.messages
