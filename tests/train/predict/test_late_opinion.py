"""A finished run gets the second opinion that `fit` would have given it, with all of its files or with none."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from yoga_live.calibration.logits import LANDMARKS_FILE
from yoga_live.calibration.runs import Run, RunPhoto, load_run, write_run_photos
from yoga_live.runtime.errors import OptionError, RunError
from yoga_live.train.cli.main import main
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.predict.confidence import CONFIDENCE, make_model_info, read_model_info, write_model_info
from yoga_live.train.predict.late_opinion import Answers, add_late_opinion, answer_held_out
from yoga_live.train.run_files.second_opinion import SECOND_OPINION

from ..landmarks.bodies import LABELS
from ..landmarks.test_run_opinion import FINISHED, Bodies


@pytest.fixture(scope="module")
def bodies() -> Bodies:
    return Bodies()


@pytest.fixture
def run(bodies: Bodies, tmp_path: Path) -> Run:
    """A finished run of the bodies, without a second opinion."""
    folder = tmp_path / "run"
    folder.mkdir()
    rows = zip(bodies.photo_set.photos, bodies.groups.tolist(), bodies.splits, strict=True)
    write_run_photos(folder / "photos.csv", [RunPhoto(p.path, p.sha256, p.pose, g, s) for p, g, s in rows])
    config = json.loads(json.dumps(asdict(FitConfig(size=32, device="cpu", mirror=True, second_opinion=False))))
    metrics = {"test": {"accuracy": 0.5, "photos": 120}, "interrupted": False}
    summary = {"finished_at": FINISHED, "labels": LABELS, "arch": "resnet18", "photo_folder": "photos"}
    (folder / "run.json").write_text(json.dumps({**summary, "config": config, "metrics": metrics}))
    return load_run(folder)


def add(run: Run, bodies: Bodies, **changes: Any) -> dict[str, Any]:
    def answer(asked: Run, device: str) -> Answers:
        assert asked is run and device == "cpu"
        return bodies.logits, bodies.splits

    return add_late_opinion(run, "cpu", **{"answer": answer, "find": bodies.find, **changes})


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_the_opinion_that_fit_makes(run: Run, bodies: Bodies, tmp_path: Path) -> None:
    content = add(run, bodies)
    (tmp_path / "fit").mkdir()
    expected = bodies.add(tmp_path / "fit")
    assert content["second_opinion"] == expected and expected["used"]
    for name in (SECOND_OPINION, LANDMARKS_FILE):
        assert (run.folder / name).read_bytes() == (tmp_path / "fit" / name).read_bytes()
    assert sorted(read_files(run.folder)) == [LANDMARKS_FILE, "photos.csv", "run.json", SECOND_OPINION]
    again = load_run(run.folder)
    assert again.summary == {**run.summary, "second_opinion": expected} and read_model_info(again).second_opinion


def test_one_that_is_there_is_replaced_only_by_force(run: Run, bodies: Bodies) -> None:
    add(run, bodies)
    with pytest.raises(OptionError, match="has a second opinion already; --force trains it anew"):
        add(load_run(run.folder), bodies)
    calibrated = load_run(run.folder)
    write_model_info(calibrated, make_model_info(calibrated))  # which holds the opinion of then
    worse = 20 * np.eye(len(LABELS))[bodies.targets]  # a network that is always right needs none
    again = add_late_opinion(calibrated, "cpu", force=True, answer=lambda *_: (worse, bodies.splits), find=bodies.find)
    assert not again["second_opinion"]["used"] and not (run.folder / SECOND_OPINION).exists()
    assert not read_model_info(load_run(run.folder)).second_opinion


def test_a_run_that_cannot_be_changed_stays_as_it_was(run: Run, bodies: Bodies) -> None:
    def stop(*_: object) -> Any:
        raise KeyboardInterrupt

    (run.folder / CONFIDENCE).write_text("{")  # met last, when all is trained
    before = read_files(run.folder)
    with pytest.raises(RunError, match=r"confidence\.json cannot be read"):
        add(run, bodies)
    for name in ("answer", "find"):
        with pytest.raises(KeyboardInterrupt):
            add(run, bodies, **{name: stop})
    run.summary["metrics"]["interrupted"] = True
    with pytest.raises(RunError, match="was stopped before its end; continue it with yoga-train fit --resume"):
        add(run, bodies)
    assert read_files(run.folder) == before


def test_logits_are_those_of_the_held_out_photos(trained_run: Path) -> None:
    run = load_run(trained_run)
    logits, splits = answer_held_out(run, "cpu")
    assert splits == [row.split for row in run.photos] and logits.shape == (len(run.photos), len(run.labels))
    is_trained = np.array(splits) == "train"
    assert not logits[is_trained].any() and (np.abs(logits[~is_trained]).sum(axis=1) > 0).all()


def test_the_command_says_why_there_is_none_and_refuses_other_photos(ask, trained_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    folder = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = load_run(folder)
    answer = ask(main, "second-opinion", folder, "--device", "cpu")
    assert answer.code == 0 and "it takes 100 training photos of poses with a person" in answer.err, answer.err
    after = load_run(folder).summary
    assert not after["second_opinion"]["used"]
    assert {**after, "second_opinion": 0} == {**before.summary, "second_opinion": 0}
    photos = Path(shutil.copytree(before.photo_folder, tmp_path / "photos"))
    (photos / before.photos[0].path).unlink()
    refused = ask(main, "second-opinion", folder, "--photos", photos, "--device", "cpu").refusal()
    assert "1 photo of" in refused and f"such as {before.photos[0].path}; restore it" in refused
