"""From folders of photos to a fine-tuned pose model::

    from yoga_live.train import FitConfig, fit
    run = fit("photos", "runs/first", FitConfig(epochs=8))        # photos/tree/*.jpg, photos/down_dog/*.jpg, ...
    print(run.accuracy, run.interval)
    print(run.predict("new.jpg").pose)                            # before any export

`fit` is what `yoga-train fit` does, and comes to the same run; `open_run("runs/first")` gives it back later.  PyTorch
is imported when one of them needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..runtime.system.public_names import offer

import_module(".fit", __name__)  # the package of that name, before the function takes it: loaded later, it would win
from .api import fit, open_run  # noqa: E402

if TYPE_CHECKING:
    from .fit.config import Augmentation, FitConfig
    from .report.run_report import RunReport
    from .result import FitResult
    from .run_files.log import Epoch

__all__ = ["Augmentation", "Epoch", "FitConfig", "FitResult", "RunReport", "fit", "open_run"]
__version__: str

__getattr__, __dir__ = offer(
    __name__,
    {
        "Augmentation": ".fit.config",
        "Epoch": ".run_files.log",
        "FitConfig": ".fit.config",
        "FitResult": ".result",
        "RunReport": ".report.run_report",
    },
)
