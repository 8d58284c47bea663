"""What the model of a run says of itself: temperature and threshold from its `confidence.json`.

Imports neither torch nor OpenCV.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from ...calibration.runs import Run
from ...runtime.core.model_metadata import ModelInfo
from ...runtime.errors import ModelError, OutputError, RunError
from ...runtime.system.files import write_text
from ...runtime.system.foreign_files import open_plain_text
from ..run_files.second_opinion import read_second_opinion

CONFIDENCE = "confidence.json"
log = logging.getLogger(__name__)


def make_model_info(run: Run) -> ModelInfo:
    """What the model of a run says of itself before it is calibrated.  Raises RunError."""
    training = {"finished_at": run.summary.get("finished_at", ""), **read_person_share(run)}
    return ModelInfo(run.labels, run.size, training=training, second_opinion=read_second_opinion(run))


def read_person_share(run: Run) -> dict[str, float]:
    """How much of a photo a person fills in a run, for what its model says of its training; empty if unknown."""
    found = run.summary.get("second_opinion")
    share = found.get("person_share") if isinstance(found, dict) else None
    return {"person_share": float(share)} if isinstance(share, int | float) and 0 < share <= 1 else {}


def read_model_info(run: Run) -> ModelInfo:
    """What the model of a run says of itself: with its temperature and threshold if the run was calibrated.

    A calibration of other weights, from before the run was resumed, is left out, which is logged.  Raises RunError.
    """
    plain = make_model_info(run)
    path = run.folder / CONFIDENCE
    try:
        with open_plain_text(path) as file:
            info = ModelInfo.from_json(file.read(), path)
    except FileNotFoundError:
        return plain
    except (OSError, ValueError, ModelError) as error:
        raise RunError(f"{path} cannot be read ({error}); delete it, or calibrate the run again") from error
    if _identify(info) != _identify(plain):
        log.warning("%s is of an earlier state of the run and not used; calibrate the run again", path)
        return plain
    return info if info.second_opinion else replace(info, second_opinion=plain.second_opinion)


def _identify(info: ModelInfo) -> tuple[object, ...]:
    """Which weights it is of."""
    return info.labels, info.size, info.training.get("finished_at")


def write_model_info(run: Run, info: ModelInfo) -> Path:
    """Write the calibration of a run, replacing an earlier one.  Raises OutputError."""
    path = run.folder / CONFIDENCE
    try:
        write_text(path, info.to_json() + "\n")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; fix this and try again") from error
    return path
