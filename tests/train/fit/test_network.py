"""The network: maps that average to the logits, torchvision's names, weights files good and bad."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import cast
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
import torchvision.transforms.functional
from safetensors.torch import load_file, save_file
from torch import nn

from yoga_live.runtime.core.model_metadata import DEFAULT_MODEL
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.errors import ModelError
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, random_appearance
from yoga_live.train.fit.config import ARCHS
from yoga_live.train.fit.network import ARCH, PoseNetwork, build_network, load_network, normalise, save_weights


@pytest.fixture(scope="module")
def network() -> PoseNetwork:
    torch.manual_seed(0)
    return PoseNetwork(3).eval()


def test_mean_of_the_maps_plus_bias_is_the_logits(network: PoseNetwork) -> None:
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        logits, maps = network.classify_features(network.features(images))
        assert maps.shape == (2, 3, 2, 3)
        torch.testing.assert_close(maps.mean(dim=(2, 3)) + network.head.bias, logits)
        torch.testing.assert_close(network(images), logits, rtol=1e-4, atol=1e-3)


def test_network_is_torchvisions_resnet34(network: PoseNetwork) -> None:
    theirs = torchvision.models.resnet34(num_classes=3).eval()
    theirs.load_state_dict(network.net.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), theirs(images), rtol=1e-4, atol=1e-3)


def test_normalise_is_torchvisions_own_on_the_same_pixels() -> None:
    frames = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    rgb = frames.flip(3).permute(0, 3, 1, 2) / 255
    theirs = torchvision.transforms.functional.normalize(rgb, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(normalise(frames), theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(normalise(frames.float()), normalise(frames), rtol=0, atol=0)


def test_training_leaves_the_batch_norm_statistics_where_they_were() -> None:
    network = PoseNetwork(2).train()
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert network.training and network.net.layer1.training
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    assert not any(module.training for module in network.modules() if isinstance(module, nn.BatchNorm2d))


def test_parameter_groups_cover_every_parameter_exactly_once(network: PoseNetwork) -> None:
    groups = network.parameter_groups(1e-3)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]  # type: ignore[attr-defined]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(parameter) for parameter in network.parameters()}


def test_layers_near_the_pixels_learn_slower_and_the_head_at_the_full_rate(network: PoseNetwork) -> None:
    groups = network.parameter_groups(1e-3)
    rates = [float(str(group["lr"])) for group in groups]
    assert rates == sorted(rates) and rates[-1] == 1e-3 and rates[0] < rates[-1]
    assert any(parameter is network.head.weight for parameter in groups[-1]["params"])  # type: ignore[attr-defined]


def test_saved_weights_come_back_with_the_same_answers(network: PoseNetwork, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(network, path)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(load_network(path, 3)(images), network(images), rtol=0, atol=0)
    assert set(load_file(path)) == set(network.net.state_dict())
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.safetensors"]


def test_a_head_of_another_size_is_left_aside_and_the_backbone_taken(start_weights: Path) -> None:
    network = build_network(3, str(start_weights), "resnet18")
    stored = load_file(start_weights)
    assert stored["fc.weight"].shape == (7, 512)
    assert network.head.weight.shape == (3, 512)
    taken = network.net.state_dict()
    assert all(torch.equal(taken[name], stored[name]) for name in ("layer4.1.conv2.weight", "bn1.running_mean"))


def test_a_head_of_the_same_size_is_taken_too(start_weights: Path) -> None:
    assert torch.equal(build_network(7, str(start_weights), "resnet18").head.bias, load_file(start_weights)["fc.bias"])


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pth_of_half_floats_without_a_head_is_read(start_weights: Path, tmp_path: Path, wrapped: bool) -> None:
    state = {name: value.half() for name, value in load_file(start_weights).items() if not name.startswith("fc.")}
    torch.save({"state_dict": state} if wrapped else state, tmp_path / "half.pth")
    network = build_network(2, str(tmp_path / "half.pth"), "resnet18")
    assert network.net.conv1.weight.dtype == torch.float32
    torch.testing.assert_close(network.net.conv1.weight, state["conv1.weight"].float())


@pytest.mark.parametrize(
    "state",
    [
        {0: torch.zeros(2), "fc.weight": torch.zeros(2)},
        {"state_dict": None},
        {"state_dict": [torch.zeros(2)]},
        {"fc.weight": 3, "fc.bias": "text"},
        [torch.zeros(2)],
        torch.zeros(2),
        {"state_dict": {"conv1.weight": [1, 2], ("a", 1): torch.zeros(1)}},
    ],
    ids=["number", "none", "list", "head of no tensor", "bare list", "bare tensor", "odd pairs"],
)
def test_a_pth_of_other_things_than_named_tensors_is_refused(state: object, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "odd.pth")
    assert "tensors missing" in refuse(tmp_path / "odd.pth")


def test_other_things_beside_the_tensors_are_left_aside(start_weights: Path, tmp_path: Path) -> None:
    torch.save({**load_file(start_weights), 0: torch.zeros(1), "epoch": 7}, tmp_path / "more.pth")
    assert torch.equal(
        build_network(7, str(tmp_path / "more.pth"), "resnet18").head.bias, load_file(start_weights)["fc.bias"]
    )


def refuse(weights: Path, arch: str = ARCH) -> str:
    """The single line that refuses this weights file."""
    with pytest.raises(ModelError) as caught:
        build_network(2, str(weights), arch)
    assert "\n" not in str(caught.value) and str(weights) in str(caught.value)
    return str(caught.value)


def test_a_missing_weights_file_is_refused(tmp_path: Path) -> None:
    line = refuse(tmp_path / "absent.pth")
    assert "no such file" in line and "imagenet, shipped or none" in line and "did you mean" not in line


@pytest.mark.parametrize(("typed", "meant"), [("shiped", "shipped"), ("ImageNet", "imagenet"), ("None", "none")])
def test_a_mistyped_name_of_weights_is_recognised(typed: str, meant: str) -> None:
    assert refuse(Path(typed)).endswith(f"imagenet, shipped or none; did you mean {meant}?")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"features.0.0.weight": torch.zeros(2)}, tmp_path / "mobilenet.safetensors")
    assert "not a torchvision resnet34" in refuse(tmp_path / "mobilenet.safetensors")


def test_weights_with_right_names_and_wrong_shapes_are_refused(start_weights: Path, tmp_path: Path) -> None:
    state = load_file(start_weights)
    torch.save(state | {"layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}, tmp_path / "resnet50.pth")
    assert "not a torchvision resnet18" in refuse(tmp_path / "resnet50.pth", "resnet18")


def test_truncated_safetensors_are_refused(start_weights: Path, tmp_path: Path) -> None:
    for length in (0, 5, 4000):
        (tmp_path / "cut.safetensors").write_bytes(start_weights.read_bytes()[:length])
        assert "cannot be read" in refuse(tmp_path / "cut.safetensors")


def test_damaged_pth_files_are_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    for content in (b"", b"no pickle", whole[:1000], whole[:-5000], whole[:-30], pickle.dumps([1, 2]), b"<html>404"):
        (tmp_path / "bad.pth").write_bytes(content)
        refuse(tmp_path / "bad.pth")


class _Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_malicious_pickle_is_refused_without_running_it(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    torch.save({"conv1.weight": _Trap(ran)}, tmp_path / "zip.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(_Trap(ran)))
    for name in ("zip.pth", "plain.pth"):
        assert "cannot be read" in refuse(tmp_path / name)
    assert not ran.exists()
    pickle.loads((tmp_path / "plain.pth").read_bytes())
    assert ran.exists()  # the trap does work


def test_imagenet_offline_names_the_file_to_fetch_and_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(ModelError, match=r"--weights FILE") as caught:
        build_network(2, "imagenet")
    assert "https://download.pytorch.org/models/resnet34" in str(caught.value) and "\n" not in str(caught.value)
    assert "give --weights shipped, which needs no download" in str(caught.value)
    with pytest.raises(ModelError) as caught:
        build_network(2, "imagenet", "resnet18")
    assert "--weights FILE" in str(caught.value) and "shipped" not in str(caught.value)


def test_a_run_without_weights_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        load_network(tmp_path / "weights.safetensors", 2)


def test_a_runs_weights_never_get_a_random_head(start_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="3 classes"):
        load_network(start_weights, 3)  # it holds seven
    state = {name: value for name, value in load_file(start_weights).items() if not name.startswith("fc.")}
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match="3 classes"):
        load_network(tmp_path / "weights.safetensors", 3)


def test_a_runs_damaged_weights_are_named_as_a_file_not_as_an_option(start_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(start_weights.read_bytes()[:9000])
    with pytest.raises(ModelError, match=r"weights\.safetensors cannot be read") as caught:
        load_network(tmp_path / "weights.safetensors", 7)
    assert "--weights" not in str(caught.value)


def test_loaded_networks_are_ready_to_predict(start_weights: Path) -> None:
    network = load_network(start_weights, 7)
    assert not network.training
    images = normalise(torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)))
    with torch.inference_mode():
        torch.testing.assert_close(network(images)[:1], network(images[:1]), rtol=1e-4, atol=1e-4)


def test_random_weights_train_their_batch_norm() -> None:
    """Frozen at mean 0 and variance 1, nothing would be normalised at all."""
    network = build_network(2, "none").train()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms and all(norm.training for norm in norms)


@pytest.mark.parametrize(("arch", "features"), [("resnet18", 512), ("resnet50", 2048), ("mobilenet_v2", 1280)])
def test_other_networks_train_map_and_come_back_as_what_they_are(tmp_path: Path, arch: str, features: int) -> None:
    network = PoseNetwork(3, arch=arch).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        logits, maps = network.classify_features(network.features(images))
        assert maps.shape == (2, 3, 2, 2) and network.feature_size == features
        torch.testing.assert_close(logits, network(images))
        save_weights(network, tmp_path / "weights.safetensors")
        again = load_network(tmp_path / "weights.safetensors", 3)
        assert again.arch == arch
        torch.testing.assert_close(again(images), network(images), rtol=0, atol=0)


@pytest.mark.parametrize("arch", ARCHS)
def test_every_parameter_is_in_one_group_and_the_first_layers_are_slowest(arch: str) -> None:
    network = PoseNetwork(3, arch=arch)
    groups = network.parameter_groups(1.0)
    listed = [id(parameter) for group in groups for parameter in cast("list[torch.Tensor]", group["params"])]
    assert sorted(listed) == sorted(map(id, network.parameters())) and [group["lr"] for group in groups] == [
        0.1,
        0.3,
        1,
    ]
    assert listed[0] == id(network.first_convolution.weight) and id(network.head.bias) in listed[-2:]


def test_weights_of_another_size_of_resnet_are_refused_by_name(start_weights: Path) -> None:
    with pytest.raises(ModelError, match="not a torchvision resnet50"):
        build_network(2, str(start_weights), "resnet50")


def test_a_runs_weights_of_an_unknown_network_are_refused(start_weights: Path, tmp_path: Path) -> None:
    save_file(load_file(start_weights), tmp_path / "weights.safetensors", metadata={"arch": "resnet99"})
    with pytest.raises(ModelError, match="resnet99"):
        load_network(tmp_path / "weights.safetensors", 7)


@pytest.mark.slow
def test_the_shipped_models_weights_are_read_back() -> None:
    """INT8 rounds what lies between its layers, so its logits differ a little from those of its weights."""
    onnx_engine = pytest.importorskip("yoga_live.runtime.engines.onnxruntime")
    engine = onnx_engine.OnnxEngine(DEFAULT_MODEL, "cpu")
    rng, labels = np.random.default_rng(0), engine.info.labels
    poses = [pose for pose in labels if pose in POSES for _ in range(2)]
    frames = np.stack([letterbox(draw_figure(POSES[p], (320, 240), random_appearance(rng)), 224) for p in poses])
    network = build_network(len(labels), "shipped").eval()
    with torch.inference_mode():
        logits = network(normalise(torch.from_numpy(frames))).numpy()
    expected = engine.infer(frames)
    assert len(poses) == 20 and np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.99
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
    assert np.abs(logits - expected).max() < 0.2 * np.abs(expected).max()
    few = build_network(3, "shipped")  # a head of another size is left out
    states = [network.net.state_dict() for network in (few, network)]
    assert torch.equal(*(state["layer3.1.conv2.weight"] for state in states)) and few.freeze_norm


def test_the_shipped_weights_have_one_architecture() -> None:
    with pytest.raises(ModelError, match="--weights shipped is a resnet34, not a resnet18; give --arch resnet34"):
        build_network(3, "shipped", "resnet18")
