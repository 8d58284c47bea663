"""Gather the default model's photos: `python -m yoga_live.train.default_photos SOURCES --to photos`.

`default_model/sources.csv` says which source folder shows which pose; `default_model/excluded.csv` lists, by hash and
path, the photos that a careful eye found plainly wrong.  Drawings of the package's own figure join the photos, as
other drawings do.  The photos themselves are not in this repository.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from ..runtime.classifier import NO_POSE
from ..runtime.command_line import HelpFormatter, run_command
from ..runtime.errors import OutputError, RunError
from ..runtime.figure import POSES, draw_figure, jitter_pose, random_look
from ..runtime.opencv import cv2

LISTS = Path(__file__).parent / "default_model"
DRAWINGS_PER_POSE = 24
LAST_FRAMES = {"low_lunge": ("4-equestrianL", "9-equestrianR"), NO_POSE: ("1-mountain", "2-raised", "3-forward")}
"""Movements into a pose (`video/sun_salutation/*.gif`), of which only the last frame shows it."""


def gather_photos(
    sources: Path, to: Path, poses: frozenset[str] | None = None, *, drawings: bool = True
) -> Counter[str]:
    """Copy the photos of `poses` (all of them if None) to `to/<pose>/`.  Returns photos per pose.

    A copy is named after its source, so that results can be told apart by source.  Raises YogaLiveError.
    """
    if to.exists():
        raise OutputError(f"{to} exists already; gather into a new folder")
    excluded = {(row["path"], row["sha256"]) for row in _read_rows("excluded.csv")}
    counts: Counter[str] = Counter()
    rows = _read_rows("sources.csv")
    unknown = sorted((poses or set()) - {row["pose"] for row in rows})
    if unknown:
        raise RunError(f"{LISTS / 'sources.csv'} names no source of {', '.join(unknown)}")
    for row in rows:
        if poses is not None and row["pose"] not in poses:
            continue
        folder = sources / row["folder"]
        if not folder.is_dir():
            raise RunError(f"{folder} is missing; {LISTS / 'sources.csv'} says which folders SOURCES must hold")
        counts[row["pose"]] += _copy_folder(folder, sources, to / row["pose"], excluded, row["most"])
    for pose in counts:
        counts[pose] += _copy_last_frames(sources, to / pose, LAST_FRAMES.get(pose, ()))
        if drawings:
            counts[pose] += _draw_photos(pose, to / pose)
    return counts


def _read_rows(name: str) -> list[dict[str, str]]:
    with (LISTS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _copy_folder(folder: Path, sources: Path, to: Path, excluded: set[tuple[str, str]], most: str) -> int:
    to.mkdir(parents=True, exist_ok=True)
    files = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if (path.relative_to(sources).as_posix(), digest[:16]) not in excluded:
            files.append((digest, path, content))
    if most:  # an even sample that any machine repeats: the smallest hashes
        files = sorted(files)[: int(most)]
    for _, path, content in files:
        (to / path.relative_to(sources).as_posix().replace("/", "__")).write_bytes(content)
    return len(files)


def _copy_last_frames(sources: Path, to: Path, names: tuple[str, ...]) -> int:
    for name in names:
        path = sources / "video" / "sun_salutation" / f"{name}.gif"
        if not path.is_file():
            raise RunError(f"{path} is missing; its last frame shows {to.name}")
        with Image.open(path) as animation:
            last = [frame.convert("RGB") for frame in ImageSequence.Iterator(animation)][-1]
        last.save(to / f"sun_salutation__{name}.png")
    return len(names)


def _draw_photos(pose: str, to: Path) -> int:
    """Draw the package's figure in this pose (standing for `none`), in rooms and clothes of many colours."""
    rng = np.random.default_rng(sorted([*POSES, NO_POSE]).index(pose))
    for number in range(DRAWINGS_PER_POSE):
        figure = POSES["standing" if pose == NO_POSE else pose]
        size_wh = ((480, 270), (320, 320), (360, 480))[number % 3]
        image = draw_figure(jitter_pose(figure, rng), size_wh, random_look(rng))
        cv2.imwrite(str(to / f"drawn__{number:02d}.png"), image[:, :: -1 if rng.random() < 0.5 else 1])
    return DRAWINGS_PER_POSE


def main(argv: list[str] | None = None) -> int:
    """Run the gathering.  Returns the exit code."""
    parser = argparse.ArgumentParser("default_photos", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument(
        "sources", type=Path, help="folder that holds asanas/, five/, mixed/, everyday/, people/, video/"
    )
    parser.add_argument("--to", type=Path, required=True, metavar="PHOTOS", help="new folder")
    parser.add_argument("--poses", help="only these, separated by commas")
    parser.add_argument("--no-drawings", action="store_true", help="photos only")

    def run(args: argparse.Namespace) -> None:
        poses = frozenset(args.poses.split(",")) if args.poses else None
        for pose, count in gather_photos(args.sources, args.to, poses, drawings=not args.no_drawings).items():
            print(f"{count:6d} {pose}")

    return run_command("yoga-train", run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
