"""Left and right: without mirroring, or with swapped labels, a network tells them apart; mirrored it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, ResNet

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.errors import OptionError, RunError
from yoga_live.train.cli.main import main
from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.fit.config import Augmentation, FitConfig, settle_mirroring
from yoga_live.train.fit.data import number_partners, read_training_data
from yoga_live.train.fit.network import PoseNetwork
from yoga_live.train.fit.run import fit_run
from yoga_live.train.fit.trainer import Trainer
from yoga_live.train.photos.dataset import Numbers, PhotoDataset

LABELS = ("left", "right", "up")
SIZE, PHOTOS = 32, 60
CONFIG = FitConfig("none", epochs_frozen=100, epochs=0, size=SIZE, batch=16, device="cpu", arch="resnet18")
STILL = Augmentation(0.5, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)  # nothing but the mirror
SWAPS = (("left", "right"),)
QUICK = replace(CONFIG, epochs_frozen=1, epochs=1, batch=8)


class GridNetwork(PoseNetwork):
    """Its features are where the picture is bright, on a grid of four by four; only the head is trained."""

    def __init__(self, classes: int) -> None:
        nn.Module.__init__(self)
        self.freeze_norm = False
        net = self.net = ResNet(BasicBlock, [1, 1, 1, 1])
        net.conv1, net.bn1 = nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1)
        net.layer1 = net.layer2 = net.layer3 = net.layer4 = nn.Sequential()
        net.fc = nn.Linear(16, classes)

    def features(self, images: Tensor) -> Tensor:
        grid = functional.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), 4).flatten(1)
        return (grid - grid.mean(dim=1, keepdim=True))[:, :, None, None]


def draw_side(pose: str, rng: np.random.Generator, side: int = SIZE) -> npt.NDArray[np.uint8]:
    """Noise, and a bright spot on the left, on the right or at the top: uint8 (S, S, 3)."""
    frame = rng.integers(0, 120, (side, side, 3))
    x, y = {"left": (0.05, 0.4), "right": (0.75, 0.4), "up": (0.4, 0.05)}[pose]
    top, left = (int(side * (start + rng.uniform(0, 0.15))) for start in (y, x))
    frame[top : top + side // 5, left : left + side // 5] += 130
    return frame.astype(np.uint8)


def draw_split(seed: int, partners: Numbers | None = None, kinds: Numbers | None = None) -> PhotoDataset:
    rng = np.random.default_rng(seed)
    targets = np.arange(PHOTOS, dtype=np.int64) % len(LABELS)
    frames = np.stack([draw_side(LABELS[target], rng) for target in targets])
    return PhotoDataset(frames, targets, partners=partners, kinds=kinds)


def make_trainer(folder: Path, config: FitConfig, kinds: Numbers | None = None) -> Trainer:
    config, _ = settle_mirroring(config, LABELS)
    torch.manual_seed(0)
    train = draw_split(0, number_partners(LABELS, config.mirror_swaps), kinds)
    return Trainer(GridNetwork(len(LABELS)), {"train": train, "test": draw_split(1)}, config, Workers(), folder)


def measure_sides(trainer: Trainer) -> tuple[float, float]:
    """Accuracy on left and right, and how often the mirror image of one is taken for the other."""
    test = trainer.splits["test"]
    mirrored = replace(test, frames=np.ascontiguousarray(test.frames[:, :, ::-1]))
    plain, other = (trainer.predict(split, exact=True).argmax(1) for split in (test, mirrored))
    sides = test.targets < 2
    return float((plain == test.targets)[sides].mean()), float((other == 1 - test.targets)[sides].mean())


def test_a_mirrored_head_cannot_tell_left_from_right(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, replace(CONFIG, mirror=True))
    trainer.fit_head()
    assert measure_sides(trainer)[0] < 0.75


@pytest.mark.parametrize("choice", [{}, {"mirror": False}, {"mirror_swaps": SWAPS}], ids=["names", "off", "swaps"])
def test_a_head_tells_left_from_right_if_not_mirrored_or_swapped(tmp_path: Path, choice: dict[str, Any]) -> None:
    trainer = make_trainer(tmp_path, replace(CONFIG, **choice))
    features = trainer.compute_features()
    assert len(features["train"].mirrored) == (PHOTOS if "mirror_swaps" in choice else 0)
    trainer.fit_head(features)
    accuracy, of_mirrored = measure_sides(trainer)
    assert accuracy > 0.95 and of_mirrored > 0.95


def test_the_whole_network_learns_from_mirror_images_what_the_other_side_is(tmp_path: Path) -> None:
    """Without photos of the right side only the mirror images, with their labels swapped, show it."""
    found = {}
    for name, choice in (("swaps", {"mirror_swaps": SWAPS}), ("off", {"mirror": False})):
        config = replace(CONFIG, epochs=12, rate=0.05, augmentation=STILL, averaging=0.0, **choice)
        trainer = make_trainer(tmp_path / name, config)
        (tmp_path / name).mkdir()
        train = trainer.splits["train"]
        rows = np.flatnonzero(train.targets != LABELS.index("right"))
        trainer.splits["train"] = replace(train, rows=rows, targets=train.targets[rows])
        trainer.fit_all()
        found[name] = measure_sides(trainer)[0]
    assert found["swaps"] > 0.95 and found["off"] < 0.7, found


def test_a_mirrored_photo_of_a_side_is_of_no_known_kind(tmp_path: Path) -> None:
    kinds = np.arange(PHOTOS, dtype=np.int64) % 4
    swapped = make_trainer(tmp_path, replace(CONFIG, epochs_frozen=1, mirror_swaps=SWAPS), kinds)
    mirrored = swapped._mirror_kinds(np.arange(6))
    assert mirrored is not None and np.array_equal(mirrored, [-1, -1, 2, -1, -1, 1])
    swapped.fit_head()
    assert make_trainer(tmp_path, replace(CONFIG, mirror=True), kinds)._mirror_kinds(np.arange(6)) is None


def test_settings_are_settled_by_the_names_of_the_poses() -> None:
    off, line = settle_mirroring(CONFIG, ("left_arm", "right_arm"))
    assert off.mirror is False and off.augmentation.mirror == 0 and "--mirror-swaps left_arm=right_arm" in line
    on, line = settle_mirroring(CONFIG, ("chair", "tree"))
    assert on.mirror is True and on.augmentation == CONFIG.augmentation and not line
    swapped, line = settle_mirroring(replace(CONFIG, mirror_swaps=SWAPS), ("left_arm", "right_arm"))
    assert swapped.mirror is True and swapped.mirror_swaps == (("left_arm", "right_arm"),) and not line
    assert all(settle_mirroring(settled, ("left_arm", "right_arm"))[0] == settled for settled in (off, swapped))
    never = replace(CONFIG, augmentation=replace(Augmentation(), mirror=0.0))
    assert settle_mirroring(never, ("chair", "tree"))[0].mirror is False


@pytest.mark.parametrize(
    ("choice", "line"),
    [
        ({"mirror": 1}, "mirror must be True, False or None; got 1"),
        ({"mirror_swaps": "left=right"}, "mirror_swaps must be pairs"),
        ({"mirror_swaps": ("ab",)}, "mirror_swaps must be pairs"),
        ({"mirror_swaps": (("left", "right", "up"),)}, "mirror_swaps must be pairs"),
        ({"mirror": False, "mirror_swaps": SWAPS}, "--no-mirror and --mirror-swaps exclude each other"),
    ],
)
def test_settings_that_cannot_be_are_refused_where_they_are_made(choice: dict[str, Any], line: str) -> None:
    with pytest.raises(OptionError, match=line):
        FitConfig(**choice)


@pytest.fixture
def sides(tmp_path: Path) -> Path:
    """Six pictures of each side and of up."""
    rng = np.random.default_rng(5)
    for pose in LABELS:
        (tmp_path / "photos" / pose).mkdir(parents=True)
        for number in range(6):
            small = Image.fromarray(draw_side(pose, rng, 8))
            small.resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / "photos" / pose / f"{number}.png")
    return tmp_path / "photos"


def make_right_of_left(sides: Path) -> None:
    """Make every right picture by mirroring a left one, as people do."""
    for number in range(6):
        with Image.open(sides / "left" / f"{number}.png") as picture:
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(sides / "right" / f"{number}.png")


@pytest.mark.parametrize("split", ["auto", "given"])
def test_mirror_images_of_the_other_side_are_another_picture_in_the_splits(sides: Path, split: str) -> None:
    make_right_of_left(sides)
    rows = "".join(f"left,file:///{n},{n:02x},,,,,ok,,left/{n}.png,,test\n" for n in range(2))
    head = "pose,url,sha256,phash,width,height,group,status,reason,path,mirror_phash,split\n"
    (sides / "manifest.csv").write_text(head + rows)
    config = replace(QUICK, split=split)
    for choice in ({"mirror": False}, {"mirror_swaps": SWAPS}):
        settled, _ = settle_mirroring(replace(config, **choice), LABELS)
        data = read_training_data(sides, settled, Workers())
        assert len(set(data.groups.tolist())) == 18 and data.plan is not None
        assert len(set(data.plan.pictures.tolist())) == 18
    forced, _ = settle_mirroring(replace(config, mirror=True), LABELS)
    with pytest.raises(RunError, match=r"pose 'right' has . independent photo"):
        read_training_data(sides, forced, Workers())


@pytest.mark.parametrize("seed", range(4))
def test_a_test_photo_was_not_trained_on_in_a_mirror_where_labels_are_swapped(sides: Path, seed: int) -> None:
    make_right_of_left(sides)
    config, _ = settle_mirroring(replace(QUICK, mirror_swaps=SWAPS, seed=seed), LABELS)
    data = read_training_data(sides, config, Workers())
    splits = {photo.path: split for photo, split in zip(data.photo_set.photos, data.splits, strict=True)}
    assert [splits[f"left/{n}.png"] for n in range(6)] == [splits[f"right/{n}.png"] for n in range(6)]
    assert len({(path.split("/")[0], split) for path, split in splits.items()}) == 9  # each pose in each split


def test_the_command_says_that_it_does_not_mirror_and_the_run_records_it(
    ask: Callable[..., Any], sides: Path, tmp_path: Path
) -> None:
    options = ("--weights=none", "--size=32", "--epochs-frozen=1", "--epochs=0", "--device=cpu", "--arch=resnet18")
    answer = ask(main, "fit", sides, "--to", tmp_path / "off", *options)
    assert answer.code == 0, answer.err
    said = [line for line in answer.err.splitlines() if "differ only by left and right" in line]
    assert len(said) == 1 and "--mirror-swaps left=right" in said[0] and "--mirror " in said[0]
    config = load_run(tmp_path / "off").summary["config"]
    assert (config["mirror"], config["mirror_swaps"], config["augmentation"]["mirror"]) == (False, [], 0.0)
    answer = ask(main, "fit", sides, "--to", tmp_path / "swapped", *options, "--mirror-swaps", "left=right")
    assert answer.code == 0 and "differ only" not in answer.err, answer.err
    config = load_run(tmp_path / "swapped").summary["config"]
    assert (config["mirror"], config["mirror_swaps"]) == (True, [["left", "right"]])
    resumed = ask(main, "fit", sides, "--to", tmp_path / "off", "--resume", *options)
    assert resumed.code == 0 and "already finished" in resumed.err
    refused = ask(main, "fit", sides, "--to", tmp_path / "off", "--resume", *options, "--mirror").refusal()
    assert "this run was started with --no-mirror, not --mirror; give the same" in refused
    swaps = ("--mirror-swaps", "right=left")
    assert "already finished" in ask(main, "fit", sides, "--to", tmp_path / "swapped", "--resume", *options, *swaps).err
    refused = ask(main, "fit", sides, "--to", tmp_path / "swapped", "--resume", *options, "--mirror").refusal()
    assert "started with --mirror-swaps left=right, not no --mirror-swaps; give the same" in refused


def test_a_run_of_an_older_version_was_mirrored(sides: Path, tmp_path: Path) -> None:
    fit_run(sides, tmp_path / "run", replace(QUICK, epochs=0, mirror=True))
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    del content["config"]["mirror"], content["config"]["mirror_swaps"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    assert fit_run(sides, tmp_path / "run", replace(QUICK, epochs=0, mirror=True), resume=True) == content
    with pytest.raises(OptionError, match="started with --mirror, not --no-mirror; give the same"):
        fit_run(sides, tmp_path / "run", replace(QUICK, epochs=0), resume=True)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--mirror-swaps", "left"], "'left' is not two poses, such as left=right"),
        (["--mirror-swaps", "left=right=up"], "is not two poses"),
        (["--mirror-swaps", "left=rigth"], "there is no pose rigth; the poses are left, right, up"),
        (["--mirror-swaps", "left=right,up=left"], "the mirror image of left cannot be both right and up"),
        (["--mirror-swaps", "left=right", "--no-mirror"], "--no-mirror and --mirror-swaps exclude each other"),
    ],
)
def test_wrong_swaps_are_refused_on_one_line(
    ask: Callable[..., Any], sides: Path, tmp_path: Path, options: list[str], line: str
) -> None:
    assert line in ask(main, "fit", sides, "--to", tmp_path / "run", "--device=cpu", *options).refusal()
    assert not (tmp_path / "run").exists()
