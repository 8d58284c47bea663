"""Rooms are split in blocks of time, with each pose in each split; sets without rooms as ever."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.errors import RunError
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, random_appearance
from yoga_live.train.photos.folder import read_photos
from yoga_live.train.photos.manifest import OK, Manifest, ManifestRow
from yoga_live.train.photos.near_duplicates import group_photos
from yoga_live.train.photos.sessions import divide_rooms, join_captures, read_exif_time, read_moments, read_origins
from yoga_live.train.photos.split_plan import SplitPlan, list_far_off, plan_split
from yoga_live.train.photos.splits import split_as_before, split_groups

from .test_splits import SPLITS, make_groups, make_photo, splits_by_pose


@pytest.mark.parametrize("seed", range(5))
def test_five_poses_in_one_room_are_split_in_blocks_of_time(one_room: Path, seed: int) -> None:
    photo_set = read_photos(one_room, 64)
    plan = plan_split(photo_set, seed)
    for own in splits_by_pose(photo_set.photos, plan.splits).values():
        assert own.count("train") >= 5 and 1 <= own.count("test") <= 3 and 1 <= own.count("validation") <= 3
        changes = sum(one != other for one, other in pairwise(own))
        assert changes <= 4  # at most two blocks inside, each with two borders
    assert plan.notes == () and plan.same_room and plan.same_room.test_photos == plan.splits.count("test")
    assert plan.same_room.poses == photo_set.labels and "those of chair, goddess" in plan.same_room.describe()


def test_a_set_without_rooms_is_split_as_by_its_near_duplicates_alone(drawn_photos: Path) -> None:
    photo_set = read_photos(drawn_photos, 64)
    for seed in range(3):
        plan = plan_split(photo_set, seed)
        assert plan.splits == split_groups(photo_set.photos, group_photos(photo_set.photos), seed)
        assert plan.same_room is None and plan.notes == ()


def test_copies_never_straddle_the_blocks_of_a_room(one_room: Path) -> None:
    for pose in ("tree", "chair"):
        for number in (0, 5):
            picture = cv2.imread(str(one_room / pose / f"{number}.jpg"))
            assert picture is not None
            assert cv2.imwrite(str(one_room / pose / f"{number}_small.jpg"), picture[6:, 8:][::2, ::2])
            assert cv2.imwrite(str(one_room / pose / f"z{number}_mirrored.jpg"), picture[:, ::-1])
    photo_set = read_photos(one_room, 64)
    plan = plan_split(photo_set, 1)
    found = {
        photo.path: (split, group)
        for photo, split, group in zip(photo_set.photos, plan.splits, plan.groups, strict=True)
    }
    for pose in ("tree", "chair"):
        for number in (0, 5):
            copies = (f"{pose}/{number}.jpg", f"{pose}/{number}_small.jpg", f"{pose}/z{number}_mirrored.jpg")
            assert len({found[path] for path in copies}) == 1


def test_capture_runs_are_rooms_and_their_times_are_the_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    times = rng.permutation(12)
    with Manifest(tmp_path) as manifest:
        for number, time_s in enumerate(times):
            path, url = f"tree/{number:x}.jpg", f"camera:0/2026-01-01T10:00:00#t={time_s}.500"
            manifest.add(ManifestRow("tree", url, f"{number:064x}", "0" * 16, status=OK, path=path))
        manifest.add(ManifestRow("tree", "http://a/x.jpg#t=oops", "f" * 64, "0" * 16, status=OK, path="tree/x.jpg"))
    origins = read_origins(tmp_path)
    photos = tuple(make_photo("tree", name=f"{number:x}.jpg") for number in range(12))
    groups = join_captures(photos, np.arange(12), origins)
    assert len(origins) == 12 and set(groups.tolist()) == {0}
    moments = read_moments(tmp_path, photos, range(12), origins)
    blocks = divide_rooms(photos, groups, np.arange(12), {0}, moments, {"tree": 3})
    in_time = blocks[np.argsort(times)].tolist()
    assert Counter(in_time).most_common() == [(block, 3) for block in dict.fromkeys(in_time)]
    assert in_time == sorted(in_time)


def test_a_person_who_holds_still_while_captured_can_be_trained_on_and_copies_cannot(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    look = random_appearance(rng)
    with Manifest(tmp_path) as manifest:
        for pose in ("tree", "chair"):
            (tmp_path / pose).mkdir()
            still = draw_figure(POSES[pose], (320, 240), look)
            for number in range(10):
                frame = np.clip(still + rng.normal(0, 3, still.shape), 0, 255).astype(np.uint8)
                assert cv2.imwrite(str(tmp_path / pose / f"{number}.jpg"), frame)
                url = f"camera:0/{pose}#t={number}.000"
                manifest.add(ManifestRow(pose, url, f"{number:064x}", "0" * 16, status=OK, path=f"{pose}/{number}.jpg"))
    photo_set = read_photos(tmp_path, 64)
    plan = plan_split(photo_set, 0)
    assert len(set(plan.pictures.tolist())) == 2
    for own in splits_by_pose(photo_set.photos, plan.splits).values():
        assert set(own) == SPLITS and own.count("train") >= 6
    (tmp_path / "manifest.csv").unlink()  # now nothing says that they are not copies
    with pytest.raises(RunError, match="1 independent photo "):
        plan_split(photo_set, 0)


def test_pauses_in_exif_times_end_a_session_and_file_names_are_read_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for number, taken in enumerate(["2026:01:01 10:00:00", "2026:01:01 10:05:00", "2026:01:01 10:40:00", "nonsense"]):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = taken
        Image.new("RGB", (8, 8)).save(tmp_path / "tree" / f"{number}.jpg", exif=exif)
    names = [f"{number}.jpg" for number in range(4)] + ["img10.jpg", "img9.jpg"]
    photos = tuple(make_photo("tree", name=name) for name in names)
    moments = read_moments(tmp_path, photos, range(6), {})
    sessions = [moments[i].session for i in range(6)]
    assert sessions[0] == sessions[1] != sessions[2] and sessions[3] == sessions[4] == sessions[5] == "folder tree"
    assert moments[5].order < moments[4].order
    assert read_exif_time(tmp_path / "tree" / "0.jpg") == 1767261600.0
    assert read_exif_time(tmp_path / "missing.jpg") is None


def test_a_split_far_from_what_was_asked_is_named() -> None:
    photos, _ = make_groups({"tree": [1] * 100, "plank": [1] * 20})
    splits = ["test"] * 40 + ["validation"] * 2 + ["train"] * 58 + ["test"] * 3 + ["validation"] * 2 + ["train"] * 15
    [(pose, line)] = list_far_off(photos, splits, {"tree": 15, "plank": 3})
    assert pose == "tree" and line == "tree: 40 test and 2 validation photos instead of 15 each"


def test_an_earlier_run_keeps_its_split_though_groups_are_found_otherwise_now(one_room: Path) -> None:
    photo_set = read_photos(one_room, 64)
    rng = np.random.default_rng(0)
    before = {photo.sha256: sorted(SPLITS)[int(rng.integers(3))] for photo in photo_set.photos}
    plan: SplitPlan = plan_split(photo_set, 0)
    splits = split_as_before(photo_set.photos, plan.groups, before, plan.splits)
    assert splits == [before[photo.sha256] for photo in photo_set.photos]


def test_a_room_of_two_photos_each_still_gives_each_pose_each_split(one_room: Path, tmp_path: Path) -> None:
    for pose in ("tree", "chair"):
        (tmp_path / "few" / pose).mkdir(parents=True)
        for number in (0, 4, 9):
            shutil.copy(one_room / pose / f"{number}.jpg", tmp_path / "few" / pose)
    photo_set = read_photos(tmp_path / "few", 64)
    for own in splits_by_pose(photo_set.photos, plan_split(photo_set, 0).splits).values():
        assert set(own) == SPLITS
