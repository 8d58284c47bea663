"""From folders of photos to a fine-tuned pose model::

    from yoga_live.train import FitConfig, fit
    result = fit("photos", "runs/first", FitConfig(epochs=8))     # photos/tree/*.jpg, photos/down_dog/*.jpg, ...
    print(result.accuracy, result.interval)

`fit` is what `yoga-train fit` does, and comes to the same run.  PyTorch is imported when it is called.
"""

from __future__ import annotations

from ..runtime.system.public_names import offer
from .api import FitResult, fit  # the name of the package `fit`, too: `from yoga_live.train.fit.config import` goes on
from .fit.config import Augmentation, FitConfig

__all__ = ["Augmentation", "FitConfig", "FitResult", "fit"]
__version__: str

__getattr__, __dir__ = offer(__name__, {})
