"""Switches off the telemetry of the libraries we use, before it starts.

ONNX Runtime 1.29 and later reports to Microsoft from its official builds, by default: importing it and opening a model
writes a permanent device id to ~/.cache/Microsoft and sends events (its Privacy.md).  OpenVINO reports to Google
Analytics through the package openvino_telemetry, which writes ~/intel.  Both do not report under CI.  Ray reports its
use.  So every module that imports one of them calls `silence_telemetry` first; a test checks the sources for this.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

log = logging.getLogger(__name__)

FIRST_TO_REPORT = (1, 29)
"""First version of ONNX Runtime whose Linux and macOS builds report."""


def silence_telemetry() -> None:
    """Switch telemetry off in this process and its child processes.  Call it before importing such a library.

    ORT_DISABLE_TELEMETRY and RAY_USAGE_STATS_ENABLED keep a value set by the user.  If ONNX Runtime or OpenVINO was
    imported before, that is logged once: what they report at their start cannot be taken back.
    """
    if not os.environ.get("ORT_DISABLE_TELEMETRY"):  # an empty value does not switch it off
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        _stop_early_onnxruntime(sys.modules.get("onnxruntime"))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if sys.modules.get("openvino_telemetry", False) is not None:
        early = "openvino" in sys.modules and "openvino_telemetry" in sys.modules
        sys.modules["openvino_telemetry"] = None  # pyright: ignore[reportArgumentType]  # openvino then takes its stub
        if early:
            log.warning(
                "openvino was imported before yoga_live with its telemetry (Google Analytics) on; "
                "import yoga_live.runtime.system.telemetry and call silence_telemetry() first, or run: "
                "opt_in_out --opt_out"
            )


def _stop_early_onnxruntime(onnxruntime: Any) -> None:
    """Switch off the telemetry of an ONNX Runtime that was imported before, as far as possible, and log it."""
    if onnxruntime is None or _read_version(str(onnxruntime.__version__)) < FIRST_TO_REPORT:
        return
    onnxruntime.disable_telemetry_events()
    log.warning(
        "onnxruntime %s was imported before yoga_live with its telemetry (to Microsoft) on, and may have reported its "
        "start; it is off from now on. To keep it off, set ORT_DISABLE_TELEMETRY=1 before importing onnxruntime",
        onnxruntime.__version__,
    )


def _read_version(text: str) -> tuple[int, ...]:
    """Read the major and minor number; (0,) if there are none."""
    numbers = text.split(".")[:2]
    return tuple(int(number) for number in numbers) if all(number.isdigit() for number in numbers) else (0,)
