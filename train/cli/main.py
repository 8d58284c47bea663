"""`yoga-train`: from words and URLs to photos, from photos to a run."""

from __future__ import annotations

import argparse
import sys

from ...runtime.system.cli_runner import HelpFormatter, make_parser, run_command
from ...runtime.system.crashes import report_crashes
from .clean import add_clean
from .fit import add_fit_commands
from .gather import add_gather_commands
from .inspect import add_view_commands
from .report import add_report

EXAMPLES = """examples:
  yoga-train collect "tree pose yoga" --pose tree --to lists
  yoga-train download lists --to photos                 lists/tree.csv, ... -> photos/tree/*, ...; again to go on
  yoga-train add ~/Pictures/class --pose tree --to photos
  yoga-train capture --pose tree --camera 0 --to photos
  yoga-train stats photos                               a table, and photos/stats.html
  yoga-train show photos --to batch.png                 a batch as the network sees it
  yoga-train fit photos --to runs/first                 photos/tree/*.jpg, photos/down_dog/*.jpg, ...
  yoga-train fit photos --to runs/offline --weights resnet34.safetensors
  yoga-train lr-find photos --to lr.png                 how fast it may learn
  yoga-train report runs/deep --against runs/first      one page: confusions, class maps, likely label errors
  yoga-train clean photos runs/first                    look through the photos that are likely wrong

A folder named `none` may hold what is no pose: people standing about, empty rooms, pets."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Define the options; imports nothing heavy, so that --help answers at once."""
    parser = make_parser(
        "yoga-train",
        description="Teach a computer your poses.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_gather_commands(commands)
    add_view_commands(commands)
    add_fit_commands(commands)
    add_report(commands)
    add_clean(commands)
    return parser.parse_args(argv)


@report_crashes("yoga-train")
def main(argv: list[str] | None = None) -> int:
    """Run `yoga-train`.  Returns the exit code."""
    args = parse_args(argv)
    return run_command("yoga-train", args.run, args)


if __name__ == "__main__":
    sys.exit(main())
