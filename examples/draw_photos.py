"""Draw pictures of two poses and of people in none, to try `yoga-train` without photos of your own.

    python examples/draw_photos.py pictures

writes pictures/tree, pictures/warrior_2 and pictures/none, 40 drawings each, and pictures/new with others to predict.
What is trained on drawings knows drawings: it says nothing about you and your room.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, jitter_pose, random_appearance

FIGURES = {"tree": "tree", "warrior_2": "warrior_2", "none": "standing"}


def draw_photos(folder: Path, count: int, rng: np.random.Generator) -> None:
    for pose, figure in FIGURES.items():
        (folder / pose).mkdir(parents=True)
        for number in range(count):
            picture = draw_figure(jitter_pose(POSES[figure], rng), (320, 240), random_appearance(rng))
            cv2.imwrite(str(folder / pose / f"{number:02d}.jpg"), picture)


if __name__ == "__main__":
    if len(sys.argv) != 2 or Path(sys.argv[1]).exists():
        raise SystemExit("give the name of a new folder: python examples/draw_photos.py pictures")
    root, generator = Path(sys.argv[1]), np.random.default_rng()
    draw_photos(root, 40, generator)
    draw_photos(root / "new", 4, generator)
    print(f"drawn into {root}: {', '.join(FIGURES)}, new")
