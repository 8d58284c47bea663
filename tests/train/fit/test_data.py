"""What a training is given: kinds and places from the folders that photos lie in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

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
