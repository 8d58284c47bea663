"""Which parts of the training recipe help: each variant trained on the same splits, scored on plain and on hard photos.

    python benchmarks/recipe.py PHOTOS --weights FILE --clutter FOLDER

Hard: the held-out photo at half its size somewhere on a cluttered picture (any folder of everyday photos), turned by up
to five degrees and darkened, as a person in a living room is.  Scores are means over seeds, and a seed is a split.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from yoga_live.calibration.metrics import measure_nll
from yoga_live.runtime.photos import decode_photo
from yoga_live.runtime.preprocess import Frame, letterbox
from yoga_live.train.checkpoint import Progression
from yoga_live.train.fit import WEIGHTS, Fitter
from yoga_live.train.fit_config import FitConfig
from yoga_live.train.network import build_network, load_network
from yoga_live.train.split_frames import SplitFrames
from yoga_live.train.training_data import TrainingData, read_training_data, split_frames
from yoga_live.train.workers import Workers


class Mixup(nn.Module):
    """Mixes a batch with itself in reverse (Zhang et al. 2018) before the network, and in the loss alike."""

    def __init__(self, model: nn.Module, alpha: float, seed: int) -> None:
        super().__init__()
        self.model, self.share = model, 1.0
        self._alpha, self._rng = alpha, np.random.default_rng(seed)

    def forward(self, images: Tensor) -> Tensor:
        self.share = float(self._rng.beta(self._alpha, self._alpha))
        return self.model(images * self.share + images.flip(0) * (1 - self.share))


class MixupFitter(Fitter):
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


def draw_hard(data: TrainingData, clutter: list[Path], size: int, seed: int) -> Frame:
    """The held-out photos of a split, made hard.  Returns uint8 (N, S, S, 3) BGR."""
    rng = np.random.default_rng(seed)
    frames = []
    for row in np.concatenate([data.rows("validation"), data.rows("test")]):
        photo, frame = data.photo_set.photos[row], data.photo_set.frames[row]
        ground = letterbox(decode_photo(clutter[rng.integers(len(clutter))]), size)
        width, height = (round(side * size / max(photo.size_wh)) for side in photo.size_wh)
        top, left = (size - height) // 2, (size - width) // 2
        person = np.ascontiguousarray(frame[top : top + height, left : left + width])
        scale, angle = rng.uniform(0.45, 0.6), rng.uniform(-5, 5)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
        matrix[:, 2] += rng.uniform(0.3, 0.7, 2) * size - (width / 2, height / 2)
        warp = {"M": matrix, "dsize": (size, size), "borderMode": cv2.BORDER_TRANSPARENT, "dst": ground}
        cv2.warpAffine(person, flags=cv2.INTER_AREA, **warp)
        frames.append((ground * rng.uniform(0.4, 1.0)).astype(np.uint8))
    return np.stack(frames)


def list_variants(config: FitConfig) -> dict[str, tuple[FitConfig, type[Fitter]]]:
    """Name -> configuration; each differs from the default in one thing."""
    base = config.augmentation
    augmented = {
        "no blur": replace(base, blur=0.0),
        "no background": replace(base, background=0.0),
        "scale from 0.55": replace(base, scale_low=0.55),
        "none of the three": replace(base, blur=0.0, background=0.0, scale_low=0.55),
        "no erasing": replace(base, erase=0.0),
    }
    plain = {
        "default": (config, Fitter),
        "weights not averaged": (replace(config, averaging=0.0), Fitter),
        "no label smoothing": (replace(config, label_smoothing=0.0), Fitter),
        "mixup 0.2": (config, MixupFitter),
    }
    return plain | {name: (replace(config, augmentation=ranges), Fitter) for name, ranges in augmented.items()}


def score(photos: Path, config: FitConfig, kind: type[Fitter], clutter: list[Path]) -> list[float]:
    """Train once.  Returns accuracy and NLL on held-out photos, the same on the hard ones, and seconds."""
    workers = Workers()
    torch.manual_seed(config.seed)
    data = read_training_data(photos, config, workers)
    network = build_network(len(data.photo_set.labels), config.weights, config.arch)
    rows = np.concatenate([data.rows("validation"), data.rows("test")])
    plain = SplitFrames(data.photo_set.frames, data.targets[rows], rows)
    hard = SplitFrames(draw_hard(data, clutter, config.size, config.seed), plain.targets)
    with tempfile.TemporaryDirectory() as folder:
        # No validation photos: the last epoch is kept, and both held-out splits score it.
        fitter = kind(network, {"train": split_frames(data)["train"]}, config, workers, Path(folder))
        started_s = time.monotonic()
        fitter.fit_head()
        fitter.fit_all()
        seconds = time.monotonic() - started_s
        fitter.network = load_network(Path(folder) / WEIGHTS, len(data.photo_set.labels))
    numbers = []
    for split in (plain, hard):
        logits = fitter.predict(split)
        numbers += [float((logits.argmax(1) == split.targets).mean()), measure_nll(logits, split.targets)]
    return [*numbers, seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--clutter", type=Path, required=True)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    clutter = sorted(path for path in args.clutter.rglob("*") if path.is_file())
    config = FitConfig(args.weights, epochs=args.epochs, size=args.size, device="cpu")
    print(f"{'variant':>38}  plain    NLL   hard    NLL  seconds", flush=True)
    for name, (variant, kind) in list_variants(config).items():
        runs = [score(args.photos, replace(variant, seed=seed), kind, clutter) for seed in range(args.seeds)]
        plain, plain_nll, hard, hard_nll, seconds = np.mean(runs, axis=0)
        print(f"{name:>38}  {plain:.1%}  {plain_nll:.3f}  {hard:.1%}  {hard_nll:.3f}  {seconds:7.0f}", flush=True)


if __name__ == "__main__":
    main()
