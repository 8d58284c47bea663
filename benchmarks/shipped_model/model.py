"""Rebuild the shipped model: `model.py SOURCES --weights FILE --work FOLDER --strangers FOLDER2`.

Gathers and cleans the photos, trains, exports and quantises, with the commands that a user has, then learns the second
opinion on strangers too (`opinion.py`); what is finished in FOLDER is not done again, and a killed training goes on.
`runtime/models/README.md` says what SOURCES and FOLDER2 hold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from yoga_live.calibration.command import main as calibrate
from yoga_live.export.command import main as export
from yoga_live.runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from yoga_live.runtime.system.crashes import report_crashes
from yoga_live.train.cli.main import main as train

TRAIN_ONLY = "drawn__*,sun_salutation__*"  # drawings and one woman's movements say nothing of other people
HELD_OUT = "0.08"  # thin poses need their photos for training


def list_steps(
    sources: Path, work: Path, weights: str, options: list[str], strangers: Path | None = None
) -> list[tuple[Path, Callable[[], int]]]:
    """Each step's output and how to make it.  options: further ones of `yoga-train fit`.

    strangers: their folder; None: the second opinion is the one that `fit` learned.
    """
    from opinion import main as learn_opinion
    from photos import main as gather

    photos, run = work / "photos", work / "run"
    full, shipped = work / "default.fp32.onnx", work / "default.onnx"
    small = shipped if strangers is None else work / "default.int8.onnx"
    learning = [str(sources), "--strangers", str(strangers), "--model", str(small), "--work", str(work)]

    def fit() -> int:
        arguments = ["fit", str(photos), "--to", str(run), "--weights", weights]
        arguments += ["--train-only", TRAIN_ONLY, "--held-out", HELD_OUT, *options]
        return train([*arguments, "--resume"] if run.exists() else arguments)

    last_step = [] if strangers is None else [(shipped, lambda: learn_opinion(learning))]
    return [
        (photos, lambda: gather([str(sources), "--to", str(photos)])),
        (run / "run.json", fit),
        (full, lambda: export(["onnx", str(run), "--to", str(full)])),
        (small, lambda: calibrate(["int8", str(full), "--run", str(run), "--to", str(small)])),
        *last_step,
    ]


def is_done(output: Path) -> bool:
    """Whether a step's output is there, and not of a training that was stopped: that goes on first."""
    if not output.exists() or output.name != "run.json":
        return output.exists()
    return not json.loads(output.read_text(encoding="utf-8"))["metrics"]["interrupted"]


@report_crashes("yoga-export")
def main(argv: list[str] | None = None) -> int:
    """Run the steps that are not done.  Returns the exit code of the first that fails, or 0."""
    parser = CommandParser("model.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument(
        "sources", type=Path, help="folder that holds asanas/, five/, mixed/, everyday/, people/, video/"
    )
    parser.add_argument("--strangers", type=Path, metavar="FOLDER", help="learn the second opinion on these too")
    parser.add_argument("--weights", required=True, help="starting weights, as `yoga-train fit` takes them")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="photos, run and models go here")
    args, options = parser.parse_known_args(argv)
    code = run_command("yoga-export", lambda args: args.work.mkdir(parents=True, exist_ok=True), args)
    if code:
        return code
    for output, step in list_steps(args.sources, args.work, args.weights, options, args.strangers):
        code = 0 if is_done(output) else step()
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
