"""Annotate every video of a folder: a copy with the overlay and a timeline of each, smoothed with its future.

    pip install ".[cpu]"
    python examples/folder.py classes annotated

`yoga-live --video classes --save annotated --timeline annotated` does more; this is where to begin if you need it in
your own program.
"""

import sys
from pathlib import Path

from yoga_live.runtime import Outputs, PoseClassifier, YogaLiveError, annotate_video

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


def annotate_folder(folder: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    classifier = PoseClassifier()
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS):
        outputs = Outputs(save=to / f"{path.stem}.mp4", timeline=to / f"{path.stem}.poses.csv")
        try:
            result = annotate_video(path, outputs, classifier=classifier)
        except YogaLiveError as error:  # it cannot be opened, or was annotated before
            print(f"{path.name}: {error}")
            continue
        poses = [f"{segment.pose} {segment.duration_s:.1f} s" for segment in result.segments if segment.pose != "none"]
        print(f"{path.name}: {', '.join(poses) or 'no pose'}{f'; {result.error}' if result.error else ''}")


if __name__ == "__main__":
    annotate_folder(Path(sys.argv[1]), Path(sys.argv[2]))
