"""What a training is asked for.  Imports neither torch nor NumPy: options take their defaults from here."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..photos import HELD_OUT_SHARE

ARCHS = ("resnet18", "resnet34", "resnet50")


@dataclass(frozen=True)
class Augmentation:
    """Ranges to draw from; one draw per photo and epoch.  Zeros, and a scale of 1, leave a photo as it is.

    docs/explanation/experiments.md says what the defaults rest on; places behind people are by far what matters most.
    """

    mirror: float = 0.5  # probability
    turn_degrees: float = 12.0
    scale_low: float = 0.4  # the person may be far away
    scale_high: float = 1.2
    shift: float = 0.12  # of the side, either way
    light: float = 0.35  # brightness and contrast, relative
    colour: float = 0.3  # saturation, relative
    erase: float = 0.25  # probability of one grey rectangle
    blur: float = 0.25  # probability of being out of focus
    background: float = 0.5  # probability that a place or blotches of colour, not bar grey, surround the photo
    scene: float = 0.8  # of these: that it is a place, if there are photos of places
    cut: float = 0.75  # of these: that a plain backdrop goes too


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
    arch: str = "resnet34"
    seed: int = 0
    device: str = "auto"
    train_only: str = ""  # file name patterns, separated by commas, of photos that are never held out
    held_out: float = HELD_OUT_SHARE  # share of each pose's photos for validation, and again for test
    split_of: str = ""  # run whose held-out photos are held out again
    folds: int = 0  # networks trained to answer for photos that they have not seen
    augmentation: Augmentation = field(default_factory=Augmentation)
