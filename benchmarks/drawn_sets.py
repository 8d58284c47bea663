"""Photo sets of the kinds that people have, drawn: for foreign_sets.py, which needs no photos of anybody then.

    python benchmarks/drawn_sets.py TO [--seed 0]

TO gets five folders.  `fifteen`: 11 poses, 15 photos each, everywhere another person and room.  `two`: two of them, 40
each.  `twenty_five`: 25 poses that nobody has a name for, 20 each.  `sides`: left arm, right arm or both arms up, 40
each, in which mirror images are other classes.  `room`: train, valid and test folders of 9 poses of one person in one
room; the test photos are of a second session, with other clothes, other light and the camera moved.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from yoga_live.runtime.sources.drawn_figure import (
    POSES,
    Appearance,
    Bgr,
    Limb,
    Pose,
    draw_figure,
    jitter_pose,
    random_appearance,
)
from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command

SIZE_WH = 240, 200
NOISE = 6.0
"""Standard deviation of the camera's noise, of 255."""

UP, DOWN = Limb(-20, -8, -4), Limb(165, 171, 176)
LEFT_UP = replace(POSES["standing"], near_arm=UP, far_arm=Limb(-165, -171, -176))
BOTH_UP = replace(LEFT_UP, far_arm=Limb(20, 8, 4))
RIGHT_UP = replace(BOTH_UP, near_arm=DOWN)
SIDES = {"left_arm": LEFT_UP, "right_arm": RIGHT_UP, "both_arms": BOTH_UP}

MakeLook = Callable[[np.random.Generator], Appearance]


def save(path: Path, pose: Pose, look: Appearance, rng: np.random.Generator, degrees: float = 4.0) -> None:
    """Draw one photo, with a camera's noise."""
    frame = draw_figure(jitter_pose(pose, rng, degrees), SIZE_WH, look).astype(np.float32)
    frame += rng.normal(0, NOISE, frame.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)[:, :, ::-1]).save(path, quality=85)


def save_all(to: Path, poses: dict[str, Pose], count: int, make_look: MakeLook, rng: np.random.Generator) -> None:
    """Draw so many photos of each pose."""
    for name, pose in poses.items():
        for number in range(count):
            save(to / name / f"{number:04d}.jpg", pose, make_look(rng), rng)


def darken(colour: Bgr, light: float) -> Bgr:
    """The same surface in other light."""
    blue, green, red = (min(round(level * light), 255) for level in colour)
    return blue, green, red


def save_room(to: Path, seed: int) -> None:
    """One person in one room; 14 photos a pose to train on, 3 to validate, 8 of another session to test."""
    rng = np.random.default_rng(seed)
    first = replace(random_appearance(rng), window_x=0.7, zoom=0.9, offset=(0.0, 0.0))
    other = random_appearance(rng)
    room = {name: darken(getattr(first, name), 0.75) for name in ("wall", "floor", "mat", "skin")}
    second = replace(
        first, top=other.top, trousers=other.trousers, zoom=0.8, offset=(0.06, -0.03), window_x=0.6, **room
    )
    poses = {name: pose for name, pose in POSES.items() if name not in ("standing", "half_moon")}
    for split, count, look in (("train", 14, first), ("valid", 3, first), ("test", 8, second)):
        save_all(to / split, poses, count, lambda _, look=look: look, rng)


def make_poses(count: int, rng: np.random.Generator) -> dict[str, Pose]:
    """Poses that nobody has a name for: known ones with every limb turned by about 40 degrees."""
    known = list(POSES.values())
    return {f"pose_{n:02d}": jitter_pose(known[n % len(known)], rng, 40.0) for n in range(count)}


def run(args: argparse.Namespace) -> None:
    """Draw the sets."""
    rng = np.random.default_rng(args.seed)
    two = {name: POSES[name] for name in ("tree", "triangle")}
    save_all(args.to / "fifteen", POSES, 15, random_appearance, rng)
    save_all(args.to / "two", two, 40, random_appearance, rng)
    save_all(args.to / "twenty_five", make_poses(25, rng), 20, random_appearance, rng)
    save_all(args.to / "sides", SIDES, 40, lambda rng: replace(random_appearance(rng), mirror=False), rng)
    save_room(args.to / "room", args.seed)
    print(f"five sets in {args.to}")


def main() -> int:
    """Draw the sets.  Returns the exit code."""
    parser = argparse.ArgumentParser("drawn_sets.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("to", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    return run_command("drawn_sets.py", run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
