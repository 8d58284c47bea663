"""Builds a TensorRT engine from an ONNX file, on the machine that will run it; needs no torch."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..runtime.core.model_metadata import ModelInfo
from ..runtime.engines.cuda import CudaDevice
from ..runtime.engines.network_hash import hash_network
from ..runtime.engines.onnx_guard import read_bytes, read_info
from ..runtime.engines.tensorrt import TensorRTEngine
from ..runtime.engines.tensorrt_bindings import Bindings, make_logger
from ..runtime.engines.tensorrt_sidecar import EngineRecord, Gpu, read_record, record_path
from ..runtime.errors import DeviceError, ModelError, TakenError
from ..runtime.system.files import check_output, find_cache_folder, write_then_rename
from ..runtime.system.plain_text import format_command
from ..runtime.system.progress import Progress
from .build_progress import BuildProgress, make_monitor
from .engine_check import check_engine

log = logging.getLogger(__name__)

BATCHES = (1, 1, 8)
"""Batch sizes: smallest, optimised, largest."""

COPIES_OF_THE_MODEL = 3
"""Estimate for the check of free memory: the weights as parsed, as tried on the GPU, and in the finished engine."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is built.  timing_cache: file of the kernels' timings, which makes a second build fast."""

    workspace_mb: int
    timing_cache: Path | None = None


@dataclass(frozen=True)
class BuiltEngine:
    """The record of an engine, and whether it was built now, or an earlier one of the same network was kept.

    paths: of the engine and its record.
    """

    record: EngineRecord
    was_built: bool
    paths: tuple[Path, Path]


def export_engine(
    source: Path, path: Path, options: EngineOptions, bindings: Bindings, *, force: bool = False
) -> BuiltEngine:
    """Build `source` for this GPU into `path` and write its record beside it.

    An existing engine of the same network, GPU, TensorRT and options is kept, and its record renewed; any other file
    there is only replaced with `force`.  Raises ModelError, DeviceError, OutputError.
    """
    paths = path, record_path(path)
    model = read_bytes(source)
    info, network_sha256 = read_info(model, source), hash_network(model, source)
    gpu = CudaDevice(bindings.cudart)
    record = EngineRecord(
        model=info,
        gpu=Gpu.of(gpu),
        tensorrt=bindings.trt.__version__,
        source=source.name,
        network_sha256=network_sha256,
        engine_sha256="",
        built_with={"workspace_mb": options.workspace_mb, "batches": list(BATCHES)},
    )
    kept = _find_kept(path, record)
    if kept is not None:
        _write_record(path, kept)
        return BuiltEngine(kept, was_built=False, paths=paths)
    for output in paths:
        check_output(output, force=force)
    if info.precision == "fp32":
        log.warning("%s is FP32, which is slow on a GPU; convert it first: %s", source, _fp16_command(source))
    check_free_memory(gpu, options.workspace_mb, len(model))
    shapes = [(batch, info.size, info.size, 3) for batch in BATCHES]
    plan = build_plan(_prepare(model, info), shapes, options, bindings, record.gpu, source)
    with TensorRTEngine.from_plan(plan, info, bindings) as opened:
        check_engine(opened, source)
    record = replace(record, engine_sha256=hashlib.sha256(plan).hexdigest())
    try:
        with write_then_rename(path, replace=force) as temporary:
            temporary.write_bytes(plan)
    except TakenError as taken:  # it took minutes to build, and is useless without its record
        if taken.kept:
            _write_record(taken.kept, record, replace=force)
        raise
    _write_record(path, record, replace=force)
    return BuiltEngine(record, was_built=True, paths=paths)


def _fp16_command(source: Path) -> str:
    return format_command("yoga-export", "fp16", source, "--run", "RUN", "--to", source.with_suffix(".fp16.onnx"))


def _find_kept(path: Path, wanted: EngineRecord) -> EngineRecord | None:
    """Return the renewed record of an engine at `path`, if that is the engine to build; else None."""
    if not (path.is_file() and record_path(path).is_file()):
        return None
    try:
        old = read_record(path)
    except ModelError:
        return None
    engine_sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    renewed = replace(wanted, engine_sha256=engine_sha256)
    is_same = replace(old, model=wanted.model, source=wanted.source) == renewed
    return renewed if is_same else None


def _write_record(path: Path, record: EngineRecord, *, replace: bool = True) -> None:
    with write_then_rename(record_path(path), replace=replace) as temporary:
        temporary.write_text(record.to_json(), encoding="utf-8")


def check_free_memory(gpu: CudaDevice, workspace_mb: int, model_size: int) -> None:
    """Refuse to build with too little free GPU memory, which would fail after minutes.  Raises DeviceError."""
    needed_mb = workspace_mb + COPIES_OF_THE_MODEL * model_size / 1e6
    free_mb = gpu.free_bytes() / 1e6
    if free_mb < needed_mb:
        raise DeviceError(
            f"{gpu.name} has {free_mb:.0f} MB free, but building needs about {needed_mb:.0f} MB, of which "
            f"{workspace_mb} is scratch memory; close other programs, or give a smaller --workspace-mb"
        )


def _prepare(model: bytes, info: ModelInfo) -> bytes:
    """Prepare the bytes for TensorRT: the file itself, except that INT8 is retyped from the x86 form."""
    if info.precision != "int8":
        return model
    import onnx

    from .int8_for_tensorrt import retype_int8

    return retype_int8(onnx.load_from_string(model)).SerializeToString()


def build_plan(
    model: bytes,
    shapes: Sequence[tuple[int, int, int, int]],
    options: EngineOptions,
    bindings: Bindings,
    gpu: Gpu,
    source: Path,
) -> bytes:
    """Build a strongly typed network (each tensor as the ONNX file has it) with one profile.  Raises ModelError.

    shapes: of the input, (N, H, W, 3): the smallest, the one that kernels are chosen for, the largest.
    The calls are those that TensorRT 10.3 and 11 share.
    """
    trt = bindings.trt
    logger = make_logger(trt)
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # from pybind11, if TensorRT returns null
        raise DeviceError(f"TensorRT cannot start on {gpu.name}: {'; '.join(logger.errors[-2:]) or error}") from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise ModelError(_describe_parser_error(parser, source))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mb << 20)
    profile = builder.create_optimization_profile()
    profile.set_shape("frames", *shapes)
    if config.add_optimization_profile(profile) < 0:
        raise ModelError(
            f"{source} does not accept frames of {shapes[0]} to {shapes[-1]}: {'; '.join(logger.errors[-2:])}; "
            "export it again with this yoga-export"
        )
    timings = options.timing_cache or default_timing_cache(gpu, trt.__version__)
    _load_timings(config, timings)
    with Progress("building", 1.0) as progress:
        told = BuildProgress(progress)
        monitor = make_monitor(trt, told)
        config.progress_monitor = monitor
        memory = builder.build_serialized_network(network, config)
    if told.was_stopped:
        raise KeyboardInterrupt
    if memory is None:
        reason = "; ".join(logger.errors[-2:]) or "no reason given"
        raise ModelError(f"TensorRT cannot build {source}: {reason}; export it again, or use ONNX Runtime")
    _save_timings(config, timings)
    return bytes(memory)


def _describe_parser_error(parser: Any, source: Path) -> str:
    """Name the first node that TensorRT does not support."""
    if not parser.num_errors:
        return f"TensorRT cannot read {source}; check whether it is complete"
    error = parser.get_error(0)
    reason = " ".join(error.desc().split())
    node = f"its node {error.node_name() or '(no name)'} ({error.node_operator() or 'no operator'})"
    more = f" ({parser.num_errors - 1} more)" if parser.num_errors > 1 else ""
    return f"TensorRT does not support {source}: {node}: {reason}{more}; export it again with this yoga-export"


def default_timing_cache(gpu: Gpu, tensorrt: str) -> Path:
    """Name the timing cache of a kind of GPU and a version of TensorRT."""
    words = f"{gpu.name} {gpu.compute_capability} {gpu.multiprocessors} {tensorrt}"
    name = "".join(letter if letter.isalnum() or letter == "." else "-" for letter in words)
    return find_cache_folder("tensorrt") / f"{name}.timing"


def _load_timings(config: Any, path: Path) -> None:
    """Load the timings of earlier builds; a cache of another GPU or TensorRT is ignored."""
    known = path.read_bytes() if path.is_file() else b""
    for content in (known, b"") if known else (b"",):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return
        log.warning("the timing cache %s is for another GPU or TensorRT; it will be replaced", path)


def _save_timings(config: Any, path: Path) -> None:
    cache = config.get_timing_cache()
    if cache is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_then_rename(path) as temporary:
            temporary.write_bytes(bytes(cache.serialize()))
    except OSError as error:  # not an error: the engine itself was built
        log.warning("cannot save the timings for the next build: %s", error)
