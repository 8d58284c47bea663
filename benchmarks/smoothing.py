"""Which smoothing is best, on clips with a known truth: `python benchmarks/smoothing.py CLIPS --work FOLDER`.

CLIPS holds videos and `truth.csv`, as `clips.py` has it.  The network answers every frame once (kept in FOLDER); each
method then smooths the same probabilities, as they are and disturbed: noise on the logits, half of the frames dropped
with gaps of a second, bursts of a wrong pose for a quarter of a second in every two, five frames a second.  The
methods' constants are chosen on the other clips and disturbances of each clip left out: by accuracy, then by fewer
wrong switches.  Scores are of half-seconds, as in `clips.py`; a switch is wrong where it leads, within a labelled
stretch, to something else than the truth.  `as shipped`: the product's own constants,
not chosen here.  `live` methods know the past alone, `file` methods the whole video.  As shipped, a file is looked at
a few times a second, and less often where the looks agree; what share of those that are due is taken, is printed.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from clip_answers import STEP_S, Stretch, pose_at, read_truth

from yoga_live.runtime.classifier import PoseClassifier, choose_answer
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import NO_POSE
from yoga_live.runtime.cropping.croppers import ZoomCropper
from yoga_live.runtime.sources.frame_sampling import FrameSampler
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.system.files import write_then_rename
from yoga_live.runtime.system.progress import track
from yoga_live.runtime.tracking.adaptive_sampling import AdaptiveObserver
from yoga_live.runtime.tracking.causal_smoother import Smoother, SmoothingConfig
from yoga_live.runtime.tracking.hmm_smoother import HmmConfig, HmmSmoother
from yoga_live.runtime.tracking.observer import Observation, Observer, PreparedFrame
from yoga_live.runtime.tracking.sampling_observer import OBSERVATIONS_PER_S

Floats = npt.NDArray[np.floating]
SEEDS = 5
NOTHING = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Stream:
    """A clip as the network saw it: times float (N,), seconds; calibrated probabilities float (N, C)."""

    times_s: Floats
    probabilities: Floats


@dataclass(frozen=True)
class Rule:
    """What all methods are told of the model."""

    labels: tuple[str, ...]
    threshold: float


Method = Callable[[Stream, Rule], list[str]]
"""Answers of every frame."""


def answer_frames(clips: Path, names: list[str], classifier: PoseClassifier, work: Path) -> dict[str, Stream]:
    """What the network says of every frame, computed once."""
    streams = {}
    work.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = work / f"{name}.npz"
        if not path.exists():
            times_s, rows, view = [], [], ZoomCropper()
            with VideoSource(clips / name) as source:
                count = round((source.info.duration_s or 0) * float(source.info.rate))
                for frame in track(source.frames(), name, count, "frames"):
                    region = view.choose_crop(frame.time_s, frame.image_bgr)
                    times_s.append(frame.time_s)
                    rows.append(classifier.probabilities(frame.image_bgr, region))
            with write_then_rename(path) as temporary, temporary.open("wb") as file:
                np.savez(file, times_s=np.array(times_s), probabilities=np.array(rows))
        with np.load(path, allow_pickle=False) as kept:
            streams[name] = Stream(kept["times_s"], kept["probabilities"])
    return streams


def disturb(stream: Stream, kind: str, seed: int) -> Stream:
    """A worse stream of the same class."""
    rng = np.random.default_rng(seed)
    times_s, rows = stream.times_s, stream.probabilities
    if kind == "noise":
        logits = np.log(np.maximum(rows, 1e-6)) + rng.normal(0, 2.5, rows.shape)
        rows = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows = rows / rows.sum(axis=1, keepdims=True)
    elif kind == "dropped":
        gap = np.sin(2 * np.pi * times_s / rng.uniform(6, 9) + rng.uniform(0, 6)) > 0.75  # about a second in seven
        kept = ~gap & (rng.random(len(times_s)) < 0.5)
        times_s, rows = times_s[kept], rows[kept]
    elif kind == "flicker":
        rows = rows.copy()
        for start_s in np.arange(rng.uniform(0, 2), times_s[-1], 2.0):
            wrong = np.full(rows.shape[1], 0.02)
            wrong[rng.integers(rows.shape[1])] += 1 - wrong.sum()
            rows[(times_s >= start_s) & (times_s < start_s + 0.25)] = wrong
    elif kind == "5 FPS":
        kept = np.diff(np.floor(times_s * 5), prepend=-1) > 0
        times_s, rows = times_s[kept], rows[kept]
    return Stream(times_s, rows)


def name_frames(rows: Floats, rule: Rule) -> list[str]:
    """The answer to each frame alone."""
    return [choose_answer(row, rule.labels, rule.threshold)[0] for row in rows]


def no_smoothing(stream: Stream, rule: Rule) -> list[str]:
    """Each frame alone."""
    return name_frames(stream.probabilities, rule)


def vote(window_s: float) -> Method:
    """The commonest answer of the last seconds."""

    def answer(stream: Stream, rule: Rule) -> list[str]:
        recent: deque[tuple[float, str]] = deque()
        answers = []
        for time_s, name in zip(stream.times_s, no_smoothing(stream, rule), strict=True):
            recent.append((time_s, name))
            while recent[0][0] < time_s - window_s:
                recent.popleft()
            names = [other for _, other in recent]
            answers.append(max(names, key=names.count))
        return answers

    return answer


def exponential_mean(memory_s: float) -> Method:
    """The rule on the exponential mean of the probabilities."""

    def answer(stream: Stream, rule: Rule) -> list[str]:
        mean, means = stream.probabilities[0], []
        for step_s, row in zip(np.diff(stream.times_s, prepend=stream.times_s[0]), stream.probabilities, strict=True):
            mean = mean + (1 - np.exp(-step_s / memory_s)) * (row - mean)
            means.append(mean)
        return name_frames(np.array(means), rule)

    return answer


def hysteresis(config: SmoothingConfig) -> Method:
    """yoga-live's smoother of a camera."""

    def answer(stream: Stream, rule: Rule) -> list[str]:
        smoother = Smoother(rule.labels, rule.threshold, config)
        rows = zip(stream.times_s, stream.probabilities, strict=True)
        return [smoother.update(float(time_s), row).pose for time_s, row in rows]

    return answer


def backdated(config: SmoothingConfig) -> Method:
    """The same as the timeline has it: each pose begins where its evidence began."""

    def answer(stream: Stream, rule: Rule) -> list[str]:
        smoother = Smoother(rule.labels, rule.threshold, config)
        answers: list[str] = []
        for number, (time_s, row) in enumerate(zip(stream.times_s, stream.probabilities, strict=True)):
            found = smoother.update(float(time_s), row)
            answers.append(found.pose)
            first = int(np.searchsorted(stream.times_s, found.since_s))
            answers[first:number] = [found.pose] * (number - first)
        return answers

    return answer


def smoother(config: HmmConfig) -> Method:
    """yoga-live's smoother of a file."""

    def answer(stream: Stream, rule: Rule) -> list[str]:
        smoother = HmmSmoother(rule.labels, rule.threshold, config=config)
        for time_s, row in zip(stream.times_s, stream.probabilities, strict=True):
            smoother.update(float(time_s), row)
        names = [*(label for label in rule.labels if label != NO_POSE), NO_POSE]
        return [names[state] for state in smoother.smooth().argmax(axis=1)]

    return answer


class Replay(Observer):
    """Looks at a stream instead of a picture, and counts how often."""

    def __init__(self, stream: Stream) -> None:
        self.rows = dict(zip(stream.times_s.tolist(), stream.probabilities, strict=True))
        self.explains, self.judged = False, 0

    def prepare(self, frame: TimedFrame, *, warms: bool = False) -> PreparedFrame:
        """Keep the time."""
        return PreparedFrame(frame.time_s, None, frame.image_bgr)

    def judge(self, prepared: PreparedFrame) -> Observation:
        """What the network said then."""
        self.judged += 1
        return Observation(prepared.time_s, None, self.rows[prepared.time_s])


class AsWatched:
    """As `sampling_observer.py` observes a file: `OBSERVATIONS_PER_S` frames a second, or sparsely at those."""

    def __init__(self, *, sparsely: bool) -> None:
        self.sparsely, self.due, self.judged = sparsely, 0, 0

    def __call__(self, stream: Stream, rule: Rule) -> list[str]:
        """Answers of every frame."""
        smoother, turns, replay = (
            HmmSmoother(rule.labels, rule.threshold),
            FrameSampler(OBSERVATIONS_PER_S),
            Replay(stream),
        )
        frames = [
            TimedFrame(NOTHING, time_s, number)
            for number, time_s in enumerate(stream.times_s.tolist())
            if turns.take(time_s).observes
        ]
        if self.sparsely:
            looker = AdaptiveObserver(replay)
            observations = [observation for frame in frames for observation in looker.observe(frame)] + looker.finish()
        else:
            observations = [replay.judge(replay.prepare(frame)) for frame in frames]
        for observation in observations:
            smoother.update(observation.time_s, observation.probabilities)
        self.due, self.judged = self.due + len(frames), self.judged + replay.judged
        segments = smoother.segments(end_s=float(stream.times_s[-1]) + 1)
        return [pose_at(segments, time_s) for time_s in stream.times_s.tolist()]


def list_methods() -> dict[str, dict[str, Method]]:
    """Method -> its constants, as text -> how it answers."""
    times_s = (0.25, 0.5, 1.0, 2.0)
    smoothers = {
        f"mean {m} s, enter {e} s, leave {leave} s": SmoothingConfig(m, e, leave)
        for m, e, leave in product((0.25, 0.5), (0.2, 0.3, 0.5), (0.6, 1.2))
    }
    files = {
        f"change {1 / c:.3f}/s, evidence {e}/s": HmmConfig(1 / c, e)
        for c, e in product((5, 15, 45), (1.5, 3.0, 6.0, 12.0))
    }
    return {
        "none": {"": no_smoothing},
        "majority vote, live": {f"{s} s": vote(s) for s in times_s},
        "exponential mean, live": {f"{s} s": exponential_mean(s) for s in times_s},
        "hysteresis, live, as shipped": {"": hysteresis(SmoothingConfig())},
        "hysteresis, live": {name: hysteresis(config) for name, config in smoothers.items()},
        "hysteresis, put back, file": {name: backdated(config) for name, config in smoothers.items()},
        "forward-backward, file, every frame": {"": smoother(HmmConfig())},
        "forward-backward, file, every frame that is due": {"": AsWatched(sparsely=False)},
        "forward-backward, file, as shipped": {"": AsWatched(sparsely=True)},
        "forward-backward, file": {name: smoother(config) for name, config in files.items()},
    }


@dataclass
class Tally:
    """Half-seconds asked and answered rightly, wrong switches, labelled seconds."""

    asked: int = 0
    right: int = 0
    switches: int = 0
    labelled_s: float = 0.0

    def add(self, other: Tally) -> None:
        """Sum up."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def rank(self) -> tuple[float, float]:
        """Accuracy, then fewer wrong switches."""
        return round(self.right / self.asked, 3), -self.switches / self.labelled_s


def score(times_s: Floats, answers: list[str], stretches: list[Stretch]) -> Tally:
    """Compare the answers of a clip with the truth."""
    tally = Tally()
    for stretch in stretches:
        tally.labelled_s += stretch.end_s - stretch.start_s
        inside = np.flatnonzero((times_s >= stretch.start_s) & (times_s <= stretch.end_s))
        own = [answers[number] for number in inside]
        tally.switches += sum(after not in (before, stretch.pose) for before, after in pairwise(own))
        for number in range(int((stretch.end_s - stretch.start_s) / STEP_S)):
            last = int(np.searchsorted(times_s, stretch.start_s + (number + 0.5) * STEP_S, side="right")) - 1
            tally.asked += 1
            tally.right += answers[max(last, 0)] == stretch.pose
    return tally


DISTURBANCES = {"as they are": 1, "noise": SEEDS, "dropped": SEEDS, "flicker": SEEDS, "5 FPS": 1}
"""And how often each is drawn."""


def run_methods(
    streams: dict[str, Stream], truth: dict[str, list[Stretch]], rule: Rule
) -> Iterator[tuple[str, dict[str, Tally], set[str]]]:
    """For each method: disturbance -> its tally over the clips, and the constants that were chosen."""
    versions = {
        (clip, kind): [
            disturb(stream, kind, seed) for seed in range(SEEDS if kind not in ("as they are", "5 FPS") else 1)
        ]
        for clip, stream in streams.items()
        for kind, seeds in DISTURBANCES.items()
    }
    methods = list_methods()
    for name in track(methods, "methods", len(methods), "methods"):
        tallies: dict[str, dict[tuple[str, str], Tally]] = {}
        for constants, method in methods[name].items():
            tallies[constants] = {key: Tally() for key in versions}
            for (clip, kind), own in versions.items():
                for stream in own:
                    tallies[constants][clip, kind].add(score(stream.times_s, method(stream, rule), truth[clip]))
        rows, chosen = {kind: Tally() for kind in DISTURBANCES}, set()
        for clip in streams:
            best = max(tallies, key=lambda constants: _rank_without(tallies[constants], clip))
            chosen.add(best)
            for kind in DISTURBANCES:
                rows[kind].add(tallies[best][clip, kind])
        yield name, rows, chosen


def _rank_without(tallies: dict[tuple[str, str], Tally], clip: str) -> tuple[float, float]:
    """Mean rank over the disturbances of the other clips."""
    whole = {kind: Tally() for kind in DISTURBANCES}
    for (other, kind), tally in tallies.items():
        if other != clip:
            whole[kind].add(tally)
    ranks = np.array([tally.rank for tally in whole.values()]).mean(axis=0)
    return float(ranks[0]), float(ranks[1])


def print_looks(streams: dict[str, Stream], rule: Rule) -> None:
    """How much of what is due the network sees, and where a timeline says something else for it."""
    every, sparse = AsWatched(sparsely=False), AsWatched(sparsely=True)
    print()
    for kind, seeds in DISTURBANCES.items():
        sparse.due = sparse.judged = 0
        changed = []
        for stream in streams.values():
            for seed in range(seeds):
                disturbed = disturb(stream, kind, seed)
                both = zip(every(disturbed, rule), sparse(disturbed, rule), strict=True)
                changed += [one != other for one, other in both]
        share = sparse.judged / sparse.due
        print(f"{kind}: {share:.0%} of the looks that are due; {np.mean(changed):.2%} of frames named otherwise")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder with videos and truth.csv")
    parser.add_argument(
        "--work", type=Path, required=True, metavar="FOLDER", help="where the network's answers are kept"
    )
    parser.add_argument("--model", type=Path, help="pose model instead of the shipped one")
    args = parser.parse_args()
    truth, classifier = read_truth(args.clips / "truth.csv"), PoseClassifier(args.model)
    streams = answer_frames(args.clips, list(truth), classifier, args.work)
    rule = Rule(classifier.labels, classifier.info.threshold)
    heads = [f"{kind}: right | wrong switches / min" for kind in DISTURBANCES]
    print(f"| smoothing | {' | '.join(heads)} | constants chosen |")
    print("|---" * (2 * len(DISTURBANCES) + 2) + "|")
    for name, rows, chosen in run_methods(streams, truth, rule):
        cells = [f"{t.right / t.asked:.1%} | {t.switches / t.labelled_s * 60:.1f}" for t in rows.values()]
        print(f"| {name} | {' | '.join(cells)} | {'; '.join(sorted(chosen))} |", flush=True)
    print_looks(streams, rule)
    return 0


if __name__ == "__main__":
    sys.exit(main())
