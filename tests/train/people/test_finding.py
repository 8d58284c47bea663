"""The people of a photo folder: each photo looked at once, in pixels of the whole photo, whatever the cache holds."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from yoga_live.runtime.people import People, PeopleFinder
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, draw_room
from yoga_live.runtime.system.files import find_cache_folder
from yoga_live.train.people import cache, finding
from yoga_live.train.people.cache import PeopleCache, PhotoPeople
from yoga_live.train.people.finding import FinderConfig, choose_person, find_people, list_contents
from yoga_live.train.photos.folder import inspect_photos, read_contents


def save(folder: Path, name: str, frame: np.ndarray) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), frame)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One person; nobody; two people in a large JPEG; a copy of the first; a file that is no photo."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    save(folder, "tree/one.png", draw_figure(POSES["tree"], (320, 240)))
    save(folder, "tree/empty.png", draw_room((320, 240)))
    save(folder, "goddess/two.jpg", np.hstack([draw_figure(POSES["goddess"], (1200, 1600))] * 2))
    shutil.copy(folder / "tree/one.png", folder / "tree/copy.png")
    (folder / "tree" / "page.jpg").write_text("<html>gone</html>")
    return folder


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the frames that the finder saw."""
    shapes: list[tuple[int, ...]] = []

    class Spy(PeopleFinder):
        def find(self, frame_bgr, region=None) -> People:
            shapes.append(frame_bgr.shape)
            return super().find(frame_bgr, region)

    monkeypatch.setattr(finding, "PeopleFinder", Spy)
    return shapes


def find_files() -> list[Path]:
    return sorted(find_cache_folder("people").glob("*.npz"))


def assert_equal(first: dict[str, PhotoPeople], second: dict[str, PhotoPeople]) -> None:
    assert list(first) == list(second)
    for path, one in first.items():
        other = second[path]
        assert one.size_wh == other.size_wh, path
        for name in ("boxes", "keypoints", "keypoint_scores", "scores"):
            np.testing.assert_array_equal(getattr(one.people, name), getattr(other.people, name), path)


def test_everybody_is_found_once_in_pixels_of_the_whole_photo(photos: Path, looked_at: list[tuple[int, ...]]) -> None:
    found = find_people(photos, read_contents(photos, 224))
    assert {path: len(each.people) for path, each in found.items()} == {
        "goddess/two.jpg": 2, "tree/copy.png": 1, "tree/empty.png": 0, "tree/one.png": 1,
    }  # fmt: skip
    assert found["goddess/two.jpg"].size_wh == (2400, 1600)
    left, right = sorted(found["goddess/two.jpg"].people.boxes.tolist())
    assert 0 <= left[0] < left[2] <= 1250 and 1150 <= right[0] < right[2] <= 2400
    assert len(looked_at) == 3  # the copy has the content of another
    assert (400, 600, 3) in looked_at  # the JPEG was decoded at a quarter


def test_boxes_of_a_photo_that_was_decoded_smaller_are_those_of_the_whole_one(photos: Path) -> None:
    """To the few pixels by which the smaller decoding differs."""
    whole = PeopleFinder("cpu", 1, margin=0.08, min_score=0.25).find(decode_photo(photos / "goddess/two.jpg"))
    found = find_people(photos, read_contents(photos, 224))["goddess/two.jpg"].people
    np.testing.assert_allclose(
        found.boxes[found.boxes[:, 0].argsort()], whole.boxes[whole.boxes[:, 0].argsort()], atol=40
    )


def test_the_second_time_nothing_is_looked_at(photos: Path, looked_at: list[tuple[int, ...]]) -> None:
    first = find_people(photos, list_contents(inspect_photos(photos, 224).photos))
    looked_at.clear()
    assert_equal(find_people(photos, read_contents(photos, 224)), first)
    assert not looked_at


def test_only_what_is_new_is_looked_at_and_a_renamed_photo_is_not(
    photos: Path, looked_at: list[tuple[int, ...]]
) -> None:
    find_people(photos, read_contents(photos, 224))
    looked_at.clear()
    (photos / "tree/one.png").rename(photos / "goddess/moved.png")
    save(photos, "tree/new.png", draw_figure(POSES["plank"], (320, 240)))
    found = find_people(photos, read_contents(photos, 224))
    assert len(looked_at) == 1 and {"goddess/moved.png", "tree/new.png"} <= set(found)


def test_other_settings_and_another_network_have_a_cache_of_their_own(
    photos: Path, looked_at: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = read_contents(photos, 224)
    find_people(photos, contents)
    looked_at.clear()
    find_people(photos, contents, FinderConfig(margin=0.0))
    assert len(looked_at) == 3
    monkeypatch.setattr(finding, "_read_network", lambda: "another")
    find_people(photos, contents)
    assert len(looked_at) == 6 and len(find_files()) == 3


Damage = Callable[[Path], object]
DAMAGES: dict[str, Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "other": lambda path: path.write_text("something else"),
    "one byte": lambda path: path.write_bytes(path.read_bytes()[:900] + b"\xff" + path.read_bytes()[901:]),
    "no fit": lambda path: np.savez(path, **{**np.load(path), "count": np.array([9])}),
    "not finite": lambda path: np.savez(path, **{**np.load(path), "boxes": np.load(path)["boxes"] * np.float32("nan")}),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_made_anew_with_a_line(
    photos: Path, looked_at: list[tuple[int, ...]], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    first = find_people(photos, read_contents(photos, 224))
    [path] = find_files()
    DAMAGES[damage](path)
    looked_at.clear()
    with caplog.at_level(logging.WARNING):
        assert_equal(find_people(photos, read_contents(photos, 224)), first)
    assert len(looked_at) == 3
    assert caplog.messages and "are looked for again" in caplog.messages[0] and str(path) in caplog.messages[0]
    caplog.clear()
    looked_at.clear()
    find_people(photos, read_contents(photos, 224))
    assert not looked_at and not caplog.messages


def test_what_was_found_before_an_interruption_is_kept(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(PeopleFinder):
        calls = 0

        def find(self, frame_bgr, region=None) -> People:
            Stopped.calls += 1
            if Stopped.calls == 3:
                raise KeyboardInterrupt
            return super().find(frame_bgr, region)

    monkeypatch.setattr(finding, "AHEAD", 1)
    monkeypatch.setattr(finding, "PeopleFinder", Stopped)
    with pytest.raises(KeyboardInterrupt):
        find_people(photos, read_contents(photos, 224))
    assert len(find_people(photos, read_contents(photos, 224))) == 4 and Stopped.calls == 4


def test_a_search_can_be_stopped_from_outside_and_goes_on_later(
    photos: Path, looked_at: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "AHEAD", 1)
    contents = read_contents(photos, 224)
    assert len(find_people(photos, contents, should_stop=lambda: len(looked_at) == 1)) < 4 and len(looked_at) == 1
    assert len(find_people(photos, contents)) == 4 and len(looked_at) == 3


def test_several_processes_at_once_leave_a_whole_cache(photos: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from yoga_live.train.people.finding import find_people;"
        "from yoga_live.train.photos.folder import read_contents;"
        "print(len(find_people(Path(sys.argv[1]), read_contents(Path(sys.argv[1]), 224))))"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(photos)], stdout=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate(timeout=120)[0].strip() for process in running] == [b"4"] * 3
    assert len(find_files()) == 1 and not list(find_cache_folder("people").glob(".*"))


def test_what_another_process_found_meanwhile_is_kept(photos: Path) -> None:
    contents = read_contents(photos, 224)
    one, other = PeopleCache(photos, "key"), PeopleCache(photos, "key")
    nobody = PhotoPeople(People.nobody(), (3, 4))
    first, second = contents["tree/one.png"], contents["tree/empty.png"]
    one.add({first: nobody}, contents.values())
    other.add({second: nobody}, contents.values())
    assert set(PeopleCache(photos, "key").known) == {first, second}
    other.add({second: nobody}, [second])  # of photos that are gone nothing is kept
    assert set(PeopleCache(photos, "key").known) == {second}


def test_a_cache_that_cannot_be_written_is_no_failure(
    photos: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(cache, "find_cache_folder", lambda kind: tmp_path / "file" / kind)
    assert len(find_people(photos, read_contents(photos, 224))) == 4
    assert any("cannot cache the people" in line for line in caplog.messages)


def test_a_photo_that_was_replaced_meanwhile_has_no_people(photos: Path) -> None:
    contents = read_contents(photos, 224)
    save(photos, "tree/empty.png", draw_room((64, 64)))
    assert set(find_people(photos, contents)) == {"goddess/two.jpg", "tree/copy.png", "tree/one.png"}


def test_a_copy_of_a_photo_that_was_replaced_meanwhile_is_looked_at(photos: Path) -> None:
    contents = read_contents(photos, 224)
    save(photos, "tree/one.png", draw_room((64, 64)))
    assert len(find_people(photos, contents)["tree/copy.png"].people) == 1


def test_a_cache_that_nobody_used_for_a_month_is_deleted(photos: Path) -> None:
    find_people(photos, read_contents(photos, 224))
    [path] = find_files()
    old_s = time.time() - 31 * 86400
    os.utime(path, (old_s, old_s))
    cache.drop_unused()
    assert not find_files()


def test_the_largest_person_is_chosen_unless_doubtful() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 40, 40], [0, 0, 30, 30]], np.float32)
    rest = np.zeros((3, 17, 2), np.float32), np.zeros((3, 17), np.float32)
    people = People(boxes, *rest, np.array([0.9, 0.3, 0.8], np.float32))
    assert choose_person(people) == 2
    assert choose_person(People.nobody()) is None


def test_hashes_name_the_shipped_network() -> None:
    content = finding.PEOPLE_MODEL.read_bytes()
    assert finding._read_network() == hashlib.sha256(content).hexdigest()


def test_another_least_score_is_no_reason_to_look_again(photos: Path, looked_at: list[tuple[int, ...]]) -> None:
    contents = read_contents(photos, 224)
    find_people(photos, contents)
    looked_at.clear()
    found = find_people(photos, contents, FinderConfig(min_score=0.5))
    assert not looked_at and all((each.people.scores >= 0.5).all() for each in found.values())
    find_people(photos, contents, FinderConfig(min_score=0.05))
    assert len(looked_at) == 3  # below what is cached
