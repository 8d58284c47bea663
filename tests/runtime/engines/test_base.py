"""Which engine opens what."""

from pathlib import Path

import pytest

from yoga_live.runtime.engines.base import DEVICES
from yoga_live.runtime.engines.factory import open_engine
from yoga_live.runtime.engines.onnxruntime import OnnxEngine
from yoga_live.runtime.engines.onnxruntime_providers import PROVIDERS
from yoga_live.runtime.errors import DeviceError


def test_every_device_is_one_of_onnx_runtimes_or_an_engine_of_its_own() -> None:
    assert set(DEVICES) == {"auto", "openvino", *PROVIDERS}


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_onnx_runtime_opens_an_onnx_file(model_path: Path, device: str) -> None:
    pytest.importorskip("onnxruntime")
    assert isinstance(open_engine(model_path, device), OnnxEngine)


def test_openvino_opens_it_only_when_asked_for(model_path: Path) -> None:
    pytest.importorskip("openvino")
    from yoga_live.runtime.engines.openvino import OpenVINOEngine

    assert isinstance(open_engine(model_path, "openvino"), OpenVINOEngine)


def test_unknown_device_is_refused_with_all_choices(model_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(DeviceError, match=", ".join(DEVICES)):
        open_engine(model_path, "npu")
