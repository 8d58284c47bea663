"""--split given: the data set's own split, what it lacks held out and said, what it leaks said."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.errors import OptionError, RunError
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.photos.folder import Photo
from yoga_live.train.photos.given_splits import split_as_given


def make_photos(poses: str = "ab", count: int = 12) -> tuple[Photo, ...]:
    return tuple(Photo(f"{pose}/{number}.jpg", pose, "", 0, 0) for pose in poses for number in range(count))


def give(photos: tuple[Photo, ...], *splits: str) -> dict[str, str]:
    return {photo.path: splits[number % len(splits)] for number, photo in enumerate(photos)}


def split(photos: tuple[Photo, ...], given: dict[str, str]) -> list[str]:
    return split_as_given(photos, np.arange(len(photos)), given, seed=0)


def test_photos_stay_where_their_data_set_put_them(caplog: pytest.LogCaptureFixture) -> None:
    photos = make_photos()
    given = give(photos, "train", "train", "validation", "test")
    assert split(photos, given) == [given[photo.path] for photo in photos]
    assert not caplog.records


def test_photos_without_a_split_train_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    photos = make_photos()
    given = give(photos, "train", "validation", "test")
    del given["a/1.jpg"], given["b/2.jpg"]
    splits = split(photos, given)
    assert splits[1] == splits[14] == "train"
    assert "2 photos without a given split: used for training" in caplog.text


@pytest.mark.parametrize(
    ("splits", "missing"),
    [
        (("train", "train", "test"), "validation"),
        (("train", "validation"), "test"),
        (("train",), "validation and test"),
    ],
)
def test_a_split_that_is_not_given_is_held_out_of_training(
    splits: tuple[str, ...], missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    photos = make_photos()
    given = give(photos, *splits)
    found = split(photos, given)
    for photo, own in zip(photos, found, strict=True):
        assert own == given[photo.path] or (given[photo.path] == "train" and own in missing)
    assert {(photo.pose, own) for photo, own in zip(photos, found, strict=True)} == {
        (pose, own) for pose in "ab" for own in ("train", "validation", "test")
    }
    assert f"no photos for {missing}; " in caplog.text


def test_poses_that_a_split_lacks_are_named(caplog: pytest.LogCaptureFixture) -> None:
    photos = make_photos("abc")
    given = give(photos, "train", "validation", "test")
    given |= {photo.path: "train" for photo in photos if photo.pose == "b"}
    split(photos, given)
    assert "no validation photos of b" in caplog.text and "no test photos of b" in caplog.text
    given |= {photo.path: "test" for photo in photos if photo.pose == "c"}
    with pytest.raises(RunError, match="no training photos of c"):
        split(photos, given)


def test_near_duplicates_on_both_sides_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    photos = make_photos()
    given = give(photos, "train", "validation", "test")
    splits = split_as_given(photos, np.arange(len(photos)) // 2, given, seed=0)
    assert splits == [given[photo.path] for photo in photos]
    assert "near-duplicates of 8 validation or test photos are also in training" in caplog.text


def test_no_given_split_at_all_says_where_one_comes_from() -> None:
    with pytest.raises(RunError, match=r"no photo has a split in manifest\.csv; import the data set"):
        split(make_photos(), {})


@pytest.mark.parametrize("other", [{"split_of": "runs/first"}, {"train_only": "drawn__*"}])
def test_a_given_split_and_another_exclude_each_other(other: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="exclude each other"):
        FitConfig(split="given", **other)
    with pytest.raises(OptionError, match="split must be auto or given; got 'fixed'"):
        FitConfig(split="fixed")
