"""Finds plain backdrops of studio photos, so that a room can be put behind the person.

Scraped photos mostly show people in front of one colour, which cameras at home never do.  A network that sees both
learns the person.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...runtime.core.preprocess import fit_inside
from ...runtime.core.types import Frame
from ...runtime.system.progress import Progress
from ..distributed.collectives import Workers
from ..people.crops import cut_people
from ..photos.dataset import Numbers, PhotoDataset
from .augmentation import Draws, Scenery, augment_frames
from .config import Augmentation

TOLERANCE = 9  # levels per channel around the colour at a starting point
SAME = 4  # levels around the backdrop's median, for areas enclosed by an arm or a leg
SEED_STEP = 6  # pixels between starting points
SIDES_SHARE = 0.75  # fraction of the height: below are floor and feet
PLAIN_EDGE = 0.85  # minimum fraction of the edge that is backdrop, else the photo has none
LEAST, MOST = 0.3, 0.92  # fraction of the photo covered by a backdrop; more leaves no person
"""68 % of 7,955 scraped photos get a backdrop; about nine in ten of 50 that were checked outline the person."""


def find_backdrop(photo_bgr: Frame) -> npt.NDArray[np.bool_]:
    """Find the plain backdrop, bool (h, w), all False if there is none.  photo_bgr: uint8 (h, w, 3), without bars.

    Filled from the upper edges, with the colour of each starting point; then enclosed spots of the same colour, if it
    is one colour.
    """
    height, width = photo_bgr.shape[:2]
    none = np.zeros((height, width), dtype=bool)
    if min(height, width) < 16:
        return none
    image = np.ascontiguousarray(photo_bgr)
    filled = np.zeros((height + 2, width + 2), np.uint8)
    low = round(height * SIDES_SHARE)
    seeds = [(x, 1) for x in range(2, width - 2, SEED_STEP)]
    seeds += [(x, y) for y in range(1, low, SEED_STEP) for x in (1, width - 2)]
    flags = 4 | (1 << 8) | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    for x, y in seeds:
        if not filled[y + 1, x + 1]:
            cv2.floodFill(image, filled, (x, y), 0, (TOLERANCE,) * 3, (TOLERANCE,) * 3, flags)
    mask = filled[1:-1, 1:-1]
    if mask.any():
        pixels = image[mask > 0].astype(np.int16)
        median = np.median(pixels, axis=0)
        if (np.abs(pixels - median).max(axis=1) <= SAME).mean() > 0.6:
            mask = mask | (np.abs(image.astype(np.int16) - median).max(axis=2) < SAME)
    square = np.ones((3, 3), np.uint8)
    mask = cv2.morphologyEx(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, square), cv2.MORPH_OPEN, square)
    found = np.asarray(mask, dtype=bool)
    edge = np.concatenate([found[1], found[:low, 1], found[:low, -2]])
    return found if edge.mean() > PLAIN_EDGE and LEAST < found.mean() < MOST else none


@dataclass(frozen=True)
class Surroundings:
    """The replaceable surroundings of the people in a split, and the replacements.

    photos: the split; areas: int64 (N, 4), left, top, width and height of each photo inside its bars; backdrops: uint8
    (N, S, ceil(S/8)), one bit a pixel; scenes: int64 (K,), which photos of the split show places without a pose.
    """

    photos: PhotoDataset
    areas: Numbers
    backdrops: npt.NDArray[np.uint8]
    scenes: Numbers

    def augment(self, rows: npt.NDArray[np.integer], size: int, draws: Draws, device: torch.device) -> Tensor:
        """Augment photos of the split, float (n, size, size, 3) BGR, 0 to 255.  draws: their random numbers."""
        frames, scenery = self.photos.take(rows), self.gather(rows, draws)
        if self.photos.crops is not None:
            cut_people(frames, scenery.keep.numpy(), self.photos.crops[rows], draws.person.numpy())
        return augment_frames(torch.from_numpy(frames).to(device), size, draws, scenery)

    def gather(self, rows: npt.NDArray[np.integer], draws: Draws) -> Scenery:
        """Compute the surroundings of some photos of the split.  draws: their random numbers."""
        size = self.photos.frames.shape[1]
        keep = np.zeros((len(rows), 1, size, size), np.float32)
        for mask, row, without_backdrop in zip(keep[:, 0], rows, draws.cut.tolist(), strict=True):
            left, top, width, height = self.areas[row]
            mask[top : top + height, left : left + width] = 1
            if without_backdrop:
                mask *= 1 - np.unpackbits(self.backdrops[row], axis=1)[:, :size].astype(np.float32)
        places = np.zeros((len(rows), size, size, 3), np.uint8)
        areas = np.zeros((len(rows), 4), np.float32)
        drawn = np.flatnonzero(draws.scene.numpy() >= 0)
        if len(drawn):
            chosen = self.scenes[draws.scene.numpy()[drawn]]
            places[drawn], areas[drawn] = self.photos.take(chosen), self.areas[chosen] / size
        return Scenery(torch.from_numpy(keep), torch.from_numpy(places), torch.from_numpy(areas))


def find_surroundings(photos: PhotoDataset, ranges: Augmentation, workers: Workers | None = None) -> Surroundings:
    """Look for the backdrop of every photo of a split, in threads (2 ms each), if backdrops are replaced.

    workers: they divide the work; all get the whole result.
    """
    workers = workers or Workers()
    size = photos.frames.shape[1]
    sizes_wh = np.zeros((len(photos), 2), np.int64) if photos.sizes_wh is None else photos.sizes_wh
    areas = np.array([_find_area((int(w), int(h)), size) for w, h in sizes_wh], dtype=np.int64).reshape(-1, 4)
    own = workers.own_slice(len(photos))
    backdrops = np.zeros((own.stop - own.start, size, (size + 7) // 8), np.uint8)

    def find(row: int) -> None:
        left, top, width, height = areas[row]
        mask = np.zeros((size, size), dtype=bool)
        frame = photos.take(slice(row, row + 1))[0]
        mask[top : top + height, left : left + width] = find_backdrop(frame[top : top + height, left : left + width])
        backdrops[row - own.start] = np.packbits(mask, axis=1)

    if ranges.background and ranges.cut:
        with ThreadPoolExecutor() as pool, Progress("backdrops", len(backdrops), "photos") as progress:
            for _ in pool.map(find, range(own.start, own.stop)):
                progress.advance()
    backdrops = workers.all_gather(torch.from_numpy(backdrops), len(photos)).numpy()
    scenes = np.empty(0, np.int64) if photos.scenes is None else photos.scenes
    return Surroundings(photos, areas, backdrops, scenes)


def _find_area(size_wh: tuple[int, int], size: int) -> tuple[int, int, int, int]:
    """Compute the photo's area inside its bars, less one pixel per side: decoding at a lower size rounds its sides."""
    if not all(size_wh):
        return 0, 0, size, size
    left, top, width, height = fit_inside(size_wh, size)
    return (left + 1, top + 1, width - 2, height - 2) if min(width, height) > 8 else (left, top, width, height)
