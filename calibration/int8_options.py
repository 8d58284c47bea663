"""The options of INT8 and their defaults, with the measurements behind them; imports nothing heavy.

The numbers below are those of `python benchmarks/quantisation.py yoga.onnx --run runs/default` on the run of the model
shipped before (the shipped one diverges alike: minmax 0.77, percentiles 0.52 and 1.58, entropy 5.51): 582 validation
photos, divergence (KL) of the probabilities from FP32's in thousandths of a nat, times side by side on two cores with
AVX-512 VNNI that were not idle, as ratios to FP32's, good to 5 % or so.
"""

from __future__ import annotations

from dataclasses import dataclass

METHOD_CHOICES = ("auto", "minmax", "percentile", "entropy")
"""auto tries all.  Divergence and equal predictions: minmax 1.16, 581; percentile 99.999 0.56, 580; 99.99 1.47, 579;
entropy 7.04, 571 (it cuts the first convolution's output at a fifth of its range).
"""

SAMPLE_PER_CLASS = 24
"""Training photos of each class for the activation ranges.

Few are enough: the divergence with percentile 99.999 is 0.86 with 11 photos in all, 0.67 with 44, 0.56 with 264.  The
pass over 264 takes a minute on two busy cores.
"""

LEAST_SAMPLE = 8
"""Fewest training photos in all: 11 are the fewest that were measured, see above."""

LEAST_AGREEMENT = 98.5
"""Percentage of the test photos on which INT8 must agree with FP32."""


@dataclass(frozen=True)
class Treatment:
    """Which parts are INT8 besides the convolutions of the blocks.

    Divergence, equal predictions and time with percentile 99.999: with these defaults 0.56, 580, 0.300; with an INT8
    head 0.63, 580, 0.297; with a float first convolution 0.62, 579, 0.404.  The first convolution should be INT8: in
    float it takes a third more time, and predictions do not change beyond chance.  The head is a thousandth of the
    work, and its rounding goes directly into logits and class maps: with most methods INT8 diverges more.  Sums of
    branches are rounded once, after their ReLU, in the pass that adds them.
    """

    first: bool = True
    head: bool = False
