"""What ONNX Runtime is asked for: the provider of a device with its options, and how its threads wait.

Names and values were read by the real libraries of onnxruntime-gpu 1.31.1 (on a machine without a GPU: they parse the
options before they look for one) and found in those of 1.23.2 and 1.18.0.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import logging
import re
from pathlib import Path
from typing import Any

from ..errors import DeviceError, OutputError
from ..system.files import find_cache_folder

log = logging.getLogger(__name__)

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
CUDA_HELP = "check the driver and the CUDA libraries (pip install 'onnxruntime-gpu[cuda,cudnn]'), or use --device cpu"
GPU_HELP = {
    "cuda": CUDA_HELP,
    "tensorrt": "TensorRT 10 must be where the system looks for libraries (LD_LIBRARY_PATH); " + CUDA_HELP,
}

CUDA_OPTIONS = {
    # Every frame has the same shape: trying all convolutions once, when the first one comes, is paid back.
    "cudnn_conv_algo_search": "EXHAUSTIVE",
    # The precision is the file's: TF32 would shorten an FP32 file's numbers, and an FP16 file is faster still.
    "use_tf32": "0",
}


def make_session_options(onnxruntime: Any, *, quiet: bool, threads: int | None = None) -> Any:
    """Session options; threads (None: one a core) that wait for work sleep instead of spinning.

    Spinning wins up to 20 % from frame to label where nothing else runs, and nothing beside other programs.  In the
    live loop it takes the cores from the decoder and the encoder: at 8 frames a second, annotated and encoded, sleeping
    threads needed 0.4 to 0.8 of the network's time and 42 instead of 75 to 95 ms of CPU a frame; as fast as it goes,
    0.6 to 1.3 of the time a frame.  Spinning within a frame alone (session.force_spinning_stop) was the slowest of the
    three in the loop, up to 1.8 times.  Two x86 cores, INT8, 720p, in turns.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4 if quiet else 3  # errors only: a session that starts is no news
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads:
        options.intra_op_num_threads = threads
    return options


def choose_providers(device: str, path: Path) -> list[tuple[str, dict[str, str]]]:
    """Providers in order of preference, with options.  What TensorRT can't take runs in CUDA, never unasked on a CPU.

    path: the model, whose engines are kept in a folder of its own.
    """
    if device == "cpu":
        return [(PROVIDERS["cpu"], {})]
    cuda = (PROVIDERS["cuda"], CUDA_OPTIONS)
    if device == "cuda":
        return [cuda]
    return [(PROVIDERS["tensorrt"], _choose_tensorrt_options(path)), cuda]


def _choose_tensorrt_options(path: Path) -> dict[str, str]:
    """Engines and timings are kept.  trt_fp16_enable and its like stay off: the precision is the file's.

    ONNX Runtime names an engine after the model file's name and its graph, not after its weights: another training
    under the same name would be answered by the old engine.  So each content has its own folder.
    """
    folder = find_cache_folder("tensorrt")
    engines = folder / hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    try:
        engines.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the engine can't be kept in {engines}: {error.strerror}; set XDG_CACHE_HOME") from error
    if not any(engines.glob("*.engine")):
        log.info("TensorRT builds its engine, which takes minutes; the next start finds it in %s", engines)
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }


def load_gpu_libraries(onnxruntime: Any, device: str) -> None:
    """Load CUDA and cuDNN from pip's packages where they are; ONNX Runtime itself looks in the system alone.

    Raises DeviceError that names the library which is missing: ONNX Runtime would log it and take the CPU.
    """
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        said = io.StringIO()  # it prints what it lacks, needed or not
        with contextlib.redirect_stdout(said):
            onnxruntime.preload_dlls()
        log.debug("%s", said.getvalue().strip())
    library = Path(onnxruntime.__file__).parent / "capi" / f"libonnxruntime_providers_{device}.so"
    if library.is_file():  # other systems name it otherwise
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            if "cannot open shared object file" in str(error):  # its other needs are met when ONNX Runtime loads it
                raise DeviceError(f"{PROVIDERS[device]} lacks a library: {error}; {GPU_HELP[device]}") from error


def name_start_error(path: Path, device: str, error: Exception) -> DeviceError:
    """A GPU's provider that does not start, on one line."""
    return DeviceError(f"{PROVIDERS[device]} does not start with {path}: {name_reason(error)}; {GPU_HELP[device]}")


def name_run_error(device: str, error: Exception) -> DeviceError:
    """A network that broke in the middle, on one line."""
    return DeviceError(f"the network broke off on {device}: {name_reason(error)}; run it again, or on another --device")


def name_reason(error: Exception, *, first: bool = False) -> str:
    """An error's last line, or its first one, without ONNX Runtime's places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if first:
        return lines[0][:300]
    cuda = re.search(r"(CUDA|CUDNN|CUBLAS) failure \d+: [^;]+", lines[-1])
    return cuda.group().strip() if cuda else lines[-1][-300:]
