"""Which labels are likely wrong: confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068).

Each class has a threshold: the mean probability that photos with that label get for it.  A photo is suspect when a
class other than its label passes that class's own threshold; so a class on which the network is unsure throughout is
not accused wholesale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...runtime.core.types import Floats, Ints


@dataclass(frozen=True)
class LabelErrors:
    """Arrays of N photos.

    suspect: bool, the label is likely wrong.  certainty: float 0 to 1, that it is wrong: one minus the label's
    probability.  suggestion: int, the likeliest other class.  order: int, all photos, likeliest wrong first.
    """

    suspect: npt.NDArray[np.bool_]
    certainty: Floats
    suggestion: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]

    @property
    def count(self) -> int:
        return int(self.suspect.sum())


def find_label_errors(probabilities: Floats, targets: Ints, unseen: npt.NDArray[np.bool_] | None = None) -> LabelErrors:
    """Find likely label errors.  probabilities: float (N, C), out of fold where possible; targets: int (N,).

    unseen: bool (N,), photos that the network was not trained on, all if left out.  The thresholds are theirs: on its
    training photos a network is surer than it ever is on others, and such a threshold nothing else would pass.
    A class without unseen photos accuses nobody.
    """
    count, classes = probabilities.shape
    everyone = np.arange(count)
    own = probabilities[everyone, targets]
    judges = np.ones(count, bool) if unseen is None else unseen
    totals = np.bincount(targets[judges], minlength=classes)
    sums = np.bincount(targets[judges], weights=own[judges], minlength=classes)
    thresholds = np.divide(sums, totals, out=np.full(classes, np.inf), where=totals > 0)
    passing = np.where(probabilities >= thresholds, probabilities, -1.0)
    confident = passing.argmax(axis=1)  # the likeliest class among those that pass: the paper's confident joint
    suspect = (passing.max(axis=1) >= 0) & (confident != targets)
    others = probabilities.astype(float).copy()
    others[everyone, targets] = -1.0
    suggestion = others.argmax(axis=1)
    margin = own - others.max(axis=1)  # the paper's normalised margin; lowest is likeliest wrong
    order = np.lexsort((margin, ~suspect))
    return LabelErrors(suspect, 1 - own, suggestion.astype(np.int64), order.astype(np.int64))
