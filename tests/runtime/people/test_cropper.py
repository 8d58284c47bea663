"""The crop around the main person: from the first frame, calm, and of nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from yoga_live.runtime.core.regions import Region, Roi
from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.cropping.croppers import FixedCropper, WholeFrame, ZoomCropper
from yoga_live.runtime.errors import MissingPackageError, OptionError
from yoga_live.runtime.people import PeopleFinder
from yoga_live.runtime.people.cropper import (
    MainPerson,
    PersonCropper,
    check_people,
    choose_cropper,
    count_followed,
    parse_people,
)
from yoga_live.runtime.people.tracks import Person
from yoga_live.runtime.people.watcher import PeopleWatcher
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, blend_poses, draw_figure

SIZE_WH = (960, 540)
WALL = (214, 219, 222)


@pytest.fixture(scope="module")
def finder() -> PeopleFinder:
    pytest.importorskip("onnxruntime")
    return PeopleFinder("cpu", 1)


def paste(figure: Frame, left: int, top: int, on: Frame | None = None) -> Frame:
    """A drawn person with their room as a part of a larger picture."""
    scene = np.full((SIZE_WH[1], SIZE_WH[0], 3), 200, np.uint8) if on is None else on.copy()
    scene[top : top + figure.shape[0], left : left + figure.shape[1]] = figure
    return scene


def small(pose: str, size_wh: tuple[int, int] = (320, 240)) -> Frame:
    return draw_figure(POSES[pose], size_wh, Appearance(window_x=None))


def is_inside(box: np.ndarray, region: Region) -> bool:
    left, top, right, bottom = box
    return (
        left >= region.left - 1
        and top >= region.top - 1
        and right <= region.left + region.width + 1
        and bottom <= region.top + region.height + 1
    )


def test_a_person_far_away_is_framed_from_the_first_frame_without_any_motion(finder: PeopleFinder) -> None:
    cropper = PersonCropper(PeopleWatcher(finder))
    region = cropper.choose_crop(0.0, paste(small("tree"), 600, 280))
    assert region is not None and cropper.person is not None and cropper.group is None
    assert region.left > 560 and region.top > 200 and 120 < region.width == region.height < 300
    assert is_inside(cropper.person.box, region)


def test_the_crop_does_not_tremble_and_cuts_nobody_off_for_long(finder: PeopleFinder) -> None:
    cropper, before = PersonCropper(PeopleWatcher(finder)), None
    for number in range(40):
        region = cropper.choose_crop(number / 6, paste(small("tree"), 600 + number % 2, 280))
        assert region is not None and (before is None or region == before)
        before = region
    for number in range(40, 70):
        region = cropper.choose_crop(number / 6, paste(small("warrior_2"), 300, 280))
    assert region is not None and cropper.person is not None and is_inside(cropper.person.box, region)


def test_where_nobody_is_the_whole_frame_is_classified(finder: PeopleFinder) -> None:
    cropper = PersonCropper(PeopleWatcher(finder))
    room = np.full((SIZE_WH[1], SIZE_WH[0], 3), WALL, np.uint8)
    assert cropper.choose_crop(0.0, room) is None
    assert cropper.person is None and cropper.people == ()


def test_the_finder_looks_once_a_second_where_nothing_moves_and_four_times_where_something_does(
    finder: PeopleFinder,
) -> None:
    still, moving = PeopleWatcher(finder), PeopleWatcher(finder)
    for number in range(40):
        still.update(number / 10, draw_figure(POSES["tree"], SIZE_WH))
        fraction = 0.5 - 0.5 * np.cos(number / 4)
        moving.update(number / 10, draw_figure(blend_poses(POSES["standing"], POSES["tree"], fraction), SIZE_WH))
    assert still.looks == 4 and 12 <= moving.looks <= 16


def test_a_region_comes_first_and_the_person_is_looked_for_in_it_alone(finder: PeopleFinder) -> None:
    scene = paste(small("tree"), 20, 280, paste(small("warrior_2"), 600, 280))
    cropper = PersonCropper(PeopleWatcher(finder), Roi(0, 0, 0.5, 1))
    region = cropper.choose_crop(0.0, scene)
    assert region is not None and region.left + region.width <= SIZE_WH[0] // 2
    assert cropper.person is not None and cropper.person.box[2] <= SIZE_WH[0] / 2
    empty = PersonCropper(PeopleWatcher(finder), Roi(0, 0, 1, 0.2))
    assert empty.choose_crop(0.0, scene) == Region(0, 0, SIZE_WH[0], SIZE_WH[1] // 5)


def test_several_people_have_a_crop_each_and_keep_their_numbers(finder: PeopleFinder) -> None:
    scene = paste(small("tree"), 20, 280, paste(small("warrior_2"), 600, 280))
    cropper = PersonCropper(PeopleWatcher(finder), most=8)
    for number in range(8):
        cropper.choose_crop(number / 6, scene)
    assert cropper.group is not None and [number for number, _ in cropper.group] == [1, 2]
    boxes = {person.number: person.box for person in cropper.people}
    assert all(region is not None and is_inside(boxes[number], region) for number, region in cropper.group)
    only = PersonCropper(PeopleWatcher(finder), most=1)
    only.choose_crop(0.0, scene)
    assert only.group is not None and len(only.group) == 1
    assert only.renew().group == ()


def test_who_has_left_is_classified_no_more_though_the_number_is_kept_for_a_while(finder: PeopleFinder) -> None:
    tree, warrior = small("tree"), small("warrior_2")
    both = paste(tree, 20, 280, paste(warrior, 600, 280))
    cropper = PersonCropper(PeopleWatcher(finder), most=8)
    for number in range(8):
        cropper.choose_crop(number / 6, both)
    alone = paste(tree, 20, 280)
    followed = []
    for number in range(8, 20):
        cropper.choose_crop(number / 6, alone)
        followed.append(len(cropper.group or ()))
    assert followed[0] == 2 and followed[-4:] == [1] * 4 and len(cropper.people) == 2
    for number in range(20, 26):
        cropper.choose_crop(number / 6, both)
    assert [number for number, _ in cropper.group or ()] == [1, 2]


def make_person(number: int, left: float, size: float = 100, **more: object) -> Person:
    box = np.array([left, 100, left + size, 100 + 2 * size], np.float32)
    known = {"since_s": 0.0, "seen_s": 10.0, "has_moved": True} | more
    return Person(number, box, np.zeros((17, 2), np.float32), np.zeros(17, np.float32), 0.6, **known)  # pyright: ignore[reportArgumentType]


AREA = Region(0, 0, 1000, 600)


@pytest.mark.parametrize(
    ("people", "main"),
    [
        ([make_person(1, 450, 60), make_person(2, 450, 120)], 2),  # larger
        ([make_person(1, 0), make_person(2, 430)], 2),  # more central
        ([make_person(1, 430, since_s=9.9), make_person(2, 470)], 2),  # longer there
        ([make_person(1, 430, 110, has_moved=False), make_person(2, 300)], 2),  # no poster
    ],
)
def test_the_main_person_is_the_largest_most_central_steadiest(people: list[Person], main: int) -> None:
    chosen = MainPerson().choose(10.0, tuple(people), AREA)
    assert chosen is not None and chosen.number == main


def test_another_person_takes_over_only_when_clearly_ahead_for_a_while() -> None:
    main = MainPerson()
    teacher = make_person(1, 430)
    assert main.choose(0.0, (teacher,), AREA) is teacher

    def pass_by(size: float) -> Iterator[int]:
        for time_s in np.arange(1.0, 4.0, 0.25):
            chosen = main.choose(float(time_s), (teacher, make_person(2, 430, size)), AREA)
            assert chosen is not None
            yield chosen.number

    assert set(pass_by(115)) == {1}
    assert list(pass_by(200)) == [1] * 8 + [2] * 4
    assert main.choose(5.0, (teacher,), AREA) is teacher
    missed = make_person(1, 430, seen_s=5.0), make_person(2, 0, 60, seen_s=6.0)
    chosen = main.choose(6.0, missed, AREA)
    assert chosen is not None and chosen.number == 2
    assert main.choose(7.0, (), AREA) is None


def test_words_of_the_option() -> None:
    assert [parse_people(text) for text in ("main", "all", "off", "3")] == ["main", "all", "off", 3]
    assert [count_followed(people) for people in ("main", "off", "all", 3)] == [None, None, 8, 3]
    for text in ("0", "9", "-1", "many", "", "١"):
        with pytest.raises(OptionError, match="give main, all, off or the number of people, up to 8"):
            parse_people(text)
    with pytest.raises(OptionError):
        check_people(True)


def test_the_cropper_is_what_the_options_ask_for(finder: PeopleFinder, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: int) -> PeopleFinder:
        raise MissingPackageError("onnxruntime is not installed")

    roi, sides = Roi(0, 0, 0.5, 1), []

    def open_finder(side: int) -> PeopleFinder:
        sides.append(side)
        return finder

    assert isinstance(choose_cropper(None, True, SIZE_WH, "main", open_finder), PersonCropper)
    assert isinstance(choose_cropper(roi, True, SIZE_WH, "main", open_finder), PersonCropper)
    assert isinstance(choose_cropper(None, False, SIZE_WH, 2, open_finder), PersonCropper)
    assert sides == [256, 640] * 3
    assert isinstance(choose_cropper(None, False, SIZE_WH, "main", open_finder), WholeFrame)
    assert isinstance(choose_cropper(None, True, SIZE_WH, "off", open_finder), ZoomCropper)
    assert isinstance(choose_cropper(roi, True, SIZE_WH, "off", open_finder), FixedCropper)
    assert isinstance(choose_cropper(None, True, SIZE_WH, "main", refuse), ZoomCropper)
    assert "people are not looked for, so the crop follows what moves: onnxruntime is not installed" in caplog.text
    with pytest.raises(MissingPackageError):
        choose_cropper(None, True, SIZE_WH, "all", refuse)
    with pytest.raises(OptionError, match="--roi"):
        choose_cropper(Roi(900, 0, 200, 100), True, SIZE_WH, "main", open_finder)
