"""Hostile input by the hundred, drawn with a fixed seed: `python benchmarks/faults.py`.

For each kind a row: how many were tried, handled correctly, refused in one line, wrong; below the table each wrong one
in a line.  Judged is what a user sees: exit codes, lines, files, pictures; beside ffmpeg, known pixels and arithmetic.
The goal is wrong = 0.  A kind that needs a program which is not here is left out, with a line.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fault_kinds.bench import Bench
from fault_kinds.command_worker import CommandWorker, make_environment
from fault_kinds.outcome import Outcome
from fault_kinds.shape_model import write_shape_model

KINDS = {
    **{"shapes": "ffmpeg", "streams": "ffmpeg", "damage": "ffmpeg", "formats": "ffmpeg"},
    **{"pictures": "", "models": "", "runs": "", "names": "ffmpeg", "folders": ""},
    **{"kills": "ffmpeg", "collisions": "ffmpeg", "cameras": "gstreamer", "page": ""},
}
"""Each kind, a module of fault_kinds, and what it needs beside the product."""
SAME = 3
"""So many inputs with one and the same failure are listed by name; the rest are counted."""


def main() -> int:
    """Try the kinds in turns, print the table.  Returns 1 if anything is wrong."""
    args = parse_args()
    outcomes: list[Outcome] = []
    seconds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        home = folder / "home"
        home.mkdir()
        environment = make_environment(home)
        model = write_shape_model(folder / "shapes.onnx")
        with CommandWorker(environment) as worker:
            for kind in args.kinds:
                started_s = time.monotonic()
                if missing := find_missing(KINDS[kind]):
                    print(f"{kind}: left out, {missing}", file=sys.stderr)
                    continue
                place = folder / kind
                place.mkdir()
                found = run_kind(kind, Bench(place, worker, environment, model, args.quick, args.seed))
                outcomes += found
                for each in found:
                    seconds[each.kind] = 0
                seconds[found[0].kind if found else kind] = round(time.monotonic() - started_s)
                wrong = sum(each.verdict == "wrong" for each in found)
                spent_s = time.monotonic() - started_s
                print(f"{kind}: {len(found)} tried, {wrong} wrong, {spent_s:.0f} s", file=sys.stderr, flush=True)
    print(*format_table(outcomes, seconds), "", *format_wrong(outcomes), sep="\n")
    return int(any(each.verdict == "wrong" for each in outcomes))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", type=read_kinds, default=list(KINDS), metavar="KIND,...", help=", ".join(KINDS))
    parser.add_argument("--quick", action="store_true", help="a tenth of each kind")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws another corpus")
    return parser.parse_args()


def read_kinds(text: str) -> list[str]:
    """Read `--kinds`."""
    kinds = text.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no kind; choose of {', '.join(KINDS)}")
    return kinds


def find_missing(needs: str) -> str:
    """What a kind lacks here; empty where it lacks nothing."""
    if needs in ("ffmpeg", "gstreamer"):
        from fault_kinds import ffmpeg

        if not ffmpeg.is_there():
            return "ffmpeg and ffprobe are not installed"
    if needs == "gstreamer":
        from fault_kinds import cameras

        if not cameras.is_there():
            return "GStreamer's RTSP server is not installed; rtsp_server.py says what it needs"
    return ""


def run_kind(kind: str, bench: Bench) -> list[Outcome]:
    """Run one kind; where the benchmark itself fails, what it found before is kept and the failure is a wrong row."""
    found: list[Outcome] = []
    try:
        for outcome in importlib.import_module(f"fault_kinds.{kind}").run(bench):
            found.append(outcome)  # noqa: PERF402 - what was found before a failure is kept
    except Exception as error:  # noqa: BLE001 - one kind that breaks must not cost the others their rows
        traceback.print_exc()
        found.append(Outcome(kind, "the benchmark itself", "wrong", f"{type(error).__name__}: {error}", "no failure"))
    return found


def format_table(outcomes: Iterable[Outcome], seconds: Counter[str]) -> list[str]:
    """The table, as Markdown."""
    outcomes = list(outcomes)
    counts = {kind: Counter(each.verdict for each in outcomes if each.kind == kind) for kind in seconds}
    lines = [
        "| kind | tried | handled correctly | refused in one line | wrong | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for kind, count in [*counts.items(), ("all", Counter(each.verdict for each in outcomes))]:
        spent = seconds[kind] if kind in counts else sum(seconds.values())
        numbers = [count.total(), count["handled"], count["refused"], count["wrong"], spent or ""]
        lines.append(f"| {kind} | {' | '.join(map(str, numbers))} |")
    return lines


def format_wrong(outcomes: Iterable[Outcome]) -> list[str]:
    """Each wrong one in a line: what, seen, right; of many alike the first few."""
    alike: Counter[tuple[str, str, str]] = Counter()
    lines = []
    for each in outcomes:
        if each.verdict == "wrong":
            key = each.kind, each.seen, each.right
            alike[key] += 1
            if alike[key] <= SAME:
                lines.append(f"{each.kind}: {each.what}: seen: {each.seen}; right: {each.right}")
    lines += [
        f"{kind}: {count - SAME} more: seen: {seen}; right: {right}"
        for (kind, seen, right), count in alike.items()
        if count > SAME
    ]
    return [ascii_only(line) for line in lines]


def ascii_only(line: str) -> str:
    """A line that any terminal shows as it is: a file name in it may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


if __name__ == "__main__":
    sys.exit(main())
