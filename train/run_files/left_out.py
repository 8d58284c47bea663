"""How a run did on sources of photos that a network had not seen, of `yoga-train fit --folds 5 --by-source`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...calibration.logits import LeftOutLogits
from ...calibration.metrics import measure_accuracy
from ...runtime.errors import RunError
from ...runtime.system.plain_text import format_count

MOST_LISTED = 12


def summarise_left_out(answers: LeftOutLogits, labels: tuple[str, ...]) -> dict[str, Any]:
    """Make the part `left_out` of run.json: accuracy on all photos of left-out sources, and on each source.

    `poses_of_one_source` are not in these numbers: one source alone has them, so that it cannot be left out.
    """
    predicted = answers.logits.argmax(axis=1)

    def measure(rows: npt.NDArray[np.bool_]) -> dict[str, Any]:
        accuracy = measure_accuracy(predicted[rows], answers.targets[rows])
        interval = [round(bound, 4) for bound in accuracy.interval]
        return {"accuracy": round(accuracy.value, 4), "interval": interval, "photos": accuracy.total}

    sources = {name: measure(answers.left_out & (answers.sources == name)) for name in answers.list_sources()}
    spread = np.unique(answers.targets[answers.judged & ~answers.left_out])
    lacking = {"poses_of_one_source": [labels[number] for number in spread]}
    return {**measure(answers.left_out), "sources": sources, **lacking}


def describe_left_out(content: Mapping[str, Any]) -> list[str]:
    """Say how a run did on left-out sources, beside its random split; no lines where it left out none.

    content: of its run.json.  Raises RunError.
    """
    found = content.get("left_out")
    if found is None:
        return []
    try:
        sources, spread = [*found["sources"].items()], found["poses_of_one_source"]
        twin = _describe(content["metrics"]["test"])
        lines = [f"left-out sources: accuracy {_describe(found)}; random split: {twin}"]
        lines += [f"  {name}: {_describe(own)}" for name, own in sources[:MOST_LISTED]]
        if len(sources) > MOST_LISTED:
            lines.append(f"  and {format_count(len(sources) - MOST_LISTED, 'smaller source')}")
        if spread:
            lines.append(
                f"  not counted, because only one source has them: {', '.join(f'`{pose}`' for pose in spread)}"
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError("left_out in run.json cannot be read; train the run again") from error
    return lines


def _describe(row: Mapping[str, Any]) -> str:
    low, high = row["interval"]
    return f"{row['accuracy']:.1%} ({format_count(row['photos'], 'photo')}, 95 % interval {low:.1%} to {high:.1%})"
