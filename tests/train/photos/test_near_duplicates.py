"""Near-duplicates are found whatever their order, with either way of counting bits, and the manifest learns of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from yoga_live.train.gather.add_files import add_folder
from yoga_live.train.photos import near_duplicates
from yoga_live.train.photos.manifest import DUPLICATE, OK, Manifest, ManifestRow, read_manifest
from yoga_live.train.photos.manifest_groups import fill_groups
from yoga_live.train.photos.near_duplicates import NEAR_BITS, group_hashes

steady = settings(deadline=None)
words = st.integers(0, 2**64 - 1)
few = st.one_of(words, st.sampled_from([0, 0xFF, 0xFFFF, 2**64 - 1, 0xFF << 56]))


def group_slowly(hashes: list[int], mirrors: list[int]) -> list[int]:
    """Flood through all pairs: no cleverness."""
    groups = [-1] * len(hashes)

    def is_near(i: int, j: int) -> bool:
        pairs = (hashes[i] ^ hashes[j], hashes[i] ^ mirrors[j], mirrors[i] ^ hashes[j])
        return min(bin(pair).count("1") for pair in pairs) <= NEAR_BITS

    for start in range(len(hashes)):
        edge = [start] if groups[start] < 0 else []
        number = max(groups) + 1
        while edge:
            i = edge.pop()
            groups[i] = number
            edge += [j for j in range(len(hashes)) if groups[j] < 0 and is_near(i, j)]
    return groups


def group(hashes: list[int], mirrors: list[int]) -> list[int]:
    return group_hashes(np.array(hashes, np.uint64), np.array(mirrors, np.uint64)).tolist()


@steady
@given(st.lists(st.tuples(few, few), max_size=25))
def test_groups_are_those_of_the_slow_way(photos: list[tuple[int, int]]) -> None:
    hashes, mirrors = [own for own, _ in photos], [mirrored for _, mirrored in photos]
    assert group(hashes, mirrors) == group_slowly(hashes, mirrors)


def test_long_chains_join_whatever_their_order() -> None:
    chain = [(1 << 6 * step) - 1 for step in range(11)]  # neighbours differ in 6 bits, the ends in 60
    far = [0xAAAAAAAAAAAAAAAA] * len(chain)
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(chain))
        assert group([chain[i] for i in order], far) == [0] * len(chain)


@steady
@given(st.lists(words, min_size=1, max_size=30))
def test_bits_are_counted_alike_with_and_without_the_processors_help(values: list[int]) -> None:
    array = np.array(values, np.uint64)
    expected = [bin(value).count("1") for value in values]
    assert near_duplicates.count_bits(array).tolist() == near_duplicates._add_bits(array).tolist() == expected


def save_photo(path: Path, seed: int, mirror: bool = False) -> None:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    photo = Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    (ImageOps.mirror(photo) if mirror else photo).save(path, quality=60 if mirror else 95)


def groups_by_name(photos: Path) -> dict[str, str]:
    return {row.url.rsplit("/", 1)[-1]: row.group for row in read_manifest(photos)}


def test_the_manifest_learns_groups_and_conflicts_across_poses(tmp_path: Path) -> None:
    save_photo(tmp_path / "one" / "a.jpg", 1)
    save_photo(tmp_path / "one" / "b.jpg", 2)
    save_photo(tmp_path / "two" / "mirrored.jpg", 1, mirror=True)
    (tmp_path / "two" / "text.jpg").write_text("no picture")
    photos = tmp_path / "photos"
    add_folder(tmp_path / "one", "tree", photos)
    assert (fill_groups(photos).groups, fill_groups(photos).conflicts) == (2, 0)
    before = groups_by_name(photos)
    add_folder(tmp_path / "two", "chair", photos)
    summary = fill_groups(photos)
    assert (summary.photos, summary.groups, summary.conflicts) == (3, 2, 1)
    groups = groups_by_name(photos)
    assert groups["a.jpg"] == groups["mirrored.jpg"] != groups["b.jpg"] == before["b.jpg"]
    assert groups["text.jpg"] == ""


def test_groups_keep_every_other_cell_and_a_second_filling_changes_nothing(tmp_path: Path) -> None:
    photo = ManifestRow("tree", "http://a/1", "ab" * 32, "0f" * 8, "640", "480", "", OK, "", "tree/ab.jpg", "f0" * 8)
    copy = ManifestRow("tree", "http://a/2", "ab" * 32, "0f" * 8, "640", "480", "", OK, "", "tree/ab.jpg", "f0" * 8)
    gone = ManifestRow("tree", "http://a/3", "cd" * 32, "0f" * 8, "9", "9", "", "removed", "blurred", "", "f0" * 8)
    with Manifest(tmp_path) as manifest:
        for row in (photo, copy, gone):
            manifest.add(row)
    fill_groups(tmp_path)
    first, second, third = read_manifest(tmp_path)
    assert (first.status, second.status, second.reason) == (OK, DUPLICATE, "same content: http://a/1")
    assert first.group == second.group == "ab" * 6
    assert third == gone
    text = (tmp_path / "manifest.csv").read_bytes()
    fill_groups(tmp_path)
    assert (tmp_path / "manifest.csv").read_bytes() == text


def test_a_folder_without_photos_has_no_groups(tmp_path: Path) -> None:
    assert fill_groups(tmp_path / "photos").groups == 0


@pytest.mark.slow
def test_twenty_thousand_photos_are_grouped_in_flat_memory() -> None:
    import tracemalloc

    rng = np.random.default_rng(0)
    hashes, mirrors = (rng.integers(0, 2**64, 20_000, dtype=np.uint64) for _ in range(2))
    hashes[::4] = hashes[0]  # a quarter is one picture
    tracemalloc.start()
    groups = group_hashes(hashes, mirrors)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (groups[::4] == 0).all() and groups.max() >= 14_900
    assert peak < 20_000_000


def test_poses_in_one_room_are_no_conflict_in_the_manifest(one_room: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for pose in ("goddess", "warrior_2", "tree"):
        add_folder(one_room / pose, pose, photos)
    summary = fill_groups(photos)
    assert (summary.photos, summary.conflicts) == (30, 0) and summary.groups < 15  # one room looks alike
    shutil.copy(one_room / "tree" / "0.jpg", one_room / "chair" / "wrong.jpg")
    add_folder(one_room / "chair", "chair", photos)
    assert fill_groups(photos).conflicts == 1
    for photo in photos.glob("chair/*.jpg"):
        photo.unlink()
    assert fill_groups(photos).conflicts == 0  # photos that are gone are no trouble
