"""`yoga-train predict`: photos and a run in, poses out, before any export."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path

import cv2
import pytest

pytest.importorskip("torch")

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.cli.main import main as live
from yoga_live.train.cli.main import main

from ...conftest import draw_photo


@pytest.fixture
def new_photos(tmp_path: Path) -> Path:
    """A folder per pose of drawings that no run has seen, one folder that is no pose, and a photo in no folder."""
    folder = tmp_path / "new"
    for pose, seeds in (("tree", (40, 41, 42)), ("down_dog", (40, 41)), ("none", (40,))):
        (folder / pose).mkdir(parents=True)
        for seed in seeds:
            assert cv2.imwrite(str(folder / pose / f"{seed}.png"), draw_photo(pose, seed))
    (folder / "sitting").mkdir()
    assert cv2.imwrite(str(folder / "sitting" / "a.png"), draw_photo("none", 43))
    assert cv2.imwrite(str(folder / "alone.png"), draw_photo("tree", 44))
    return folder


@pytest.mark.parametrize("name", ["confidence.json", "run.json", "report/table.csv"])
def test_a_table_does_not_replace_a_file_of_the_run(ask, trained_run: Path, new_photos: Path, name: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained_run.rglob("*")}
    answer = ask(main, "predict", new_photos, trained_run, "--table", trained_run / name, "--force")
    assert answer.code == 2 and "lies in the run, whose files it could replace" in answer.err.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in trained_run.rglob("*")} == before


def test_photos_are_listed_as_yoga_live_lists_them(
    ask, trained_run: Path, exported_model: Path, new_photos: Path, tmp_path: Path
) -> None:
    answer = ask(main, "predict", new_photos / "tree", new_photos / "alone.png", trained_run)
    assert answer.code == 0, answer.err
    theirs = ask(live, "--images", new_photos / "tree", new_photos / "alone.png", "--model", exported_model)
    assert answer.out == theirs.out and "4 of 4 photos classified" in answer.out
    assert "yoga-train: 4 photos, engine on cpu, PyTorch" in answer.err
    assert "yoga-train: the run is not calibrated: a pose below 0.50 is answered `none`" in answer.err
    assert "accuracy" not in answer.out  # no folder says what a photo shows

    tables = [tmp_path / "ours.csv", tmp_path / "theirs.csv"]
    assert ask(main, "predict", new_photos, trained_run, "--table", tables[0]).code == 0
    assert ask(live, "--images", new_photos, "--model", exported_model, "--table", tables[1]).code == 0
    ours, theirs = ([*csv.DictReader(path.read_text().splitlines())] for path in tables)
    assert len(ours) == 8 and [(row["file"], row["pose"]) for row in ours] == [(r["file"], r["pose"]) for r in theirs]
    assert ours[0].keys() == theirs[0].keys()
    assert "exists already" in ask(main, "predict", new_photos, trained_run, "--table", tables[0]).refusal()


def test_class_folders_have_an_accuracy_without_the_runs_own_photos(ask, trained_run: Path, new_photos: Path) -> None:
    run = load_run(trained_run)
    known = {split: [photo for photo in run.photos if photo.split == split and photo.pose == "tree"] for split in
             ("train", "validation", "test")}  # fmt: skip
    for photo in (*known["train"][:2], known["validation"][0]):  # under other names and labels: the content counts
        shutil.copy(run.photo_folder / photo.path, new_photos / "down_dog" / f"again_{Path(photo.path).name}")
    answer = ask(main, "predict", new_photos, trained_run)
    assert answer.code == 0, answer.err
    assert "accuracy on 6 new photos: 100.0% (6 of 6, 95 % interval" in answer.out
    assert "left out of it: 3 photos of the run's own (2 train, 1 validation)" in answer.out
    assert "not counted: 1 photo in folders that are no label of the run: sitting" in answer.out
    (new_photos / "tree" / "tested.png").write_bytes((run.photo_folder / known["test"][0].path).read_bytes())
    again = ask(main, "predict", new_photos, trained_run).out
    assert "accuracy on 6 new photos: 100.0%" in again and "(2 train, 1 validation, 1 test)" in again


def test_a_wrong_folder_is_a_confusion_and_the_threshold_has_its_line(
    ask, trained_run: Path, new_photos: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    shutil.copy(new_photos / "tree" / "40.png", new_photos / "warrior_2.png")
    (new_photos / "warrior_2").mkdir()
    (new_photos / "warrior_2.png").rename(new_photos / "warrior_2" / "tree.png")
    answer = ask(main, "predict", new_photos, run)
    assert "6 of 7, 95 % interval" in answer.out and "warrior_2 classified as tree: 1 photo\n" in answer.out
    assert "the threshold" not in answer.out
    stored = json.loads((run / "run.json").read_text())
    document = {"format": 1, "labels": stored["labels"], "size": 64, "temperature": 1.0, "threshold": 1.0,
                "training": {"finished_at": stored["finished_at"]}, "calibration": {"ece_after": 0.1}}  # fmt: skip
    (run / "confidence.json").write_text(json.dumps(document))
    sure = ask(main, "predict", new_photos, run)
    assert "no pose: 9\n9 of 9 photos classified\n" in sure.out  # the headline counts the answers that are listed
    assert "accuracy on 7 new photos: 14.3% (1 of 7, 95 % interval" in sure.out
    assert "without the threshold 1.00, as `fit` and `report` count: 85.7%; 6 photos of a pose answered" in sure.out
    confusions = [line.strip() for line in sure.out.splitlines() if " classified as " in line]
    assert confusions == [f"{pose} classified as none: {count}" for pose, count in
                          (("tree", "3 photos"), ("down_dog", "2 photos"), ("warrior_2", "1 photo"))]  # fmt: skip
    assert "not calibrated" not in sure.err


def test_nothing_is_claimed_on_photos_of_the_training_alone(ask, trained_run: Path, tmp_path: Path) -> None:
    run = load_run(trained_run)
    photo = next(photo for photo in run.photos if photo.split == "train")
    (tmp_path / "old" / photo.pose).mkdir(parents=True)
    shutil.copy(run.photo_folder / photo.path, tmp_path / "old" / photo.pose)
    said = ask(main, "predict", tmp_path / "old", trained_run).out
    assert "no accuracy: every photo here is one of the run's own; give new ones" in said and "%)" not in said


def test_folders_of_splits_are_told_why_they_have_no_accuracy(
    ask, trained_run: Path, new_photos: Path, tmp_path: Path
) -> None:
    data = tmp_path / "my data"
    for split in ("test", "train", "valid"):
        shutil.copytree(new_photos, data / split)
    answer = ask(main, "predict", data, trained_run)
    assert answer.code == 0, answer.err
    command = f"yoga-train predict '{data / 'test'}' {trained_run}"
    reason = "no accuracy: the folders test, train, valid are no poses but hold folders of poses; give each by itself: "
    assert answer.out.splitlines()[-1] == reason + command
    assert "accuracy on 6 new photos" in ask(main, *shlex.split(command)[1:]).out
    shutil.rmtree(data / "train")
    shutil.rmtree(data / "valid")
    only = "no accuracy: the folder test is no pose but holds folders of poses; give it instead: "
    assert ask(main, "predict", data, trained_run).out.splitlines()[-1] == only + command


def test_a_photo_that_cannot_be_read_is_a_line_and_a_row_and_the_rest_goes_on(
    ask, trained_run: Path, new_photos: Path, tmp_path: Path
) -> None:
    (new_photos / "tree" / "page.jpg").write_text("<html>404</html>")
    answer = ask(main, "predict", new_photos, trained_run, "--table", tmp_path / "t.json")
    assert answer.refusal() == "yoga-train: error: 1 of 9 photos could not be read; see the lines above"
    assert "yoga-train: tree/page.jpg: is not a picture but an HTML page" in answer.err
    assert "accuracy on 6 new photos" in answer.out
    rows = {row["file"]: row for row in json.loads((tmp_path / "t.json").read_text())}
    assert len(rows) == 9 and "HTML" in rows["tree/page.jpg"]["reason"] and rows["tree/40.png"]["pose"] == "tree"


def test_a_list_names_photos(ask, trained_run: Path, new_photos: Path) -> None:
    (new_photos / "list.txt").write_text("# of today\ntree/40.png\ntree/41.png\n")
    assert "2 of 2 photos classified" in ask(main, "predict", new_photos / "list.txt", trained_run).out


def test_a_list_of_photos_takes_paths_alone_and_its_messages_agree(ask, trained_run: Path, tmp_path: Path) -> None:
    photos = tmp_path / "list.txt"
    photos.write_text("gone.jpg\n")
    assert ask(main, "predict", photos, trained_run).refusal().endswith("'gone.jpg': write one path per line")
    photos.write_text("# of today\n")
    assert ask(main, "predict", photos, trained_run).refusal().endswith("is empty; write one path per line")
    photos.write_text("https://example.org/a.jpg\n")
    assert (
        ask(main, "predict", photos, trained_run)
        .refusal()
        .endswith("https://example.org/a.jpg is not a local file; download the photo and give its path")
    )


def test_what_cannot_be_classified_is_refused_on_one_line(ask, trained_run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    photo = next((load_run(trained_run).photo_folder / "tree").iterdir())
    assert "the folder" in ask(main, "predict", tmp_path / "empty", trained_run).refusal()
    assert "does not exist" in ask(main, "predict", tmp_path / "gone.jpg", trained_run).refusal()
    beside = ask(main, "predict", tmp_path / "gone.jpg", photo, trained_run)
    assert beside.code == 2 and "1 of 2 photos classified" in beside.out and "gone.jpg: does not exist" in beside.err
    swapped = ask(main, "predict", trained_run, tmp_path / "my photos").refusal()
    assert f"which comes last: yoga-train predict '{tmp_path / 'my photos'}' {trained_run}" in swapped
    assert (
        "should end in .csv or .json"
        in ask(main, "predict", tmp_path / "empty", trained_run, "--table", tmp_path / "t.xlsx").refusal()
    )
    assert "--device toaster" in ask(main, "predict", photo, trained_run, "--device", "toaster").refusal()
