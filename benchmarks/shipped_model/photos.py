"""Gather the shipped model's photos: `python benchmarks/shipped_model/photos.py SOURCES --to photos`.

`sources.csv` says which source folder shows which pose, and which kind of `none`; `frames.csv` names
frames of animations; `cleaning.jsonl` is the journal of what was found wrong in them by eye and by the cleaner (other
poses under a pose's name, several poses in one picture), and is replayed.  Drawings of the package's own figure join
the photos, as other drawings do.  The photos themselves are not in this repository.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.types import NO_POSE
from yoga_live.runtime.drawing.overlay import draw_caption
from yoga_live.runtime.errors import OutputError, RunError
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, jitter_pose, random_appearance
from yoga_live.runtime.system.claims import hold_folder
from yoga_live.runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from yoga_live.runtime.system.crashes import report_crashes
from yoga_live.runtime.system.plain_text import print
from yoga_live.train.clean.cleaner import open_cleaner
from yoga_live.train.clean.journal import JOURNAL
from yoga_live.train.photos.folder import list_files, list_poses

LISTS = Path(__file__).parent
ANIMATIONS = Path("video", "sun_salutation")
DRAWINGS_PER_POSE = 24
TITLES = ("Yoga", "Welcome", "Sun Salutation", "1 minute", "Namaste", "Next: Tree Pose")


def gather_photos(
    sources: Path, to: Path, poses: frozenset[str] | None = None, *, drawings: bool = True
) -> Counter[str]:
    """Copy the photos of `poses` (all of them if None) to `to/<pose>/`, cleaned.  Returns photos per pose.

    A copy is named after its source, so that results can be told apart by source.  Raises YogaLiveError.
    """
    with hold_folder(to):
        if to.exists():
            raise OutputError(f"{to} exists already; gather into a new folder")
        return _gather(sources, to, poses, drawings=drawings)


def _gather(sources: Path, to: Path, poses: frozenset[str] | None, *, drawings: bool) -> Counter[str]:
    rows, frames = _read_rows("sources.csv"), _read_rows("frames.csv")
    known = {row["pose"] for row in rows}
    if unknown := sorted((poses or set()) - known):
        raise RunError(f"{LISTS / 'sources.csv'} names no source of {', '.join(unknown)}")
    # The journal moves photos from pose to pose: everything is gathered, then cleaned, then what is not wanted goes.
    part = to.with_name(f"{to.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    if os.path.lexists(part):  # a link, say, through which the photos would go elsewhere
        raise OutputError(f"{part}, under which {to} grows, can't be removed; remove it")
    try:
        for row in rows:
            _copy_folder(sources, row["folder"], part / row["pose"] / row["kind"])
        for row in frames:
            _copy_frame(sources, row["animation"], int(row["frame"]), part / row["pose"] / row["kind"])
        _replay_journal(part)
        for pose in sorted(known):
            if poses is not None and pose not in poses:
                shutil.rmtree(part / pose)
            elif drawings:
                _draw_photos(pose, part / pose / ("standing" if pose == NO_POSE else ""))
        if drawings and (poses is None or NO_POSE in poses):
            _draw_blanks(part / NO_POSE / "blank")
        part.rename(to)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Counter(pose for pose, _ in list_files(to, list_poses(to, least=1)))


def _read_rows(name: str) -> list[dict[str, str]]:
    with (LISTS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _copy_folder(sources: Path, folder: str, to: Path) -> None:
    if not (sources / folder).is_dir():
        raise RunError(f"{sources / folder} is missing; {LISTS / 'sources.csv'} says which folders SOURCES must hold")
    to.mkdir(parents=True, exist_ok=True)
    for path in sorted((sources / folder).iterdir()):
        shutil.copyfile(path, to / path.relative_to(sources).as_posix().replace("/", "__"))


def _copy_frame(sources: Path, animation: str, number: int, to: Path) -> None:
    path = sources / ANIMATIONS / f"{animation}.gif"
    if not path.is_file():
        raise RunError(f"{path} is missing; {LISTS / 'frames.csv'} names frames of it")
    to.mkdir(parents=True, exist_ok=True)
    try:
        with Image.open(path, formats=("GIF",)) as pictures:
            pictures.seek(number)
            pictures.convert("RGB").save(to / f"sun_salutation__{animation}__{number:02d}.png")
    except EOFError as error:
        raise RunError(f"{path} has no frame {number}, which {LISTS / 'frames.csv'} names") from error


def _replay_journal(photos: Path) -> None:
    """Remove and relabel what the journal says; opening the cleaner completes every mark that is not so yet."""
    shutil.copyfile(LISTS / JOURNAL, photos / JOURNAL)
    with open_cleaner(photos):
        pass


def _draw_photos(pose: str, to: Path) -> int:
    """Draw the package's figure in this pose (standing for `none`), in rooms and clothes of many colours."""
    to.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sorted([*POSES, NO_POSE]).index(pose))
    for number in range(DRAWINGS_PER_POSE):
        figure = POSES["standing" if pose == NO_POSE else pose]
        size_wh = ((480, 270), (320, 320), (360, 480))[number % 3]
        image = draw_figure(jitter_pose(figure, rng), size_wh, random_appearance(rng))
        cv2.imwrite(str(to / f"drawn__{number:02d}.png"), image[:, :: -1 if rng.random() < 0.5 else 1])
    return DRAWINGS_PER_POSE


def _draw_blanks(to: Path) -> None:
    """Draw what a video shows between scenes: black, plain and dark noisy frames, and title cards."""
    to.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(DRAWINGS_PER_POSE):
        colour = rng.integers(0, 256, 3) if number % 4 else rng.integers(0, 12, 3)
        image = np.empty((270, 480, 3), np.uint8)
        image[...] = colour
        if number % 4 == 1:
            noise = rng.normal(0, rng.uniform(3, 25), image.shape)
            image = (image * rng.uniform(0, 0.3) + noise).clip(0, 255).astype(np.uint8)
        elif number % 4 == 2:
            image = draw_caption(image, TITLES[number // 4 % len(TITLES)])
        cv2.imwrite(str(to / f"drawn__{number:02d}.png"), image)


@report_crashes("yoga-train")
def main(argv: list[str] | None = None) -> int:
    """Run the gathering.  Returns the exit code."""
    parser = CommandParser("photos.py", description=__doc__, formatter_class=HelpFormatter)
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
