"""From folders of photos to a fine-tuned pose model::

    from yoga_live.train import FitConfig, fit
    result = fit("photos", "runs/first", FitConfig(epochs=8))     # photos/tree/*.jpg, photos/down_dog/*.jpg, ...
    print(result.accuracy, result.interval)

`fit` is what `yoga-train fit` does, and comes to the same run.  PyTorch is imported when it is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..runtime.system.public_names import offer

import_module(".fit", __name__)  # the package of that name, before the function takes it: loaded later, it would win
from .api import fit  # noqa: E402

if TYPE_CHECKING:
    from .fit.config import Augmentation, FitConfig
    from .run_files.result import FitResult

__all__ = ["Augmentation", "FitConfig", "FitResult", "fit"]
__version__: str

__getattr__, __dir__ = offer(
    __name__, {"Augmentation": ".fit.config", "FitConfig": ".fit.config", "FitResult": ".run_files.result"}
)
