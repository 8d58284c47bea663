"""Precision: the machine's own, or one that all machines can sum gradients in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.fit.precision import Precision, choose_precision


@dataclass(frozen=True)
class BesideOther(Workers):
    """One of two workers; the other is fast at `other`."""

    count: int = 2
    other: str = ""

    def all_gather_object(self, value: Any) -> list[Any]:
        return [value, self.other or value]


def test_machines_that_are_fast_at_the_same_keep_it_and_others_meet_at_float32() -> None:
    own = Precision(torch.device("cpu")).name
    assert choose_precision(Workers()).name == choose_precision(BesideOther()).name == own
    assert choose_precision(BesideOther(other="float16")).name == "float32"


def test_float32_means_no_autocast_and_no_scaling() -> None:
    precision = choose_precision(BesideOther(other="float16"))
    with precision.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.float32 and not precision.scaler.is_enabled()
