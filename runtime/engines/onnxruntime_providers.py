"""The configuration of ONNX Runtime: the provider of a device with its options, and how its threads wait.

The libraries of onnxruntime-gpu 1.31.1 accepted these names and values (on a machine without a GPU: they parse the
options before they look for one), and those of 1.23.2 and 1.18.0 contain them.
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
    "tensorrt": "put TensorRT 10 on the library path (LD_LIBRARY_PATH); " + CUDA_HELP,
}

CUDA_OPTIONS = {
    # Every frame has the same shape: trying all convolution algorithms on the first one pays off.
    "cudnn_conv_algo_search": "EXHAUSTIVE",
    # The precision is the file's: TF32 would reduce that of an FP32 file, and an FP16 file is even faster.
    "use_tf32": "0",
}


def make_session_options(onnxruntime: Any, *, quiet: bool, threads: int | None = None) -> Any:
    """Make session options.  Idle threads (None: one per core) sleep instead of spinning.

    Spinning saves up to 20 % from frame to label if nothing else runs, and nothing beside other programs.  In the live
    loop it takes CPU time from the decoder and the encoder: at 8 frames per second, annotated and encoded, sleeping
    threads needed 0.4 to 0.8 of the network's time, and 42 instead of 75 to 95 ms of CPU time per frame; at full speed,
    0.6 to 1.3 of the time per frame.  Spinning within a frame only (session.force_spinning_stop) was the slowest of the
    three in the loop, by up to 1.8 times.  Two x86 cores, INT8, 720p, measured in turns.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4 if quiet else 3  # errors only
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads:
        options.intra_op_num_threads = threads
    return options


def choose_providers(device: str, path: Path) -> list[tuple[str, dict[str, str]]]:
    """Choose providers in order of preference, with options.

    Operators that TensorRT cannot run are run by CUDA; the CPU is used only if requested.  path: the model, whose
    engines are cached in a folder of its own.
    """
    if device == "cpu":
        return [(PROVIDERS["cpu"], {})]
    cuda = (PROVIDERS["cuda"], CUDA_OPTIONS)
    if device == "cuda":
        return [cuda]
    return [(PROVIDERS["tensorrt"], _choose_tensorrt_options(path)), cuda]


def _choose_tensorrt_options(path: Path) -> dict[str, str]:
    """Choose options: engines and timings are cached; trt_fp16_enable stays off, as the file sets the precision.

    ONNX Runtime names a cached engine after the model file's name and graph, not after its weights: a newly trained
    model of the same name would get the old engine.  So each content has its own folder.
    """
    folder = find_cache_folder("tensorrt")
    engines = folder / hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    try:
        engines.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot store the engine in {engines}: {error.strerror}; set XDG_CACHE_HOME to another folder"
        raise OutputError(reason) from error
    if not any(engines.glob("*.engine")):
        log.info("TensorRT is building its engine, which takes minutes; it is kept for later starts in %s", engines)
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }


def load_gpu_libraries(onnxruntime: Any, device: str) -> None:
    """Load CUDA and cuDNN from pip's packages if installed; ONNX Runtime itself only looks in the system.

    Raises DeviceError that names a missing library: ONNX Runtime would only log it and use the CPU.
    """
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        said = io.StringIO()  # it prints every missing library, needed or not
        with contextlib.redirect_stdout(said):
            onnxruntime.preload_dlls()
        log.debug("%s", said.getvalue().strip())
    library = Path(onnxruntime.__file__).parent / "capi" / f"libonnxruntime_providers_{device}.so"
    if library.is_file():  # it has other names on other systems
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            if "cannot open shared object file" in str(error):  # other errors vanish when ONNX Runtime loads it
                raise DeviceError(
                    f"{PROVIDERS[device]} needs a missing library: {error}; {GPU_HELP[device]}"
                ) from error


def name_start_error(path: Path, device: str, error: Exception) -> DeviceError:
    """Make the one-line error for a GPU provider that fails to start."""
    return DeviceError(f"{PROVIDERS[device]} failed to start with {path}: {name_reason(error)}; {GPU_HELP[device]}")


def name_run_error(device: str, error: Exception) -> DeviceError:
    """Make the one-line error for a network that failed while running."""
    return DeviceError(f"the network failed on {device}: {name_reason(error)}; try again, or give another --device")


def name_reason(error: Exception, *, first: bool = False) -> str:
    """Shorten an error to its last or first line, without ONNX Runtime's source locations."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if first:
        return lines[0][:300]
    cuda = re.search(r"(CUDA|CUDNN|CUBLAS) failure \d+: [^;]+", lines[-1])
    return cuda.group().strip() if cuda else lines[-1][-300:]
