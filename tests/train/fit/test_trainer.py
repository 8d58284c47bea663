"""Fitting: seeded, a backbone left alone at first, the best epoch kept.  A small network stands in for the ResNet."""

from __future__ import annotations

import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from yoga_live.calibration.metrics import measure_accuracy, measure_nll
from yoga_live.runtime.errors import RunError
from yoga_live.runtime.system.progress import ProgressUpdate, send_progress
from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.fit.checkpoint import Progression
from yoga_live.train.fit.config import Augmentation, FitConfig
from yoga_live.train.fit.network import PoseNetwork
from yoga_live.train.fit.trainer import Trainer, early_size
from yoga_live.train.photos.dataset import PhotoDataset

CLASSES, SIZE = 3, 32
CONFIG = FitConfig("none", epochs_frozen=20, epochs=2, size=SIZE, batch=8, device="cpu")


class SmallNetwork(PoseNetwork):
    """One narrow block a stage: a hundredth of the work."""

    def __init__(self, classes: int) -> None:
        nn.Module.__init__(self)
        net = self.net = ResNet(BasicBlock, [1, 1, 1, 1])
        net.conv1, net.bn1 = nn.Conv2d(3, 16, 7, 4, 3, bias=False), nn.BatchNorm2d(16)
        net.layer1, net.layer2, net.layer3, net.layer4 = (nn.Sequential(BasicBlock(16, 16)) for _ in range(4))
        net.fc = nn.Linear(16, classes)


class FailingFitter(Trainer):
    """Raises when the epoch of this number begins."""

    failing_epoch = 2

    def _train_epoch(self, epoch: int, model: nn.Module, progression: Progression) -> float:
        if epoch == self.failing_epoch:
            raise KeyboardInterrupt
        return super()._train_epoch(epoch, model, progression)


class SlowFitter(Trainer):
    """Takes longer for a step than the progress line waits between two lines."""

    def _step(self, loss: torch.Tensor, progression: Progression) -> None:
        super()._step(loss, progression)
        time.sleep(0.11)


def draw_split(count: int, seed: int) -> PhotoDataset:
    """Noise in which one colour channel, that of the class, is brighter."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % CLASSES
    frames = rng.integers(0, 150, (count, SIZE, SIZE, 3))
    frames[np.arange(count), :, :, targets] += 90
    return PhotoDataset(frames.astype(np.uint8), targets.astype(np.int64))


SPLIT_FRAMES = {"train": draw_split(36, 0), "validation": draw_split(15, 1), "test": draw_split(15, 2)}


def make_fitter(folder: Path, config: FitConfig = CONFIG, kind: type[Trainer] = Trainer) -> Trainer:
    torch.manual_seed(config.seed)
    folder.mkdir()
    return kind(SmallNetwork(CLASSES), SPLIT_FRAMES, config, Workers(), folder)


def copy_state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def read_log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_frozen_phase_moves_the_head_alone_and_beats_chance(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path / "run", replace(CONFIG, epochs_frozen=200))
    before = copy_state(fitter.network)
    answers = fitter.fit_head()["test"].argmax(axis=1)
    after = fitter.network.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {"net.fc.weight", "net.fc.bias"}
    assert measure_accuracy(answers, SPLIT_FRAMES["test"].targets).value > 0.7


def test_frozen_phase_reports_what_the_whole_network_then_answers(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path / "run")
    logits = fitter.fit_head()["test"]
    whole = fitter.predict(SPLIT_FRAMES["test"], exact=True)
    np.testing.assert_allclose(logits, whole, rtol=0.05, atol=0.05)  # the cached features may be BF16


def test_fine_tuning_moves_every_parameter_and_no_batch_norm_statistic(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path / "run")
    before = copy_state(fitter.network)
    fitter.fit_all()
    for name, parameter in fitter.network.named_parameters():
        assert not torch.equal(parameter, before[name]), name
    for name, statistic in fitter.network.named_buffers():
        assert torch.equal(statistic, before[name]), name


def fit_weights(folder: Path, seed: int) -> dict[str, torch.Tensor]:
    fitter = make_fitter(folder, replace(CONFIG, seed=seed))
    fitter.fit_head()
    fitter.fit_all()
    return copy_state(fitter.network)


def test_one_seed_gives_equal_weights_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (fit_weights(tmp_path / name, seed) for name, seed in (("a", 3), ("b", 3), ("c", 4)))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["net.conv1.weight"], other["net.conv1.weight"])
    losses = [[row["train_loss"] for row in read_log(tmp_path / name)] for name in "abc"]
    assert losses[0] == losses[1] != losses[2]


def test_the_seed_rules_the_training_and_not_only_the_first_weights(tmp_path: Path) -> None:
    states = []
    for name, seed in (("a", 3), ("b", 4)):
        fitter = make_fitter(tmp_path / name, replace(CONFIG, seed=seed, epochs=1))
        torch.manual_seed(0)
        fitter.network.load_state_dict(SmallNetwork(CLASSES).state_dict())
        fitter.fit_all()
        states.append(copy_state(fitter.network))
    assert not torch.equal(states[0]["net.fc.weight"], states[1]["net.fc.weight"])


def test_weights_on_disk_are_those_of_the_epoch_with_the_least_validation_nll(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path / "run", replace(CONFIG, epochs=3, rate=0.02))  # a rate that overshoots
    fitter.fit_head()
    fitter.fit_all()
    log = read_log(tmp_path / "run")
    assert [row["epoch"] for row in log] == ["0", "1", "2", "3"]
    best = min(log, key=lambda row: float(row["validation_nll"]))
    assert fitter.best_epoch == int(best["epoch"])
    fitter.network.net.load_state_dict(load_file(tmp_path / "run" / "weights.safetensors"))
    validation = SPLIT_FRAMES["validation"]
    nll = measure_nll(fitter.predict(validation), validation.targets)
    assert nll == pytest.approx(float(best["validation_nll"]), rel=0.02, abs=0.01)


def test_a_worse_epoch_leaves_the_saved_weights_alone(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path / "run", replace(CONFIG, epochs=1))
    sure = np.where(np.eye(CLASSES)[SPLIT_FRAMES["validation"].targets] > 0, 9.0, 0.0)
    fitter._end_epoch(0, fitter.network, sure, loss=None, rate=0.0, seconds=0.0)
    saved = (tmp_path / "run" / "weights.safetensors").read_bytes()
    fitter.fit_all()
    assert fitter.best_epoch == 0 and len(read_log(tmp_path / "run")) == 2
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == saved


@pytest.mark.parametrize("epochs", [3, 6])
def test_a_small_set_loses_nothing_when_the_whole_network_is_trained(tmp_path: Path, epochs: int) -> None:
    torch.manual_seed(0)
    network = PoseNetwork(CLASSES, arch="resnet18")  # its statistics are kept, as those of pretrained weights are
    config = replace(CONFIG, epochs_frozen=60, epochs=epochs)
    fitter = Trainer(network, SPLIT_FRAMES, config, Workers(), tmp_path)
    fitter.fit_head()
    fitter.fit_all()
    frozen, *unfrozen = (float(row["validation_nll"]) for row in read_log(tmp_path))
    assert max(unfrozen) < frozen + 0.05, unfrozen  # 0.34 after 0.08 at the configured rate


def test_a_training_of_many_steps_is_as_it_was_configured_and_a_short_one_gentler(tmp_path: Path) -> None:
    long, short, scratch = (
        make_fitter(tmp_path / name, replace(CONFIG, epochs=epochs)) for name, epochs in (("a", 80), ("b", 8), ("c", 8))
    )
    assert long.strength == 1 and long._augmentation == CONFIG.augmentation and not long.describe_strength()
    assert long._start().optimizer.param_groups[-1]["max_lr"] == CONFIG.rate and long._count_early() == 40
    assert short.strength == pytest.approx(0.1) and short._count_early() == 0  # 40 of 400 steps
    assert short._start().optimizer.param_groups[-1]["max_lr"] == pytest.approx(CONFIG.rate / 10)
    assert "40 steps of the whole network: its learning rate, 1.0e-04 at most" in short.describe_strength()
    assert (
        "photos are 10% of what 400 steps or more are given; more photos or more --epochs" in short.describe_strength()
    )
    for strength, share in ((2 / 400, "under 1%"), (4 / 400, "1%"), (399 / 400, "99%")):
        short.strength = strength
        assert f"the photos are {share} of what" in short.describe_strength()
    scratch.network.freeze_norm = False
    assert scratch._measure_strength() == 1  # random weights have nothing to lose


def test_the_progress_note_is_new_at_every_step(tmp_path: Path) -> None:
    updates: list[ProgressUpdate] = []
    fitter = make_fitter(tmp_path / "run", replace(CONFIG, epochs=1), SlowFitter)
    with send_progress(updates.append):
        fitter.fit_all()
    epoch = [update for update in updates if update.stage.startswith("epoch")][:5]
    assert [update.done for update in epoch] == [8, 16, 24, 32, 36]
    assert len({update.note for update in epoch}) == 5


def test_ctrl_c_in_the_second_epoch_leaves_the_best_weights_and_the_log(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path / "run", kind=FailingFitter)
    fitter.fit_head()
    with pytest.raises(KeyboardInterrupt):
        fitter.fit_all()
    assert [row["epoch"] for row in read_log(tmp_path / "run")] == ["0", "1"]
    assert set(load_file(tmp_path / "run" / "weights.safetensors")) == set(fitter.network.net.state_dict())


def test_no_epochs_at_all_still_leave_weights(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path / "run", replace(CONFIG, epochs_frozen=0, epochs=0))
    fitter.fit_head()
    fitter.fit_all()
    assert (tmp_path / "run" / "weights.safetensors").is_file() and fitter.best_epoch == 0


@pytest.mark.parametrize("batch", [2, 5, 7, 35, 36, 64])
def test_any_batch_size_trains_on_as_many_photos_as_there_are(tmp_path: Path, batch: int) -> None:
    fitter = make_fitter(tmp_path / "run", replace(CONFIG, epochs=1, batch=batch))
    fitter.fit_all()
    assert float(read_log(tmp_path / "run")[0]["train_loss"]) > 0


def test_predictions_do_not_depend_on_the_company_in_the_batch(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path / "run")
    test = SPLIT_FRAMES["test"]
    together = fitter.predict(test, exact=True)
    one_each = [replace(test, targets=test.targets[i : i + 1], rows=np.array([i])) for i in range(3)]
    alone = np.concatenate([fitter.predict(one, exact=True) for one in one_each])
    np.testing.assert_allclose(together[:3], alone, rtol=1e-4, atol=1e-4)


def test_kinds_are_told_apart_by_a_head_of_their_own_and_one_not_known_counts_for_nothing(tmp_path: Path) -> None:
    train = SPLIT_FRAMES["train"]
    kinds = np.where(np.arange(len(train)) % 5 == 4, -1, np.arange(len(train)) % 2 + 2 * (train.targets == 1))
    config = replace(CONFIG, epochs=3)
    for name, folder_kinds in (("with", kinds), ("without", None), ("unknown", np.full(len(train), -1))):
        splits = SPLIT_FRAMES | {"train": replace(train, kinds=folder_kinds)}
        torch.manual_seed(0)
        (tmp_path / name).mkdir()
        fitter = Trainer(SmallNetwork(CLASSES), splits, config, Workers(), tmp_path / name)
        fitter.fit_head()
        fitter.fit_all()
    weights = {name: load_file(tmp_path / name / "weights.safetensors") for name in ("with", "without", "unknown")}
    assert set(weights["with"]) == set(weights["without"])  # the second head is not kept
    assert not torch.equal(weights["with"]["layer4.0.conv1.weight"], weights["without"]["layer4.0.conv1.weight"])
    assert torch.equal(weights["unknown"]["layer4.0.conv1.weight"], weights["without"]["layer4.0.conv1.weight"])


def test_first_half_of_the_epochs_runs_smaller_but_never_under_32_pixels() -> None:
    assert [early_size(size) for size in (224, 192, 64, 32)] == [160, 128, 32, 32]


def test_the_configuration_carries_its_augmentation() -> None:
    assert FitConfig().augmentation == Augmentation() and FitConfig().train_only == ""


def test_averaged_weights_are_kept_and_differ_from_the_last_steps(tmp_path: Path) -> None:
    states = {}
    for name, averaging in (("plain", 0.0), ("averaged", 2.0)):
        fitter = make_fitter(tmp_path / name, replace(CONFIG, averaging=averaging))
        fitter.splits = {"train": SPLIT_FRAMES["train"]}  # the last epoch is kept
        fitter.fit_all()
        states[name] = load_file(tmp_path / name / "weights.safetensors")
        is_last = torch.equal(states[name]["fc.weight"], fitter.network.head.weight)
        assert is_last == (averaging == 0)
    assert not torch.equal(states["plain"]["fc.weight"], states["averaged"]["fc.weight"])


def test_early_stopping_waits_for_the_second_half_and_its_patience(tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=20, patience=3)
    fitter = make_fitter(tmp_path / "run", config)
    sure = np.where(np.eye(CLASSES)[SPLIT_FRAMES["validation"].targets] > 0, 9.0, 0.0)
    fitter._end_epoch(0, fitter.network, sure, loss=None, rate=0.0, seconds=0.0)  # nothing will beat this
    fitter.fit_all()
    assert [row["epoch"] for row in read_log(tmp_path / "run")] == [str(epoch) for epoch in range(14)]  # 10 + 3


def test_a_loss_that_breaks_is_an_error_that_names_the_rate(tmp_path: Path) -> None:
    config = replace(CONFIG)
    object.__setattr__(config, "rate", 1e18)  # it is refused otherwise, and a rate of 1 breaks no net of this size
    fitter = make_fitter(tmp_path / "run", config)
    with pytest.raises(RunError, match=r"lower --rate \(yoga-train lr-find\)"):
        fitter.fit_all()


def test_the_event_file_holds_the_numbers_of_the_log(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fitter = make_fitter(tmp_path / "run")
    fitter.fit_head()
    fitter.fit_all()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    log = read_log(tmp_path / "run")
    for tag, column in (("train/loss", "train_loss"), ("validation/nll", "validation_nll"), ("rate", "rate")):
        values = {str(event.step): event.value for event in events.Scalars(tag)}
        expected = {row["epoch"]: float(row[column]) for row in log if row[column]}
        assert values == pytest.approx(expected, rel=1e-4)
