"""The rooms, and what `yoga-train fit` imports beside torch and OpenCV, on a machine where nothing can be installed.

Only what is missing is replaced, and only what no number rests on: curves and pictures are not drawn.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

ROOMS = ("runtime", "calibration", "train", "export")


def find_rooms() -> None:
    """Make `yoga_live` importable here and in the processes that are started, installed or not."""
    if find_spec("yoga_live"):
        return
    root = Path(__file__).resolve().parent.parent
    folder = Path(tempfile.mkdtemp(prefix="yoga-live-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "yoga_live").mkdir()
    for room in ROOMS:
        (folder / "yoga_live" / room).symlink_to(root / room)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


def replace_missing() -> list[str]:
    """Put stand-ins where a package is missing.  Returns the packages' names."""
    missing = [name for name in ("tensorboard", "matplotlib") if find_spec(name) is None]
    if "tensorboard" in missing:
        _lend("torch.utils.tensorboard")
        _lend("torch.utils.tensorboard.writer", SummaryWriter=Silent)
    if "matplotlib" in missing:
        _lend("matplotlib")
        _lend("matplotlib.figure", Figure=Silent)
    return missing


def _lend(name: str, **contents: Any) -> None:
    module = ModuleType(name)
    module.__path__ = []  # a package, so that parts of it can be imported
    vars(module).update(contents)
    sys.modules[name] = module


class Silent:
    """Takes every call and draws nothing; as a figure it writes an empty file."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __getattr__(self, _: str) -> Silent:
        return self

    def __call__(self, *_: Any, **__: Any) -> Silent:
        return self

    def savefig(self, path: Path, **_: Any) -> None:
        Path(path).touch()
