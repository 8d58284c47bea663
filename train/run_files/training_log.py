"""`log.csv` of a run, read by column name: older and newer runs may hold other columns."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import RunError
from ...runtime.system.foreign_files import open_plain_text

LARGEST = 1e12
"""No loss, second or epoch is larger; a chart could not be drawn of it."""


@dataclass(frozen=True)
class Epoch:
    """One row of the log; None where the row holds no number.  Epoch 0 is the head on the frozen backbone."""

    epoch: int
    train_loss: float | None
    validation_nll: float | None
    validation_accuracy: float | None
    validation_mean_recall: float | None
    seconds: float | None


def read_log(path: Path) -> tuple[Epoch, ...]:
    """Read the epochs; none where the file is missing, as it is only shown.  Raises RunError."""
    try:
        with open_plain_text(path) as file:
            return tuple(_read_row(row) for row in csv.DictReader(file))
    except FileNotFoundError:
        return ()
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise RunError(f"{path} can't be read as a training log ({error!r}); train the run again") from error


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
