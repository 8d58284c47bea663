"""What a training was asked for, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .augmentation import Augmentation
from .network import ARCH


@dataclass(frozen=True)
class FitConfig:
    """What `yoga-train fit` was asked for; saved in run.json."""

    weights: str = "imagenet"  # imagenet, none or a file
    epochs_frozen: int = 30  # epochs of the head on cached features
    epochs: int = 12  # epochs of the whole network
    size: int = 224  # side of the network's input, pixels
    batch: int = 32  # photos per step, over all devices
    rate: float = 1e-3  # top learning rate of the last stage, AdamW
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    averaging: float = 0.5  # epochs that the running average of the weights looks back; 0 takes them as they are
    patience: int = 0  # epochs without a better validation loss, in the second half, that end it; 0: never
    arch: str = ARCH
    seed: int = 0
    device: str = "auto"
    train_only: str = ""  # file name pattern of photos that are never held out
    split_of: str = ""  # run whose held-out photos are held out again
    folds: int = 0  # networks trained to answer for photos that they have not seen
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class SplitFrames:
    """Some of a folder's photos.

    frames: uint8 (M, S, S, 3) BGR, may be a file on disk; targets: int64 (N,); rows: int (N,), which of the frames
    they are, all of them in order if None.
    """

    frames: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, indices: npt.NDArray[np.integer] | slice) -> npt.NDArray[np.uint8]:
        """Frames uint8 (n, S, S, 3) BGR of some of these photos, in memory."""
        return np.array(self.frames[indices if self.rows is None else self.rows[indices]])
