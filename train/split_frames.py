"""Some of a folder's photos, as a training is given them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SplitFrames:
    """Some of a folder's photos.

    frames: uint8 (M, S, S, 3) BGR, may be a file on disk; targets: int64 (N,); rows: int (N,), which of the frames
    they are, all of them in order if None; sizes_wh: int64 (N, 2), width and height of the photos as they came, zeros
    or None if not known; scenes: int64 (K,), which of the N show a place without a pose, to be put behind people.
    """

    frames: npt.NDArray[np.uint8]
    targets: Numbers
    rows: Numbers | None = None
    sizes_wh: Numbers | None = None
    scenes: Numbers | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, indices: npt.NDArray[np.integer] | slice) -> npt.NDArray[np.uint8]:
        """Frames uint8 (n, S, S, 3) BGR of some of these photos, in memory."""
        return np.array(self.frames[indices if self.rows is None else self.rows[indices]])
