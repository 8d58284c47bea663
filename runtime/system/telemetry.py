"""Nothing is reported to anybody: the telemetry of the libraries that we stand on is switched off before it starts.

ONNX Runtime 1.29 and later reports to Microsoft from its official builds, by default: importing it and opening a model
writes a permanent device id below ~/.cache/Microsoft and sends events (its Privacy.md).  OpenVINO reports to Google
Analytics through the package openvino_telemetry, which writes ~/intel.  Both hold still under CI.  Ray reports its use.
So whatever imports one of them calls `silence_telemetry` first; a test reads the sources for it.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

log = logging.getLogger(__name__)

FIRST_TO_REPORT = (1, 29)
"""The first version of ONNX Runtime whose Linux and macOS builds report."""


def silence_telemetry() -> None:
    """Switch reporting off in this process and those it starts.  Call it before importing a library that reports.

    ORT_DISABLE_TELEMETRY and RAY_USAGE_STATS_ENABLED keep a value that the user gave them.  A program that imported
    ONNX Runtime or OpenVINO before us is told so, once: what they report as they start cannot be taken back.
    """
    if not os.environ.get("ORT_DISABLE_TELEMETRY"):  # an empty value switches nothing off
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
    """Silence an ONNX Runtime that was imported while its telemetry was on, as far as that still goes, and say so."""
    if onnxruntime is None or _read_version(str(onnxruntime.__version__)) < FIRST_TO_REPORT:
        return
    onnxruntime.disable_telemetry_events()
    log.warning(
        "onnxruntime %s was imported before yoga_live with its telemetry (to Microsoft) on, and may have reported its "
        "start; it is off from now on. To keep it off, set ORT_DISABLE_TELEMETRY=1 before importing onnxruntime",
        onnxruntime.__version__,
    )


def _read_version(text: str) -> tuple[int, ...]:
    """Major and minor number; (0,) where there are none."""
    numbers = text.split(".")[:2]
    return tuple(int(number) for number in numbers) if all(number.isdigit() for number in numbers) else (0,)
