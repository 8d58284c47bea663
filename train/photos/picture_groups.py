"""Groups of copies of one picture, each pair of them verified, so that no chain leads through a room."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ...runtime.core.opencv import cv2
from ...runtime.core.types import Frame
from .folder import Photo
from .near_duplicates import SAME_BITS, count_bits, group_hashes
from .same_picture import DIFFERENCE_LIMIT, LEAST_CONTRAST, Template, make_basis

CANDIDATE_BITS = 20
"""Of 64 hash bits: a crop by 5 % changes up to 20, a smaller copy or one that was compressed again up to 4."""
COARSE_SIDE, COARSE_LIMIT = 16, 0.35
"""The cheap test before: the part of a 16 x 16 picture that no small shift or stretch of the other explains."""
NEAREST, MISSES = 8, 4
"""Candidates of a photo that are compared in full, likeliest first, until so many in a row are no copies: in one room
every other photo is a candidate."""
WITNESSES, AGREEING = 4, 0.75
"""Members of a group, from all over it, that those of another are compared with; so many pairs must be copies."""


def find_pictures(photos: tuple[Photo, ...], thumbnails: Frame | None, *, mirror: bool = True) -> npt.NDArray[np.int64]:
    """Number the pictures of photos, int (N,): copies of one share a number.  See `group_pictures`.

    Without thumbnails, uint8 (N, S, S), by the hashes alone, which take two poses in one room for one picture.
    """
    hashes = np.array([photo.phash for photo in photos], dtype=np.uint64)
    mirrors = np.array([photo.mirror_phash for photo in photos], dtype=np.uint64)
    if thumbnails is None:
        return group_hashes(hashes, mirrors if mirror else hashes, SAME_BITS)
    return group_pictures(hashes, mirrors, thumbnails, mirror=mirror)


def group_pictures(
    hashes: npt.NDArray[np.uint64], mirrors: npt.NDArray[np.uint64], thumbnails: Frame, *, mirror: bool = True
) -> npt.NDArray[np.int64]:
    """Group copies of one picture: scaled, compressed again, cropped by a few percent, brighter, mirrored.

    hashes, mirrors: uint64 (N,), see `hash_photo`; thumbnails: uint8 (N, S, S), see `make_thumbnail`; mirror: whether a
    mirror image is a copy.  Returns group numbers in order of appearance, int (N,); the partition does not depend on
    that order.
    """
    digests = (hashlib.blake2b(small.tobytes(), digest_size=16).digest() for small in thumbnails)
    keys = list(zip(hashes.tolist(), digests, strict=True))
    unique = sorted(set(keys))
    place = {key: number for number, key in enumerate(unique)}
    copies = np.array([place[key] for key in keys], np.int64)
    firsts = np.zeros(len(unique), np.int64)
    firsts[copies[::-1]] = np.arange(len(keys))[::-1]
    finder = _PictureFinder(hashes[firsts], mirrors[firsts], thumbnails[firsts] if len(firsts) else thumbnails, mirror)
    groups = finder.group()
    _, first_places, numbers = np.unique(groups[copies], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first_places))[numbers.reshape(-1)]


class _PictureFinder:
    def __init__(
        self, hashes: npt.NDArray[np.uint64], mirrors: npt.NDArray[np.uint64], thumbnails: Frame, mirror: bool
    ) -> None:
        self._own, self._mirrored, self._thumbnails, self._mirror = hashes, mirrors, thumbnails, mirror
        self._make_template = lru_cache(maxsize=512)(lambda i: Template(thumbnails[i]))
        self._measured: dict[tuple[int, int], float] = {}

    def group(self) -> npt.NDArray[np.int64]:
        """Join the closest pairs first, and two groups only if they are copies of each other throughout."""
        pairs = sorted((self._measure(i, j), i, j) for i, j in self._find_candidates())
        members = [[i] for i in range(len(self._own))]
        groups = np.arange(len(self._own))
        for difference, i, j in pairs:
            if difference > DIFFERENCE_LIMIT:
                break
            one, other = sorted((int(groups[i]), int(groups[j])))
            if one != other and self._agree(members[one], members[other]):
                groups[members[other]] = one
                members[one] = sorted(members[one] + members[other])
        return groups

    def _agree(self, one: list[int], other: list[int]) -> bool:
        pairs = [(max(i, j), min(i, j)) for i in _choose_witnesses(one) for j in _choose_witnesses(other)]
        misses = 0
        for i, j in pairs:
            misses += self._measure(i, j) > DIFFERENCE_LIMIT
            if misses > (1 - AGREEING) * len(pairs):
                return False
        return True

    def _find_candidates(self) -> Iterator[tuple[int, int]]:
        """Pairs (i, j), j < i, that may be copies: by the hashes, then by a coarse comparison, the nearest alone."""
        straight, flipped = _make_features(self._thumbnails), _make_features(self._thumbnails[:, :, ::-1])
        for i in range(1, len(self._own)):
            near, turned = self._compare_hashes(i, slice(0, i))
            rest = np.full(i, np.inf)
            basis = _make_coarse_basis(self._thumbnails[i])
            for is_near, features in ((near, straight), (turned, flipped)):
                if len(found := np.flatnonzero(is_near)):
                    explained = ((features[found] @ basis) ** 2).sum(axis=1)
                    rest[found] = np.minimum(rest[found], 1 - explained)
            likely = np.flatnonzero(rest <= COARSE_LIMIT**2)
            misses = 0
            for j in likely[np.argsort(rest[likely], kind="stable")[:NEAREST]].tolist():
                misses = misses + 1 if self._measure(i, j) > DIFFERENCE_LIMIT else 0
                yield i, j
                if misses == MISSES:
                    break

    def _compare_hashes(self, i: int, others: slice) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Whether the hashes of others are near the one of photo i, and whether their mirror images are."""
        near = count_bits(self._own[others] ^ self._own[i]) <= CANDIDATE_BITS
        if not self._mirror:
            return near, np.zeros_like(near)
        turned = count_bits(self._mirrored[others] ^ self._own[i]) <= CANDIDATE_BITS
        return near, turned | (count_bits(self._own[others] ^ self._mirrored[i]) <= CANDIDATE_BITS)

    def _measure(self, i: int, j: int) -> float:
        """Difference of two pictures, j < i, the smaller one of straight and mirrored; infinite if no candidates."""
        if (known := self._measured.get((i, j))) is not None:
            return known
        near, turned = (bool(found[0]) for found in self._compare_hashes(i, slice(j, j + 1)))
        found = float("inf")
        if near:
            found = self._make_template(i).measure_difference(self._thumbnails[j])
        if turned and found > DIFFERENCE_LIMIT:
            mirrored = np.ascontiguousarray(self._thumbnails[j][:, ::-1])
            found = min(found, self._make_template(i).measure_difference(mirrored))
        self._measured[i, j] = found
        return found


def _choose_witnesses(members: list[int]) -> list[int]:
    if len(members) <= WITNESSES:
        return members
    return [members[i] for i in np.linspace(0, len(members) - 1, WITNESSES).astype(int)]


def _shrink_coarse(thumbnail: Frame) -> npt.NDArray[np.float32]:
    small = cv2.resize(thumbnail.astype(np.float32), (COARSE_SIDE, COARSE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.float32)


def _make_features(thumbnails: Frame) -> npt.NDArray[np.float32]:
    """Coarse pictures without their rims, float32 (N, 196), of mean 0 and length 1."""
    features = np.zeros((len(thumbnails), (COARSE_SIDE - 2) ** 2), np.float32)
    for row, thumbnail in zip(features, thumbnails, strict=True):
        row[:] = _shrink_coarse(thumbnail)[1:-1, 1:-1].reshape(-1)
    features -= features.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, LEAST_CONTRAST * (COARSE_SIDE - 2))


def _make_coarse_basis(thumbnail: Frame) -> npt.NDArray[np.float32]:
    """Orthonormal basis of what small changes make of a picture, float32 (196, 6) (Simard et al. 1993)."""
    basis = make_basis(_shrink_coarse(thumbnail))[1:-1, 1:-1].reshape(-1, 6)
    return np.linalg.qr(basis)[0].astype(np.float32)
