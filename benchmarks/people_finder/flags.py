"""Measure which photos are flagged as of nobody, of several people, as collages.

    python benchmarks/people_finder/flags.py SOURCES SOURCES2

SOURCES holds asanas/, five/, mixed/ and everyday/, SOURCES2 exercise/, home/ and rooms/.  `flags.csv` has what was seen
by eye, before anything was predicted, on photos drawn by seed (of mixed/: all): every photo that does not show just one
person, or whose kind is unclear.  The limits were chosen on asanas/ and five/.  Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import random
import sys
from collections import Counter
from pathlib import Path

from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command
from yoga_live.train.people.finding import find_people
from yoga_live.train.people.flags import COLLAGE, FINDER, KINDS, NOBODY, SEVERAL, flag_photo

SEEN = Path(__file__).with_name("flags.csv")
WITH_PEOPLE = Path(__file__).with_name("with_people.txt")
ONE, UNCLEAR = "one person", "unclear"
SUFFIXES = (".jpg", ".jpeg", ".png")


def list_photos(root: Path, folders: tuple[str, ...], count: int) -> list[Path]:
    """Photos below the folders, drawn by seed; count: 0 for all in order."""
    files = sorted(path for name in folders for path in (root / name).rglob("*") if path.suffix.lower() in SUFFIXES)
    if not count:
        return files
    random.Random(0).shuffle(files)
    return files[:count]


def flag_all(root: Path, files: list[Path]) -> dict[str, str]:
    """Path below the root -> kind, ONE for a photo that is not flagged."""
    contents = {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    found = find_people(root, contents, FINDER)
    flags = {path: flag_photo(root / path, each) for path, each in found.items()}
    return {path: flag.kind if flag else ONE for path, flag in flags.items()}


def print_row(*cells: object) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def run(args: argparse.Namespace) -> None:
    """Print the tables."""
    with SEEN.open(newline="", encoding="utf-8") as file:
        seen = {row["photo"]: row["kind"] for row in csv.DictReader(file)}
    sets = {
        "asanas (limits chosen)": (args.sources, [p for p in list_photos(args.sources, ("asanas",), 0)
                                                  if p.parent.name != "unknown"], 384),
        "five (limits chosen)": (args.sources, list_photos(args.sources, ("five",), 0), 384),
        "mixed": (args.sources, list_photos(args.sources, ("mixed",), 0), 0),
        "exercise, home": (args.sources2, list_photos(args.sources2, ("exercise", "home"), 0), 288),
    }  # fmt: skip
    print_row("photos of", "seen by eye", "photos", *(f"flagged: {kind}" for kind in KINDS), "not flagged")
    print_row(*["---"] * 7)
    for name, (root, files, count) in sets.items():
        if count:
            random.Random(0).shuffle(files)
            files = files[:count]
        counts = Counter((seen.get(path, ONE), kind) for path, kind in flag_all(root, files).items())
        for truth in (ONE, SEVERAL, COLLAGE, NOBODY, UNCLEAR):
            numbers = [counts[truth, kind] for kind in (*KINDS, ONE)]
            if sum(numbers):
                print_row(name, truth, sum(numbers), *numbers)
    with_people = WITH_PEOPLE.read_text(encoding="utf-8").split()
    for root, name in ((args.sources, "everyday"), (args.sources2, "rooms")):
        files = [p for p in list_photos(root, (name,), 0) if "/".join(p.parts[-2:]) not in with_people]
        counts = Counter(flag_all(root, files).values())
        print_row(name, NOBODY, len(files), *(counts[kind] for kind in (*KINDS, ONE)))


def main() -> int:
    """Run.  Returns the exit code."""
    parser = argparse.ArgumentParser("flags.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("sources", type=Path, metavar="SOURCES")
    parser.add_argument("sources2", type=Path, metavar="SOURCES2")
    return run_command("flags.py", run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
