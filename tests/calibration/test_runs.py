"""Reading a run: whole, moved, damaged; its photos exactly as training saw them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from yoga_live.calibration.runs import RunPhoto, load_frames, load_run, write_run_photos
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.errors import RunError
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.train.photos.folder import read_photos


@pytest.fixture
def run_copy(trained_run: Path, tmp_path: Path) -> Path:
    """A run without its weights, to be damaged."""
    return Path(shutil.copytree(trained_run, tmp_path / "run", ignore=shutil.ignore_patterns("*.safetensors")))


def test_held_out_frames_are_those_that_training_saw_and_the_runtime_makes(
    trained_run: Path, drawn_photos: Path
) -> None:
    run = load_run(trained_run)
    photo_set = read_photos(drawn_photos, run.size)
    trained = dict(zip((photo.path for photo in photo_set.photos), photo_set.frames, strict=True))
    for split in ("validation", "test", "train"):
        frames, targets, rows = load_frames(run, split)
        assert frames.shape == (len(rows), 64, 64, 3) and frames.dtype == np.uint8
        for frame, target, row in zip(frames, targets, rows, strict=True):
            np.testing.assert_array_equal(frame, trained[row.path])
            np.testing.assert_array_equal(frame, letterbox(decode_photo(drawn_photos / row.path, min_side=64), 64))
            assert run.labels[target] == row.pose and row.split == split


def test_the_three_splits_are_the_whole_run(trained_run: Path) -> None:
    run = load_run(trained_run)
    counts = {split: sum(photo.split == split for photo in run.photos) for split in ("train", "validation", "test")}
    assert counts == {"train": 48, "validation": 8, "test": 8} and len(run.photos) == 64


def test_labels_keep_the_order_of_the_network_with_none_last(trained_run: Path) -> None:
    assert load_run(trained_run).labels == ("down_dog", "tree", "warrior_2", "none")


def test_rows_are_written_and_read_back_alike(run_copy: Path) -> None:
    rows = [
        RunPhoto("tree/a, b \u015bv\u0101na.jpg", "ab", "tree", 3, "test"),
        RunPhoto("none/y.png", "", "none", 0, "train"),
    ]
    write_run_photos(run_copy / "photos.csv", rows)
    assert load_run(run_copy).photos == tuple(rows)


def test_moved_photos_are_found_where_the_option_says(run_copy: Path, drawn_photos: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(drawn_photos, tmp_path / "moved"))
    content = json.loads((run_copy / "run.json").read_text())
    (run_copy / "run.json").write_text(json.dumps(content | {"photo_folder": str(tmp_path / "gone")}))
    with pytest.raises(RunError, match=r"is missing; .*--photos"):
        load_frames(load_run(run_copy), "test")
    frames, _, _ = load_frames(load_run(run_copy, moved), "test")
    assert len(frames) == 8


def test_a_photo_that_was_changed_since_is_refused_by_name(run_copy: Path, drawn_photos: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(drawn_photos, tmp_path / "moved"))
    run = load_run(run_copy, moved)
    row = next(photo for photo in run.photos if photo.split == "test")
    with (moved / row.path).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(RunError, match="is not the photo"):
        load_frames(run, "test")


def test_a_split_without_photos_is_refused(run_copy: Path) -> None:
    write_run_photos(run_copy / "photos.csv", [RunPhoto("x/y.png", "", "tree", 0, "train")])
    with pytest.raises(RunError, match="has no test photos"):
        load_frames(load_run(run_copy), "test")


@pytest.mark.parametrize("missing", ["run.json", "photos.csv"])
def test_an_unfinished_run_is_refused_with_what_is_missing(run_copy: Path, missing: str) -> None:
    (run_copy / missing).unlink()
    with pytest.raises(RunError, match=rf"not a finished run: {missing} is missing; .*yoga-train fit"):
        load_run(run_copy)


def test_a_folder_that_is_missing_or_a_file_is_no_run(run_copy: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", run_copy / "run.json"):
        with pytest.raises(RunError, match="not a finished run"):
            load_run(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"labels": 3}', '{"labels": [], "config": 4}'])
def test_a_damaged_run_json_is_refused(run_copy: Path, text: str) -> None:
    (run_copy / "run.json").write_text(text)
    with pytest.raises(RunError, match="cannot be read as a run"):
        load_run(run_copy)


@pytest.mark.parametrize(
    "text",
    ["path,pose\na,b\n", "path,sha256,pose,group,split\na,b,tree\n", "path,sha256,pose,group,split\na,b,c,x,d\n"],
)
def test_a_damaged_photo_list_is_refused(run_copy: Path, text: str) -> None:
    (run_copy / "photos.csv").write_text(text)
    with pytest.raises(RunError, match="cannot be read as a run"):
        load_run(run_copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrics": None}, "metrics"),
        ({"metrics": {"test": {}, "interrupted": False}}, "'accuracy' is missing"),
        ({"metrics": {"test": {"accuracy": 0.9, "photos": 8}}}, "'interrupted' is missing"),
        ({"labels": ["down_dog", "tree", "warrior_2"]}, "names the pose 'none', which is not a label in run.json"),
        ({"labels": ["down_dog", "tree", "tree", "warrior_2", "none"]}, "appears twice"),
        ({"labels": ["down_dog", "tree", "warrior_2", "none", "../outside"]}, "cannot name a folder"),
        ({"labels": ["down_dog", "tree", "warrior_2", "none", "_removed"]}, "cannot name a folder"),
        ({"labels": ["down_dog", "tree", "warrior_2", "none", "C:\\x"]}, "cannot name a folder"),
        ({"labels": ["down_dog", "tree", "warrior_2", "none", ""]}, "cannot name a folder"),
        ({"labels": ["down_dog", "tree", "warrior_2", "none", 5]}, "cannot name a folder"),
    ],
)
def test_a_run_whose_parts_do_not_fit_or_lead_elsewhere_is_refused(run_copy: Path, change: dict, words: str) -> None:
    content = json.loads((run_copy / "run.json").read_text())
    (run_copy / "run.json").write_text(json.dumps(content | change))
    with pytest.raises(RunError, match="cannot be read as a run") as refused:
        load_run(run_copy)
    assert words in str(refused.value)


def test_a_run_of_an_earlier_version_without_metrics_is_refused(run_copy: Path) -> None:
    content = json.loads((run_copy / "run.json").read_text())
    del content["metrics"]
    (run_copy / "run.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="'metrics' is missing"):
        load_run(run_copy)
