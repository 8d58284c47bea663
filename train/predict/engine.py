"""A run's own network as an engine: what `PoseClassifier` gives with it is what the exported file will give."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ...calibration.confidence import calibrate, calibrate_together
from ...calibration.logits import choose_left_out, load_logits
from ...calibration.runs import Run
from ...runtime.core.model_metadata import ModelInfo
from ...runtime.core.types import Floats, Frame
from ...runtime.engines.base import check_answers, check_features
from ..distributed.devices import choose_device
from ..fit.network import load_network, normalise
from .confidence import make_model_info, read_model_info, write_model_info


class TorchEngine:
    """The network of a run, in FP32, as `yoga_live.runtime.engines.base.Engine` has it.

    device: auto, cpu, cuda or cuda:1.  Raises ModelError where the weights are missing or broken, DeviceError.
    """

    def __init__(self, run: Run, device: str = "auto") -> None:
        self._device = choose_device(device)
        self._path: Path = run.folder / "weights.safetensors"
        self._network = load_network(self._path, len(run.labels)).to(self._device)
        self.info = read_model_info(run)
        self.device = f"{self._device}, PyTorch"
        self.feature_size = self._network.feature_size

    def infer(self, frames: Frame) -> Floats:
        """frames: uint8 (N, S, S, 3) BGR.  Returns logits, float32 (N, C)."""
        with torch.inference_mode():
            logits = self._network(self._prepare(frames)).cpu().numpy()
        check_answers(self._path, self.info, len(frames), logits)
        return logits

    def infer_maps(self, frames: Frame) -> tuple[Floats, Floats]:
        """Return logits (N, C) and class maps, float32 (N, C, h, w), whose mean plus bias is the logits."""
        with torch.inference_mode():
            features = self._network.features(self._prepare(frames))
            logits, maps = (output.cpu().numpy() for output in self._network.classify_features(features))
        check_answers(self._path, self.info, len(frames), logits, maps)
        return logits, maps

    def infer_features(self, frames: Frame) -> tuple[Floats, Floats]:
        """Return logits (N, C) and features, float32 (N, D): what the head reads, averaged over the picture."""
        with torch.inference_mode():
            features = self._network.features(self._prepare(frames)).mean(dim=(2, 3))
            logits, pooled = (output.cpu().numpy() for output in (self._network.head(features), features))
        check_answers(self._path, self.info, len(frames), logits)
        check_features(self._path, len(frames), self.feature_size, pooled)
        return logits, pooled

    def _prepare(self, frames: Frame) -> Tensor:
        return normalise(torch.from_numpy(frames).to(self._device))


def calibrate_run(run: Run, device: str = "auto", on: str = "auto") -> ModelInfo:
    """Fit temperature and threshold of a run, and keep them in the run.

    on: left-out (answers to left-out sources), validation (its validation photos) or auto: left-out where it has them.
    Raises RunError, ModelError, OutputError, DeviceError.
    """
    left_out = choose_left_out(run, on)
    engine = TorchEngine(run, device)
    validation, test = (load_logits(engine, run, split) for split in ("validation", "test"))
    info, _ = calibrate(make_model_info(run), validation, test, left_out)
    info, _ = calibrate_together(info, validation, test, left_out)
    write_model_info(run, info)
    return info
