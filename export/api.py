"""Export as programs call it: a run folder in, one file out.  Imports neither torch nor NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..runtime.system.progress import OnProgress, send_progress
from ..runtime.system.public_names import name_missing_package


@dataclass(frozen=True)
class ExportedModel:
    """A pose model that was written, and how equal ONNX Runtime and torch are on the run's test photos.

    path: the file, for `PoseClassifier` and `yoga-live --model`.  labels: in the order of its output.  photos: how many
    test photos were compared.  agreement: the fraction of them that both name alike, 0 to 1.  worst_difference:
    largest difference of a logit, relative to the largest logit.
    """

    path: Path
    labels: tuple[str, ...]
    photos: int
    agreement: float
    worst_difference: float


def export_onnx(
    run: str | Path,
    to: str | Path,
    *,
    photos: str | Path | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> ExportedModel:
    """Write a run as one ONNX file, once ONNX Runtime gives torch's answers on the run's test photos.

    run: a folder that `fit` or `yoga-train fit` made.  to: the new file, .onnx; its folder must exist.  photos: where
    the run's photos are now, if they were moved.  force: replace what is there.  on_progress: gets a `ProgressUpdate`
    while photos are read; the export itself takes some seconds without one.

    The file takes uint8 (N, S, S, 3) BGR frames and gives logits (N, C); labels and size are in its metadata, with
    temperature and threshold if `run.calibrate()` was called.  INT8 is `yoga-calibrate`.

    Raises RunError where the run or its photos cannot be read, OutputError where `to` is taken, ModelError where the
    answers differ, MissingPackageError without PyTorch or ONNX.
    """
    with name_missing_package("export,cpu"):
        from ..calibration.runs import load_run
        from ..runtime.system.claims import claim_outputs
        from .onnx_export import export_run
    path = Path(to)
    with send_progress(on_progress), claim_outputs([path], force=force):
        loaded = load_run(Path(run), None if photos is None else Path(photos))
        parity = export_run(loaded, path, replace=force)
    return ExportedModel(path, loaded.labels, parity.photos, parity.agreement.value, parity.worst_difference)
