"""Temperature and threshold on logits whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.calibration.confidence import ENOUGH, calibrate, choose_threshold, fit_temperature, plot_reliability
from yoga_live.calibration.logits import SplitLogits, compute_logits, load_logits
from yoga_live.calibration.metrics import measure_nll
from yoga_live.calibration.runs import load_run
from yoga_live.runtime.classifier import choose_answer
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.softmax import softmax
from yoga_live.runtime.engines.onnxruntime import OnnxEngine

LABELS = ("chair", "plank", "tree", "none")


def draw_calibrated(count: int, seed: int, temperature: float = 1.0, sharpness: float = 2.0) -> SplitLogits:
    """Logits whose softmax at `temperature` is exactly the chance of each class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, sharpness, (count, len(LABELS)))
    chances = softmax(logits)
    targets = (chances.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return SplitLogits(logits * temperature, targets)


@pytest.mark.parametrize("temperature", [0.4, 0.8, 1.5, 3.0, 6.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    split = draw_calibrated(4000, 0, temperature)
    assert fit_temperature(split.logits, split.targets) == pytest.approx(temperature, rel=0.08)


@pytest.mark.parametrize("seed", range(8))
def test_calibrated_logits_keep_a_temperature_near_one(seed: int) -> None:
    split = draw_calibrated(1500, seed)
    assert fit_temperature(split.logits, split.targets) == pytest.approx(1.0, abs=0.12)


def test_temperature_is_exactly_one_where_it_would_not_help_on_unseen_photos() -> None:
    ones = sum(fit_temperature(*[*vars(draw_calibrated(200, seed)).values()][:3]) == 1.0 for seed in range(20))
    assert ones >= 5


def test_copies_of_photos_change_nothing_where_their_groups_are_known() -> None:
    """Three copies of each: on both sides of the check they would pass every fit, and pass for more photos."""
    unaware = 0
    for seed in range(20):
        plain = draw_calibrated(60, seed)
        logits, targets = np.repeat(plain.logits, 3, axis=0), np.repeat(plain.targets, 3)
        expected = fit_temperature(plain.logits, plain.targets)
        assert fit_temperature(logits, targets, np.repeat(np.arange(60) * 7, 3)) == expected
        unaware += fit_temperature(logits, targets) != expected
    assert unaware >= 5
    assert fit_temperature(np.array([[3.0, 0.0]] * 4), np.zeros(4, int), np.zeros(4, int)) == 1.0


@pytest.mark.parametrize("count", [2, 8, 60])
def test_copies_that_are_all_right_make_the_model_no_surer(count: int) -> None:
    targets = np.arange(count) % 3
    logits = np.eye(3)[targets] * 5.0
    temperature = fit_temperature(np.repeat(logits, 9, axis=0), np.repeat(targets, 9), np.repeat(np.arange(count), 9))
    assert temperature == fit_temperature(logits, targets)


def test_one_photo_or_none_fits_no_temperature() -> None:
    assert fit_temperature(np.array([[3.0, 0.0]]), np.array([0])) == 1.0
    assert fit_temperature(np.zeros((0, 2)), np.zeros(0, int)) == 1.0


@pytest.mark.parametrize("count", [2, 4, 8, 20, 60])
@pytest.mark.parametrize("scale", [0.5, 5.0, 50.0])
def test_photos_that_are_all_right_never_make_the_model_surer_than_their_number_allows(
    count: int, scale: float
) -> None:
    targets = np.arange(count) % 3
    logits = np.eye(3)[targets] * scale
    temperature = fit_temperature(logits, targets)
    assert 0.1 <= temperature <= 10
    before, after = (float(softmax(logits / t).max(axis=1).mean()) for t in (1.0, temperature))
    assert after <= max(before, 1 - 1 / (count + 2)) + 0.01  # Laplace: n right answers leave a doubt of 1 in n + 2


def test_logits_that_are_all_wrong_end_at_the_search_border_and_not_beyond() -> None:
    targets = np.arange(60) % 3
    logits = np.eye(3)[(targets + 1) % 3] * 30.0
    assert fit_temperature(logits, targets) == pytest.approx(10.0)


def separate_none(rows: int = 200) -> SplitLogits:
    """Poses are answered with 0.9; `none` looks like some pose with 0.6, never like the class `none`."""
    rng = np.random.default_rng(0)
    targets = np.arange(rows) % 4
    sure = np.where(targets == 3, 0.6, 0.9) + rng.uniform(-0.05, 0.05, rows)
    chances = np.full((rows, 4), 0.0) + ((1 - sure) / 3)[:, None]
    chances[np.arange(rows), np.where(targets == 3, rng.integers(0, 3, rows), targets)] = sure
    return SplitLogits(np.log(chances), targets)


def test_threshold_lets_the_poses_through_and_rejects_none() -> None:
    split = separate_none()
    threshold = choose_threshold(split, LABELS, 1.0)
    assert 0.64 < threshold <= 0.86
    answers = [choose_answer(row, LABELS, threshold)[0] for row in softmax(split.logits)]
    assert answers == [LABELS[target] for target in split.targets]


def test_a_network_that_knows_every_none_by_its_class_still_gets_a_threshold() -> None:
    """Every threshold up to 0.85 does equally well: the lowest, 0, would call everything else a pose."""
    split = separate_none()
    chances = softmax(split.logits)
    rows = split.targets == 3
    chances[rows] = np.sort(chances[rows], axis=1)  # the largest for `none`, the last class
    assert choose_threshold(SplitLogits(np.log(chances), split.targets), LABELS, 1.0) == pytest.approx(0.42, abs=0.011)


def answer_like_poses(sure: list[float], targets: list[int], copies: int = 1) -> SplitLogits:
    """Poses are answered rightly and `none` (3) like a pose, as surely as it says."""
    chances = np.repeat(((1 - np.array(sure)) / 3)[:, None], 4, axis=1)
    chances[np.arange(len(sure)), np.where(np.array(targets) == 3, 0, targets)] = sure
    return SplitLogits(np.repeat(np.log(chances), copies, axis=0), np.repeat(targets, copies))


def test_the_threshold_is_the_middle_of_the_widest_stretch_of_best_ones() -> None:
    """`none` at 0.305 and 0.405, poses at 0.365 and 0.905: 0.31 to 0.36 is as good as 0.41 to 0.90."""
    split = answer_like_poses([0.305, 0.405, 0.365, 0.905], [3, 3, 0, 1])
    assert choose_threshold(split, LABELS, 1.0, resamples=0) == pytest.approx(0.655, abs=0.006)


def test_the_threshold_does_not_lie_between_two_places_that_are_both_better() -> None:
    """`none` at 0.3 and 0.695, poses at 0.45 and 0.95: 0.31 to 0.45 is as good as 0.7 to 0.95, between is worse."""
    split = answer_like_poses([0.3, 0.695, 0.45, 0.95], [3, 3, 0, 1], copies=50)
    threshold = choose_threshold(split, LABELS, 1.0)
    assert 0.3 < threshold <= 0.45 or 0.695 < threshold <= 0.95


def draw_overlapping(seed: int, rows: int = 120) -> SplitLogits:
    """Poses are answered with 0.5 to 1, `none` like some pose with 0.3 to 0.8: no threshold parts them."""
    rng = np.random.default_rng(seed)
    targets = np.arange(rows) % 4
    sure = np.where(targets == 3, rng.uniform(0.3, 0.8, rows), rng.uniform(0.5, 1.0, rows))
    chances = np.repeat(((1 - sure) / 3)[:, None], 4, axis=1)
    chances[np.arange(rows), np.where(targets == 3, 0, targets)] = sure
    return SplitLogits(np.log(chances), targets)


def test_other_photos_of_the_same_kind_move_the_threshold_less_than_the_best_one_on_each() -> None:
    splits = [draw_overlapping(seed) for seed in range(20)]
    averaged = [choose_threshold(split, LABELS, 1.0) for split in splits]
    alone = [choose_threshold(split, LABELS, 1.0, resamples=0) for split in splits]
    assert np.std(averaged) < 0.7 * np.std(alone)
    assert abs(np.mean(averaged) - np.mean(alone)) < 0.05


def test_copies_of_one_photo_do_not_decide_the_threshold() -> None:
    """Twenty near-duplicates of `none` at 0.84 are one accident; twenty photos of it are a habit."""
    split = separate_none()
    chances = np.repeat(np.array([[0.84, 0.06, 0.05, 0.05]]), 20, axis=0)
    logits, targets = np.concatenate([split.logits, np.log(chances)]), np.append(split.targets, np.full(20, 3))
    copies = np.append(np.arange(200), np.full(20, 200))
    accident = choose_threshold(SplitLogits(logits, targets, copies), LABELS, 1.0)
    assert accident < choose_threshold(SplitLogits(logits, targets), LABELS, 1.0) - 0.02


def test_two_photos_are_enough_for_a_threshold() -> None:
    """Half of the draws then lack the pose or the `none`: they say nothing."""
    chances = np.array([[0.8, 0.1, 0.05, 0.05], [0.4, 0.2, 0.2, 0.2]])
    split = SplitLogits(np.log(chances), np.array([0, 3]))
    assert choose_threshold(split, LABELS, 1.0) == pytest.approx(0.6, abs=0.011)


def test_threshold_follows_the_temperature() -> None:
    split = separate_none()
    hot = choose_threshold(SplitLogits(split.logits * 3, split.targets), LABELS, 3.0)
    assert hot == choose_threshold(split, LABELS, 1.0)
    assert choose_threshold(split, LABELS, 2.0) < choose_threshold(split, LABELS, 1.0)


def test_without_none_the_threshold_keeps_95_percent_of_the_right_answers_and_no_more_than_needed() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 1000)
    sure = rng.uniform(0.5, 1.0, 1000)
    chances = np.repeat(((1 - sure) / 2)[:, None], 3, axis=1)
    chances[np.arange(1000), targets] = sure
    threshold = choose_threshold(SplitLogits(np.log(chances), targets), LABELS[:3], 1.0)
    assert (sure >= threshold).mean() >= 0.95
    assert (sure >= threshold + 0.01).mean() < 0.95


def test_a_none_class_without_photos_counts_as_no_none() -> None:
    rows = separate_none()
    poses = SplitLogits(rows.logits[rows.targets != 3], rows.targets[rows.targets != 3])
    assert 0.84 <= choose_threshold(poses, LABELS, 1.0) <= 0.87


def test_calibration_lowers_nll_and_ece_of_an_overconfident_model_on_photos_it_did_not_see() -> None:
    info = ModelInfo(LABELS, 64)
    calibrated, report = calibrate(info, draw_calibrated(2000, 0, 4.0), draw_calibrated(2000, 1, 4.0))
    assert calibrated.temperature == report.temperature == pytest.approx(4.0, rel=0.1)
    assert report.nll_after < report.nll_before
    assert report.ece_before > 0.1 and report.ece_after < report.ece_perfect_high * 1.3
    assert report.accuracy.total == 2000
    assert report.none_rejected is not None
    assert report.poses_kept.total + report.none_rejected.total == 2000


def test_report_counts_what_the_classifier_would_answer() -> None:
    test = draw_calibrated(500, 3, 2.0)
    calibrated, report = calibrate(ModelInfo(LABELS, 64), draw_calibrated(500, 2, 2.0), test)
    answers = [
        choose_answer(row, LABELS, calibrated.threshold)[0] for row in softmax(test.logits / calibrated.temperature)
    ]
    truths = [LABELS[target] for target in test.targets]
    pairs = list(zip(answers, truths, strict=True))
    assert report.poses_kept.right == sum(a == t != "none" for a, t in pairs)
    assert report.none_rejected is not None
    assert report.none_rejected.right == sum(a == t == "none" for a, t in pairs)


def test_calibration_travels_in_the_metadata_as_plain_json() -> None:
    calibrated, report = calibrate(ModelInfo(LABELS, 64), draw_calibrated(300, 0), draw_calibrated(300, 1))
    again = ModelInfo.from_json(calibrated.to_json())
    assert again == calibrated
    assert json.loads(json.dumps(report.summary()))["accuracy"]["photos"] == 300


def test_logits_do_not_depend_on_how_frames_are_batched(exported_model: Path, trained_run: Path) -> None:
    engine = OnnxEngine(exported_model, "cpu")
    run = load_run(trained_run)
    split = load_logits(engine, run, "train")
    assert split.groups is not None
    assert split.groups.tolist() == [photo.group for photo in run.photos if photo.split == "train"]
    assert split.logits.shape == (48, 4) and split.targets.tolist() == sorted(split.targets.tolist())
    frames = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), dtype=np.uint8)
    alone = np.concatenate([engine.infer(frames[i : i + 1]) for i in range(9)])
    np.testing.assert_allclose(compute_logits(engine, frames), alone, rtol=1e-3, atol=1e-3)


def test_reliability_diagram_is_a_picture(tmp_path: Path) -> None:
    test = draw_calibrated(200, 1, 3.0)
    _, report = calibrate(ModelInfo(LABELS, 64), draw_calibrated(200, 0, 3.0), test)
    plot_reliability(test, report, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.width > picture.height > 300
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]


@pytest.mark.parametrize("count", [4, 9, 19])
def test_few_photos_move_temperature_and_threshold_only_a_part_of_the_way(count: int) -> None:
    few = draw_calibrated(count, 1, 6.0)
    calibrated, report = calibrate(ModelInfo(LABELS, 64), few, draw_calibrated(50, 2, 6.0))
    alone = fit_temperature(few.logits, few.targets)
    assert report.trust == count / ENOUGH and calibrated.temperature == pytest.approx(alone**report.trust)
    found = choose_threshold(few, LABELS, calibrated.temperature)
    assert min(found, 0.5) <= calibrated.threshold <= max(found, 0.5)
    assert calibrated.threshold == pytest.approx(found if found <= 0.5 else 0.5 + report.trust * (found - 0.5))


@pytest.mark.parametrize("count", [20, 100, 700])
def test_a_large_set_gives_what_its_photos_say_and_copies_do_not_make_it_large(count: int) -> None:
    split = draw_calibrated(count, 3, 4.0)
    calibrated, report = calibrate(ModelInfo(LABELS, 64), split, draw_calibrated(50, 2, 4.0))
    assert report.trust == 1 and calibrated.temperature == fit_temperature(split.logits, split.targets)
    assert calibrated.threshold == choose_threshold(split, LABELS, calibrated.temperature)
    copies = SplitLogits(split.logits, split.targets, np.arange(count) % 10)
    assert calibrate(ModelInfo(LABELS, 64), copies, split)[1].trust == 0.5


def test_shrunk_temperatures_of_nine_photos_do_better_on_others() -> None:
    """Twenty draws of nine photos each of a network that is right as often as it says, twice as sure, or half."""
    losses = []
    for seed in range(20):
        for temperature in (0.5, 1.0, 2.0):
            few, others = draw_calibrated(9, seed, temperature), draw_calibrated(400, seed + 100, temperature)
            fitted = fit_temperature(few.logits, few.targets)
            shrunk = calibrate(ModelInfo(LABELS, 64), few, others)[0].temperature
            losses.append([measure_nll(others.logits, others.targets, t) for t in (fitted, shrunk)])
    assert np.mean(losses, axis=0)[1] < np.mean(losses, axis=0)[0] - 0.01
