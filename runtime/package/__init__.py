"""Watch yoga poses: `yoga_live.runtime`; train on photos: `train`; measure and quantise: `calibration`; `export`.

`yoga_live.__version__` is the installed version.  This folder is the package `yoga_live` itself; its sub-packages are
the four rooms at the top of the repository.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

if __name__ != "yoga_live":  # installed with -e, the folder could be imported as a part of the runtime, a second time
    raise ImportError(f"{__name__} is the package yoga_live itself; import yoga_live")

__version__: str


def __getattr__(name: str) -> Any:
    """Look the version up when it is asked for: importing this imports nothing."""
    if name == "__version__":
        return import_module(".runtime.system.public_names", __name__).read_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
