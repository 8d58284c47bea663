"""How benchmarks/smoothing.py chooses constants, on scores that are known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from clip_answers import Stretch
from disturbances import DISTURBANCES, Stream, disturb
from smoothing import (
    FILE,
    LIVE,
    AsWatched,
    Rule,
    Scores,
    choose_constants,
    exponential_mean,
    find_shipped,
    forward,
    hysteresis,
    list_methods,
    list_sources,
    pool_sources,
    rank_without,
    score,
    vote,
)
from timeline_scores import TimelineScore

from yoga_live.runtime.tracking.causal_smoother import SmoothingConfig
from yoga_live.runtime.tracking.hmm_smoother import HmmConfig

RULE = Rule(("none", "tree"), 0.5)
TRUTH = [Stretch(0, 4, "none"), Stretch(4, 10, "tree")]
STEP_S = 0.1


def stream_of(tree_from_s: float, flicker_s: float | None = None) -> Stream:
    """A clip in which the tree is seen from a moment on, and not for 0.3 s."""
    times_s = np.arange(0, 10, STEP_S)
    tree = np.where(times_s >= tree_from_s, 0.9, 0.1)
    if flicker_s is not None:
        tree[(times_s >= flicker_s) & (times_s < flicker_s + 0.3)] = 0.1
    return Stream(times_s, np.column_stack([1 - tree, tree]))


def scores_of(**clips: tuple[int, int]) -> Scores:
    """Half-seconds right of a hundred, and wrong switches in a minute, of each clip under every disturbance."""
    return {
        (clip, kind): TimelineScore(asked=100, right=right, switches=switches, labelled_s=60.0, edits=[1.0])
        for clip, (right, switches) in clips.items()
        for kind in DISTURBANCES
    }


def test_a_source_has_no_say_in_the_constants_that_it_is_scored_with() -> None:
    scores = scores_of(a=(10, 9), b=(90, 1), c=(80, 3))
    assert rank_without(scores, {"a"}) == (pytest.approx(0.85), pytest.approx(2))
    assert rank_without(scores, {"b"}) == (pytest.approx(0.45), pytest.approx(6))
    assert rank_without(scores, {"a", "c"}) == (pytest.approx(0.9), pytest.approx(1))
    sources = list_sources(["a", "b", "c"], ["a,c"])
    assert sources == [{"a", "c"}, {"b"}]
    kinds = len(DISTURBANCES)
    assert [each.asked for each in pool_sources(scores, sources)] == [200 * kinds, 100 * kinds]
    with pytest.raises(SystemExit, match="--together d is no clip"):
        list_sources(["a", "b", "c"], ["a,d"])


def test_more_wrong_switches_than_shipped_are_no_choice_where_there_is_another() -> None:
    ranks = {"quick": (0.98, 2.0), "calm": (0.95, 0.5), "slow": (0.9, 0.4)}
    assert choose_constants(ranks, 0.6) == "calm" and choose_constants(ranks, 2.0) == "quick"
    assert choose_constants(ranks, 0.1) == "quick"  # none is as calm: then the most accurate
    assert choose_constants({"one": (0.9501, 2.0), "other": (0.9502, 3.0), "third": (0.95, 1.0)}, 5.0) == "third"


def test_what_is_shipped_comes_first_and_is_compared_with_its_own_kind() -> None:
    names = list(list_methods())
    assert names[:2] == [LIVE, FILE]
    assert all(find_shipped(name) == (FILE if ", file" in name else LIVE) for name in names)


def test_a_filter_of_the_past_is_late_and_steady() -> None:
    stream = stream_of(4.0, flicker_s=7.0)
    answers = forward(HmmConfig())(stream, RULE)
    late = answers.index("tree") - 40
    assert 0 < late < 15 and set(answers[40 + late :]) == {"tree"} and set(answers[:40]) == {"none"}
    assert score(stream.times_s, answers, TRUTH).switches == 0


def test_a_filter_of_the_past_lets_a_bad_second_break_a_hold_and_the_live_smoother_does_not() -> None:
    stream = stream_of(0.0)
    stream.probabilities[50:60] = [0.9, 0.1]
    assert "none" in forward(HmmConfig(change_rate=1 / 45))(stream, RULE)[20:]
    assert set(hysteresis(SmoothingConfig())(stream, RULE)[20:]) == {"tree"}


def test_a_mean_of_two_seconds_announces_a_pose_later_than_the_live_smoother() -> None:
    stream, methods = stream_of(4.0), (exponential_mean(2.0), hysteresis(SmoothingConfig()))
    late_s = [STEP_S * method(stream, RULE).index("tree") - 4 for method in methods]
    assert late_s[0] > 1 and late_s[1] <= 0.7


def test_a_stream_is_watched_as_a_file_with_fewer_looks_where_they_agree() -> None:
    every, sparse = AsWatched(sparsely=False), AsWatched(sparsely=True)
    stream = stream_of(4.0)
    assert every(stream, RULE) == sparse(stream, RULE)
    assert 0 < sparse.judged < every.judged == every.due == sparse.due


def test_answers_of_frames_are_scored_until_the_next_one() -> None:
    stream = stream_of(4.0, flicker_s=7.0)
    steady = score(stream.times_s, vote(1.0)(stream, RULE), TRUTH)
    assert steady.switches == 0 and steady.f1(1) == 1 and 0 < steady.asked - steady.right <= 2
    sharp = score(stream.times_s, vote(0.0)(stream, RULE), TRUTH)
    assert sharp.switches == 1 and sharp.extra[0] == 1 and sharp.asked - sharp.right == 1


def test_a_bad_second_in_every_eight_says_one_wrong_thing_and_leaves_the_rest() -> None:
    stream = stream_of(0.0)
    bad = disturb(stream, "bad second", 3)
    changed = np.flatnonzero((bad.probabilities != stream.probabilities).any(axis=1))
    assert len(changed) in (10, 20) and np.array_equal(changed[:10], np.arange(changed[0], changed[0] + 10))
    assert np.allclose(bad.probabilities.sum(axis=1), 1) and stream.times_s is bad.times_s
