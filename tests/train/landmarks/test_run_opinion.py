"""The second opinion in a run's folder: written, read, exported and calibrated, or a reason why there is none."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from yoga_live.calibration.logits import LANDMARKS_FILE, select_landmarks
from yoga_live.calibration.runs import Run, RunPhoto
from yoga_live.runtime.errors import MissingPackageError, RunError
from yoga_live.runtime.people import KEYPOINTS, People, SecondOpinion
from yoga_live.runtime.people.landmarks import PERSON, PHOTO_MARGIN, PHOTO_SCORE
from yoga_live.train.landmarks.run_opinion import add_second_opinion, answer_left_out
from yoga_live.train.people.cache import PhotoPeople
from yoga_live.train.people.finding import FinderConfig
from yoga_live.train.photos.folder import Photo, PhotoSet
from yoga_live.train.predict.confidence import make_model_info, read_model_info, write_model_info
from yoga_live.train.run_files.second_opinion import SECOND_OPINION, describe_second_opinion

from .bodies import LABELS, pose_bodies

FINISHED = "2026-01-02T03:04:05+00:00"
CONTENT = {"finished_at": FINISHED, "config": {"device": "cpu", "mirror": True, "seed": 0}}


class Bodies:
    """A photo folder whose photos are bodies as numbers: what the finder finds in each is known."""

    def __init__(self, each: int = 200) -> None:
        landmarks, self.targets = pose_bodies(each, seed=0)
        self.targets = self.targets.astype(np.int64)
        count = len(self.targets)
        photos = tuple(
            Photo(f"{LABELS[target]}/{number}.jpg", LABELS[target], f"{number:064x}", 0, 0)
            for number, target in enumerate(self.targets)
        )
        self.photo_set = PhotoSet(Path("photos"), LABELS, photos, np.empty((0, 32, 32, 3), np.uint8), ())
        self.groups = np.arange(count)
        self.splits = [("train", "train", "train", "validation", "test")[number % 5] for number in range(count)]
        self.logits = 1.5 * np.eye(3)[self.targets] + np.random.default_rng(1).normal(0, 1, (count, 3))
        self.people = {photo.path: self._place(row) for photo, row in zip(photos, landmarks, strict=True)}
        self.looked = 0

    def _place(self, landmarks: np.ndarray) -> PhotoPeople:
        if not landmarks.any():
            return PhotoPeople(People.nobody(), (640, 480))
        points = len(KEYPOINTS)
        keypoints = (landmarks[: 2 * points].reshape(1, points, 2) * 100 + 300).astype(np.float32)
        box = np.array([[100, 50, 500, 450]], np.float32)
        scores = landmarks[2 * points : 3 * points][None]
        return PhotoPeople(People(box, keypoints, scores, landmarks[PERSON : PERSON + 1]), (640, 480))

    def find(self, folder: Path, contents: Any, config: Any = None, device: str = "auto") -> dict[str, PhotoPeople]:
        assert folder == Path("photos") and len(contents) == len(self.targets) and device == "cpu"
        self.looked += 1
        return self.people

    def add(self, folder: Path, **changes: Any) -> dict[str, Any]:
        parts = {"groups": self.groups, "splits": self.splits, "logits": self.logits, "find": self.find}
        targets = np.asarray(self.targets, np.int64)
        return add_second_opinion(folder, self.photo_set, targets, **{**parts, "content": CONTENT, **changes})

    def open_run(self, folder: Path) -> Run:
        photos = tuple(
            RunPhoto(photo.path, photo.sha256, photo.pose, 0, split)
            for photo, split in zip(self.photo_set.photos, self.splits, strict=True)
        )
        return Run(folder, LABELS, 32, "resnet18", Path("photos"), photos, {"finished_at": FINISHED})


@pytest.fixture(scope="module")
def bodies() -> Bodies:
    return Bodies()


@pytest.fixture(scope="module")
def folder(bodies: Bodies, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with a second opinion."""
    path = tmp_path_factory.mktemp("run")
    bodies.summary = bodies.add(path)  # type: ignore[attr-defined]
    return path


def test_a_run_gets_a_second_opinion_that_its_model_has_too(bodies: Bodies, folder: Path) -> None:
    summary = bodies.summary  # type: ignore[attr-defined]
    assert summary["used"] and summary["together"]["accuracy"] > summary["network"]["accuracy"] + 0.1
    info = read_model_info(bodies.open_run(folder))
    opinion = SecondOpinion.from_document(info.second_opinion, LABELS)
    assert opinion.labels == LABELS and opinion.mixture.which[0][1] > 0
    assert opinion.measured["test accuracy"]["together"]["photos"] == 120
    assert json.loads((folder / SECOND_OPINION).read_text())["finished_at"] == FINISHED


def test_landmarks_of_photos_are_kept_for_calibration(bodies: Bodies, folder: Path) -> None:
    run = bodies.open_run(folder)
    chosen = [run.photos[number] for number in (7, 3, 400)]
    landmarks = select_landmarks(run, chosen)
    expected, _ = pose_bodies(200, seed=0)
    assert landmarks is not None and landmarks.dtype == np.float32
    np.testing.assert_allclose(landmarks[:, :-1], expected[[7, 3, 400], :-1], atol=1e-3)  # nobody else is in the photos
    assert not landmarks[2].any()  # the first of `none` shows nobody


@pytest.mark.parametrize("damage", ["cut", "shape", "type", "nan", "pickle", "text"])
def test_damaged_landmarks_are_refused(bodies: Bodies, folder: Path, tmp_path: Path, damage: str) -> None:
    content = (folder / LANDMARKS_FILE).read_bytes()
    good = np.load(folder / LANDMARKS_FILE)
    path = tmp_path / LANDMARKS_FILE
    bad = {"shape": good[:-1], "type": good.astype(float), "nan": np.full_like(good, np.nan)}
    if damage in bad:
        np.save(path, bad[damage])
    elif damage == "pickle":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(content[:5000] if damage == "cut" else b"landmarks")
    run = bodies.open_run(tmp_path)
    with pytest.raises(RunError, match=r"landmarks\.npy cannot be read"):
        select_landmarks(run, run.photos[:1])
    path.unlink()
    assert select_landmarks(run, run.photos[:1]) is None


def test_the_second_opinion_of_other_weights_is_not_used(
    bodies: Bodies, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = replace(bodies.open_run(folder), summary={"finished_at": "later"})
    assert not make_model_info(run).second_opinion
    assert "of an earlier state of the run" in caplog.text


def test_a_damaged_second_opinion_is_refused_with_what_to_do(bodies: Bodies, folder: Path, tmp_path: Path) -> None:
    partial = json.dumps({"finished_at": FINISHED, "second_opinion": {"networks": 2}})
    for text in ("{", "[]", "{}", partial):
        (tmp_path / SECOND_OPINION).write_text(text)
        with pytest.raises(RunError, match=r"second_opinion\.json cannot be .*delete it.*yoga-train second-opinion "):
            make_model_info(bodies.open_run(tmp_path))


def test_a_calibration_from_before_keeps_the_second_opinion(bodies: Bodies, folder: Path) -> None:
    run = bodies.open_run(folder)
    opinion = make_model_info(run).second_opinion
    path = write_model_info(run, replace(make_model_info(run), temperature=1.5, second_opinion={}))
    try:
        info = read_model_info(run)
    finally:
        path.unlink()
    assert info.temperature == 1.5 and info.second_opinion == opinion


def test_too_few_photos_have_no_second_opinion_and_say_how_large_people_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = Bodies(30)
    with caplog.at_level(logging.INFO, "yoga_live"):
        summary = few.add(tmp_path)
    assert not summary["used"] and few.looked == 1 and list(tmp_path.iterdir()) == []
    assert summary["person_share"] == 0.625  # a box of 400 in 640 pixels
    run = replace(few.open_run(tmp_path), summary={"finished_at": FINISHED, "second_opinion": summary})
    assert read_model_info(run).person_share == 0.625 and make_model_info(few.open_run(tmp_path)).person_share == 1
    assert "no second opinion from key points: it takes 100 training photos" in caplog.text
    lines = describe_second_opinion({"second_opinion": summary})
    assert lines == [f"no second opinion from key points: {summary['reason']}"]


def test_without_onnx_runtime_there_is_none_and_the_training_goes_on(bodies: Bodies, tmp_path: Path) -> None:
    def fail(*_: object) -> Any:
        raise MissingPackageError("no engine is installed; run: pip install onnxruntime")

    summary = bodies.add(tmp_path, find=fail)
    assert summary == {"used": False, "reason": "no engine is installed; run: pip install onnxruntime"}


def test_one_of_earlier_weights_is_removed_where_there_is_none_now(bodies: Bodies, tmp_path: Path) -> None:
    (tmp_path / SECOND_OPINION).write_text("old")
    right = 60 * np.eye(3)[bodies.targets]
    summary = bodies.add(tmp_path, logits=right)
    assert not summary["used"] and [path.name for path in tmp_path.iterdir()] == [LANDMARKS_FILE]
    lines = describe_second_opinion({"second_opinion": summary})
    assert lines[0].startswith("second opinion: 120 test photos, the network alone 100.0%, key points alone ")
    assert "no better" in lines[1] and describe_second_opinion({}) == []


def test_none_default_brings_people_at_other_exercises(bodies: Bodies, folder: Path, tmp_path: Path) -> None:
    content = {**CONTENT, "config": {**CONTENT["config"], "none": "default"}}  # type: ignore[dict-item]
    assert bodies.add(tmp_path, content=content)["used"]
    kinds = [SecondOpinion.from_document(make_model_info(bodies.open_run(each)).second_opinion, LABELS).kinds
             for each in (folder, tmp_path)]  # fmt: skip
    assert len(kinds[0]) == 3 and len(kinds[1]) > 20 and {*kinds[1][3:]} == {2}


@pytest.mark.parametrize(
    "found",
    [
        3, {}, {"used": False}, {"used": False, "reason": "a\x1b[2J"}, {"used": True, "together": 1},
        {"used": True, **{name: {"accuracy": 2, "photos": 3} for name in ("network", "landmarks", "together")}},
    ],
    ids=str,
)  # fmt: skip
def test_what_a_strange_run_says_of_it_is_an_error(found: Any) -> None:
    with pytest.raises(RunError, match="of the second opinion cannot be read"):
        describe_second_opinion({"second_opinion": found})


def test_single_pictures_are_looked_at_as_photos_are_in_training() -> None:
    config = FinderConfig()
    assert (config.margin, config.min_score) == (PHOTO_MARGIN, PHOTO_SCORE)


def test_key_points_answer_each_fold_from_the_landmarks_that_the_run_keeps(bodies: Bodies, folder: Path) -> None:
    folds = np.arange(len(bodies.targets)) % 2
    own = bodies.photo_set, bodies.targets, bodies.groups, folds, bodies.logits, CONTENT["config"]
    points = answer_left_out(folder, *own)  # type: ignore[arg-type]
    assert points is not None and np.exp(points).sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert (points.argmax(axis=1) == bodies.targets).mean() > 0.9
