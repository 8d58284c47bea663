"""A finished training as programs have it: its numbers, its report, its predictions.

Imports neither torch nor NumPy before a method needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

from ..calibration.confidence_command import ON_CHOICES
from ..runtime.errors import OptionError, RunError
from ..runtime.system.public_names import name_missing_package

if TYPE_CHECKING:
    from ..calibration.runs import Run
    from ..runtime.classifier import PoseClassifier, Prediction
    from ..runtime.core.model_metadata import ModelInfo
    from ..runtime.system.progress import OnProgress
    from .predict.images import ImageLike
    from .report.run_report import RunReport
    from .run_files.log import Epoch

MOST_SHOWN = 500
"""Highest losses on a page."""
BATCH = 8
"""Images in one pass of the network."""


@dataclass(frozen=True)
class FitResult:
    """A finished training and how it did on its test photos, which it has not been trained on::

        run = fit("photos", "runs/first")           # or, later: open_run("runs/first")
        print(run.accuracy, run.interval)
        print(run.predict("new.jpg").pose)          # before any export
        run.report()                                # in a notebook: the page of `yoga-train report`

    run: its folder, which `export_onnx` and the commands take.  labels: the poses in the order of the model's output.
    accuracy: fraction of test photos classified correctly, 0 to 1.  interval: its 95 % interval (Wilson), low and high.
    photos: how many test photos there were.  frozen_accuracy: the same after the frozen phase alone.
    recalls: label -> fraction of its test photos classified correctly; None where it has none.
    confusions: (truth, answer, how many), the most frequent first.
    best_epoch: the epoch whose weights are kept; 0 is the frozen phase.  seconds: how long it took.
    interrupted: it was stopped before its last epoch, and `fit(..., resume=True)` goes on.
    verdict: one line where the test accuracy is not clearly above guessing, and what to do then; empty otherwise.
    second_opinion: one line with the test accuracy of network and key points together, or why there is none; empty for
    runs without.  The numbers above are those of the network alone.
    """

    run: Path
    labels: tuple[str, ...]
    accuracy: float
    interval: tuple[float, float]
    photos: int
    frozen_accuracy: float
    recalls: Mapping[str, float | None]
    confusions: tuple[tuple[str, str, int], ...]
    best_epoch: int
    seconds: float
    interrupted: bool = False
    verdict: str = ""
    second_opinion: str = ""

    @property
    def history(self) -> tuple[Epoch, ...]:
        """How each epoch went, out of the run's `log.csv`; the first is the frozen phase.  Raises RunError."""
        with name_missing_package("train"):
            from .run_files.log import read_log
        return read_log(self.run / "log.csv")

    @overload
    def predict(self, image: ImageLike, *, device: str = "auto") -> Prediction: ...

    @overload
    def predict(self, image: Iterable[ImageLike], *, device: str = "auto") -> list[Prediction]: ...

    def predict(self, image: ImageLike | Iterable[ImageLike], *, device: str = "auto") -> Prediction | list[Prediction]:
        """Classify an image, or each of a list, with the run's own network: no export is needed.

        image: the path of a photo; a NumPy array, uint8 (H, W, 3) BGR as OpenCV gives it (grey and BGRA are taken too;
        of an RGB array give `rgb[:, :, ::-1]`); a PIL image, which is turned upright by its EXIF orientation; or a list
        of these.  device: auto, cpu, cuda or cuda:1.

        Returns a `Prediction`, or a list of them.  It is what `PoseClassifier` gives with the exported file, to
        rounding errors; with temperature and threshold once `calibrate` was called.  The network is read once, and
        stays in memory; one thread at a time may use it.  A large JPEG given as a path is decoded at a half, a quarter
        or an eighth of its size, as in training; an array or a PIL image is not: probabilities may differ a little.

        Raises PhotoError where a photo cannot be read, ValueError where an image is nothing of these, ModelError where
        the run has no weights, DeviceError where the device is missing, MissingPackageError without PyTorch.
        """
        with name_missing_package("train"):
            from .predict.images import is_image, open_image
        classifier, given = self._open_classifier(device), cast("Any", image)
        if is_image(given):
            return classifier.classify(open_image(given, classifier.info.size))
        return _predict_each(given, classifier)

    @cached_property
    def _classifiers(self) -> dict[str, PoseClassifier]:
        """The network on each device that was asked for."""
        return {}

    def _open_classifier(self, device: str) -> PoseClassifier:
        if device not in self._classifiers:
            with name_missing_package("train"):
                from ..runtime.classifier import PoseClassifier
                from .predict.engine import TorchEngine
            self._classifiers[device] = PoseClassifier.from_engine(TorchEngine(_load(self.run), device))
        return self._classifiers[device]

    def calibrate(
        self,
        *,
        photos: str | Path | None = None,
        device: str = "auto",
        on_progress: OnProgress | None = None,
        on: str = "auto",
    ) -> ModelInfo:
        """Fit temperature and threshold, as `yoga-calibrate confidence` does.

        on: what they are fitted on: `left-out`, answers to sources of photos that the network had not seen
        (`FitConfig(folds=5, by_source=True)`); `validation`, the validation photos of the random split; `auto`:
        left-out where the run has these.

        From then on `predict` and `export_onnx` use them: they are kept in the run, in `confidence.json`, where an
        earlier calibration is replaced.  photos: where the run's photos are now, if they were moved.  device: auto,
        cpu, cuda or cuda:1.  on_progress: gets a `ProgressUpdate` while photos are read.

        Returns a `ModelInfo`: its `temperature`, its `threshold`, and in `calibration` what they come to on the test
        photos.  Raises RunError where the run or its photos cannot be read, OptionError where `photos` is no folder or
        `on` none of these,
        ModelError where the run has no weights, OutputError where the run cannot be written, DeviceError where the
        device is missing, MissingPackageError without PyTorch.
        """
        if on not in ON_CHOICES:
            raise OptionError(f"on must be {', '.join(ON_CHOICES[:-1])} or {ON_CHOICES[-1]}; got {on!r}")
        with name_missing_package("train"):
            from ..runtime.system.progress import send_progress
            from .predict.engine import calibrate_run
        with send_progress(on_progress):
            info = calibrate_run(_load(self.run, photos), device, on)
        self._classifiers.clear()
        return info

    def report(
        self,
        *,
        against: str | Path | FitResult | None = None,
        photos: str | Path | None = None,
        top: int = 24,
        on_progress: OnProgress | None = None,
    ) -> RunReport:
        """Make the page of `yoga-train report`: confusions, class maps, likely label errors, curves.

        against: another run to compare with, or its folder.  photos: where the run's photos are now, if they were
        moved.  top: how many of the highest losses to show for each split, 0 to 500.  on_progress: gets a
        `ProgressUpdate` while pictures are drawn.

        Returns a `RunReport`, which a notebook shows inline; nothing is written before its `save`.  Raises RunError
        where the run cannot be read, ModelError where it has no weights, OptionError where `top` or `photos` is not
        possible, MissingPackageError without PyTorch.
        """
        with name_missing_package("train"):
            from ..runtime.system.progress import send_progress
            from .report.run_report import make_report
        if isinstance(top, bool) or not isinstance(top, int) or not 0 <= top <= MOST_SHOWN:
            raise OptionError(f"top must be a whole number from 0 to {MOST_SHOWN}; got {top!r}")
        other = against.run if isinstance(against, FitResult) else against
        if other is not None and Path(other).resolve() == self.run.resolve():
            raise OptionError(f"against {other} is the run itself; give another one")
        with send_progress(on_progress), name_missing_package("train"):
            return make_report(_load(self.run, photos), None if other is None else _load(Path(other)), top)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from ..runtime.drawing.notebook import Html, format_bar, format_paragraph, format_table, name_pose

        low, high = self.interval
        lines = [
            format_paragraph(
                f"{self.accuracy:.1%} of {self.photos} test photos, 95 % interval {low:.1%} to {high:.1%}",
                strong="test accuracy",
            )
        ]
        lines += [format_paragraph(line) for line in (self.verdict, self.second_opinion) if line]
        if self.interrupted:
            lines.append(format_paragraph(f"stopped; the best epoch so far ({self.best_epoch}) is kept"))
        rows = [
            (name_pose(label), "" if recall is None else format_bar(recall), "-" if recall is None else f"{recall:.0%}")
            for label, recall in self.recalls.items()
        ]
        lines.append(format_table(("pose", "recall", ""), rows))
        lines += [
            format_paragraph(f"{name_pose(truth)} taken for {name_pose(answer)}: {count}")
            for truth, answer, count in self.confusions
        ]
        return Html("".join([*lines, format_paragraph(str(self.run), strong="run:")]))


def _predict_each(images: Iterable[ImageLike], classifier: PoseClassifier) -> list[Prediction]:
    """Classify several images, a few at a time, so that thousands of them do not wait in memory.

    With a second opinion people are looked for in each, of which one is in memory at a time.
    """
    from itertools import islice

    import numpy as np

    from .predict.images import letterbox_image, open_image

    rest = iter(images if isinstance(images, Iterable) else [images])  # of what is no image the message says so
    size, predictions = classifier.info.size, list[Any]()
    if classifier.second_opinion is not None:
        return [classifier.classify(open_image(image, size)) for image in rest]
    while squares := [letterbox_image(image, size) for image in islice(rest, BATCH)]:
        predictions += classifier.classify_letterboxed(np.stack(squares))
    return predictions


def _load(folder: Path, photos: str | Path | None = None) -> Run:
    with name_missing_package("train"):
        from ..calibration.runs import load_run
    if photos is not None and not Path(photos).is_dir():
        raise OptionError(f"photos {photos} is not a folder; give the one that now holds the run's photos")
    return load_run(folder, None if photos is None else Path(photos))


def read_result(run: Path, content: Mapping[str, Any]) -> FitResult:
    """The numbers of a run.  content: of its run.json.  Raises RunError."""
    from .run_files.second_opinion import describe_second_opinion
    from .run_files.verdict import read_verdict

    try:
        metrics = content["metrics"]
        test = metrics["test"]
        return FitResult(
            run=run,
            labels=tuple(content["labels"]),
            accuracy=test["accuracy"],
            interval=(test["interval"][0], test["interval"][1]),
            photos=test["photos"],
            frozen_accuracy=metrics["frozen"]["accuracy"],
            recalls=dict(test["recall"]),
            confusions=tuple((truth, answer, count) for truth, answer, count in test["confusions"]),
            best_epoch=metrics["best_epoch"],
            seconds=test["seconds"],
            interrupted=metrics["interrupted"],
            verdict=read_verdict(content).describe(),
            second_opinion="; ".join(describe_second_opinion(content)),
        )
    except (LookupError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise RunError(f"the numbers of {run} cannot be read ({reason}); train it again with this version") from error
