"""A network that is already trained, whose answers another one learns (Hinton et al. 2015, 1503.02531).

Both see the same varied view of each photo (Beyer et al. 2022, 2106.05237): so a photo gives as many examples of how
the teacher decides as it is seen in epochs, also where its label says no more than `none`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...calibration.runs import load_run
from ...runtime.core.model_metadata import find_model
from ...runtime.engines.base import Engine, find_feature_size, infer_features
from ...runtime.engines.factory import open_engine
from ...runtime.errors import ModelError
from ...runtime.system.public_names import name_missing_package
from .network import PoseNetwork, load_network, prepare
from .precision import Precision

TEMPERATURE = 2.0
"""What both networks' logits are divided by, so that the teacher's doubts count beside its first answer."""
ANSWERS = 0.7
"""Weight of the teacher's answers; the rest is that of the labels."""
FEATURES = 2.0
"""Weight of the features: 1 minus the cosine between the teacher's and a linear map of the student's."""


class Teacher(Protocol):
    """A trained network.  size: side of its input in pixels; feature_size: D, 0 where it gives no features."""

    size: int
    feature_size: int

    def answer(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits, float (N, C), for the labels it was opened for, and features, float (N, D).

        frames: float (N, S, S, 3) BGR, 0 to 255.
        """
        ...


class RunTeacher:
    """The network of a finished run, on the device and in the precision of the training."""

    def __init__(self, network: PoseNetwork, size: int, columns: npt.NDArray[np.int64], precision: Precision) -> None:
        self.size, self.feature_size = size, network.feature_size
        self._network = network.to(precision.device).eval()
        self._columns, self._precision = torch.from_numpy(columns).to(precision.device), precision

    def answer(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        with torch.no_grad(), self._precision.autocast():
            features = self._network.features(prepare(frames)).mean(dim=(2, 3))
            logits = self._network.head(features)
        return logits.float()[:, self._columns], features.float()


class FileTeacher:
    """An exported model; in INT8 on a CPU with VNNI it answers several times as fast as its run."""

    def __init__(self, engine: Engine, columns: npt.NDArray[np.int64], device: torch.device) -> None:
        self.size, self.feature_size = engine.info.size, find_feature_size(engine)
        self._engine, self._columns, self._device = engine, columns, device

    def answer(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        pixels = frames.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        if not self.feature_size:
            return self._hand_over(self._engine.infer(pixels)[:, self._columns]), None
        logits, features = infer_features(self._engine, pixels)
        return self._hand_over(logits[:, self._columns]), self._hand_over(features)

    def _hand_over(self, values: npt.NDArray[np.floating]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)


def open_teacher(source: str, labels: Sequence[str], precision: Precision) -> Teacher:
    """Open a run's folder, a model file, or `default`, the shipped model.

    labels: of the network that learns; the teacher must have all of them, and may have more.  Raises RunError,
    ModelError, MissingPackageError.
    """
    path = find_model(source)
    if path.is_dir():
        run = load_run(path)
        columns = _find_columns(source, run.labels, labels)
        network = load_network(path / "weights.safetensors", len(run.labels))
        return RunTeacher(network, run.size, columns, precision)
    with name_missing_package("cpu"):
        engine = open_engine(path, "auto", torch.get_num_threads())
    return FileTeacher(engine, _find_columns(source, engine.info.labels, labels), precision.device)


def _find_columns(source: str, theirs: Sequence[str], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    if missing := [label for label in labels if label not in theirs]:
        raise ModelError(
            f"the teacher {source} does not know {', '.join(missing)}; it knows {', '.join(theirs)}. Give one that "
            "was trained on these poses, or leave their folders out"
        )
    return np.array([list(theirs).index(label) for label in labels], np.int64)


def measure_distance(
    logits: Tensor, hint: Tensor | None, answers: tuple[Tensor, Tensor | None]
) -> tuple[Tensor, Tensor]:
    """How far a network is from its teacher: of the answers, and of the features, each summed over the photos.

    logits: float (N, C).  hint: float (N, D), the features mapped to the teacher's; None without.  answers: the
    teacher's.
    """
    theirs, features = answers
    soft = functional.softmax(theirs / TEMPERATURE, dim=1)
    own = functional.log_softmax(logits / TEMPERATURE, dim=1)
    of_answers = TEMPERATURE**2 * functional.kl_div(own, soft, reduction="sum")
    if hint is None or features is None:
        return of_answers, of_answers.new_zeros(())
    return of_answers, (1 - functional.cosine_similarity(hint.float(), features, dim=1)).sum()


def make_hint(student: PoseNetwork, teacher: Teacher | None) -> nn.Linear | None:
    """A linear map from a network's features to its teacher's, which only training needs."""
    return nn.Linear(student.feature_size, teacher.feature_size) if teacher and teacher.feature_size else None
