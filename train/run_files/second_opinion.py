"""The second opinion of a run, in its `second_opinion.json`.  Imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...calibration.runs import Run
from ...runtime.errors import ModelError, RunError
from ...runtime.people.second_opinion import SecondOpinion
from ...runtime.system.files import write_json
from ...runtime.system.foreign_files import check_number, check_text, check_whole, read_document
from ...runtime.system.plain_text import format_command, format_count

SECOND_OPINION = "second_opinion.json"
log = logging.getLogger(__name__)


def write_second_opinion(folder: Path, opinion: SecondOpinion, finished_at: str) -> None:
    """Write the second opinion of a run.  finished_at: as its run.json has it, which tells the weights."""
    write_json(folder / SECOND_OPINION, {"finished_at": finished_at, "second_opinion": opinion.to_document()})


def read_second_opinion(run: Run) -> dict[str, Any]:
    """Read the second opinion of a run, for `ModelInfo`; empty where it has none, or that of other weights.

    The latter is logged.  Raises RunError.
    """
    path = run.folder / SECOND_OPINION
    try:
        content = read_document(path)
        finished, opinion = content["finished_at"], content["second_opinion"]
        if finished == run.summary.get("finished_at", ""):
            return SecondOpinion.from_document(opinion, run.labels).to_document()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, ModelError) as error:
        again = f"yoga-train second-opinion {format_command(run.folder)}"
        raise RunError(f"{path} cannot be read ({error}); delete it, and make it anew with {again}") from error
    log.warning("%s is of an earlier state of the run and not used", path)
    return {}


def describe_second_opinion(summary: Mapping[str, Any]) -> list[str]:
    """Lines about the second opinion: how good network, key points and both together are on the test photos.

    summary: of the run, its run.json; no lines for runs that do not record it.  Raises RunError.
    """
    found = summary.get("second_opinion")
    if found is None:
        return []
    try:
        lines = []
        if "together" in found:
            parts = [found[name]["accuracy"] for name in ("network", "landmarks", "together")]
            one, other, both = (check_number(part, "an accuracy", 0, 1) for part in parts)
            photos = check_whole(found["together"]["photos"], "a number of photos", 0, 10**9)
            shares = f"the network alone {one:.1%}, key points alone {other:.1%}, together {both:.1%}"
            lines.append(f"second opinion: {format_count(photos, 'test photo')}, {shares}")
        if not found["used"]:
            lines.append(f"no second opinion from key points: {check_text(found['reason'], 'the reason')}")
    except (LookupError, TypeError, ValueError) as error:
        raise RunError(f"what run.json says of the second opinion cannot be read ({error}); train again") from error
    return lines
