"""`yoga-train`: gathers photos, trains a network on them (a run), and checks the result."""

from __future__ import annotations

import argparse
import sys

from ...runtime.system.cli_runner import HelpFormatter, make_parser, run_command
from ...runtime.system.crashes import report_crashes
from .clean import add_clean
from .distill import add_distill
from .fit import add_fit_commands
from .gather import add_gather_commands
from .inspect import add_view_commands
from .predict import add_predict
from .report import add_report
from .second_opinion import add_second_opinion_command

EXAMPLES = """examples:
  yoga-train collect "tree pose yoga" --pose tree --to lists            find photos on the web
  yoga-train download lists --to photos                 lists/tree.csv, ... -> photos/tree/*, ...
  yoga-train add ~/Pictures/class --pose tree --to photos               or use photos of your own
  yoga-train capture --pose tree --camera 0 --to photos                 or take some with a camera
  yoga-train stats photos                               what the folder holds
  yoga-train fit photos --to runs/first                 train on photos/tree/*.jpg, photos/down_dog/*.jpg, ...
  yoga-train report runs/first                          one page: accuracy, confusions, likely label errors
  yoga-train predict new runs/first                     classify new photos with it
  yoga-train clean photos runs/first                    check the photos that are likely mislabelled

A folder named `none` holds photos of no pose: people standing around, empty rooms, pets."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = make_parser(
        "yoga-train",
        description="Gather photos of your poses, train a network on them, and check the result.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    add_gather_commands(commands)
    add_view_commands(commands)
    add_fit_commands(commands)
    add_distill(commands)
    add_report(commands)
    add_predict(commands)
    add_clean(commands)
    add_second_opinion_command(commands)
    return parser.parse_args(argv)


@report_crashes("yoga-train")
def main(argv: list[str] | None = None) -> int:
    """Run `yoga-train`.  Returns the exit code."""
    args = parse_args(argv)
    return run_command("yoga-train", args.run, args)


if __name__ == "__main__":
    sys.exit(main())
