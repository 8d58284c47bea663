"""The pose network: torchvision's ResNet or MobileNetV2 with a head whose class maps average to the logits."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from ...runtime.core.model_metadata import DEFAULT_MODEL
from ...runtime.errors import ModelError
from ...runtime.system.progress import is_progress_shown
from ...runtime.system.public_names import name_missing_package
from ...runtime.system.suggestions import suggest_word
from ..distributed.collectives import Workers
from .config import ARCHS, FitConfig
from .tensor_files import open_tensors, read_tensors, write_tensors

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""RGB mean and standard deviation that torchvision's weights were trained with (He et al. recipe)."""

ARCH = FitConfig.arch  # the default
MOBILENET = "mobilenet_v2"
HEADS = ("fc.", "classifier.")  # what the names of the last layer's tensors begin with
BATCH_NORM_EPSILON = 1e-5  # torch's default


class PoseNetwork(nn.Module):
    """A ResNet or MobileNetV2 for poses.  State names are torchvision's own, so other tools read the weights too."""

    freeze_norm, arch = True, ARCH

    def __init__(self, classes: int, *, freeze_norm: bool = True, arch: str = ARCH) -> None:
        super().__init__()
        self.freeze_norm, self.arch = freeze_norm, arch
        self.net: Any = getattr(torchvision.models, arch)(weights=None, num_classes=classes)

    @property
    def head(self) -> nn.Linear:
        """The last layer, from the averaged features to the logits."""
        return self.net.classifier[1] if self.arch == MOBILENET else self.net.fc

    @property
    def first_convolution(self) -> nn.Conv2d:
        """The layer that sees the pixels."""
        return self.net.features[0][0] if self.arch == MOBILENET else self.net.conv1

    def features(self, images: Tensor) -> Tensor:
        """Feature maps, float (N, D, h, w), D as in `feature_size`.  images: normalised RGB float (N, 3, S, S)."""
        net = self.net
        if self.arch == MOBILENET:
            return net.features(images)
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        return net.layer4(net.layer3(net.layer2(net.layer1(x))))

    @property
    def feature_size(self) -> int:
        """How many features the head reads: 512 in ResNet-18 and -34, 1280 in MobileNetV2, 2048 in ResNet-50."""
        return self.head.in_features

    def classify_features(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, C) and class maps (N, C, h, w), whose mean plus bias is the logits (Zhou et al. 2016, CAM)."""
        head = self.head
        maps = functional.conv2d(features, head.weight[:, :, None, None])
        return maps.mean(dim=(2, 3)) + head.bias, maps

    def forward(self, images: Tensor) -> Tensor:
        """Logits, float (N, C)."""
        return self.head(self.features(images).mean(dim=(2, 3)))

    def train(self, mode: bool = True) -> PoseNetwork:
        """Switch to training mode, but keep batch norm's statistics, which were learned from a million pictures.

        Small batches of a few thousand photos estimate them worse: 93.3 % of test photos were correct, now 97.2 %.
        From random weights (`freeze_norm` False) there is nothing to keep.
        """
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and self.freeze_norm:
                module.eval()
        return self

    def parameter_groups(self, top_rate: float) -> list[dict[str, object]]:
        """Group parameters for discriminative learning rates (Howard and Ruder 2018): slower near the pixels."""
        net = self.net
        shares: list[tuple[list[nn.Module], float]]
        if self.arch == MOBILENET:  # the blocks of 32 channels or less, of 64 and 96, of 160 and more
            shares = [([net.features[:7]], 0.1), ([net.features[7:14]], 0.3), ([net.features[14:], self.head], 1.0)]
        else:
            shares = [
                ([net.conv1, net.bn1, net.layer1, net.layer2], 0.1),
                ([net.layer3], 0.3),
                ([net.layer4, self.head], 1.0),
            ]
        return [
            {"params": [p for module in modules for p in module.parameters()], "lr": top_rate * share}
            for modules, share in shares
        ]


class KindNetwork(nn.Module):
    """A pose network in training: a second head distinguishes the kinds within a pose or `none`.

    So the network learns how balancing on one foot differs from a tree, although its label is `none`.
    hint: maps its features to those of a teacher (`teacher.py`), None without one.
    """

    def __init__(self, poses: PoseNetwork, kinds: int, hint: nn.Linear | None = None) -> None:
        super().__init__()
        self.poses, self.hint = poses, hint
        self.kinds = nn.Linear(poses.feature_size, kinds) if kinds else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Logits of the poses, float (N, C), of the kinds, float (N, K), and the mapped features, None without."""
        features = self.poses.features(images).mean(dim=(2, 3))
        kinds = self.kinds(features) if self.kinds else None
        return self.poses.head(features), kinds, self.hint(features) if self.hint else None


def build_network(classes: int, weights: str, arch: str = ARCH) -> PoseNetwork:
    """Build the network and load its starting weights.

    weights: `imagenet` (torchvision's IMAGENET1K_V1, downloaded once), `shipped` (those of the shipped model), `none`
    (random), or a .safetensors or .pth file with torchvision's names; a head of another size in it is ignored.  Raises
    ModelError.
    """
    network = PoseNetwork(classes, freeze_norm=weights != "none", arch=arch)
    if weights == "none":
        return network
    if weights == "shipped":
        state = _read_shipped(arch)
    else:
        state = _download_imagenet(arch) if weights == "imagenet" else _read_state(Path(weights))
    wanted = network.net.state_dict()
    state = {
        name: tensor
        for name, tensor in state.items()
        if not name.startswith(HEADS) or (name in wanted and tensor.shape == wanted[name].shape)
    }
    try:
        missing, unexpected = network.net.load_state_dict(state, strict=False)
    except RuntimeError as error:  # correct names, wrong shapes
        raise ModelError(f"--weights {weights} is not a torchvision {arch}: {_last_line(error)}") from error
    missing = [name for name in missing if not name.startswith(HEADS) and "num_batches_tracked" not in name]
    if missing or unexpected:
        odd = (missing + unexpected)[0]
        raise ModelError(
            f"--weights {weights} is not a torchvision {arch}: {len(missing)} tensors missing, "
            f"{len(unexpected)} unexpected, such as {odd!r}"
        )
    return network


def build_starting_network(classes: int, weights: str, arch: str, workers: Workers) -> PoseNetwork:
    """Build the network that a training starts from; only the writer reads or downloads its weights."""
    if workers.is_writer:
        network = build_network(classes, weights, arch)
    else:
        network = PoseNetwork(classes, freeze_norm=weights != "none", arch=arch)
    workers.broadcast(network.state_dict().values())
    return network


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(
            f"--weights {path}: no such file; give a .safetensors or .pth file, or imagenet, shipped or none"
            f"{suggest_word(str(path), ('imagenet', 'shipped', 'none'))}"
        )
    try:
        if path.suffix == ".safetensors":
            return read_tensors(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's warnings about odd pickles; their errors are caught below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, pickle.UnpicklingError) as error:  # torch's own message advises running the file's code
        raise ModelError(f"--weights {path} cannot be read: it is not a complete file of plain tensors") from error
    except (SafetensorError, RuntimeError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"--weights {path} cannot be read: {_last_line(error)}") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    pairs = state.items() if isinstance(state, dict) else ()
    return {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, Tensor)}


def _last_line(error: Exception) -> str:
    """Return the last line of a long message, which has the reason."""
    return str(error).strip().rpartition("\n")[2].strip()


def _download_imagenet(arch: str) -> dict[str, Tensor]:
    weights = torchvision.models.get_model_weights(arch)["IMAGENET1K_V1"]
    try:
        return dict(weights.get_state_dict(progress=is_progress_shown(), check_hash=True))
    except (OSError, RuntimeError) as error:
        shipped = "give --weights shipped, which needs no download, or " if arch == ARCH else ""
        raise ModelError(
            f"cannot download ImageNet weights from {weights.url} ({error}); {shipped}download that file elsewhere and "
            "give it with --weights FILE (or train from scratch with --weights none)"
        ) from error


def _read_shipped(arch: str) -> dict[str, Tensor]:
    """Read the weights of the shipped model back into torchvision's names.

    It is INT8: each weight is within half a step of what was trained.  Batch norm was folded into the convolutions, and
    so was the normalisation into the first of them, as `ExportedNetwork` of the export has it.
    """
    with name_missing_package("export"):
        import onnx
        from onnx import numpy_helper
    if arch != ARCH:
        raise ModelError(f"--weights shipped is a {ARCH}, not a {arch}; give --arch {ARCH}, or other weights")
    graph = onnx.load(DEFAULT_MODEL).graph
    arrays = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    prefix, quantized = "network.resnet.", ".weight_quantized"
    state = PoseNetwork(2, arch=arch).net.state_dict()
    for name in [name for name in arrays if name.startswith(prefix) and name.endswith(quantized)]:
        conv = name.removesuffix(quantized)
        steps = arrays[name].float() - _spread(arrays[f"{conv}.weight_zero_point"].float())
        place = conv.removeprefix(prefix)
        norm = place.replace("downsample.0", "downsample.1") if "downsample" in place else place.replace("conv", "bn")
        state[f"{place}.weight"] = steps * _spread(arrays[f"{conv}.weight_scale"])
        state[f"{norm}.weight"] = (state[f"{norm}.running_var"] + BATCH_NORM_EPSILON).sqrt()
        state[f"{norm}.bias"] = arrays[f"{conv}.weight_bias"]
    std = 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    state["conv1.weight"] = state["conv1.weight"].flip(1) * std
    state["fc.weight"], state["fc.bias"] = arrays["unsqueeze_1"].flatten(1), arrays["network.resnet.fc.bias"]
    return state


def _spread(values: Tensor) -> Tensor:
    """One value for each output channel, or one for all, beside a convolution's weights."""
    return values.reshape(-1, 1, 1, 1)


def save_weights(network: PoseNetwork, path: Path) -> None:
    """Write the weights as safetensors, float32, torchvision names.  Raises OutputError."""
    state = {name: tensor.detach().float().cpu().contiguous() for name, tensor in network.net.state_dict().items()}
    write_tensors(path, state, {"arch": network.arch})


def load_network(path: Path, classes: int) -> PoseNetwork:
    """Read a run's weights, including the head, into the architecture named in the file.  Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"{path} is missing, so the run has no weights yet; wait until yoga-train fit has finished")
    arch = ARCH
    try:
        with open_tensors(path) as file:
            arch = (file.metadata() or {}).get("arch", ARCH)
        if arch not in ARCHS:
            raise ModelError(f"{path} holds a {arch!r}; this version supports {', '.join(ARCHS)}")
        network = PoseNetwork(classes, arch=arch)
        network.net.load_state_dict(read_tensors(path))
    except (SafetensorError, RuntimeError, OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} cannot be read as a {arch} of {classes} classes ({_last_line(error)}); train again"
        ) from error
    return network.eval()


def normalise(frames: Tensor) -> Tensor:
    """uint8 or float frames (N, S, S, 3), BGR, 0 to 255, to normalised RGB float (N, 3, S, S)."""
    rgb = frames.permute(0, 3, 1, 2).flip(1).float()
    mean = torch.tensor(IMAGENET_MEAN, device=frames.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(IMAGENET_STD, device=frames.device).view(1, 3, 1, 1) * 255
    return (rgb - mean) / std


def shrink(frames: Tensor, size: int) -> Tensor:
    """Frames (N, S, S, 3), 0 to 255, at another size, float (N, size, size, 3); as they are if they have it."""
    if frames.shape[1] == size:
        return frames
    planes = frames.permute(0, 3, 1, 2).float()
    other = functional.interpolate(planes, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return other.permute(0, 2, 3, 1)


def prepare(frames: Tensor) -> Tensor:
    """Normalise for training: channels last in memory, which convolutions on CPUs and tensor cores are faster with."""
    return normalise(frames).contiguous(memory_format=torch.channels_last)
