"""What a training was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..photos.splits import HELD_OUT_SHARE
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
    kinds: float = 0.5  # weight of telling apart the folders inside a pose's folder, if there are any
    patience: int = 0  # epochs without a better validation loss, in the second half, that end it; 0: never
    arch: str = ARCH
    seed: int = 0
    device: str = "auto"
    train_only: str = ""  # file name patterns, separated by commas, of photos that are never held out
    held_out: float = HELD_OUT_SHARE  # share of each pose's photos for validation, and again for test
    split_of: str = ""  # run whose held-out photos are held out again
    folds: int = 0  # networks trained to answer for photos that they have not seen
    augmentation: Augmentation = field(default_factory=Augmentation)
