"""`log.csv` of a run: written during training, also as TensorBoard's event file, and read by column name.

Older and newer runs may hold other columns.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...calibration.metrics import measure_accuracy, measure_nll, measure_recalls
from ...runtime.errors import RunError
from ...runtime.system.files import write_text
from ...runtime.system.foreign_files import open_plain_text
from ...runtime.system.plain_text import is_utf8

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

log = logging.getLogger(__name__)

LARGEST = 1e12
"""Largest valid loss, second or epoch; a chart of larger values could not be drawn."""
Row = dict[str, float | str]


class FitLog:
    """Collects one row per epoch and writes all of them each time, so that the file is always complete.

    rows: of a resumed training.  Nothing is written if `folder` is None.
    """

    def __init__(self, folder: Path | None, rows: list[Row] | None = None) -> None:
        self.rows: list[Row] = rows or []
        self._folder = folder
        self._board: SummaryWriter | None = None
        self._has_board = folder is None or is_utf8(str(folder))
        if not self._has_board:
            log.warning("%s is not UTF-8, which TensorBoard wants: the curves are in log.csv alone", folder)

    def add(self, row: Row) -> None:
        """Append an epoch."""
        self.rows.append(row)
        if self._folder is None:
            return
        table = io.StringIO()
        writer = csv.DictWriter(table, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self._folder / "log.csv", table.getvalue())
        self._write_board(row)

    def _write_board(self, row: Row) -> None:
        if self._board is None and self._folder is not None and self._has_board:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._board = SummaryWriter(str(self._folder / "tensorboard"))
        if self._board is not None:
            for name, value in row.items():
                if name != "epoch" and value != "":
                    self._board.add_scalar(name.replace("_", "/", 1), float(value), int(row["epoch"]))
            self._board.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._board is not None:
            self._board.close()
            self._board = None


def describe_epoch(
    epoch: int,
    loss: float | None,
    logits: npt.NDArray[np.floating] | None,
    targets: npt.NDArray[np.int64] | None,
    rate: float,
    seconds: float,
) -> Row:
    """Make one row of the log.  logits: float (N, C) of the validation photos, None if there are none."""
    row: Row = {
        "epoch": epoch,
        "train_loss": "" if loss is None else round(loss, 5),
        "validation_nll": "",
        "validation_accuracy": "",
        "validation_mean_recall": "",
    }
    if logits is not None and targets is not None:
        answers = logits.argmax(axis=1)
        recalls = measure_recalls(answers, targets, logits.shape[1])
        row["validation_nll"] = round(measure_nll(logits, targets), 5)
        row["validation_accuracy"] = round(measure_accuracy(answers, targets).value, 5)
        row["validation_mean_recall"] = round(float(np.nanmean(recalls)), 5)
    return row | {"rate": float(f"{rate:.3g}"), "seconds": round(seconds, 2)}


@dataclass(frozen=True)
class Epoch:
    """How one epoch of a training went, as `fit` reports it to `on_epoch` and as `log.csv` has it.

    epoch: 0 is the frozen phase: the head alone, on the frozen network.  train_loss: mean loss over the training
    photos, with augmentation; None for epoch 0.  validation_nll, validation_accuracy, validation_mean_recall: negative
    log-likelihood in nats, fraction classified correctly and mean recall of the poses (0 to 1) on the validation
    photos; None without any.  seconds: how long it took; 0 for epoch 0.
    """

    epoch: int
    train_loss: float | None
    validation_nll: float | None
    validation_accuracy: float | None
    validation_mean_recall: float | None
    seconds: float | None

    @property
    def phase(self) -> str:
        """`frozen`, when the head alone is trained, or `whole`, when the whole network is."""
        return "whole" if self.epoch else "frozen"


def as_epoch(row: Row) -> Epoch:
    """Convert a row that `describe_epoch` made."""
    return _read_row({name: str(value) for name, value in row.items()})


def read_log(path: Path) -> tuple[Epoch, ...]:
    """Read the epochs; none if the file is missing, because it is only displayed.  Raises RunError."""
    try:
        with open_plain_text(path) as file:
            return tuple(_read_row(row) for row in csv.DictReader(file))
    except FileNotFoundError:
        return ()
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise RunError(f"{path} cannot be read as a training log ({error!r}); train the run again") from error


def _read_row(row: dict[str, str]) -> Epoch:
    def number(name: str) -> float | None:
        value = float(row[name]) if row.get(name) else None
        if value is not None and math.isfinite(value) and abs(value) > LARGEST:
            raise ValueError(f"{name} is {value:g}")
        return value

    if not 0 <= (epoch := int(row["epoch"])) <= LARGEST:
        raise ValueError(f"epoch is {epoch}")
    return Epoch(
        epoch,
        number("train_loss"),
        number("validation_nll"),
        number("validation_accuracy"),
        number("validation_mean_recall"),
        number("seconds"),
    )
