"""The data set of a training: some of a folder's photos.  Needs PyTorch only to draw an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PhotoDataset:
    """Some of a folder's photos.

    frames: uint8 (M, S, S, 3) BGR, may be a file on disk; targets: int64 (N,); rows: int (N,), indices of the frames,
    None: all in order; sizes_wh: int64 (N, 2), original width and height of the photos, zeros or None if unknown;
    scenes: int64 (K,), which of the N show a place without a pose, to be put behind people; kinds: int64 (N,), number
    of the kind inside the pose, -1 if unknown, None without kinds; weights: float (N,), relative frequency of drawing
    each, None: rare poses more often (`balance`); partners: int64 (C,), the class of a mirror image of each class,
    None: the same; crops: int64 (N, 4), left, top, width and height of the person's crop in the frame, zeros where
    nobody is found, None: no photo is cropped.
    """

    frames: npt.NDArray[np.uint8]
    targets: Numbers
    rows: Numbers | None = None
    sizes_wh: Numbers | None = None
    scenes: Numbers | None = None
    kinds: Numbers | None = None
    weights: npt.NDArray[np.floating] | None = None
    partners: Numbers | None = None
    crops: Numbers | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def kind_count(self) -> int:
        """Number of kinds; 0 if there are none."""
        return 0 if self.kinds is None else int(self.kinds.max(initial=-1)) + 1

    def take(self, indices: npt.NDArray[np.integer] | slice) -> npt.NDArray[np.uint8]:
        """Read frames, uint8 (n, S, S, 3) BGR, of some of these photos into memory."""
        return np.array(self.frames[indices if self.rows is None else self.rows[indices]])

    def swap_targets(self, targets: Tensor, is_mirrored: Tensor) -> Tensor:
        """Classes of photos of which some are mirrored.  targets: int64 (n,), as they are; is_mirrored: bool (n,)."""
        if self.partners is None:
            return targets
        import torch

        return torch.where(is_mirrored, torch.from_numpy(self.partners)[targets], targets)

    @property
    def draw_weights(self) -> npt.NDArray[np.floating]:
        """Relative frequency of drawing each photo, float (N,)."""
        return balance(self.targets) if self.weights is None else self.weights

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw an epoch's photos, int64 (N,), with replacement."""
        import torch

        return torch.multinomial(torch.from_numpy(self.draw_weights), len(self), True, generator=generator)


def balance(targets: Numbers, parts: Numbers | None = None) -> npt.NDArray[np.floating]:
    """Compute how often to draw each photo, float (N,): a pose by the square root of its number of photos.

    parts: int64 (N,), the part of its pose that a photo belongs to.  Inside a pose the parts are also drawn by square
    roots, so that thousands of other asanas do not outnumber a few people standing.
    """
    counts = np.bincount(targets).astype(float)
    if parts is None:
        return 1 / np.sqrt(counts[targets])
    weights = np.zeros(len(targets))
    for pose in np.unique(targets):
        rows = np.flatnonzero(targets == pose)
        _, own, sizes = np.unique(parts[rows], return_inverse=True, return_counts=True)
        roots = np.sqrt(sizes)
        weights[rows] = np.sqrt(len(rows)) * (roots / roots.sum() / sizes)[own.reshape(-1)]
    return weights
