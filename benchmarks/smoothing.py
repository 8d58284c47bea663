"""Which smoothing is best, on clips with a known truth: `python benchmarks/smoothing.py CLIPS... --work FOLDER`.

Each of CLIPS holds videos and `truth.csv`, as `timelines.py` has it.  The network answers every nth frame once, cropped
to the main person (kept in FOLDER); each method then smooths the same probabilities, as they are and disturbed: noise
on the logits, half of the frames dropped with gaps of a second, bursts of a wrong pose for a quarter of a second in
every two, a whole second of one wrong answer in every eight, five frames a second.  A method's constants are chosen for
each clip on the other clips (`--together`: on those of other sources) and all their disturbances: the most half-seconds
right, among those with no more wrong switches than the product's own constants, where there are such.  `as shipped`:
the product's own constants, not chosen here.  `live` methods know the past alone, `file` methods the whole video.
F1@50 and edit are those of `timeline_scores.py`, over all disturbances.  The second table has differences to what is
shipped, with 95 % intervals: a paired bootstrap over clips, or sources.  Close-ups count as what the network says of
them.  As shipped, a file is looked at a few times a second, and less often where the looks agree; what share of those
that are due is taken, is printed.
"""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from clip_answers import Stretch, answer_clips, pose_at
from disturbances import DISTURBANCES, Stream, disturb
from timeline_scores import MEASURES, TimelineScore, add_up, compare, score_timeline

from yoga_live.runtime.classifier import PoseClassifier, choose_answer
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import NO_POSE
from yoga_live.runtime.sources.frame_sampling import FrameSampler
from yoga_live.runtime.system.progress import track
from yoga_live.runtime.tracking.adaptive_sampling import AdaptiveObserver
from yoga_live.runtime.tracking.causal_smoother import Smoother, SmoothingConfig
from yoga_live.runtime.tracking.hmm_smoother import HmmConfig, HmmSmoother
from yoga_live.runtime.tracking.observer import Observation, Observer, PreparedFrame
from yoga_live.runtime.tracking.sampling_observer import OBSERVATIONS_PER_S

Floats = npt.NDArray[np.floating]
LIVE, FILE = "hysteresis, live, as shipped", "forward-backward, file, shipped constants"
NOTHING = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Rule:
    """What all methods are told of the model."""

    labels: tuple[str, ...]
    threshold: float


Method = Callable[[Stream, Rule], list[str]]
"""Answers of every frame."""


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


def forward(config: HmmConfig) -> Method:
    """The smoother of a file, of the past alone: each frame's answer is what it would say if the video ended there."""

    def answer(stream: Stream, rule: Rule) -> list[str]:
        smoother = HmmSmoother(rule.labels, rule.threshold, config=config)
        for time_s, row in zip(stream.times_s, stream.probabilities, strict=True):
            smoother.update(float(time_s), row)
        names = [*(label for label in rule.labels if label != NO_POSE), NO_POSE]
        steps_s = np.diff(stream.times_s)
        weights = smoother._weigh_observation(stream.probabilities, steps_s)
        stay, start = np.exp(-config.change_rate * steps_s), np.full(len(names), 0.5 / (len(names) - 1))
        start[-1] = 0.5
        state, answers = start * weights[0], []
        for number in range(len(weights)):
            if number:
                state = (stay[number - 1] * state + (1 - stay[number - 1]) * start) * weights[number]
            state = state / state.sum()
            answers.append(names[int(state.argmax())])
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

    def observe_prepared(self, prepared: PreparedFrame) -> Observation:
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
            observations = [replay.observe_prepared(replay.prepare(frame)) for frame in frames]
        for observation in observations:
            smoother.update(observation.time_s, observation.probabilities)
        self.due, self.judged = self.due + len(frames), self.judged + replay.judged
        segments = smoother.segments(end_s=float(stream.times_s[-1]) + 1)
        return [pose_at(segments, time_s) for time_s in stream.times_s.tolist()]


def list_methods() -> dict[str, dict[str, Method]]:
    """Method -> its constants, as text -> how it answers."""
    times_s = (0.25, 0.5, 1.0, 2.0)
    smoothers = {
        f"mean {m} s, enter {e} s, leave {leave} s, keep {keep}": SmoothingConfig(m, e, leave, keep)
        for m, e, leave, keep in product((0.25, 0.5, 0.75), (0.2, 0.3, 0.5), (0.3, 0.6, 0.9, 1.2), (0.6, 0.8))
    }
    files = {
        f"change {1 / c:.3f}/s, evidence {e}/s": HmmConfig(1 / c, e)
        for c, e in product((5, 15, 45), (1.5, 3.0, 6.0, 12.0))
    }
    return {
        LIVE: {"": hysteresis(SmoothingConfig())},
        FILE: {"": smoother(HmmConfig())},
        "none": {"": no_smoothing},
        "majority vote, live": {f"{s} s": vote(s) for s in times_s},
        "exponential mean, live": {f"{s} s": exponential_mean(s) for s in times_s},
        "forward, live": {name: forward(config) for name, config in files.items()},
        "hysteresis, live": {name: hysteresis(config) for name, config in smoothers.items()},
        "hysteresis, live, a bad second breaks no hold": {
            name: hysteresis(config) for name, config in smoothers.items() if config.leave_s >= SmoothingConfig.leave_s
        },
        "hysteresis, put back, file": {name: backdated(config) for name, config in smoothers.items()},
        "forward-backward, file, every frame that is due": {"": AsWatched(sparsely=False)},
        "forward-backward, file, as shipped": {"": AsWatched(sparsely=True)},
        "forward-backward, file": {name: smoother(config) for name, config in files.items()},
    }


def score(times_s: Floats, answers: list[str], stretches: list[Stretch]) -> TimelineScore:
    """Compare the answers of a clip's frames with the truth."""
    times = times_s.tolist()
    return score_timeline(lambda time_s: answers[max(bisect_right(times, time_s) - 1, 0)], stretches)


Scores = dict[tuple[str, str], TimelineScore]
"""Clip and disturbance -> the score over its draws."""


def run_methods(
    streams: dict[str, Stream], truth: dict[str, list[Stretch]], rule: Rule, sources: list[set[str]]
) -> Iterator[tuple[str, Scores, Counter[str]]]:
    """For each method: its scores, and for how many sources, sets of clips, which constants were chosen."""
    versions = {
        (clip, kind): [disturb(stream, kind, seed) for seed in range(seeds)]
        for clip, stream in streams.items()
        for kind, seeds in DISTURBANCES.items()
    }
    methods, shipped = list_methods(), dict[str, Scores]()
    for name in track(methods, "methods", len(methods), "methods"):
        scores: dict[str, Scores] = {}
        for constants, method in methods[name].items():
            scores[constants] = {
                (clip, kind): add_up([score(each.times_s, method(each, rule), truth[clip]) for each in own])
                for (clip, kind), own in versions.items()
            }
        if name in (LIVE, FILE):  # they come first
            shipped[name] = scores[""]
        chosen, best = Counter[str](), Scores()
        for source in sources:
            limit = rank_without(shipped[find_shipped(name)], source)[1]
            constants = choose_constants({each: rank_without(own, source) for each, own in scores.items()}, limit)
            best |= {key: own for key, own in scores[constants].items() if key[0] in source}
            chosen[constants] += 1
        yield name, best, chosen


def find_shipped(name: str) -> str:
    """What a method is compared with."""
    return FILE if ", file" in name else LIVE


def choose_constants(ranks: dict[str, tuple[float, float]], limit: float) -> str:
    """The constants with the highest accuracy among those with no more wrong switches; if none has, with the highest.

    ranks: accuracy and wrong switches a minute, by constants.
    """
    fine = {name: rank for name, rank in ranks.items() if rank[1] <= limit} or ranks
    return max(fine, key=lambda name: (round(fine[name][0], 3), -fine[name][1]))


def rank_without(scores: Scores, source: set[str]) -> tuple[float, float]:
    """Accuracy and wrong switches a minute, means over the disturbances of the clips that are not of this source."""
    kinds = [
        add_up([own for (other, k), own in scores.items() if k == kind and other not in source])
        for kind in DISTURBANCES
    ]
    return float(np.mean([each.accuracy for each in kinds])), float(np.mean([each.switches_per_min for each in kinds]))


def pool_sources(scores: Scores, sources: list[set[str]]) -> list[TimelineScore]:
    """Of each source, over all disturbances."""
    return [add_up([own for (clip, _), own in scores.items() if clip in source]) for source in sources]


def list_sources(clips: list[str], together: list[str]) -> list[set[str]]:
    """Which clips are left out together; each of the others alone.  together: names, comma-separated."""
    groups = [set(names.split(",")) for names in together]
    if unknown := sorted(set().union(*groups) - set(clips)):
        raise SystemExit(f"--together {unknown[0]} is no clip; clips are {', '.join(clips)}")
    return [*groups, *({clip} for clip in clips if not any(clip in group for group in groups))]


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


def print_differences(pooled: dict[str, list[TimelineScore]]) -> None:
    """Each method against what is shipped, over all disturbances.  pooled: scores of each source, by method."""
    print(f"\n| smoothing | {' | '.join(MEASURES)} |\n{'|---' * (len(MEASURES) + 1)}|")
    for name, scores in pooled.items():
        if name not in (LIVE, FILE):
            rows = [compare(pooled[find_shipped(name)], scores, measure) for measure in MEASURES.values()]
            cells = [f"{difference:+.1f} ({low:+.1f} to {high:+.1f})" for difference, low, high in rows]
            print(f"| {name} | {' | '.join(cells)} |")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="CLIPS", help="folder with videos and truth.csv")
    parser.add_argument(
        "--work", type=Path, required=True, metavar="FOLDER", help="where the network's answers are kept"
    )
    parser.add_argument("--model", type=Path, help="pose model instead of the shipped one")
    parser.add_argument("--every", type=int, default=3, metavar="N", help="classify every Nth frame only (default: 3)")
    parser.add_argument(
        "--together", action="append", default=[], metavar="CLIP,CLIP", help="clips of one source, left out together"
    )
    args = parser.parse_args()
    clips, classifier = answer_clips(args.folders, args.model, args.work, args.every), PoseClassifier(args.model)
    streams = {clip.name: Stream(clip.answers.times_s, clip.answers.probabilities) for clip in clips}
    rule = Rule(classifier.labels, classifier.info_with_people.threshold)
    truth = {clip.name: clip.stretches for clip in clips}
    sources = list_sources(list(streams), args.together)
    heads = [f"{kind}: right | wrong switches / min" for kind in DISTURBANCES]
    print(f"| smoothing | {' | '.join(heads)} | F1@50 | edit | constants chosen |")
    print("|---" * (2 * len(DISTURBANCES) + 4) + "|")
    pooled = dict[str, list[TimelineScore]]()
    for name, scores, chosen in run_methods(streams, truth, rule, sources):
        kinds = [add_up([own for (_, other), own in scores.items() if other == kind]) for kind in DISTURBANCES]
        cells = [f"{each.accuracy:.1%} | {each.switches_per_min:.1f}" for each in kinds]
        pooled[name] = pool_sources(scores, sources)
        cells += [f"{MEASURES[measure](add_up(pooled[name])):.1f}" for measure in ("F1@50", "edit")]
        constants = "; ".join(f"{each} ({count})" for each, count in chosen.most_common() if each)
        print(f"| {name} | {' | '.join(cells)} | {constants} |", flush=True)
    print_differences(pooled)
    print_looks(streams, rule)
    return 0


if __name__ == "__main__":
    sys.exit(main())
