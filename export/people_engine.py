"""Builds a TensorRT engine of the shipped people finder, and compares it with ONNX Runtime."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..runtime.core.types import Frame
from ..runtime.engines.base import Network
from ..runtime.engines.cuda import CudaDevice
from ..runtime.engines.onnxruntime import OnnxNetwork
from ..runtime.engines.tensorrt_bindings import Bindings
from ..runtime.engines.tensorrt_network import TensorRTNetwork
from ..runtime.engines.tensorrt_sidecar import Gpu, PeopleRecord, read_people_record, record_path
from ..runtime.errors import MissingPackageError, ModelError, TakenError
from ..runtime.people.decoding import HEADS, decode_heads
from ..runtime.people.finder import ENGINE_SIDE, PEOPLE_MODEL, SIDE, SIDE_STEP, fit_frame
from ..runtime.people.people import People
from ..runtime.sources.drawn_figure import POSES, draw_figure
from ..runtime.system.files import check_output, write_then_rename
from .engine import EngineOptions, build_plan, check_free_memory
from .engine_check import FIGURES
from .people_network import prepare_people_network

log = logging.getLogger(__name__)

SHAPES = ((1, SIDE_STEP, SIDE_STEP, 3), (1, 160, SIDE, 3), (1, ENGINE_SIDE, ENGINE_SIDE, 3))
"""Smallest, optimised, largest.  One engine for both sizes of `TwoScaleFinder`: they share weights and buffers, and
pictures have any shape.  Kernels are chosen for the small picture of a 16:9 camera, which is looked at most often."""
EXPECTED_SCORE, LEAST_SCORE = 0.3, 0.2
"""Whom the shipped file finds with the first must be found with the second."""
BOX_PX, POINT_PX = 1.5, 3.0
"""Limits, in pixels of the input: for the largest difference of a box, and the median one of a person's sure key
points.  The network that is built is off by 0.29 and 1.45 on these drawings, run by ONNX Runtime on a CPU."""
SURE = 0.3
"""Key points from this score on."""


@dataclass(frozen=True)
class BuiltPeopleEngine:
    """The record of an engine, and whether it was built now, or an earlier one was kept."""

    record: PeopleRecord
    was_built: bool


def export_people_engine(
    path: Path, options: EngineOptions, bindings: Bindings, *, force: bool = False
) -> BuiltPeopleEngine:
    """Build the people finder for this GPU into `path` and write its record beside it.

    An existing engine of the same network, GPU, TensorRT and options is kept; any other file there is only replaced
    with `force`.  Raises ModelError, DeviceError, OutputError.
    """
    import onnx

    source = PEOPLE_MODEL.read_bytes()
    gpu = CudaDevice(bindings.cudart)
    record = PeopleRecord(
        gpu=Gpu.of(gpu),
        tensorrt=bindings.trt.__version__,
        source_sha256=hashlib.sha256(source).hexdigest(),
        engine_sha256="",
        built_with={"workspace_mb": options.workspace_mb, "shapes": [list(shape) for shape in SHAPES]},
    )
    if (kept := _find_kept(path, record)) is not None:
        return BuiltPeopleEngine(kept, was_built=False)
    for output in (path, record_path(path)):
        if output.is_file() and not force:
            raise TakenError(
                f"{output} is there already, and not for this GPU, TensorRT, --workspace-mb and version of the people "
                "finder; --force replaces it"
            )
        check_output(output, force=True)
    prepared = prepare_people_network(onnx.load_from_string(source)).SerializeToString()
    check_free_memory(gpu, options.workspace_mb, len(prepared))
    plan = build_plan(prepared, SHAPES, options, bindings, record.gpu, PEOPLE_MODEL)
    network = TensorRTNetwork(plan, bindings, "the engine that was built")
    try:
        check_people_network(network)
    finally:
        network.close()
    record = replace(record, engine_sha256=hashlib.sha256(plan).hexdigest())
    with write_then_rename(path, replace=force) as temporary:
        temporary.write_bytes(plan)
    with write_then_rename(record_path(path), replace=force) as temporary:
        temporary.write_text(record.to_json(), encoding="utf-8")
    return BuiltPeopleEngine(record, was_built=True)


def _find_kept(path: Path, wanted: PeopleRecord) -> PeopleRecord | None:
    try:
        old = read_people_record(path)
    except ModelError:
        return None
    record = replace(wanted, engine_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    return record if old == record else None


def check_people_network(network: Network) -> None:
    """Refuse a network that does not find in drawn figures, near and far, whom the shipped file finds by ONNX Runtime.

    Without ONNX Runtime it is only checked that all values are finite, which is logged.  Raises ModelError.
    """
    try:
        reference: Network | None = OnnxNetwork(PEOPLE_MODEL, "cpu")
    except MissingPackageError:
        log.warning("the engine was not compared with the shipped file, which needs: pip install onnxruntime")
        reference = None
    count = 0
    for side, draw in ((SIDE, _draw_near), (ENGINE_SIDE, _draw_far)):
        for name in FIGURES:
            frames, _ = fit_frame(draw(name), side)
            people = _find(network, frames, LEAST_SCORE)
            if reference is not None:
                count += _compare(people, _find(reference, frames, EXPECTED_SCORE), f"{name} at {side} pixels")
    if reference is not None:
        log.info("the engine finds %d drawn figures where ONNX Runtime finds them", count)


def _draw_near(name: str) -> Frame:
    return draw_figure(POSES[name], (960, 540))


def _draw_far(name: str) -> Frame:
    """The same figure far away: in a quarter of the picture."""
    near = draw_figure(POSES[name], (640, 360))
    return np.pad(near, ((180, 180), (320, 320), (0, 0)), mode="edge")


def _find(network: Network, frames: Frame, min_score: float) -> People:
    outputs = network.infer_outputs(HEADS, frames)
    if not all(np.isfinite(output).all() for output in outputs):
        raise ModelError("the people finder's engine has outputs that are not finite; not written")
    people = decode_heads({name: output[0] for name, output in zip(HEADS, outputs, strict=True)}, 1)
    return people.select(people.scores >= min_score)


def _compare(people: People, expected: People, where: str) -> int:
    """Returns how many people are expected.  Raises ModelError where they are not found, or elsewhere."""
    if not len(expected):
        return 0
    seen = "nobody"
    if len(people):
        boxes = float(np.abs(people.boxes - expected.boxes).max())
        is_sure = expected.keypoint_scores[0] >= SURE
        away = np.linalg.norm(people.keypoints[0] - expected.keypoints[0], axis=1)[is_sure]
        points = float(np.median(away)) if is_sure.any() else 0.0
        if boxes <= BOX_PX and points <= POINT_PX:
            return len(expected)
        seen = f"a box {boxes:.1f} and key points {points:.1f} pixels away"
    raise ModelError(
        f"the people finder's engine differs from the shipped file: of {where} it finds {seen} (limits {BOX_PX:g} and "
        f"{POINT_PX:g}); not written. Please report it with the versions of TensorRT and the driver"
    )
