"""Key points of people who hold no yoga pose: numbers alone, for training what `none` is from key points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runtime.people import People
from .cache import PhotoPeople

NUMBERS = Path(__file__).parent / "none_keypoints.npz"
SIDE = 1000
"""The longer side of each photo, to which its numbers are scaled."""


@dataclass(frozen=True)
class NoneKeypoints:
    """People at other exercises and at home, of N photos that are not shipped; each photo shows somebody.

    Some exercises are what others train as a class, such as `exercise/side_plank`: leave out those kinds then.

    photos: the people of each, as `find_people` finds them; the longer side of each photo is 1000 pixels.
    kinds: what they do, such as `exercise/weights` or `home/sitting`, N.
    sources: number of the person or collection that each photo is from, N; photos of one resemble each other.
    """

    photos: tuple[PhotoPeople, ...]
    kinds: tuple[str, ...]
    sources: tuple[int, ...]


def load_none_keypoints() -> NoneKeypoints:
    """Load the shipped numbers.  docs/explanation/licences.md says what they are from."""
    with np.load(NUMBERS, allow_pickle=False) as arrays:
        people = People(
            arrays["boxes"].astype(np.float32),
            arrays["keypoints"].astype(np.float32),
            arrays["keypoint_scores"].astype(np.float32) / 255,
            arrays["scores"].astype(np.float32) / 255,
        )
        ends, sizes_wh = np.cumsum(arrays["count"]), arrays["size_wh"].tolist()
        kinds = tuple(str(arrays["names"][number]) for number in arrays["kind"])
        sources = tuple(arrays["source"].tolist())
        counts = arrays["count"].tolist()
    photos = tuple(
        PhotoPeople(people.select(np.arange(end - count, end)), (width, height))
        for end, count, (width, height) in zip(ends.tolist(), counts, sizes_wh, strict=True)
    )
    return NoneKeypoints(photos, kinds, sources)
