"""Providers and their options: the file's precision, engines that are never another model's."""

import io
import logging
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from yoga_live.runtime.classifier import DEFAULT_MODEL
from yoga_live.runtime.engines.onnxruntime_providers import (
    choose_providers,
    load_gpu_libraries,
    make_session_options,
    name_start_error,
)
from yoga_live.runtime.errors import DeviceError, OutputError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "yoga-live" / "tensorrt"


def write_file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_each_device_asks_for_its_provider_and_tensorrt_for_cuda_beside_it(tmp_path: Path) -> None:
    path = write_file(tmp_path / "m.onnx", b"weights")
    names = {device: [name for name, _ in choose_providers(device, path)] for device in ("cpu", "cuda", "tensorrt")}
    assert names == {
        "cpu": ["CPUExecutionProvider"],
        "cuda": ["CUDAExecutionProvider"],
        "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
    }


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_no_option_changes_the_precision_of_the_file(tmp_path: Path, device: str) -> None:
    providers = dict(choose_providers(device, write_file(tmp_path / "m.onnx", b"weights")))
    assert providers["CUDAExecutionProvider"]["use_tf32"] == "0"
    names = {name for options in providers.values() for name in options}
    assert not names & {"trt_fp16_enable", "trt_int8_enable", "trt_bf16_enable"}


def test_engines_are_kept_by_the_content_of_the_file_not_by_its_name(tmp_path: Path, own_cache: Path) -> None:
    """ONNX Runtime's own name for an engine leaves the weights out: a new training would get the old answers."""
    path = write_file(tmp_path / "m.onnx", b"weights")
    first = choose_providers("tensorrt", path)[0][1]
    copy = write_file(tmp_path / "copy.onnx", b"weights")
    assert choose_providers("tensorrt", copy)[0][1] == first
    retrained = choose_providers("tensorrt", write_file(path, b"weightS"))[0][1]
    assert retrained["trt_engine_cache_path"] != first["trt_engine_cache_path"]
    assert retrained["trt_timing_cache_path"] == first["trt_timing_cache_path"] == str(own_cache)
    assert Path(first["trt_engine_cache_path"]).is_dir()
    # ONNX Runtime takes "1" for some of these and refuses it for others; True it takes for all.
    assert first["trt_engine_cache_enable"] == first["trt_timing_cache_enable"] == "True"


def test_minutes_of_building_are_announced_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_file(tmp_path / "m.onnx", b"weights")
    with caplog.at_level(logging.INFO):
        options = choose_providers("tensorrt", path)[0][1]
        assert "takes minutes" in caplog.text
        caplog.clear()
        (Path(options["trt_engine_cache_path"]) / "TensorrtExecutionProvider_graph_1_0_0_sm90.engine").touch()
        choose_providers("tensorrt", path)
        assert caplog.text == ""


def test_cache_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(write_file(tmp_path / "file", b"")))
    with pytest.raises(OutputError, match="set XDG_CACHE_HOME") as caught:
        choose_providers("tensorrt", write_file(tmp_path / "m.onnx", b"weights"))
    assert "\n" not in str(caught.value)


def test_what_the_loader_prints_does_not_reach_stdout() -> None:
    said = io.StringIO()
    with redirect_stdout(said):
        load_gpu_libraries(
            SimpleNamespace(__file__="", preload_dlls=lambda: sys.stdout.write("Failed to load libcublas.so.13")),
            "cuda",
        )
    assert said.getvalue() == ""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="a shared library is built and loaded")
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_missing_library_is_named(tmp_path: Path, device: str) -> None:
    """onnxruntime#17801: without it ONNX Runtime logs three lines and starts on the CPU."""
    (tmp_path / "capi").mkdir()
    need, provider = tmp_path / "libcublasLt.so.99", tmp_path / "capi" / f"libonnxruntime_providers_{device}.so"
    build = ["cc", "-shared", "-x", "c", "/dev/null", "-x", "none"]
    subprocess.run([*build, "-Wl,-soname,libcublasLt.so.99", "-o", str(need)], check=True)
    subprocess.run([*build, "-Wl,--no-as-needed", str(need), "-o", str(provider)], check=True)
    need.unlink()
    onnxruntime = SimpleNamespace(__file__=str(tmp_path / "__init__.py"))
    with pytest.raises(DeviceError, match=r"needs a missing library: libcublasLt\.so\.99.*use --device cpu") as caught:
        load_gpu_libraries(onnxruntime, device)
    assert "\n" not in str(caught.value)


def test_only_the_reason_is_kept_of_a_cuda_failure() -> None:
    said = "/onnxruntime_src/cuda_call.cc:154 CudaCall(...)\nCUDA failure 35: driver too old ; GPU=-1 ; expr=cudaSet();"
    error = name_start_error(Path("m.onnx"), "cuda", RuntimeError(said))
    assert str(error).startswith("CUDAExecutionProvider failed to start with m.onnx: CUDA failure 35: driver too old; ")


def test_threads_sleep_when_there_is_no_work() -> None:
    """Left alone, they spin for tens of milliseconds after each frame."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = make_session_options(onnxruntime, quiet=True)
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(DEFAULT_MODEL), options, providers=["CPUExecutionProvider"])
    frames = np.zeros((1, 224, 224, 3), np.uint8)
    used_s = 0.0
    for _ in range(10):
        session.run(["logits"], {"frames": frames})
        before_s = time.process_time()
        time.sleep(0.03)
        used_s += time.process_time() - before_s
    assert used_s < 0.03
