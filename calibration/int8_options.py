"""What may be asked of INT8 and what is taken otherwise, each as it was measured; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

METHOD_CHOICES = ("auto", "minmax", "percentile", "entropy")

SAMPLE_PER_CLASS = 24
"""Training photos of each class that the activations' ranges are taken from."""

LEAST_SAMPLE = 8
"""Photos under which ranges are chance."""

LEAST_AGREEMENT = 98.5
"""Per cent of the test photos on which INT8 is to give FP32's answer."""


@dataclass(frozen=True)
class Treatment:
    """Which parts are INT8 beside the convolutions of the blocks."""

    first: bool = True
    head: bool = False
    adds: bool = True
