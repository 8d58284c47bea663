"""Finds likely label errors by confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068).

Each class has a threshold: the mean probability of the class over the photos with that label.  A photo is suspect if a
class other than its label reaches that class's own threshold; so a class of which the network is always unsure does not
make all its photos suspect.

Nobody has measured which fraction of the suspects is really mislabelled, and it differs between photo folders.  So a
count always comes with the number that the network itself expects to be wrong (`LabelErrorCount`).  A network that
disagrees with many labels is mostly wrong itself: below `LEAST_AGREEMENT` no label is called wrong, by the report, the
page or `clean --auto`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...calibration.metrics import Accuracy, measure_accuracy
from ...runtime.core.types import Floats, Ints

LEAST_AGREEMENT = 0.75
"""Fraction of the labels of unseen photos that a network must agree with before it may call other labels wrong."""


@dataclass(frozen=True)
class LabelErrorCount:
    """Likely label errors among some photos.

    suspects: how many labels are likely wrong.  photos: how many labels were checked.  expected: how many of the
    suspects are wrong if the network's probabilities are right: the sum of 1 minus the probability of the label given.
    A network that is too sure of itself, as most are before calibration, makes it too high.
    agreement: on how many labels of photos that it was not trained on the network agrees.
    """

    suspects: int
    photos: int
    expected: float
    agreement: Accuracy

    @property
    def is_trusted(self) -> bool:
        """Whether the network agrees with enough labels to call others wrong."""
        return self.agreement.value >= LEAST_AGREEMENT  # nor where there is none

    def describe(self, *, out_of_fold: bool) -> str:
        """Describe the count in one line, the same one for `report` and `clean`."""
        kind = "photos (out of fold)" if out_of_fold else "held-out photos"
        if not self.is_trusted:
            return f"labels that the network doubts: {self.suspects} of {self.photos} {kind}; {self.describe_doubt()}"
        line = f"likely label errors: {self.suspects} of {self.photos} {kind}, by confident learning"
        if not self.suspects:
            return line
        return f"{line}; expected to be wrong: about {self.expected:.0f}, if the network's probabilities are right"

    def describe_doubt(self) -> str:
        """Say why no label is called wrong."""
        known = self.agreement
        return (
            f"it agrees with only {known.right} of the {known.total} labels of photos it was not trained on, and "
            f"{LEAST_AGREEMENT:.0%} are needed to tell wrong labels from its own mistakes"
        )


@dataclass(frozen=True)
class LabelErrors:
    """Arrays over N photos.

    suspect: bool, the label is likely wrong.  certainty: float 0 to 1, that it is wrong: 1 minus the label's
    probability.  suggestion: int, the likeliest other class.  order: int, all photos, likeliest errors first.
    agreement: on how many labels of photos that it was not trained on the network agrees.
    """

    suspect: npt.NDArray[np.bool_]
    certainty: Floats
    suggestion: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    agreement: Accuracy

    @property
    def count(self) -> int:
        """Number of suspects."""
        return int(self.suspect.sum())

    def count_among(self, photos: npt.NDArray[np.bool_]) -> LabelErrorCount:
        """Count the suspects among some photos.  photos: bool (N,)."""
        found = self.suspect & photos
        return LabelErrorCount(int(found.sum()), int(photos.sum()), float(self.certainty[found].sum()), self.agreement)


def find_label_errors(probabilities: Floats, targets: Ints, unseen: npt.NDArray[np.bool_] | None = None) -> LabelErrors:
    """Find likely label errors.  probabilities: float (N, C), out of fold if possible; targets: int (N,).

    unseen: bool (N,), photos that the network was not trained on; None: all.  Only these set the thresholds: on its
    training photos a network is surer than on others, and no other photo would reach such a threshold.  A class without
    unseen photos makes no photo suspect.
    """
    count, classes = probabilities.shape
    everyone = np.arange(count)
    own = probabilities[everyone, targets]
    judges = np.ones(count, bool) if unseen is None else unseen
    totals = np.bincount(targets[judges], minlength=classes)
    sums = np.bincount(targets[judges], weights=own[judges], minlength=classes)
    thresholds = np.divide(sums, totals, out=np.full(classes, np.inf), where=totals > 0)
    passing = np.where(probabilities >= thresholds, probabilities, -1.0)
    confident = passing.argmax(axis=1)  # the likeliest class of those that reach theirs: the paper's confident joint
    suspect = (passing.max(axis=1) >= 0) & (confident != targets)
    others = probabilities.astype(float).copy()
    others[everyone, targets] = -1.0
    suggestion = others.argmax(axis=1)
    margin = own - others.max(axis=1)  # the paper's normalised margin; the lowest is the likeliest error
    order = np.lexsort((margin, ~suspect))
    agreement = measure_accuracy(probabilities[judges].argmax(axis=1), targets[judges])
    return LabelErrors(suspect, 1 - own, suggestion.astype(np.int64), order.astype(np.int64), agreement)
