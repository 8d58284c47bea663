"""The person's part of a letterboxed photo: where it is, how it is cut."""

from __future__ import annotations

import numpy as np

from yoga_live.runtime.core.preprocess import BAR_GREY, letterbox
from yoga_live.runtime.people import People
from yoga_live.runtime.people.framing import frame_person
from yoga_live.train.people.cache import PhotoPeople
from yoga_live.train.people.crops import cut_people, find_crops
from yoga_live.train.photos.folder import Photo


def make_people(*boxes: tuple[float, float, float, float]) -> People:
    count = len(boxes)
    return People(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros((count, 17, 2), np.float32),
        np.zeros((count, 17), np.float32),
        np.full(count, 0.9, np.float32),
    )


def make_photo(path: str) -> Photo:
    return Photo(path, path.partition("/")[0], "", 0, 0)


def test_crops_are_those_of_the_whole_photo_in_the_letterboxed_one() -> None:
    found = {"a/1.jpg": PhotoPeople(make_people((800, 200, 1000, 600)), (1600, 800))}
    region = frame_person((800, 200, 1000, 600), (1600, 800))
    [crop] = find_crops([make_photo("a/1.jpg")], found, 160)  # a tenth; the photo is from row 40 to row 120
    assert crop.tolist() == [region.left / 10, 40 + region.top / 10, region.width / 10, region.height / 10]


def test_a_photo_of_nobody_and_one_that_was_not_looked_at_have_no_crop() -> None:
    found = {"a/1.jpg": PhotoPeople(make_people(), (100, 100))}
    assert find_crops([make_photo("a/1.jpg"), make_photo("a/2.jpg")], found, 64).tolist() == [[0] * 4] * 2
    assert find_crops([], found, 64).shape == (0, 4)


def test_someone_too_small_to_be_seen_in_the_letterboxed_photo_is_not_cropped() -> None:
    found = {"a/1.jpg": PhotoPeople(make_people((10, 10, 20, 20)), (20_000, 20_000))}
    assert find_crops([make_photo("a/1.jpg")], found, 64).tolist() == [[0] * 4]


def test_the_crop_replaces_the_photo_and_bars_are_grey_and_not_kept() -> None:
    frame = np.zeros((40, 40, 3), np.uint8)
    frame[10:30, 5:15] = (0, 0, 255)
    frames = np.stack([frame, frame, frame])
    keep = np.ones((3, 1, 40, 40), np.float32)
    keep[0, 0, 10:30, 5:10] = 0  # a backdrop
    crops = np.array([[5, 10, 10, 20], [5, 10, 10, 20], [0, 0, 0, 0]])
    cut_people(frames, keep, crops, np.array([True, False, True]))
    np.testing.assert_array_equal(frames[0], letterbox(frame[10:30, 5:15], 40))
    assert (frames[0][:, :9] == BAR_GREY).all() and (frames[0][:, 31:] == BAR_GREY).all()
    assert not keep[0, 0, :, :10].any() and not keep[0, 0, :, 30:].any() and keep[0, 0, :, 22:29].all()
    assert not keep[0, 0, :, 11:18].any()  # the backdrop is cut and enlarged alike
    for other in (1, 2):
        np.testing.assert_array_equal(frames[other], frame)
        assert keep[other].all()
