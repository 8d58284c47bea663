"""The record beside a TensorRT engine, `<name>.engine.json`: its model's metadata, its source and its GPU."""

from __future__ import annotations

import json
import logging
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.model_metadata import ModelInfo
from ..errors import ModelError
from ..system.files import format_json
from ..system.foreign_files import MOST_DOCUMENT_BYTES, check_text, check_whole, is_inside, open_plain, parse_json, show
from .cuda import CudaDevice
from .network_hash import hash_network
from .onnx_guard import read_bytes, read_info

log = logging.getLogger(__name__)

FORMAT = 1
PEOPLE = "people finder"
BUILD_PEOPLE = "yoga-export engine --people"
REBUILD_PEOPLE = f"build it again: {BUILD_PEOPLE} --force"


@dataclass(frozen=True)
class Gpu:
    """The GPU that an engine was built for; on another kind it runs slowly or not at all."""

    name: str
    compute_capability: str
    multiprocessors: int

    @classmethod
    def of(cls, device: CudaDevice) -> Gpu:
        return cls(device.name, device.compute_capability, device.multiprocessors)

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.compute_capability}, {self.multiprocessors} multiprocessors)"


@dataclass(frozen=True)
class EngineRecord:
    """The record beside an engine.  model: metadata of the ONNX file.  source: its name.

    network_sha256: of its graph and weights.

    tensorrt: the version that built the engine.  built_with: the builder's options.
    """

    model: ModelInfo
    gpu: Gpu
    tensorrt: str
    source: str
    network_sha256: str
    engine_sha256: str
    built_with: dict[str, Any]

    def to_json(self) -> str:
        content = {"format": FORMAT, **self.__dict__}
        content["model"], content["gpu"] = json.loads(self.model.to_json()), self.gpu.__dict__
        return format_json(content)

    @classmethod
    def from_json(cls, text: str) -> EngineRecord:
        """Read what `to_json` wrote.  Raises ValueError, KeyError, TypeError or ModelError for anything else."""
        content = parse_json(text)
        version = content.pop("format")
        if version != FORMAT:
            raise ValueError(f"its format is {show(version)}, and this yoga-live reads {FORMAT}")
        content["model"] = ModelInfo.from_json(json.dumps(content["model"]), "the engine")
        content["gpu"] = Gpu(**content["gpu"])
        record = cls(**content)
        record.check()
        return record

    def check(self) -> None:
        """Refuse values of the wrong type.  Raises ValueError.  The source must be a file beside the engine."""
        for name in ("tensorrt", "network_sha256", "engine_sha256"):
            check_text(getattr(self, name), name)
        for name in ("name", "compute_capability"):
            check_text(getattr(self.gpu, name), f"the GPU's {name}")
        check_whole(self.gpu.multiprocessors, "the GPU's multiprocessors", 0, 1_000_000)
        if not is_inside(check_text(self.source, "source")) or Path(self.source).name != self.source:
            raise ValueError(f"source should be the name of a file; it is {show(self.source)}")
        if not isinstance(self.built_with, dict):
            raise ValueError(f"built_with should hold names and values; it is {show(self.built_with)}")
        if "workspace_mb" in self.built_with:
            check_whole(self.built_with["workspace_mb"], "workspace_mb", 0, 2**40)


@dataclass(frozen=True)
class PeopleRecord:
    """The record beside an engine of the people finder.  source_sha256: of the shipped file that it was built from.

    tensorrt: the version that built the engine.  built_with: the builder's options.
    """

    gpu: Gpu
    tensorrt: str
    source_sha256: str
    engine_sha256: str
    built_with: dict[str, Any]

    def to_json(self) -> str:
        return format_json({"format": FORMAT, "network": PEOPLE, **self.__dict__, "gpu": self.gpu.__dict__})

    @classmethod
    def from_json(cls, text: str) -> PeopleRecord:
        """Read what `to_json` wrote.  Raises ValueError, KeyError or TypeError for anything else."""
        content = parse_json(text)
        version, network = content.pop("format"), content.pop("network")
        if version != FORMAT or network != PEOPLE:
            raise ValueError(f"it is of format {show(version)} and of {show(network)}")
        record = cls(**{**content, "gpu": Gpu(**content["gpu"])})
        for name in ("tensorrt", "source_sha256", "engine_sha256"):
            check_text(getattr(record, name), name)
        return record


def read_people_record(engine: Path) -> PeopleRecord:
    """Read the record beside an engine of the people finder.  Raises ModelError."""
    if not engine.is_file():
        raise ModelError(f"it has no TensorRT engine ({engine}); build one: {BUILD_PEOPLE}")
    try:
        return PeopleRecord.from_json(_read_text(record_path(engine)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{record_path(engine)} cannot be read ({error}); {REBUILD_PEOPLE}") from error


def check_people_record(
    engine: Path, record: PeopleRecord, engine_sha256: str, source_sha256: str, gpu: Gpu, tensorrt: str
) -> None:
    """Refuse an engine that differs from its record, the shipped file or this system.  Raises ModelError."""
    reasons = {
        "its checksum differs from the recorded one": engine_sha256 != record.engine_sha256,
        "it was built from another version of the people finder": source_sha256 != record.source_sha256,
        f"it was built by TensorRT {record.tensorrt}, and this is {tensorrt}": tensorrt != record.tensorrt,
        f"it was built for {record.gpu}, and this is {gpu}": gpu != record.gpu,
    }
    for reason, is_so in reasons.items():
        if is_so:
            raise ModelError(f"the engine {engine} cannot be used: {reason}; {REBUILD_PEOPLE}")


def is_people_engine(engine: Path) -> bool:
    """Whether the record beside an engine says that it is the people finder's."""
    try:
        return parse_json(_read_text(record_path(engine))).get("network") == PEOPLE
    except (OSError, ValueError, AttributeError):
        return False


def _read_text(path: Path) -> str:
    with open_plain(path) as file:
        return file.read(MOST_DOCUMENT_BYTES + 1).decode()


def record_path(engine: Path) -> Path:
    """Name the record of an engine."""
    return engine.with_name(f"{engine.name}.json")


def read_record(engine: Path) -> EngineRecord:
    """Read the record beside an engine.  Raises ModelError."""
    path = record_path(engine)
    if not engine.is_file():
        raise ModelError(f"the engine {engine} does not exist; build it here: {rebuild_command(engine)}")
    if not path.is_file():
        raise ModelError(f"{path} is missing, which describes {engine.name}; {_build_again(engine)}")
    if is_people_engine(engine):
        raise ModelError(
            f"{engine} is an engine of the people finder, not of a pose model; --device tensorrt uses it by itself; "
            "give a pose model's engine"
        )
    try:
        return EngineRecord.from_json(_read_text(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ModelError) as error:
        raise ModelError(f"{path} cannot be read ({error}); {_build_again(engine)}") from error


def rebuild_command(engine: Path, record: EngineRecord | None = None) -> str:
    """Format the command that builds an engine again."""
    source = record.source if record else "FILE.onnx"
    if record and engine.with_name(source).is_file():
        source = str(engine.with_name(source))
    words = ["yoga-export", "engine", source, "--to", str(engine), *(["--force"] if engine.exists() else [])]
    if record and "workspace_mb" in record.built_with:
        words += ["--workspace-mb", str(record.built_with["workspace_mb"])]
    return shlex.join(words)


def check_record(engine: Path, record: EngineRecord, engine_sha256: str, gpu: Gpu, tensorrt: str) -> None:
    """Refuse an engine that differs from its record, or was built for another system.  Raises ModelError."""
    reasons = {
        "its checksum differs from the recorded one": engine_sha256 != record.engine_sha256,
        f"it was built by TensorRT {record.tensorrt}, and this is {tensorrt}": tensorrt != record.tensorrt,
        f"it was built for {record.gpu}, and this is {gpu}": gpu != record.gpu,
    }
    for reason, is_so in reasons.items():
        if is_so:
            raise ModelError(f"the engine {engine} cannot be used: {reason}; {_build_again(engine, record)}")


def check_source(engine: Path, record: EngineRecord) -> None:
    """Compare an engine with the ONNX file beside it, if any: another network is refused, other metadata logged.

    Raises ModelError.
    """
    source = engine.with_name(record.source)
    if not source.is_file():
        return
    model = read_bytes(source)
    if hash_network(model, source) != record.network_sha256:
        raise ModelError(
            f"the engine {engine} was built from another network than {source} now holds; "
            f"{_build_again(engine, record)}"
        )
    if read_info(model, source) != record.model:
        log.warning(
            "%s has another calibration than %s, which keeps its own; to copy it (without a new build): %s",
            *(source, engine, rebuild_command(engine, record)),
        )


def _build_again(engine: Path, record: EngineRecord | None = None) -> str:
    return f"build it again: {rebuild_command(engine, record)}"
