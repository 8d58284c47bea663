"""Judge timelines as timelines: `python benchmarks/timelines.py FOLDER... --work FOLDER [--model FILE]`.

Each FOLDER holds videos and `truth.csv` (video,start_s,end_s,pose; `none` = no pose, `transition` = not scored).  The
network answers every nth frame once, cropped to the main person; the answers are kept in the work folder, so that
another smoothing is scored in seconds.  `file` is what the timeline of a recording says, a few looks a second; `live,
shown` what the picture of a camera shows at each moment, late by the smoother's own delay; `live, timeline` what its
timeline says in the end.  What the columns mean is in `timeline_scores.py`: time between the rows of the truth is cut
out and counts nowhere.
"""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from clip_answers import Clip, answer_clips, pose_at
from timeline_scores import HEADS, TimelineScore, add_up, score_timeline

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.types import NO_POSE
from yoga_live.runtime.sources.frame_sampling import FrameSampler
from yoga_live.runtime.tracking.fixed_lag import FixedLagSmoother
from yoga_live.runtime.tracking.live_tracker import LiveTracker
from yoga_live.runtime.tracking.observer import Observation, open_cropper
from yoga_live.runtime.tracking.sampling_observer import OBSERVATIONS_PER_S

AnswerAt = Callable[[float], str]
"""What is said of a moment, in seconds."""
KINDS = ("file", "live, shown", "live, timeline")


def watch_live(observations: list[Observation], classifier: PoseClassifier) -> tuple[AnswerAt, AnswerAt]:
    """What the picture of a camera shows, at each moment the newest hold; and what its timeline says in the end."""
    tracker = LiveTracker(classifier, open_cropper(classifier, None, True, None))
    times_s = [each.time_s for each in observations]
    poses = [tracker.add(each).hold.pose for each in observations]
    segments = tracker.segments()

    def shown_at(time_s: float) -> str:
        return poses[at - 1] if (at := bisect_right(times_s, time_s)) else NO_POSE

    return shown_at, lambda time_s: pose_at(segments, time_s)


def record_file(observations: list[Observation], info: ModelInfo) -> AnswerAt:
    """What the timeline of a recording says: of frames that are due to be looked at."""
    smoother, sampler = FixedLagSmoother(info), FrameSampler(OBSERVATIONS_PER_S)
    for observation in observations:
        if sampler.take(observation.time_s).observes:
            smoother.add(observation)
    segments = smoother.segments(observations[-1].time_s + 1)
    return lambda time_s: pose_at(segments, time_s)


def score_clip(clip: Clip, classifier: PoseClassifier) -> dict[str, TimelineScore]:
    """Of a clip as a recording and as a camera."""
    observations = clip.answers.observations()
    recorded = record_file(observations, classifier.info_with_people)
    shown, timeline = watch_live(observations, classifier)
    each = dict(zip(KINDS, (recorded, shown, timeline), strict=True))
    return {kind: score_timeline(answer_at, clip.stretches) for kind, answer_at in each.items()}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="videos and truth.csv")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="where answers are kept")
    parser.add_argument("--model", type=Path, help="pose model instead of the shipped one")
    parser.add_argument("--every", type=int, default=3, metavar="N", help="classify every Nth frame only (default: 3)")
    args = parser.parse_args()
    clips = answer_clips(args.folders, args.model, args.work, args.every)
    classifier = PoseClassifier(args.model)
    print(f"| clip | of | {' | '.join(HEADS)} |\n{'|---' * (len(HEADS) + 2)}|")
    scores = {clip.name: score_clip(clip, classifier) for clip in clips}
    for kind in KINDS:
        rows = {name: both[kind] for name, both in scores.items()}
        for name, score in {**rows, "all": add_up(list(rows.values()))}.items():
            print(f"| {name} | {kind} | {' | '.join(score.cells())} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
