"""Left and right of a pose: which leg stands, which knee bends, where the front foot points; the person's own side.

Each look gives log-odds for the right side, from how the two legs differ; `SideTracker` smooths them over a hold.
Symmetric poses have no side, and where the legs differ too little none is named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..core.types import NO_POSE, Floats, Side
from .people import KEYPOINTS, OPPOSITE_KEYPOINTS, People

FEATURES = ("lifted", "bend", "knee_height", "shin", "lean", "hand", "gaze")
"""How the right leg differs from the left one; each changes its sign when left and right are swapped."""
MOST = 1.5
"""Features are cut here, so that one wrong key point does not outvote the others."""
SURE_LEGS = 0.5
"""Mean score of the key points of both legs from which on they are believed."""


@dataclass(frozen=True)
class SideRule:
    """What the side of a pose is.

    meaning: in words.  weights: of `FEATURES`, log-odds of the right side for each unit.  words: what the leg on that
    side is called, and the other one; None where they are just left and right.
    """

    meaning: str
    weights: tuple[float, ...]
    words: tuple[str, str] | None = None


STANDING = SideRule("the leg that stands", (1.5, -1.4, -1.7, 0.0, 0.0, 0.0, 0.0), ("standing", "lifted"))
BENT = SideRule("the knee that bends in front", (0.0, 1.3, 1.3, 0.9, 0.0, 0.0, 1.9), ("front", "back"))
FRONT = SideRule("the foot in front, to which the body leans", (0.0, 0.0, 0.0, 0.0, 1.2, 1.2, 0.0), ("front", "back"))
ANY = SideRule("the leg that stands, or the knee that bends", (0.0,) * 7)
"""For poses that are not known here."""

_NAMES: dict[str, SideRule | None] = {
    name: rule
    for rule, names in (
        (
            STANDING,
            "tree vriksasana vrksasana half_moon ardha_chandrasana warrior_3 warrior_iii virabhadrasana_3 "
            "virabhadrasana_iii dancer natarajasana standing_split standing_splits utthita_hasta_padangustasana",
        ),
        (
            BENT,
            "warrior warrior1 warrior2 virabhadrasana low_lunge high_lunge lunge crescent crescent_lunge anjaneyasana "
            "utthita_ashwa_sanchalanasana equestrian side_angle parsvakonasana reverse_warrior",
        ),
        (FRONT, "triangle trikonasana pyramid parsvottanasana"),
        (ANY, "side_plank vasisthasana warrior3"),
        (
            None,
            "down_dog downdog downward_dog downward_facing_dog adho_mukha_svanasana up_dog updog upward_dog "
            "upward_facing_dog urdhva_mukha_svanasana cobra bhujangasana plank phalakasana chair utkatasana goddess "
            "utkata_konasana mountain tadasana standing bridge wheel urdhva_dhanurasana child childs balasana camel "
            "ustrasana boat navasana forward_fold forward_bend uttanasana headstand head_stand handstand hand_stand "
            "salamba_sirsasana crow bakasana squat malasana bow dhanurasana locust corpse savasana staff dandasana "
            "plow halasana",
        ),
    )
    for name in names.split()
}


def find_rule(label: str) -> SideRule | None:
    """What left and right mean in a pose, by its label; None where it has no sides.

    Names in English and Sanskrit are known (the longest that is in the label counts); any other pose may have a side.
    A label that names left or right itself, such as `tree_left`, has none beside it.
    """
    words = label.lower().replace("-", "_").replace(" ", "_").split("_")
    if label == NO_POSE or {"left", "right", "l", "r"} & set(words):
        return None
    text = f"_{'_'.join(filter(None, words))}_"
    known = [name for name in _NAMES if f"_{name}_" in text]
    return _NAMES[max(known, key=len)] if known else ANY


def swap_sides(people: People) -> People:
    """Return the same people with left and right swapped, as of a picture that a mirror shows.  Nothing moves."""
    other = list(OPPOSITE_KEYPOINTS)
    return People(people.boxes, people.keypoints[:, other], people.keypoint_scores[:, other], people.scores)


def measure_features(keypoints: Floats, keypoint_scores: Floats) -> Floats:
    """Measure how the legs of one person differ.

    keypoints: float (17, 2), x and y in pixels that are square, y down; keypoint_scores: float (17,), 0 to 1: a row of
    `People`.  Returns float64 (7,), in the order of `FEATURES`, above 0 where it speaks for the right side.

    lifted: the left ankle is higher; bend: the right knee is more bent (1: by 90 degrees); knee_height: the right knee
    is higher; shin: the right shin is more upright; lean: the body leans to the right foot; hand: a hand is nearer to
    the right foot; gaze: the face looks to the right foot.  Lengths are in torsos.  All are smaller where the key
    points of the legs are unsure.
    """
    points, scores = np.asarray(keypoints, np.float64), np.asarray(keypoint_scores, np.float64)
    if points.shape != (len(KEYPOINTS), 2) or scores.shape != (len(KEYPOINTS),):
        raise ValueError(f"one person has key points (17, 2) and scores (17,); got {points.shape} and {scores.shape}")
    at = dict(zip(KEYPOINTS, points, strict=True))
    sure = dict(zip(KEYPOINTS, scores.tolist(), strict=True))
    left, right = _Leg.of(at, "left"), _Leg.of(at, "right")
    shoulders, hips = (at["left_shoulder"] + at["right_shoulder"]) / 2, (at["left_hip"] + at["right_hip"]) / 2
    unit = max(_length(shoulders - hips), 0.57 * left.length, 0.57 * right.length, 1e-6)
    apart = right.ankle[0] - left.ankle[0]
    hands = [at[f"{side}_wrist"] for side in ("left", "right") if sure[f"{side}_wrist"] >= 0.2] or [hips]
    ears = (at["left_ear"] * sure["left_ear"] + at["right_ear"] * sure["right_ear"]) / max(
        sure["left_ear"] + sure["right_ear"], 1e-6
    )
    gaze = (at["nose"][0] - ears[0]) / unit * min(sure["nose"], max(sure["left_ear"], sure["right_ear"]))
    features = (
        (right.ankle[1] - left.ankle[1]) / unit,
        (left.degrees - right.degrees) / 90,
        (left.knee[1] - right.knee[1]) / unit,
        right.upright - left.upright,
        (shoulders[0] - hips[0]) * apart / unit**2,
        (min(_length(hand - left.ankle) for hand in hands) - min(_length(hand - right.ankle) for hand in hands)) / unit,
        5 * gaze * math.tanh(2 * apart / unit),
    )
    legs = [sure[f"{side}_{name}"] for side in ("left", "right") for name in ("hip", "knee", "ankle")]
    return np.clip(np.array(features), -MOST, MOST) * min(float(np.mean(legs)) / SURE_LEGS, 1.0)


@dataclass(frozen=True, eq=False)
class _Leg:
    """knee, ankle: x and y; degrees: of the knee; upright: of the shin, 1 = vertical with the knee above the ankle."""

    knee: Floats
    ankle: Floats
    length: float
    degrees: float
    upright: float

    @classmethod
    def of(cls, at: dict[str, Floats], side: Side) -> _Leg:
        hip, knee, ankle = (at[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        thigh, shin = hip - knee, ankle - knee
        cross = thigh[0] * shin[1] - thigh[1] * shin[0]
        degrees = math.degrees(math.atan2(abs(cross), float(thigh @ shin)))
        return cls(knee, ankle, _length(thigh) + _length(shin), degrees, float(shin[1]) / max(_length(shin), 1e-6))


def _length(vector: Floats) -> float:
    return float(np.hypot(vector[0], vector[1]))


def measure_side(keypoints: Floats, keypoint_scores: Floats, rule: SideRule) -> float:
    """Measure which side one look shows; arguments as `measure_features` has them.

    Returns log-odds of the right side: above 0 right, below 0 left, near 0 unknown.
    """
    return weigh_features(measure_features(keypoints, keypoint_scores), rule)


def weigh_features(features: Floats, rule: SideRule) -> float:
    """Log-odds of the right side.  features: float (7,), as `measure_features` gives them."""
    return float(weigh_looks(np.asarray(features)[None], rule)[0])


def weigh_looks(features: Floats, rule: SideRule) -> Floats:
    """Log-odds of the right side of several looks, float (N,).  features: float (N, 7)."""
    odds = _weigh_any(features) if rule is ANY else features @ np.array(rule.weights)
    return np.clip(odds, -MOST_LOG_ODDS, MOST_LOG_ODDS)


def _weigh_any(features: Floats) -> Floats:
    """In a pose that is not known: the leg that stands where the other foot is lifted, else the knee that is more bent.

    Small differences say nothing.
    """
    lifted, bend = features[:, 0], features[:, 1]
    return np.where(np.abs(lifted) >= 0.35, 6 * lifted, np.where(np.abs(bend) >= 0.33, 4 * bend, 0.0))


SURE, UNSURE, TURNED = 0.8, 0.65, 0.9
"""A side is named from the first confidence on, until it falls below the second; the other side from the third on, or
once all looks of `3 * MEMORY_S` have been for it."""
MEMORY_S = 2.0
"""Looks older than this count for a third, and less the older they are."""
MOST_LOG_ODDS = 6.0
"""Of one look."""
TURN_COST = 12.0
"""Log-odds that looks must add up to before a hold is taken for two, one on each side."""
MOST_IN_RUN = 3.0
"""Of one look in that sum: a turn takes several."""


@dataclass(frozen=True)
class HeldSide:
    """The side of a hold.

    side: None where it is unsure, or the pose has none.  confidence: 0.5 to 1, of that side.  turned_s: when the body
    turned to this side while the same pose went on, seconds; None: this is the hold's first side.
    """

    side: Side | None
    confidence: float
    turned_s: float | None = None


NO_SIDE = HeldSide(None, 0.5)


class SideTracker:
    """Follow the side of one person's hold, look by look::

    sides = SideTracker()
    held = sides.update(time_s, hold.pose, people.keypoints[0], people.keypoint_scores[0])      # held.side
    """

    def __init__(self) -> None:
        self._pose, self._held = NO_POSE, NO_SIDE
        self._time_s, self._sum, self._weight = 0.0, 0.0, 0.0
        self._leaning: Side | None = None
        self._leans_since_s = 0.0

    def update(self, time_s: float, pose: str, keypoints: Floats | None, keypoint_scores: Floats | None) -> HeldSide:
        """Take a look.

        time_s: seconds, on a clock that never goes back.  pose: the label of what is held.  keypoints, keypoint_scores:
        of the person, see `measure_features`; None where nobody was seen, and what is held keeps its side.
        """
        if keypoints is None or keypoint_scores is None:
            return self.weigh(time_s, pose, None)
        return self.weigh(time_s, pose, measure_features(keypoints, keypoint_scores))

    def weigh(self, time_s: float, pose: str, features: Floats | None) -> HeldSide:
        """Take a look as `measure_features` gives it; None where nobody was seen."""
        if pose != self._pose:
            self._pose, self._held = pose, NO_SIDE
            self._time_s, self._sum, self._weight, self._leaning = time_s, 0.0, 0.0, None
        rule = find_rule(pose)
        if rule is None or features is None:
            return self._held
        fade = math.exp(-max(time_s - self._time_s, 0.0) / MEMORY_S)
        odds = weigh_features(features, rule)
        self._sum, self._weight, self._time_s = fade * self._sum + odds, fade * self._weight + 1, time_s
        if odds and self._leaning != _name_side(odds):
            self._leaning, self._leans_since_s = _name_side(odds), time_s
        self._held = self._name(self._sum / self._weight)
        return self._held

    def _name(self, log_odds: float) -> HeldSide:
        held, side, confidence = self._held, _name_side(log_odds), _find_confidence(log_odds)
        if held.side is None:
            return replace(held, side=side if confidence >= SURE else None, confidence=confidence)
        if side == held.side:
            return replace(held, confidence=confidence) if confidence >= UNSURE else held
        leans_s = self._time_s - self._leans_since_s if self._leaning == side else 0.0
        if leans_s and (confidence >= TURNED or (confidence >= SURE and leans_s >= 3 * MEMORY_S)):
            return HeldSide(side, confidence, self._leans_since_s)
        return held


def _name_side(log_odds: float) -> Side:
    return "right" if log_odds > 0 else "left"


def _find_confidence(log_odds: float) -> float:
    return 1 / (1 + math.exp(-abs(log_odds)))


def find_runs(log_odds: Sequence[float]) -> list[tuple[int, int, HeldSide]]:
    """Divide the looks of one hold, all of them known, by side.

    log_odds: of the right side, look by look.  Returns first look, one behind the last, and the side, in order; most
    holds are one run.  A turn must be worth `TURN_COST`, so that a few wrong looks make none.
    """
    if not log_odds:
        return []
    left, right, turns = 0.0, 0.0, []  # what the looks are worth so far if the last of them is of this side
    for odds in log_odds:
        gain = max(-MOST_IN_RUN, min(MOST_IN_RUN, odds))
        to_left, to_right = right - TURN_COST > left, left - TURN_COST > right
        turns.append((to_left, to_right))
        left, right = (right - TURN_COST if to_left else left) - gain, (left - TURN_COST if to_right else right) + gain
    is_right, ends = right > left, [len(log_odds)]
    for number in range(len(log_odds) - 1, 0, -1):
        if turns[number][is_right]:
            ends.append(number)
            is_right = not is_right
    bounds = [0, *reversed(ends)]
    return [(start, end, _judge(log_odds[start:end])) for start, end in pairwise(bounds)]


def _judge(log_odds: Sequence[float]) -> HeldSide:
    mean = float(np.mean(log_odds))
    confidence = _find_confidence(mean)
    return HeldSide(_name_side(mean) if confidence >= SURE else None, confidence)
