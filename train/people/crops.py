"""The person's part of a letterboxed photo: where it is, and how it looks in the network's input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from ...runtime.core.opencv import cv2
from ...runtime.core.preprocess import fit_inside, letterbox
from ...runtime.core.types import Frame
from ...runtime.people.framing import frame_person
from ..photos.dataset import Numbers, PhotoDataset
from ..photos.folder import Photo
from .cache import PhotoPeople
from .finding import choose_person

SMALLEST_PX = 2  # a crop of fewer pixels of the letterboxed photo shows nothing


def find_crops(photos: Iterable[Photo], found: Mapping[str, PhotoPeople], size: int) -> Numbers:
    """Find the person's crop in each letterboxed photo, as `frame_person` chooses it in the whole one.

    found: path -> people, as `find_people` returns them.  size: side of the letterboxed photos, pixels.
    Returns int64 (N, 4): left, top, width and height in pixels of the letterboxed photo; zeros where nobody is found.
    """
    crops = [_find_crop(found.get(photo.path), size) for photo in photos]
    return np.array(crops, np.int64).reshape(-1, 4)


def _find_crop(found: PhotoPeople | None, size: int) -> tuple[int, int, int, int]:
    nobody = (0, 0, 0, 0)
    chosen = None if found is None else choose_person(found.people)
    if found is None or chosen is None:
        return nobody
    region = frame_person(found.people.boxes[chosen], found.size_wh)
    left, top, width, height = fit_inside(found.size_wh, size)
    scale_x, scale_y = width / found.size_wh[0], height / found.size_wh[1]
    first_x, first_y = left + round(region.left * scale_x), top + round(region.top * scale_y)
    last_x = left + round((region.left + region.width) * scale_x)
    last_y = top + round((region.top + region.height) * scale_y)
    if min(last_x - first_x, last_y - first_y) < SMALLEST_PX:
        return nobody
    return first_x, first_y, last_x - first_x, last_y - first_y


def crop_photos(photos: PhotoDataset) -> PhotoDataset:
    """Make the same photos, in memory, each letterboxed anew from its person's crop; whole where it has none."""
    frames = photos.take(slice(None))
    crops = np.zeros((len(photos), 4), np.int64) if photos.crops is None else photos.crops
    keep = np.ones((1, 1, *frames.shape[1:3]), np.float32)
    for row in range(len(frames)):
        cut_people(frames[row : row + 1], keep, crops[row : row + 1], np.array([True]))
    return PhotoDataset(frames, photos.targets)


def cut_people(frames: Frame, keep: npt.NDArray[np.float32], crops: Numbers, is_cut: npt.NDArray[np.bool_]) -> None:
    """Replace letterboxed photos by the letterboxed crop of their person, where there is one, in place.

    frames: uint8 (N, S, S, 3) BGR.  keep: float32 (N, 1, S, S), which of their pixels show the photo, cut alike, with
    zeros outside.  crops: int64 (N, 4), as `find_crops` returns them.  is_cut: bool (N,), which photos to replace.
    """
    size = frames.shape[1]
    for row in np.flatnonzero(is_cut & (crops[:, 2] > 0)):
        left, top, width, height = crops[row].tolist()
        part = slice(top, top + height), slice(left, left + width)
        inner_left, inner_top, inner_w, inner_h = fit_inside((width, height), size)
        mask = cv2.resize(keep[row, 0][part], (inner_w, inner_h), interpolation=cv2.INTER_LINEAR)
        frames[row] = letterbox(frames[row][part], size)
        keep[row] = 0
        keep[row, 0, inner_top : inner_top + inner_h, inner_left : inner_left + inner_w] = mask
