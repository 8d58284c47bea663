"""Draw frames with hidden faces, to be looked at: `python benchmarks/people_finder/faces.py CLIPS... --to DIR`.

CLIPS are files or folders.  Frames are drawn by seed, evenly over the time of all clips, at any moment between two
looks.  Writes contact sheets; whoever looks at them counts the faces that can be recognised.  --live: only looks before
a frame count, as from a camera.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.drawing.canvas import BgrCanvas
from yoga_live.runtime.people import PeopleFinder
from yoga_live.runtime.people.faces import FACE_SCORE, FaceTrack, find_faces, hide_faces
from yoga_live.runtime.pipelines.annotate import open_recording, read_length_s

SUFFIXES = (".mp4", ".mov", ".webm", ".gif")
CELL, COLUMNS, ROWS = 420, 4, 3


@dataclass(frozen=True)
class Shown:
    """One frame with hidden faces.  hidden: which fraction of it."""

    name: str
    image_bgr: Frame
    hidden: float


def draw_times(clips: Sequence[Path], count: int, seed: int) -> dict[Path, list[float]]:
    """Draw moments evenly over all clips."""
    lengths_s = [read_length_s(clip) for clip in clips]
    rng, times = random.Random(seed), {clip: [] for clip in clips}
    for _ in range(count):
        moment_s = rng.uniform(0, sum(lengths_s))
        for clip, length_s in zip(clips, lengths_s, strict=True):
            if moment_s < length_s:
                times[clip].append(moment_s)
                break
            moment_s -= length_s
    return {clip: sorted(drawn) for clip, drawn in times.items() if drawn}


def hide_in_clip(
    finder: PeopleFinder, clip: Path, times_s: Sequence[float], looks_per_s: float, *, is_live: bool
) -> Iterator[Shown]:
    looks, chosen, due_s, wanted, last = [], [], 0.0, list(times_s), None
    with open_recording(clip) as source:
        for frame in source.frames():
            if frame.time_s >= due_s:
                looks.append((frame.time_s, find_faces(finder.find(frame.image_bgr))))
                due_s = frame.time_s + 1 / looks_per_s
            while wanted and frame.time_s >= wanted[0]:
                chosen.append((frame.time_s, frame.image_bgr.copy()))
                wanted.pop(0)
            last = frame
        chosen += [
            (last.time_s, last.image_bgr.copy()) for _ in wanted if last
        ]  # the length of a clip is that of its sound
    for time_s, image in chosen:
        track = FaceTrack()
        for seen_s, faces in looks:
            if seen_s <= time_s or not is_live:
                track.add(seen_s, faces)
        regions = track.find_regions(time_s, (image.shape[1], image.shape[0]))
        hide_faces(BgrCanvas(image), regions)
        is_hidden = np.zeros(image.shape[:2], bool)
        for region in regions:
            region.cut(is_hidden)[:] = True
        yield Shown(f"{clip.stem} {time_s:.1f} s", image, float(is_hidden.mean()))


def draw_sheet(shown: Sequence[Shown], first: int) -> Frame:
    sheet = np.full((ROWS * (CELL + 20), COLUMNS * CELL, 3), 255, np.uint8)
    for number, one in enumerate(shown):
        scale = (CELL - 5) / max(one.image_bgr.shape[:2])
        small = cv2.resize(one.image_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        top, left = (CELL + 20) * (number // COLUMNS), CELL * (number % COLUMNS)
        sheet[top : top + small.shape[0], left : left + small.shape[1]] = small
        at = left + 2, top + CELL + 14
        cv2.putText(sheet, f"{first + number}: {one.name}", at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 255), 1)
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--looks-per-s", type=float, default=4)
    parser.add_argument("--live", action="store_true")
    args = parser.parse_args()
    files = [file for path in args.clips for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    clips = [file for file in files if file.suffix.lower() in SUFFIXES]
    finder = PeopleFinder("cpu", min_score=FACE_SCORE)
    shown = [
        one
        for clip, times_s in draw_times(clips, args.frames, args.seed).items()
        for one in hide_in_clip(finder, clip, times_s, args.looks_per_s, is_live=args.live)
    ]
    args.to.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(shown), COLUMNS * ROWS):
        path = args.to / f"faces_{first:03d}.jpg"
        cv2.imwrite(str(path), draw_sheet(shown[first : first + COLUMNS * ROWS], first))
    print(f"{len(shown)} frames of {len(clips)} clips; hidden on average {np.mean([s.hidden for s in shown]):.1%}")


if __name__ == "__main__":
    main()
