"""The files of probabilities beside a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.errors import RunError
from yoga_live.train.run_files.predictions import FOLDS, PREDICTIONS, load_predictions, write_predictions


@pytest.fixture
def run_copy(trained_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run, tmp_path / "run"))


def test_a_run_holds_the_kept_models_probabilities_of_every_photo(trained_run: Path) -> None:
    run = load_run(trained_run)
    predictions = load_predictions(run)
    assert predictions.probabilities.shape == (len(run.photos), 4) and not predictions.out_of_fold
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-4)
    test = [i for i, photo in enumerate(run.photos) if photo.split == "test"]
    right = predictions.probabilities[test].argmax(axis=1) == [run.labels.index(run.photos[i].pose) for i in test]
    assert right.mean() == pytest.approx(run.summary["metrics"]["test"]["accuracy"], abs=1e-4)


def test_out_of_fold_answers_are_preferred(run_copy: Path) -> None:
    run = load_run(run_copy)
    probabilities = np.full((len(run.photos), 4), 0.25)
    write_predictions(run_copy / FOLDS, [photo.path for photo in run.photos], run.labels, probabilities)
    predictions = load_predictions(run)
    assert predictions.out_of_fold and (predictions.probabilities == 0.25).all()


def test_probabilities_of_another_run_or_a_damaged_file_are_refused(run_copy: Path) -> None:
    run = load_run(run_copy)
    path = run_copy / PREDICTIONS
    whole = path.read_text()
    for text, said in (
        ("\n".join(whole.splitlines()[:-1]), "does not belong to"),
        (whole.replace("path,down_dog", "path,cobra"), "does not belong to"),
        (whole.replace(",0.", ",x.", 1), "cannot be read"),
        ("", "cannot be read"),
    ):
        path.write_text(text)
        with pytest.raises(RunError, match=said):
            load_predictions(run)
    path.unlink()
    with pytest.raises(RunError, match="older version"):
        load_predictions(run)
