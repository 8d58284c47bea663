"""What programs may build on: its names stand here and in each room's `__all__`, and nowhere else."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

pytest.importorskip("cv2")
pytest.importorskip("av")

PUBLIC = {
    "runtime": [
        "AnnotateConfig", "DeviceError", "Hold", "MissingPackageError", "ModelError", "Mounting", "OptionError",
        "OutputError", "Outputs", "PoseClassifier", "PoseTracker", "Prediction", "ProgressUpdate", "Roi", "RunError",
        "RunResult", "Segment", "SourceError", "TakenError", "TimeRange", "Timeline", "YogaLiveError", "annotate_video",
    ],
}  # fmt: skip
NAMES = [(room, name) for room, names in PUBLIC.items() for name in names]


@pytest.mark.parametrize("room", PUBLIC)
def test_a_room_offers_exactly_these_names(room: str) -> None:
    module = import_module(f"yoga_live.{room}")
    assert module.__all__ == PUBLIC[room] and set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize(("room", "name"), NAMES)
def test_every_public_name_has_a_docstring(room: str, name: str) -> None:
    assert inspect.getdoc(getattr(import_module(f"yoga_live.{room}"), name))


@pytest.mark.parametrize("room", PUBLIC)
def test_each_name_is_imported_first_in_a_fresh_interpreter(room: str) -> None:
    code = "import sys\nfrom yoga_live.{} import {} as it\nprint(it.__name__)\n"
    for name in PUBLIC[room]:
        answer = subprocess.run(
            [sys.executable, "-c", code.format(room, name)], capture_output=True, text=True, check=False
        )
        assert answer.stdout.strip() == name, answer.stderr
