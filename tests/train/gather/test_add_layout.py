"""Data sets into a folder per pose: copied with their labels, their own split kept, whole zip files too."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.errors import RunError
from yoga_live.train.cli.main import main
from yoga_live.train.gather.add_layout import UNPACKED, add_layout
from yoga_live.train.photos.given_splits import read_given_splits
from yoga_live.train.photos.manifest import COLUMNS, DUPLICATE, OK, WITHOUT_SPLIT, read_manifest


def save_photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((60, 40), Image.Resampling.NEAREST).save(path)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    seed = 0
    for split, count in (("train", 4), ("valid", 2), ("test", 2)):
        for label in ("tree", "Down Dog"):
            for number in range(count):
                seed += 1
                save_photo(tmp_path / "set" / split / label / f"{number}.png", seed)
    return tmp_path / "set"


def pack(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, Path("wrapped") / file.relative_to(folder))
    return path


def test_a_data_set_becomes_a_folder_per_pose_with_its_split_kept(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    assert main(["add", str(dataset), "--to", str(photos)]) == 0
    out = capsys.readouterr().out
    assert f"{dataset}: folders test/, train/, valid/ with a folder per class: 16 photos of 2 classes; " in out
    assert "train 8, validation 4, test 4" in out and "     16 ok" in out
    assert f"next: yoga-train fit {photos} --to runs/first --split given" in out
    rows = list(read_manifest(photos))
    assert {row.pose for row in rows} == {"tree", "Down Dog"} and all((photos / row.path).is_file() for row in rows)
    given = read_given_splits(photos)
    assert {path: row.split for row in rows for path in [row.path]} == given
    assert {split: [*given.values()].count(split) for split in set(given.values())} == {
        "train": 8, "validation": 4, "test": 4
    }  # fmt: skip
    assert all(f"/{'valid' if row.split == 'validation' else row.split}/" in row.url for row in rows)


def test_a_zip_file_gives_the_same_and_leaves_nothing_behind(dataset: Path, tmp_path: Path) -> None:
    path, photos = pack(dataset, tmp_path / "set.zip"), tmp_path / "photos"
    for outcome in ((OK, ""), (DUPLICATE, "same content")):
        assert add_layout(path, photos).outcomes == {outcome: 16}
    rows = list(read_manifest(photos))
    assert len(rows) == 16 and rows[0].url.startswith(f"{path.as_uri()}#/wrapped/")
    assert not (photos / UNPACKED).exists()
    add_layout(dataset, tmp_path / "other")
    assert read_given_splits(tmp_path / "other") == read_given_splits(photos)


def test_a_zip_file_of_one_pose(dataset: Path, tmp_path: Path) -> None:
    path = pack(dataset / "train" / "tree", tmp_path / "set.zip")
    assert add_layout(path, tmp_path / "photos", "tree").outcomes == {(OK, ""): 4}
    assert len([*(tmp_path / "photos" / "tree").iterdir()]) == 4


def test_a_photo_in_two_splits_is_tested_on(dataset: Path, tmp_path: Path) -> None:
    copy = dataset / "train" / "tree" / "copy.png"
    copy.write_bytes((dataset / "test" / "tree" / "0.png").read_bytes())
    photos = tmp_path / "photos"
    assert add_layout(dataset, photos).outcomes == {(OK, ""): 16, (DUPLICATE, "same content"): 1}
    given = read_given_splits(photos)
    assert len(given) == 16 and [*given.values()].count("test") == 4


@pytest.mark.parametrize("name", ["set.zip", "set", "notes.txt", "nowhere"])
def test_what_has_no_labels_is_one_line_and_leaves_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_photo(tmp_path / "set" / "1.png", 1)
    (tmp_path / "notes.txt").write_text("x")
    pack(tmp_path / "set", tmp_path / "set.zip")
    assert main(["add", str(tmp_path / name), "--to", str(tmp_path / "photos")]) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(f"yoga-train: error: {tmp_path / name}")
    assert error.count("error:") == 1 and UNPACKED not in error
    assert not (tmp_path / "photos").exists()


def test_the_photo_folder_itself_is_refused(dataset: Path) -> None:
    with pytest.raises(RunError, match="lie inside each other"):
        add_layout(dataset, dataset / "photos")


def test_an_older_manifest_without_splits_goes_on(dataset: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    add_layout(dataset, photos)
    path = photos / "manifest.csv"
    lines = [line.rpartition(",")[0] for line in path.read_text().splitlines()]
    path.write_text("".join(f"{line}\n" for line in lines))
    assert lines[0] == ",".join(WITHOUT_SPLIT)
    before = list(read_manifest(photos))
    assert len(before) == 16 and not read_given_splits(photos)
    other = tmp_path / "more"
    save_photo(other / "1.png", 99)
    assert main(["add", str(other), "--pose", "tree", "--to", str(photos)]) == 0
    assert path.read_text().startswith(f"{','.join(WITHOUT_SPLIT)}\n")  # without a split it stays as it was
    assert add_layout(dataset, photos).outcomes == {(DUPLICATE, "same content"): 16}
    assert len(read_given_splits(photos)) == 16
    assert path.read_text().startswith(f"{','.join(COLUMNS)}\n")


@pytest.mark.parametrize("command", [["stats"], ["fit", "--to", "run"], ["show", "--to", "a.png"]])
def test_splits_are_not_taken_for_poses(
    command: list[str],
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if command[0] != "stats":
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    assert main([command[0], str(dataset), *command[1:]]) == 2
    assert f"splits, not poses; import it: yoga-train add {dataset} --to photos" in capsys.readouterr().err


def test_fit_trains_and_tests_on_the_given_split_and_resumes(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    from yoga_live.calibration.runs import load_run

    photos, run = tmp_path / "photos", tmp_path / "run"
    for number in range(2):  # a pose that is not tested
        save_photo(dataset / "train" / "chair" / f"{number}.png", 100 + number)
    assert main(["add", str(dataset), "--to", str(photos)]) == 0
    options = ("--weights=none", "--arch=resnet18", "--size=32", "--epochs-frozen=1", "--epochs=0", "--device=cpu")
    command = ["fit", str(photos), "--to", str(run), "--split", "given", *options]
    assert main(command) == 0
    assert "no test photos of chair" in capsys.readouterr().err
    assert {photo.path: photo.split for photo in load_run(run).photos} == read_given_splits(photos)
    assert main([*command, "--resume"]) == 0
    assert main([*command[:4], *options, "--resume"]) == 2
    assert "started with --split given, not --split auto" in capsys.readouterr().err
    assert main(["report", str(run)]) == 0 and (run / "report" / "report.html").is_file()
