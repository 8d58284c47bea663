"""Near-duplicates share a group, a group lies in one split, every pose is in every split."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from yoga_live.runtime.errors import OptionError, RunError
from yoga_live.train.photos import HELD_OUT_SHARE
from yoga_live.train.photos.folder import Photo, read_photos
from yoga_live.train.photos.near_duplicates import NEAR_BITS, group_photos
from yoga_live.train.photos.splits import assign_folds, assign_sources, split_as_before, split_groups

SPLITS = {"train", "validation", "test"}


def make_photo(pose: str, phash: int = 0, name: str = "a.jpg", mirror_phash: int | None = None) -> Photo:
    return Photo(f"{pose}/{name}", pose, "", phash, phash ^ (2**64 - 1) if mirror_phash is None else mirror_phash)


def make_groups(sizes: dict[str, list[int]]) -> tuple[tuple[Photo, ...], np.ndarray]:
    """Photos of each pose in groups of these sizes."""
    photos, groups = [], []
    for pose, counts in sizes.items():
        for count in counts:
            groups += [len(set(groups))] * count
            photos += [make_photo(pose, name=f"{len(photos) + i}.jpg") for i in range(count)]
    return tuple(photos), np.array(groups)


def splits_by_pose(photos: tuple[Photo, ...], splits: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for photo, split in zip(photos, splits, strict=True):
        found[photo.pose].append(split)
    return found


def test_resized_reencoded_and_mirrored_copies_join_the_group_of_their_original(
    drawn_photos: Path, tmp_path: Path
) -> None:
    for original in sorted(drawn_photos.glob("*/0*")):
        picture = Image.open(original).convert("RGB")
        folder = tmp_path / original.parent.name
        folder.mkdir(exist_ok=True)
        picture.save(folder / f"{original.stem}_original.png")
        picture.save(folder / f"{original.stem}_encoded.jpg", quality=40)
        picture.resize((picture.width * 2, picture.height * 2)).save(folder / f"{original.stem}_larger.webp")
        picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)).save(folder / f"{original.stem}_small.jpg")
        ImageOps.mirror(picture).save(folder / f"{original.stem}_mirrored.jpg", quality=85)
    photos = read_photos(tmp_path, 64).photos
    members: dict[int, set[str]] = defaultdict(set)
    for photo, group in zip(photos, group_photos(photos), strict=True):
        members[int(group)].add(photo.path.split("_")[0] + photo.pose)
    assert len(photos) == 5 * 40
    assert len(members) == 40 and all(len(originals) == 1 for originals in members.values())


def test_different_drawings_stay_apart(drawn_photos: Path) -> None:
    photos = read_photos(drawn_photos, 64).photos
    assert len(set(group_photos(photos).tolist())) == len(photos)


def test_photos_are_near_up_to_the_last_allowed_bit() -> None:
    near, far = 2**NEAR_BITS - 1, 2 ** (NEAR_BITS + 1) - 1
    assert group_photos((make_photo("tree", 0), make_photo("tree", near))).tolist() == [0, 0]
    assert group_photos((make_photo("tree", 0), make_photo("tree", far))).tolist() == [0, 1]


def test_groups_are_transitive_and_cross_poses() -> None:
    chain = (make_photo("tree", 0), make_photo("plank", 0xFFFF), make_photo("tree", 0xFF))
    assert group_photos(chain).tolist() == [0, 0, 0]


def test_a_mirror_image_of_another_pose_folder_joins_the_group() -> None:
    one = make_photo("tree", 0x0F0F, mirror_phash=0xABCDEF0123456789)
    other = make_photo("plank", 0xABCDEF0123456789, mirror_phash=0x0F0F)
    assert group_photos((one, other)).tolist() == [0, 0]


def test_no_photos_have_no_groups() -> None:
    assert group_photos(()).tolist() == []


@pytest.mark.parametrize("seed", range(60))
def test_no_group_straddles_splits_and_every_pose_is_in_each_split(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = {
        pose: (rng.pareto(0.8, int(rng.integers(3, 40))) + 1).clip(max=200).astype(int).tolist()
        for pose in ("chair", "plank", "tree", "none")
    }
    photos, groups = make_groups(sizes)
    order = rng.permutation(len(photos))
    photos, groups = tuple(photos[int(i)] for i in order), groups[order]
    splits = split_groups(photos, groups, seed)
    for group in set(groups.tolist()):
        assert len({split for split, own in zip(splits, groups, strict=True) if own == group}) == 1
    for pose, own in splits_by_pose(photos, splits).items():
        assert set(own) == SPLITS, (pose, sizes[pose])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("sizes", [[100, 1, 1], [1, 1, 100, 1], [50, 2, 2, 2, 1], [1, 1, 1], [9, 9, 9], [40, 40, 1]])
def test_one_huge_group_of_copies_is_trained_on_and_leaves_photos_to_hold_out(sizes: list[int], seed: int) -> None:
    photos, groups = make_groups({"tree": sizes, "plank": [1] * 20})
    tree = splits_by_pose(photos, split_groups(photos, groups, seed))["tree"]
    assert set(tree) == SPLITS
    assert tree.count("train") >= max(sizes)


def test_each_pose_holds_out_its_share() -> None:
    photos, groups = make_groups({"tree": [1] * 200, "plank": [2, 1, 1] * 25})
    for pose, own in splits_by_pose(photos, split_groups(photos, groups, 3)).items():
        for split in ("test", "validation"):
            assert own.count(split) / len(own) == pytest.approx(HELD_OUT_SHARE, abs=0.02), pose


def test_one_seed_gives_one_split_and_another_seed_another() -> None:
    photos, groups = make_groups({"tree": [1, 2, 1, 3] * 10, "plank": [1] * 40})
    first = split_groups(photos, groups, 7)
    assert split_groups(photos, groups, 7) == first
    assert split_groups(photos, groups, 8) != first


@pytest.mark.parametrize("seed", range(20))
def test_train_only_photos_and_their_near_duplicates_are_never_held_out(seed: int) -> None:
    photos, groups = make_groups({"tree": [1] * 20 + [3, 3], "plank": [1] * 20})
    drawn = tuple(
        make_photo(photo.pose, name=f"drawn__{i}.png") if i % 5 == 0 or i == 20 else photo
        for i, photo in enumerate(photos)
    )
    splits = split_groups(drawn, groups, seed, "drawn__*")
    kept = {int(group) for photo, group in zip(drawn, groups, strict=True) if "drawn__" in photo.path}
    assert len(kept) > 8
    assert {split for split, group in zip(splits, groups, strict=True) if int(group) in kept} == {"train"}
    assert all(set(own) == SPLITS for own in splits_by_pose(drawn, splits).values())


def test_too_few_independent_photos_are_refused_by_pose_however_many_copies_there_are() -> None:
    photos, groups = make_groups({"tree": [30, 30], "plank": [1] * 9})
    with pytest.raises(RunError, match=r"'tree' has 2 independent photos .* add more"):
        split_groups(photos, groups, 0)


def test_photos_that_only_train_do_not_count_as_photos_to_hold_out() -> None:
    photos, groups = make_groups({"tree": [1] * 9, "plank": [1] * 9})
    drawn = tuple(make_photo(p.pose, name="drawn__1.png") if p.pose == "tree" else p for p in photos)
    with pytest.raises(RunError, match="'tree' has 0 independent photos"):
        split_groups(drawn, groups, 0, "drawn__*")


def test_folds_keep_groups_whole_and_spread_each_pose_evenly() -> None:
    photos, groups = make_groups({"tree": [1] * 40 + [6, 4], "plank": [2] * 10, "none": [1] * 25})
    folds = assign_folds(photos, groups, 5, seed=1)
    for group in set(groups.tolist()):
        assert len(set(folds[groups == group].tolist())) == 1
    for pose in ("tree", "plank", "none"):
        of_pose = [fold for photo, fold in zip(photos, folds.tolist(), strict=True) if photo.pose == pose]
        counts = np.bincount(of_pose, minlength=5)
        assert counts.min() > 0 and counts.max() - counts.min() <= 2, (pose, counts)
    assert (assign_folds(photos, groups, 5, seed=1) == folds).all()
    assert (assign_folds(photos, groups, 5, seed=2) != folds).any()


def test_a_pose_with_fewer_groups_than_folds_is_refused_by_name() -> None:
    photos, groups = make_groups({"tree": [1] * 10, "plank": [5, 1, 1]})
    with pytest.raises(RunError, match=r"pose 'plank' has 3 independent photos, too few for --folds 5"):
        assign_folds(photos, groups, 5, seed=0)


def test_what_was_held_out_is_held_out_again_with_its_new_near_duplicates() -> None:
    photos, groups = make_groups({"tree": [2] + [1] * 9, "plank": [1] * 10, "chair": [1] * 10})
    photos = tuple(Photo(p.path, p.pose, f"content {i}", 0, 0) for i, p in enumerate(photos))
    before = {photo.sha256: "train" for photo in photos if photo.pose != "chair"}
    before |= {"content 1": "test", "content 3": "validation", "content 12": "test"}
    del before["content 0"]  # new, and a near-duplicate of one that was tested on
    splits = split_as_before(photos, groups, before, split_groups(photos, groups, 0))
    assert splits[0] == splits[1] == splits[12] == "test" and splits[3] == "validation"
    assert {splits[i] for i in range(21) if i not in (0, 1, 3, 12)} == {"train"}
    assert set(splits[21:]) == SPLITS  # a pose that the earlier run did not have is split as any


def test_a_smaller_share_holds_out_less() -> None:
    photos, groups = make_groups({"tree": [1] * 200, "plank": [1] * 100})
    for own in splits_by_pose(photos, split_groups(photos, groups, 0, share=0.05)).values():
        assert own.count("test") == own.count("validation") == round(len(own) * 0.05)


def test_several_patterns_may_name_photos_that_only_train() -> None:
    photos, groups = make_groups({"tree": [1] * 30})
    named = tuple(make_photo(p.pose, name=f"{'abc'[i % 3]}__{i}.png") for i, p in enumerate(photos))
    splits = split_groups(named, groups, 0, "a__*,b__*")
    assert all(split == "train" for split, photo in zip(splits, named, strict=True) if "c__" not in photo.path)


def test_blanks_between_patterns_mean_nothing_and_a_pattern_that_fits_nothing_is_named() -> None:
    photos, groups = make_groups({"tree": [1] * 30})
    named = tuple(make_photo(p.pose, name=f"{'abc'[i % 3]}__{i}.png") for i, p in enumerate(photos))
    assert split_groups(named, groups, 0, " a__* , b__*,") == split_groups(named, groups, 0, "a__*,b__*")
    with pytest.raises(OptionError, match=r"--train-only: no file name matches 'sun_\*'"):
        split_groups(named, groups, 0, "a__*, sun_*")


def make_sources(*rows: tuple[str, str, int]) -> tuple[tuple[Photo, ...], list[str]]:
    """Photos of (pose, source, how many), each a duplicate group of its own."""
    photos, sources = [], []
    for pose, source, count in rows:
        photos += [make_photo(pose, name=f"{source}__{len(photos) + i}.jpg") for i in range(count)]
        sources += [source] * count
    return tuple(photos), sources


def test_folds_by_source_hold_whole_sources_and_never_all_photos_of_a_pose() -> None:
    rows = [(pose, source, 4 + len(source)) for pose in ("tree", "chair") for source in ("anna", "bo", "cleo", "dan")]
    photos, sources = make_sources(*rows, ("plank", "bo", 9), ("none", "", 7))
    found = assign_sources(photos, np.arange(len(photos)), sources, 3, seed=0)
    assert found.folds.max() == 2 and found.find_spread_poses(photos) == ["plank"]
    for source in ("anna", "bo", "cleo", "dan"):
        own = [p.pose != "plank" and s == source for p, s in zip(photos, sources, strict=True)]
        assert found.left_out[own].all() and len(set(found.folds[own].tolist())) == 1
    plank = np.array([p.pose == "plank" for p in photos])
    assert (np.bincount(found.folds[plank]) == 3).all() and not found.left_out[plank].any()
    assert not found.left_out[-7:].any()
    for pose in ("tree", "chair"):
        assert len({f for p, f in zip(photos, found.folds.tolist(), strict=True) if p.pose == pose}) > 1


def test_no_fold_is_without_a_source() -> None:
    """Sources of other poses alone go into folds of their own where there are enough."""
    rows = [(pose, source, 6) for pose in ("tree", "chair", "none") for source in ("a", "b")]
    photos, sources = make_sources(*rows, ("tree", "c", 6), ("chair", "c", 6), ("none", "rooms", 6))
    found = assign_sources(photos, np.arange(len(photos)), sources, 4, seed=0)
    assert {*found.folds.tolist()} == {*range(4)}


def test_there_are_no_more_folds_than_sources() -> None:
    photos, sources = make_sources(("tree", "a", 6), ("tree", "b", 6), ("chair", "a", 6), ("chair", "b", 6))
    assert assign_sources(photos, np.arange(24), sources, 5, seed=0).folds.tolist() == ([0] * 6 + [1] * 6) * 2


@pytest.mark.parametrize(
    ("rows", "folds", "reason"),
    [
        ([("tree", "anna", 5), ("chair", "anna", 5)], 2, r"needs photos of two sources or more; got anna; begin file"),
        ([("tree", "", 5), ("chair", "", 5)], 2, "needs photos of two sources or more; got none"),
        ([("tree", "a", 5), ("chair", "b", 5)], 2, "of the 2 sources each pose has one"),
        ([("tree", "a", 5), ("tree", "b", 5), ("plank", "a", 1)], 2, "'plank' has 1 independent photo, too few"),
        (
            [(pose, s, 5) for pose, pair in (("tree", "ab"), ("chair", "bc"), ("plank", "ac")) for s in pair],
            2,
            "would be left out at once; give --folds 3",
        ),
    ],
)
def test_folds_by_source_that_cannot_be_are_refused(rows: list[tuple[str, str, int]], folds: int, reason: str) -> None:
    photos, sources = make_sources(*rows)
    with pytest.raises(RunError, match=reason):
        assign_sources(photos, np.arange(len(photos)), sources, folds, seed=0)
