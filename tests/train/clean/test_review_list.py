"""Which photos are shown: likely wrong first, in places that hold while one marks."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.errors import RunError
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, draw_room, random_appearance
from yoga_live.train.clean import review_list
from yoga_live.train.clean.automatic import plan_marks
from yoga_live.train.clean.review_list import CleaningList
from yoga_live.train.gather.add_files import add_folder
from yoga_live.train.photos.drawn_none import PREFIX, find_drawn
from yoga_live.train.photos.folder import HASH_SIDE, read_photos
from yoga_live.train.report.answers import join_answers
from yoga_live.train.report.measure import find_suspects, measure_report
from yoga_live.train.run_files.predictions import FOLDS, PREDICTIONS, write_predictions


def list_paths(photos: CleaningList, *query: str) -> list[str]:
    return [photos.entries[number].photo.path for number in photos.select(*query)]


def find(photos: CleaningList, path: str) -> int:
    return next(n for n, entry in enumerate(photos.entries) if entry.photo.path == path)


def test_likely_wrong_photos_come_first_with_what_the_network_says(messy) -> None:
    with messy.open() as photos:
        numbers = photos.select("likely")
        assert list_paths(photos, "likely")[:5] == [path for path, _ in messy.wrong]
        assert [photos.is_suspect(number) for number in numbers] == [True] * 5 + [False] * (len(numbers) - 5)
        assert [photos.list_guesses(number)[0][0] for number in numbers[:5]] == [pose for _, pose in messy.wrong]
        assert photos.read_probability(numbers[0], "tree") == pytest.approx(0.001)
        assert photos.read_probability(numbers[0], "cobra") is None
        assert len(numbers) == len(photos.run.photos) == 64 and photos.missing == 0


def test_a_marked_photo_keeps_its_place_and_fits_both_its_poses(messy) -> None:
    with messy.open() as photos:
        before, tree = photos.select("likely"), photos.select("likely", "tree")
        photos.cleaner.mark(photos.entries[before[0]].photo, "relabel", "none")
        photos.cleaner.mark(photos.entries[before[1]].photo, "remove")
        assert photos.select("likely") == before and photos.select("likely", "tree") == tree
        assert before[0] in photos.select("all", "none")
        assert photos.select("marked") == sorted(before[:2], key=photos.select("all").index)
        assert photos.select("removed") == [before[1]]


def test_filters_by_pose_and_split_combine(messy) -> None:
    with messy.open() as photos:
        run = photos.run
        both = {photo.path for photo in run.photos if (photo.pose, photo.split) == ("tree", "test")}
        assert set(list_paths(photos, "all", "tree", "test")) == both and both
        assert len(photos.select("all", "", "train")) == sum(photo.split == "train" for photo in run.photos)


def test_a_folder_that_was_cleaned_since_the_run_still_fits_it(messy) -> None:
    with messy.open() as photos:
        first, second, third = photos.select("likely")[:3]
        photos.cleaner.mark(photos.entries[first].photo, "relabel", "none")
        photos.cleaner.mark(photos.entries[second].photo, "remove")
        moved = photos.entries[third].photo.path
    (messy.photos / moved).rename(messy.photos / "down_dog" / "by hand.jpg")  # only its content tells which it is
    (messy.photos / messy.wrong[4][0]).unlink()
    with messy.open() as photos:
        paths = list_paths(photos, "likely")
        assert paths[0].startswith("none/") and paths[1].startswith("_removed/")
        assert photos.entries[photos.select("likely")[0]].photo.action == "relabel"
        assert paths[2] == "down_dog/by hand.jpg"
        assert photos.missing == 1 and photos.replaced == 0  # the one that was deleted


def test_another_picture_in_a_photos_place_is_none_of_the_run(messy) -> None:
    first = messy.wrong[0][0]
    shutil.copy(messy.photos / "none/00.png", messy.photos / first)
    with messy.open() as photos:
        number = find(photos, first)
        assert photos.list_guesses(number) == [] and photos.read_probability(number, "tree") is None
        assert photos.entries[number].split == "new" and number not in photos.select("likely")
        assert photos.missing == 1 and photos.replaced == 1
        assert first not in [mark.photo.path for mark in plan_marks(photos, 0.95).marks]


def test_clean_and_report_agree_on_the_held_out_photos(messy) -> None:
    """Without folds; the network is surer of its training photos than of any other."""
    (messy.run / FOLDS).unlink()
    run = load_run(messy.run, messy.photos)
    rows = np.full((64, 4), 0.0)
    for number, photo in enumerate(run.photos):
        own = run.labels.index(photo.pose)
        rows[number] = 0.0 if photo.split == "train" else 0.1
        rows[number, own] = 1.0 if photo.split == "train" else 0.7
    wrong = [number for number, photo in enumerate(run.photos) if photo.split != "train"][::5]
    for number in wrong:
        rows[number] = np.roll(rows[number], 1)
    write_predictions(messy.run / PREDICTIONS, [photo.path for photo in run.photos], run.labels, rows)
    told = find_suspects(join_answers(run, rows), out_of_fold=False)
    with messy.open() as photos:
        suspects = [n for n in photos.select("likely") if photos.is_suspect(n)]
        assert [photos.entries[n].index for n in suspects] == [row.photo for row in told.rows] and suspects
        assert {photos.entries[n].index for n in suspects} == set(wrong)
        assert photos.errors.count_among(photos.unseen) == told.total
    assert told.total.suspects == told.count == len(wrong)
    assert told.total.expected == pytest.approx(0.9 * len(wrong))


def test_drawings_of_none_neither_speak_for_the_network_nor_are_accused(messy) -> None:
    with messy.open() as photos:
        before = photos.errors.agreement
        [(path, _)] = [wrong for wrong in messy.wrong if wrong[0].startswith("none/")]
    drawing = f"none/{PREFIX}000.png"
    (messy.photos / path).rename(messy.photos / drawing)
    for table in [*messy.run.glob("*.csv"), *messy.photos.glob("*.csv")]:
        table.write_text(table.read_text().replace(path, drawing))
    with messy.open() as photos:
        assert (photos.errors.agreement.right, photos.errors.agreement.total) == (before.right, before.total - 1)
        assert photos.missing == 0 and not photos.unseen[find_drawn(row.path for row in photos.run.photos)].any()
        report = measure_report(photos.run)
        assert report.suspects.total == photos.errors.count_among(photos.unseen)
        assert drawing not in {photos.run.photos[row.photo].path for row in report.suspects.rows}
        assert report.views[2].accuracy.total == before.total - 1


def test_hashes_are_made_as_fit_makes_them_at_any_size_of_the_network(messy) -> None:
    """A JPEG is decoded smaller where that will do, and may then hash otherwise."""
    picture = cv2.resize(draw_figure(POSES["tree"], (320, 240)), (1600, 1200))
    assert cv2.imwrite(str(messy.photos / "tree/large.jpg"), picture)
    sides: list[int] = []
    with messy.open() as photos, pytest.MonkeyPatch.context() as patch:
        decode = review_list.decode_photo

        def spy(path: Path, *, min_side: int) -> np.ndarray:
            sides.append(min_side)
            return decode(path, min_side=min_side)

        patch.setattr(review_list, "decode_photo", spy)
        facts = photos._identify(photos.entries[find(photos, "tree/large.jpg")].photo)
    [fitted] = [photo for photo in read_photos(messy.photos, 64).photos if photo.path == "tree/large.jpg"]
    assert facts and facts[:2] == (fitted.phash, fitted.mirror_phash) and sides == [HASH_SIDE]


def test_photos_that_came_after_the_run_are_listed_without_a_guess(messy) -> None:
    shutil.copy(messy.photos / "tree/00.png", messy.photos / "tree/later.png")
    with messy.open() as photos:
        number = find(photos, "tree/later.png")
        assert number in photos.select("all", "tree", "new") and number not in photos.select("likely")
        assert photos.list_guesses(number) == [] and not photos.is_suspect(number)
        assert photos.read_probability(number, "tree") is None


def test_the_run_of_another_folder_is_refused(messy, tmp_path: Path) -> None:
    (tmp_path / "other/tree").mkdir(parents=True)
    (tmp_path / "other/tree/x.jpg").write_text("x")
    with pytest.raises(RunError, match="none of the 64 photos"), replace(messy, photos=tmp_path / "other").open():
        pass


def put_in_one_group(messy, first: str, others: tuple[str, ...]) -> None:
    """Write photos into the group of the first, with their contents as they are now."""
    rows = (messy.run / "photos.csv").read_text().splitlines()
    number = {row.split(",")[0]: index for index, row in enumerate(rows)}
    group = rows[number[first]].split(",")[3]
    for path in (first, *others):
        cells = rows[number[path]].split(",")
        digest = hashlib.sha256((messy.photos / path).read_bytes()).hexdigest()
        rows[number[path]] = ",".join([path, digest, cells[2], group, cells[4]])
    (messy.run / "photos.csv").write_text("\n".join(rows) + "\n")


def put_copies(messy) -> set[str]:
    """One picture under two poses, smaller the second time, in one group of the run; and a near-duplicate."""
    tree, plank = "tree/00.png", "warrior_2/00.png"
    picture = cv2.imread(str(messy.photos / tree))
    assert picture is not None and cv2.imwrite(str(messy.photos / plank), picture[::2, ::2])
    put_in_one_group(messy, tree, (plank, "tree/01.jpg"))
    return {tree, plank}


@pytest.mark.parametrize("with_manifest", [False, True])
def test_one_picture_under_two_poses_is_a_conflict_and_near_duplicates_are_listed(
    messy, tmp_path, with_manifest
) -> None:
    pair = put_copies(messy)
    if with_manifest:
        shutil.copytree(messy.photos, tmp_path / "source")
        for pose in ("tree", "warrior_2"):
            add_folder(tmp_path / "source" / pose, pose, messy.photos)
    with messy.open() as photos:
        assert not photos.knows("conflicts") and photos.select("conflicts") == []
        photos.find_conflicts()
        assert photos.knows("conflicts") and set(list_paths(photos, "conflicts")) == pair
        assert len({photos.find_group(number, "conflicts") for number in photos.select("conflicts")}) == 1
        assert set(list_paths(photos, "duplicates")) == {*pair, "tree/01.jpg"}
        photos.cleaner.mark(photos.entries[photos.select("conflicts")[0]].photo, "remove")
        assert len(photos.select("conflicts")) == 2
    with messy.open() as photos:
        photos.find_conflicts()
        assert photos.select("conflicts") == []  # one of the two is gone: solved


def test_two_poses_in_one_room_are_no_conflict_though_a_run_grouped_them(messy) -> None:
    """Runs of earlier versions hold a whole room as one group."""
    look = random_appearance(np.random.default_rng(3))
    for pose in ("tree", "warrior_2"):
        assert cv2.imwrite(str(messy.photos / pose / "00.png"), draw_figure(POSES[pose], (320, 240), look))
    put_in_one_group(messy, "tree/00.png", ("warrior_2/00.png",))
    with messy.open() as photos:
        photos.find_conflicts()
        assert photos.select("conflicts") == [] and len(photos.select("duplicates")) == 2


def test_only_the_surest_are_marked_and_no_test_photo(messy) -> None:
    with messy.open() as photos:
        plan = plan_marks(photos, 0.95)
        planned = [(mark.photo.path, mark.action, mark.to_pose) for mark in plan.marks]
        (first, one), (second, two), _, (third, _), _ = messy.wrong
        assert planned == [(first, "relabel", one), (second, "relabel", two), (third, "remove", "")]
        assert plan.left_test == 1
        photos.cleaner.mark(photos.entries[photos.select("likely")[0]].photo, "keep")
        assert len(plan_marks(photos, 0.95).marks) == 2  # what a person kept stays
        assert plan_marks(photos, 0.999).marks == ()


def test_the_journal_names_the_run(messy) -> None:
    with messy.open() as photos:
        photos.cleaner.mark(photos.entries[0].photo, "keep")
    [line] = (messy.photos / "cleaning.jsonl").read_text().splitlines()
    assert json.loads(line)["run"] == "messy"


@pytest.mark.parametrize(
    ("config", "is_conflict"),
    [
        ({"mirror": True, "mirror_swaps": []}, True),
        ({"mirror": False}, False),
        ({"mirror_swaps": [["tree", "none"]]}, False),
    ],
)
def test_a_mirror_image_is_a_conflict_only_if_the_run_took_it_for_a_copy(messy, config, is_conflict: bool) -> None:
    frame = draw_figure(POSES["tree"], (320, 240), random_appearance(np.random.default_rng(3)))
    assert cv2.imwrite(str(messy.photos / "tree" / "00.png"), frame)
    assert cv2.imwrite(str(messy.photos / "warrior_2" / "00.png"), cv2.flip(frame, 1))
    put_in_one_group(messy, "tree/00.png", ("warrior_2/00.png",))
    content = json.loads((messy.run / "run.json").read_text())
    content["config"] |= config
    (messy.run / "run.json").write_text(json.dumps(content))
    with messy.open() as photos:
        photos.find_conflicts()
        assert bool(photos.select("conflicts")) is is_conflict


def put_people(messy) -> None:
    """Nobody in one photo of a pose, two people in another; `none` may show both."""
    pytest.importorskip("onnxruntime")
    empty = draw_room((320, 240))
    two = np.hstack([draw_figure(POSES["goddess"], (200, 300)), draw_figure(POSES["tree"], (200, 300))])
    for pose in ("tree", "none"):
        assert cv2.imwrite(str(messy.photos / pose / "empty.png"), empty)
        assert cv2.imwrite(str(messy.photos / pose / "two.png"), two)
    for number, figure in enumerate(("tree", "goddess", "standing") * 12):
        frame = draw_figure(POSES[figure], (300 + number, 240))
        assert cv2.imwrite(str(messy.photos / "tree" / f"more{number}.png"), frame)


def test_photos_of_nobody_and_of_several_people_are_a_view_of_their_own(messy) -> None:
    put_people(messy)
    with messy.open() as photos:
        assert not photos.knows("people") and photos.select("people") == []
        photos.find_people()
        paths = list_paths(photos, "people")
        assert photos.knows("people") and {"tree/empty.png", "tree/two.png"} <= set(paths)
        assert not any(path.startswith("none/") for path in paths)
        empty, two = (find(photos, f"tree/{name}.png") for name in ("empty", "two"))
        assert photos.find_flag(empty).describe() == "nobody found" and len(photos.find_flag(two).boxes) == 2
        assert photos.select("people").index(empty) < photos.select("people").index(two)  # by kind
        assert photos.find_group(empty, "people") != photos.find_group(two, "people")
        photos.cleaner.mark(photos.entries[two].photo, "remove")
        assert list_paths(photos, "people")[photos.select("people").index(two)].startswith("_removed/")
    with messy.open() as photos:
        photos.find_people()
        assert not any("two.png" in path for path in list_paths(photos, "people"))  # removed: solved


def test_without_onnx_runtime_the_view_is_empty_and_says_why(messy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with messy.open() as photos:
        photos.find_people()
        assert photos.knows("people") and photos.select("people") == []
        assert "are not looked for" in photos.people_note and "pip install onnxruntime" in photos.people_note
