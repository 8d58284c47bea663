"""The range test: what is suggested from a curve, and the command that draws it."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.errors import RunError
from yoga_live.train.cli.main import main
from yoga_live.train.fit.lr_find import suggest_rate

RATES = np.geomspace(1e-6, 1, 100)


def test_the_suggestion_is_where_the_loss_is_lowest_and_the_limit_above() -> None:
    """Flat to 1e-4, falling to 1e-3, climbing after: as such curves are."""
    losses = np.interp(np.log10(RATES), [-6, -4, -3, 0], [1.5, 1.5, 0.8, 4.0])
    test = suggest_rate(RATES, losses)
    assert test.suggestion == pytest.approx(1e-3, rel=0.1)
    assert 1.5e-3 < test.limit < 4e-3
    assert suggest_rate(RATES[:50], losses[:50]).limit == math.inf


def test_noise_does_not_move_the_suggestion_far() -> None:
    clean = np.interp(np.log10(RATES), [-6, -4, -3, 0], [1.5, 1.5, 0.8, 4.0])
    for seed in range(5):
        noisy = clean + np.random.default_rng(seed).normal(0, 0.02, 100)
        assert 5e-4 < suggest_rate(RATES, noisy).suggestion < 2e-3


def test_a_loss_that_never_falls_is_an_error() -> None:
    with pytest.raises(RunError, match="never decreased"):
        suggest_rate(RATES, np.linspace(1, 3, 100))


def test_the_command_draws_a_plot_writes_its_numbers_and_names_the_option(
    ask, drawn_photos: Path, start_weights: Path, tmp_path: Path
) -> None:
    arguments = [
        *("lr-find", drawn_photos, "--to", tmp_path / "lr.png", "--weights", start_weights),
        *("--size", 32, "--batch", 16, "--steps", 40, "--device", "cpu", "--arch", "resnet18"),
    ]
    answer = ask(main, *arguments)
    assert answer.code == 0, answer.err
    assert "suggested: --rate" in answer.out and "next: yoga-train fit" in answer.out
    with Image.open(tmp_path / "lr.png") as picture:
        assert picture.width > 400
    with (tmp_path / "lr.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert 10 <= len(rows) <= 40 and float(rows[0]["rate"]) == pytest.approx(1e-6)
    (tmp_path / "lr.png").rename(tmp_path / "mine.png")
    assert "lr.csv exists already" in ask(main, *arguments).refusal()
    (tmp_path / "mine.png").rename(tmp_path / "lr.png")
    assert "lr.png exists already" in ask(main, *arguments).refusal()
    assert ask(main, *arguments, "--force").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lr.csv", "lr.png"]


def test_a_plot_of_an_unknown_kind_is_refused(ask, drawn_photos: Path, tmp_path: Path) -> None:
    assert (
        "is not the name of a plot; give .png"
        in ask(main, "lr-find", drawn_photos, "--to", tmp_path / "lr.txt").refusal()
    )
