"""Training as programs call it: photos in, a run folder and its numbers out.  Imports nothing before it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.system.public_names import name_missing_package

if TYPE_CHECKING:
    from ..runtime.system.progress import OnProgress
    from .fit.config import FitConfig
    from .result import FitResult
    from .run_files.log import Epoch


def fit(
    photos: str | Path,
    to: str | Path,
    config: FitConfig | None = None,
    *,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> FitResult:
    """Train a network on a folder of photos per pose, on one device.  Returns how it did.

    photos: a folder that holds a folder for each pose, `photos/tree/*.jpg` and so on; one called `none` may hold what
    is no pose.  to: the new folder of the run, beside the photos and not inside them.  config: how to train; None: the
    defaults of `yoga-train fit`.  resume: go on with the run that was stopped or killed there; one that is finished is
    left alone, and its result is returned.  on_progress: gets a `ProgressUpdate` up to ten times a second; each stage
    (reading photos, features, `epoch 3/12 at 224 px`) counts from 0.  on_epoch: gets an `Epoch` after each epoch, first
    after the frozen phase: its losses, its validation accuracy, how long it took.

    Ctrl-C, or a KeyboardInterrupt that `on_progress` or `on_epoch` raises, stops it: in the second phase the best epoch
    so far is kept (`interrupted`), before that nothing is.  What else they raise is raised again; `resume=True` then
    continues after the last epoch.  For several GPUs or machines use the command, `yoga-train fit`.

    Raises OutputError where `to` is taken, RunError or OptionError where the photos or the config do not suffice,
    ModelError where the starting weights cannot be read or downloaded, DeviceError where the device is missing,
    MissingPackageError without PyTorch.
    """
    with name_missing_package("train"):
        from ..runtime.system.progress import send_progress
        from .fit.config import FitConfig
        from .fit.run import fit_run
        from .result import read_result
    with send_progress(on_progress):
        content = fit_run(Path(photos), Path(to), config or FitConfig(), resume=resume, on_epoch=on_epoch)
    return read_result(Path(to), content)


def open_run(run: str | Path) -> FitResult:
    """Open a run that `fit` or `yoga-train fit` finished earlier.  Returns the same as `fit` did.

    run: its folder.  Raises RunError where it is no finished run, MissingPackageError without NumPy or OpenCV.
    """
    with name_missing_package("train"):
        from ..calibration.runs import load_run
        from .result import read_result
    return read_result(Path(run), load_run(Path(run)).summary)
