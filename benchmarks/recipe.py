"""Which parts of the training recipe help people of other sources and rooms: each variant trained on the same photos.

    python benchmarks/recipe.py PHOTOS --weights FILE --work FOLDER [--leave-out five,mixed] [--size 128 --epochs 6]

PHOTOS is what `python benchmarks/shipped_model/photos.py` gathers.  Photos of the sources left out are answered, plain
and hard: at half their size somewhere on a cluttered picture, turned by up to five degrees and darkened, as a person in
a living room is.  Half of the photos of places are kept from training to be that clutter.  Near-duplicates of training
photos are not scored; intervals are 95 %, by cluster bootstrap; gains are paired, photo by photo, with the default.
Answers are kept in FOLDER: a variant that was trained is not trained again.  `--beside OTHER` counts the gains from the
default in another FOLDER, that of another `--size` or `--epochs`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from accuracy import ALWAYS_TRAINED, Rows, read_data, source_of
from torch import Tensor, nn

from yoga_live.calibration.bootstrap import Estimate, estimate_mean, estimate_mean_recall
from yoga_live.runtime.core.preprocess import fit_inside
from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command
from yoga_live.runtime.system.files import write_then_rename
from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.fit.checkpoint import Progression
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.data import TrainingData
from yoga_live.train.fit.network import build_network, load_network
from yoga_live.train.fit.trainer import WEIGHTS, Trainer
from yoga_live.train.photos.dataset import PhotoDataset
from yoga_live.train.photos.folder import PLACES

VIEWS: tuple[str, ...] = ("plain", "hard")


class Mixup(nn.Module):
    """Mixes a batch with itself in reverse (Zhang et al. 2018) before the network, and in the loss alike."""

    def __init__(self, model: nn.Module, alpha: float, seed: int) -> None:
        super().__init__()
        self.model, self.share = model, 1.0
        self._alpha, self._rng = alpha, np.random.default_rng(seed)

    def forward(self, images: Tensor) -> Tensor:
        self.share = float(self._rng.beta(self._alpha, self._alpha))
        return self.model(images * self.share + images.flip(0) * (1 - self.share))


class MixupFitter(Trainer):
    """Fits with mixup."""

    alpha = 0.2

    def _train_epoch(self, epoch: int, model: nn.Module, progression: Progression) -> float:
        mixup, plain = Mixup(model, self.alpha, epoch), self._criterion

        def criterion(logits: Tensor, truth: Tensor) -> Tensor:
            return mixup.share * plain(logits, truth) + (1 - mixup.share) * plain(logits, truth.flip(0))

        self._criterion = criterion
        try:
            return super()._train_epoch(epoch, mixup, progression)
        finally:
            self._criterion = plain


class FreezingFitter(Trainer):
    """Leaves the first two stages as they came."""

    def fit_all(self) -> None:
        net = self.network.net
        for module in (net.conv1, net.bn1, net.layer1, net.layer2):
            module.requires_grad_(False)
        super().fit_all()


def choose_rows(data: TrainingData, rows: Rows, left_out: list[str]) -> tuple[Rows, Rows, Rows]:
    """Photos to train on, to answer, and to be clutter, int (n,) each."""
    photos, groups = data.photo_set.photos, data.groups
    sources = np.array([source_of(photo) for photo in photos])
    places = np.array([row for row in rows if photos[row].kind == PLACES])
    clutter = np.array(sorted(places, key=lambda row: photos[row].sha256)[::2])
    train = rows[~np.isin(sources[rows], left_out) & ~np.isin(groups[rows], groups[clutter])]
    poses = {int(data.targets[row]) for row in train if sources[row] not in ALWAYS_TRAINED and row not in places}
    poses.discard(len(data.photo_set.labels) - 1)  # `none`, the last label, is for accuracy.py
    test = rows[np.isin(sources[rows], left_out) & np.isin(data.targets[rows], list(poses))]
    return train, test[~np.isin(groups[test], groups[train])], clutter


def draw_hard(data: TrainingData, rows: Rows, clutter: Rows, size: int) -> Frame:
    """Some photos made hard.  Returns uint8 (N, S, S, 3) BGR."""
    rng = np.random.default_rng(0)
    frames = []
    for row in rows:
        left, top, width, height = fit_inside(
            data.photo_set.photos[place := clutter[rng.integers(len(clutter))]].size_wh, size
        )
        ground = cv2.resize(data.photo_set.frames[place][top : top + height, left : left + width], (size, size))
        left, top, width, height = fit_inside(data.photo_set.photos[row].size_wh, size)
        person = np.ascontiguousarray(data.photo_set.frames[row][top : top + height, left : left + width])
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-5, 5), rng.uniform(0.45, 0.6))
        matrix[:, 2] += rng.uniform(0.3, 0.7, 2) * size - (width / 2, height / 2)
        warp = {"M": matrix, "dsize": (size, size), "borderMode": cv2.BORDER_TRANSPARENT, "dst": ground}
        cv2.warpAffine(person, flags=cv2.INTER_AREA, **warp)
        frames.append((ground * rng.uniform(0.4, 1.0)).astype(np.uint8))
    return np.stack(frames)


def list_variants(config: FitConfig) -> dict[str, tuple[FitConfig, type[Trainer]]]:
    """Name -> configuration; each differs from the default in one thing."""
    base = config.augmentation
    augmented = {
        "bars stay grey": replace(base, background=0.0),
        "blotches for places": replace(base, scene=0.0),
        "nobody cut out": replace(base, cut=0.0),
        "no blur": replace(base, blur=0.0),
        "no erasing": replace(base, erase=0.0),
        "scale from 0.55": replace(base, scale_low=0.55),
    }
    plain = {
        "default": (config, Trainer),
        "kinds not told apart": (replace(config, kinds=0.0), Trainer),
        "twice the epochs": (replace(config, epochs=2 * config.epochs), Trainer),
        "twice the rate": (replace(config, rate=2 * config.rate), Trainer),
        "first stages frozen": (config, FreezingFitter),
        "weights not averaged": (replace(config, averaging=0.0), Trainer),
        "no label smoothing": (replace(config, label_smoothing=0.0), Trainer),
        "mixup 0.2": (config, MixupFitter),
    }
    return plain | {name: (replace(config, augmentation=ranges), Trainer) for name, ranges in augmented.items()}


def answer(
    data: TrainingData, train: Rows, views: dict[str, PhotoDataset], config: FitConfig, kind: type[Trainer]
) -> dict[str, np.ndarray]:
    """Train once.  Returns the logits of each view, float (N, C), and the seconds that it took."""
    torch.manual_seed(config.seed)
    classes = len(data.photo_set.labels)
    with tempfile.TemporaryDirectory() as folder:
        network = build_network(classes, config.weights, config.arch)
        fitter = kind(network, {"train": data.select(train)}, config, Workers(), Path(folder))
        started_s = time.monotonic()
        fitter.fit_head()
        fitter.fit_all()
        seconds = time.monotonic() - started_s
        fitter.network = load_network(Path(folder) / WEIGHTS, classes)
    return {name: fitter.predict(view) for name, view in views.items()} | {"seconds": np.array(seconds)}


def read_right(path: Path, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Which photos kept answers are right of, bool (N,) for each view.  Raises OptionError."""
    if not path.exists():
        raise OptionError(f"{path} does not exist; train it there first")
    with np.load(path, allow_pickle=False) as kept:
        if any(len(kept[view]) != len(targets) for view in VIEWS):
            raise OptionError(f"{path} answers other photos; give another folder")
        return {view: kept[view].argmax(axis=1) == targets for view in VIEWS}


def format_gain(gain: Estimate) -> str:
    """Points gained, with the interval."""
    return f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def run(args: argparse.Namespace) -> None:
    """Train the variants that were not trained yet, and print a line for each."""
    config = FitConfig(args.weights, epochs=args.epochs, size=args.size, seed=args.seed, device="cpu")
    data, rows = read_data(args.photos, config.size, ())
    train, test, clutter = choose_rows(data, rows, args.leave_out.split(","))
    targets, groups = data.targets[test], data.groups[test]
    plain, hard = data.photo_set.frames, draw_hard(data, test, clutter, config.size)
    views = dict(zip(VIEWS, (PhotoDataset(plain, targets, test), PhotoDataset(hard, targets)), strict=True))
    print(f"{len(train)} photos train, {len(test)} of {len(np.unique(groups))} families are answered\n")
    print("| variant | plain | mean recall | gain | hard | mean recall | gain | s |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    args.work.mkdir(parents=True, exist_ok=True)
    default = read_right(args.beside / "default.npz", targets) if args.beside else {}
    for name, (variant, kind) in list_variants(config).items():
        if args.only and name not in args.only.split(","):
            continue
        path = args.work / f"{name.replace(' ', '_')}.npz"
        if not path.exists():
            found = answer(data, train, views, variant, kind)
            with write_then_rename(path) as temporary, temporary.open("wb") as file:
                np.savez(file, plain=found["plain"], hard=found["hard"], seconds=found["seconds"])
        right = read_right(path, targets)
        with np.load(path, allow_pickle=False) as kept:
            seconds = float(kept["seconds"])
        cells = []
        for view, own in right.items():
            gain = estimate_mean(own.astype(float) - default.setdefault(view, own), groups)
            cells += [
                str(estimate_mean(own, groups)),
                str(estimate_mean_recall(own, targets, groups)),
                format_gain(gain),
            ]
        print(f"| {name} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)


def main() -> int:
    """Run the comparison.  Returns the exit code."""
    parser = argparse.ArgumentParser("recipe.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="where answers are kept")
    parser.add_argument("--leave-out", default="five,mixed", metavar="A,B", help="sources")
    parser.add_argument("--only", default="", metavar="A,B", help="these variants; the first is what gains count from")
    parser.add_argument("--beside", type=Path, metavar="OTHER", help="what gains count from: another --work's default")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    return run_command("recipe.py", run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
