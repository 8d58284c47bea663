"""Better than guessing or not."""

from __future__ import annotations

import numpy as np
import pytest

from yoga_live.calibration.metrics import Accuracy
from yoga_live.train.run_files.verdict import judge_run, read_verdict

LABELS = ("chair", "plank", "tree")


def judge(right: int, counts: tuple[int, ...]) -> str:
    targets = np.repeat(np.arange(len(counts)), counts)
    return judge_run(Accuracy(right, len(targets)), targets, LABELS).describe()


@pytest.mark.parametrize(
    ("right", "counts"), [(20, (20, 20, 20)), (25, (20, 20, 20)), (51, (50, 5, 5)), (5, (3, 3, 3))]
)
def test_a_network_at_chance_level_has_learned_nothing_and_is_told_what_to_do(right: int, counts) -> None:
    line = judge(right, counts)
    assert line.startswith("nothing was learned that shows: always answering chair is right on")
    assert "Do not export" in line and "yoga-train stats" in line and "--weights" in line


@pytest.mark.parametrize(("right", "counts"), [(35, (20, 20, 20)), (60, (50, 5, 5)), (8, (3, 3, 3))])
def test_a_network_that_is_clearly_better_hears_nothing(right: int, counts) -> None:
    assert judge(right, counts) == ""


def test_five_of_six_may_be_luck_and_is_no_proof_that_nothing_was_learned() -> None:
    verdict = judge_run(Accuracy(5, 6), np.array([0, 0, 0, 1, 1, 1]), ("plank", "tree"))
    assert (
        verdict.describe().startswith("too few test photos to tell this from guessing") and not verdict.learned_nothing
    )


def read(**test: object):
    return read_verdict({"labels": list(LABELS), "metrics": {"test": {"photos": 100, **test}}})


def test_a_run_of_an_older_version_is_compared_with_one_of_all_poses() -> None:
    assert read(accuracy=0.3).learned_nothing
    assert not read(accuracy=0.5).describe()
    assert read(accuracy=0.5, guess=["tree", 0.5]).pose == "tree"


@pytest.mark.parametrize("weights", ["imagenet", "shipped", "mine.safetensors"])
def test_who_started_from_trained_weights_is_not_told_to(weights: str) -> None:
    content = {"labels": list(LABELS), "metrics": {"test": {"accuracy": 0.3, "photos": 100}}}
    line = read_verdict({**content, "config": {"weights": weights}}).describe()
    assert "add photos" in line and "weights" not in line
    assert "--weights imagenet, shipped" in read_verdict({**content, "config": {"weights": "none"}}).describe()
