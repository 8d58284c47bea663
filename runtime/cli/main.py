"""`yoga-live`: chooses the work to do (list, measure, classify or watch)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from ..core.opencv_packages import describe_clash
from ..system.cli_runner import run_command
from ..system.crashes import report_crashes
from ..system.plain_text import print
from .options import name_new_form, parse_args


@report_crashes("yoga-live")
def main(argv: list[str] | None = None) -> int:
    """Run `yoga-live`.  Returns the exit code."""
    args = parse_args(argv)
    if clash := describe_clash():
        print(f"yoga-live: {clash}", file=sys.stderr)
    code = run_command("yoga-live", _choose_work(args), args)
    if code != 2 and (line := name_new_form(args)):
        print(line, file=sys.stderr)
    return code


def _choose_work(args: argparse.Namespace) -> Callable[[argparse.Namespace], None]:
    """Choose the function that does the work."""
    if args.command == "poses":
        from .poses import list_poses

        return list_poses
    if args.command == "cameras":
        from .cameras import print_cameras

        return print_cameras
    if args.benchmark:
        from .benchmark import measure

        return measure
    if args.cluster is not None:
        from .archive import annotate_archive

        return annotate_archive
    if hasattr(args, "images"):
        from .photos import classify_images

        return classify_images
    if hasattr(args, "videos"):
        from .batch import annotate_many

        return annotate_many
    from .watch import watch_source

    return watch_source


if __name__ == "__main__":
    sys.exit(main())
