"""The settings of a training.  Imports neither torch nor NumPy: the options take their defaults from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...runtime.errors import OptionError
from ..photos import HELD_OUT_SHARE
from ..photos.mirroring import choose_mirroring

ARCHS = ("resnet18", "resnet34", "resnet50", "mobilenet_v2")
SPLIT_CHOICES = ("auto", "given")
NONE_CHOICES = ("", "default")


@dataclass(frozen=True)
class Augmentation:
    """How photos are varied while training: one draw from these ranges per photo and epoch.

    Zeros, and scales of 1, leave a photo as it is.  docs/explanation/experiments.md says what the defaults rest on;
    places behind people are by far what matters most.

    mirror: probability, where the training mirrors (`FitConfig.mirror`).  turn_degrees: up to so many, either way.
    scale_low, scale_high: the person may be far away.  shift: fraction of the side, either way.  light: brightness and
    contrast, colour: saturation, both relative.  erase: probability of one grey rectangle.  blur: probability of being
    out of focus.
    background: probability that a place or blotches of colour, not the bars' grey, surround the photo.
    scene: of these, that it is a place, if there are photos of places.  cut: of these, that a plain backdrop goes too.
    person: probability that the crop of the person who is found in the photo is seen in place of the whole photo.
    """

    mirror: float = 0.5
    turn_degrees: float = 12.0
    scale_low: float = 0.4
    scale_high: float = 1.2
    shift: float = 0.12
    light: float = 0.35
    colour: float = 0.3
    erase: float = 0.25
    blur: float = 0.25
    background: float = 0.5
    scene: float = 0.8
    cut: float = 0.75
    person: float = 0.0


WHOLE = {
    "epochs_frozen": (0, 100_000), "epochs": (0, 100_000), "size": (32, 1024), "batch": (2, 65_536),
    "patience": (0, 100_000), "seed": (0, 2**32 - 1), "folds": (0, 20),
}  # fmt: skip
REAL = {
    "rate": (1e-12, 1.0), "weight_decay": (0.0, 1.0), "label_smoothing": (0.0, 0.9), "averaging": (0.0, 1e5),
    "kinds": (0.0, 100.0), "held_out": (0.001, 0.3),
}  # fmt: skip
"""Least and most of each number: those of the command line, where it has the option."""


@dataclass(frozen=True)
class FitConfig:
    """How a network is trained; saved in the run's run.json.  The defaults are those of `yoga-train fit`.

    weights: starting weights: `imagenet` (downloaded once by torchvision), `shipped` (those of the shipped model, a
    resnet34: no download), `none` (random) or a file.
    epochs_frozen, epochs: of the new head alone, on features computed once; then of the whole network (0: skip that).
    size: side of the network's input in pixels, a multiple of 32.  batch: photos per step, over all devices.
    rate: top learning rate of AdamW, scaled down in trainings of fewer than 400 steps.
    weight_decay, label_smoothing: as usual.
    averaging: epochs that the running average of the weights looks back; 0 takes them as they are.
    kinds: weight of telling apart the folders inside a pose's folder, if there are any.
    patience: stop after so many epochs of the second half without a better validation loss; 0: never.
    arch: resnet18, resnet34, resnet50 or mobilenet_v2.  seed: same seed, photos and machine: same run.
    device: auto, cpu, cuda or cuda:1.
    train_only: patterns of file names, separated by commas, whose photos are never held out.
    held_out: fraction of each pose's photos for validation, and again for test.
    split_of: the folder of a run whose held-out photos are held out again; empty: none.
    folds: also train so many networks that answer for photos they have not seen (for `yoga-train clean`); 0: none.
    by_source: folds hold whole sources of photos (`photos.sessions.find_sources`), so that confidence can be fitted on
    answers to sources that the network had not seen.
    teacher: the folder of a run, a model file, or `default` (the shipped model): the network learns its answers and
    features too, as `yoga-train distill` has it; empty: none.
    augmentation: how photos are varied while training, less in trainings of fewer than 400 steps.
    split: auto (whole groups of near-duplicates, each pose in proportion) or given (as the manifest records it).
    mirror: whether to train on mirror images too; None: unless two poses' names differ only by left and right.
    mirror_swaps: pairs of poses that are each other's mirror images, such as (("left_arm", "right_arm"),), or of words
    in the names of several: their mirror images train with the labels swapped.
    none: `default` draws rooms and people doing nothing as `none`, which are only trained on; empty: nothing is drawn.
    second_opinion: whether to train a small network on the key points of the people in the photos too, and mix it with
    the network where that is better; it takes ONNX Runtime.

    Raises OptionError where a value is out of bounds.
    """

    weights: str = "imagenet"
    epochs_frozen: int = 30
    epochs: int = 12
    size: int = 224
    batch: int = 32
    rate: float = 1e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    averaging: float = 0.5
    kinds: float = 0.5
    patience: int = 0
    arch: str = "resnet34"
    seed: int = 0
    device: str = "auto"
    train_only: str = ""
    held_out: float = HELD_OUT_SHARE
    split_of: str = ""
    folds: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    split: str = "auto"
    mirror: bool | None = None
    mirror_swaps: tuple[tuple[str, str], ...] = ()
    none: str = ""
    second_opinion: bool = True
    by_source: bool = False
    teacher: str = ""

    def __post_init__(self) -> None:
        for name in ("weights", "split_of", "teacher"):  # a Path is as good; run.json holds texts
            object.__setattr__(self, name, str(getattr(self, name)))
        for name, (least, most) in (WHOLE | REAL).items():
            value = getattr(self, name)
            kinds = int if name in WHOLE else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
                what = "a whole number" if name in WHOLE else "a number"
                raise OptionError(f"FitConfig: {name} must be {what} from {least:,} to {most:,}; got {value!r}")
        if self.size % 32:
            raise OptionError(f"FitConfig: size must be a multiple of 32, such as 160, 192 or 224; got {self.size}")
        if self.folds == 1:
            raise OptionError("FitConfig: folds must be 2 to 20, better 5, or 0 for none; got 1")
        if not isinstance(self.by_source, bool):
            raise OptionError(f"FitConfig: by_source must be True or False; got {self.by_source!r}")
        if self.by_source and not self.folds:
            raise OptionError("--by-source needs --folds, how many networks to train; give both, such as --folds 5")
        if self.teacher and self.folds:
            raise OptionError("a teacher has learned the photos of all folds: train folds without one")
        if self.split not in SPLIT_CHOICES:
            raise OptionError(f"FitConfig: split must be {' or '.join(SPLIT_CHOICES)}; got {self.split!r}")
        if self.none not in NONE_CHOICES:
            raise OptionError(f"FitConfig: none must be 'default' or empty; got {self.none!r}")
        if self.split == "given" and self.split_of:
            raise OptionError("--split given and --split-of exclude each other; give one of them")
        if self.split == "given" and self.train_only:
            raise OptionError("--split given and --train-only exclude each other; give one of them")
        if self.arch not in ARCHS:
            raise OptionError(f"FitConfig: arch must be {', '.join(ARCHS[:-1])} or {ARCHS[-1]}; got {self.arch!r}")
        self._check_mirroring()

    def _check_mirroring(self) -> None:
        if not isinstance(self.second_opinion, bool):
            raise OptionError(f"FitConfig: second_opinion must be True or False; got {self.second_opinion!r}")
        if self.mirror is not None and not isinstance(self.mirror, bool):
            raise OptionError(f"FitConfig: mirror must be True, False or None; got {self.mirror!r}")
        swaps = self.mirror_swaps
        if not isinstance(swaps, (tuple, list)) or not all(map(_is_pair, swaps)):
            raise OptionError(f'FitConfig: mirror_swaps must be pairs, such as (("left", "right"),); got {swaps!r}')
        object.__setattr__(self, "mirror_swaps", tuple((one, other) for one, other in swaps))
        if self.mirror is False and swaps:
            raise OptionError("--no-mirror and --mirror-swaps exclude each other; give one of them")


def _is_pair(pair: object) -> bool:
    return isinstance(pair, (tuple, list)) and [type(name) for name in pair] == [str, str]


def settle_mirroring(config: FitConfig, labels: Sequence[str]) -> tuple[FitConfig, str]:
    """Decide `mirror` and `mirror_swaps` for the poses at hand.  Returns the settings, and a sentence for the log.

    The sentence is empty unless the poses' names turned mirroring off.  Raises OptionError.
    """
    is_never = config.mirror is None and not config.mirror_swaps and not config.augmentation.mirror
    asked = False if is_never else config.mirror
    mirroring = choose_mirroring(labels, asked, config.mirror_swaps)
    ranges = config.augmentation if mirroring.is_on else replace(config.augmentation, mirror=0.0)
    settled = replace(config, mirror=mirroring.is_on, mirror_swaps=mirroring.swaps, augmentation=ranges)
    return settled, mirroring.reason
