"""Photos that look alike into groups by their perceptual hashes: copies, but also photos of one room."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .folder import Photo

NEAR_BITS = 8
"""Two photos look alike when at most this many of the 64 hash bits differ."""
SAME_BITS = 4
"""Copies scaled, mirrored or compressed again differ in 0 to 2 bits, but so do two poses in one room: see
`picture_groups`, which looks at the pictures."""


def group_photos(photos: tuple[Photo, ...], bits: int = NEAR_BITS, *, mirror: bool = True) -> npt.NDArray[np.int64]:
    """Group near-duplicates transitively and across poses, photos of one room too.  Returns group numbers, int (N,).

    mirror: mirror images too.
    """
    hashes = np.array([photo.phash for photo in photos], dtype=np.uint64)
    mirrors = np.array([photo.mirror_phash for photo in photos], dtype=np.uint64)
    return group_hashes(hashes, mirrors if mirror else hashes, bits)


def group_hashes(
    hashes: npt.NDArray[np.uint64], mirrors: npt.NDArray[np.uint64], bits: int = NEAR_BITS
) -> npt.NDArray[np.int64]:
    """Group photos whose hashes, uint64 (N,), differ in at most `bits` bits, transitively.

    Returns group numbers in order of appearance, int (N,); the groups do not depend on that order.  Each photo is
    compared with all before it, one row at a time, so that memory use is constant; exact copies are compared once.
    """
    pairs, copies = np.unique(np.stack([hashes, mirrors], axis=1), axis=0, return_inverse=True)
    own, mirrored = np.ascontiguousarray(pairs.T)
    groups = np.arange(len(pairs))
    for i in range(1, len(pairs)):
        near = count_bits(own[:i] ^ own[i]) <= bits
        near |= count_bits(mirrored[:i] ^ own[i]) <= bits  # a mirror image hashes a little differently each way
        near |= count_bits(own[:i] ^ mirrored[i]) <= bits
        if near.any():
            found = groups[:i][near]
            groups[i] = found.min()
            joined = found[found != groups[i]]
            if len(joined):
                groups[:i][np.isin(groups[:i], joined)] = groups[i]
    _, firsts, numbers = np.unique(groups[copies.reshape(-1)], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[numbers.reshape(-1)]


def count_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Count the bits that are set, one number for each value."""
    if hasattr(np, "bitwise_count"):  # numpy 2: the processor's own instruction
        return np.bitwise_count(values)
    return _add_bits(values)


def _add_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Add neighbouring bits, pairs, then fours, inside the 64-bit words (Warren, Hacker's Delight, 5-1)."""
    ones, pairs, fours, eights = (np.uint64(0x0101010101010101 * mask) for mask in (0x01, 0x55, 0x33, 0x0F))
    values = values - ((values >> np.uint64(1)) & pairs)
    values = (values & fours) + ((values >> np.uint64(2)) & fours)
    values = (values + (values >> np.uint64(4))) & eights
    return ((values * ones) >> np.uint64(56)).astype(np.uint8)
