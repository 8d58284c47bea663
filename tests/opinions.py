"""Second opinions made by hand, whose answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from yoga_live.runtime.people.landmarks import LANDMARKS
from yoga_live.runtime.people.second_opinion import Mixture, SecondOpinion, encode_numbers

LABELS = ("tree", "warrior_2", "none")
PERSON, OTHERS = LANDMARKS - 2, LANDMARKS - 1


def make_opinion(labels: tuple[str, ...] = LABELS, mixture: Mixture | None = None, **changes: Any) -> SecondOpinion:
    """One layer that reads two numbers: a person's score speaks for the first label, the number of others for the
    second; the last label is said of nobody.
    """
    weights, biases = np.zeros((len(labels), LANDMARKS)), np.zeros(len(labels))
    weights[0, PERSON], weights[1, OTHERS], biases[-1] = 8.0, 16.0, 4.0
    numbers = np.concatenate([np.zeros(LANDMARKS), np.ones(LANDMARKS), weights.ravel(), biases])
    content = {
        "labels": labels,
        "kinds": tuple(range(len(labels))),
        "widths": (LANDMARKS, len(labels)),
        "networks": 1,
        "numbers": encode_numbers(numbers),
        "mixture": mixture or Mixture.plain_product(len(labels)),
        "temperature": 1.25,
        "threshold": 0.35,
        "measured": {"photos": 12},
    }
    return SecondOpinion(**{**content, **changes})
