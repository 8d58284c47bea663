"""Marks on a photo folder: saved before anything moves, completed after a kill, undone to the byte."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoga_live.runtime.errors import OptionError, OutputError, PhotoError, RunError
from yoga_live.train.clean.cleaner import Cleaner, open_cleaner
from yoga_live.train.clean.journal import JOURNAL, Journal, Mark, TrackedPhoto
from yoga_live.train.gather.add_files import LEFT_OUT, add_files
from yoga_live.train.photos.manifest import (
    DUPLICATE,
    MANIFEST,
    MOVED,
    OK,
    REMOVED,
    Manifest,
    ManifestRow,
    read_manifest,
)

POSES = ("plank", "tree", "none")


def write_photo(folder: Path, path: str, content: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(content)


def write_row(folder: Path, path: str, url: str) -> None:
    content = (folder / path).read_bytes()
    row = ManifestRow(path.split("/")[0], url, hashlib.sha256(content).hexdigest(), "0f" * 8, "9", "9", "g", OK)
    with Manifest(folder) as manifest:
        manifest.add(ManifestRow(**{**row.__dict__, "path": path}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos of tree that the manifest knows, one under two URLs; loose ones; one picture under two poses."""
    photos = tmp_path / "photos"
    for path, content in {
        "tree/aa.jpg": "a", "tree/bb.jpg": "b", "tree/own/cc.jpg": "c", "plank/aa.jpg": "other", "plank/dd.jpg": "d",
        "plank/ee.jpg": "b", "plank/ff.jpg": "d", "none/gg": "g",
    }.items():  # fmt: skip
        write_photo(photos, path, content)
    write_row(photos, "tree/aa.jpg", "http://a/1")
    write_row(photos, "tree/aa.jpg", "http://a/2")
    write_row(photos, "tree/bb.jpg", "http://b/1")
    write_row(photos, "plank/ee.jpg", "http://b/1")
    return photos


def read_folder(folder: Path, *leave_out: str) -> dict[str, bytes]:
    """Every file but the lock and what is named."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in {".lock", *leave_out}]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def list_contents(folder: Path) -> list[bytes]:
    return sorted(read_folder(folder, JOURNAL, MANIFEST).values())


def find(cleaner: Cleaner, path: str) -> TrackedPhoto:
    return next(photo for photo in cleaner.photos if photo.path == path)


def list_rows(folder: Path, pose: str) -> list[tuple[str, str, str, str]]:
    return [(row.url, row.status, row.reason, row.path) for row in read_manifest(folder) if row.pose == pose]


def test_a_removed_photo_moves_aside_and_leaves_its_rows_behind(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        mark = cleaner.mark(photo := find(cleaner, "tree/aa.jpg"), "remove")
        assert photo.is_removed and (mark.action, mark.to_path) == ("remove", "_removed/tree/aa.jpg")
    assert (folder / "_removed/tree/aa.jpg").read_text() == "a" and not (folder / "tree/aa.jpg").exists()
    gone = (REMOVED, "cleaned: removed", "_removed/tree/aa.jpg")
    assert list_rows(folder, "tree")[:2] == [("http://a/1", *gone), ("http://a/2", *gone)]


def test_a_relabelled_photo_takes_its_urls_along_and_overwrites_nothing(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        cleaner.mark(photo := find(cleaner, "tree/aa.jpg"), "relabel", "plank")
        assert (photo.path, photo.pose) == ("plank/aa-2.jpg", "plank")
    assert (folder / "plank/aa.jpg").read_text() == "other" and (folder / "plank/aa-2.jpg").read_text() == "a"
    assert list_rows(folder, "tree")[0] == ("http://a/1", MOVED, "cleaned: to plank", "")
    rows = [row for row in list_rows(folder, "plank") if row[0].startswith("http://a")]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("http://a/1", OK, "plank/aa-2.jpg"),
        ("http://a/2", DUPLICATE, "plank/aa-2.jpg"),
    ]
    moved = next(row for row in read_manifest(folder) if row.pose == "plank" and row.url == "http://a/1")
    assert (moved.phash, moved.width, moved.group) == ("0f" * 8, "9", "g")


def test_a_photo_that_the_new_pose_has_already_is_put_aside(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        cleaner.mark(photo := find(cleaner, "tree/bb.jpg"), "relabel", "plank")
        assert photo.is_removed and photo.pose == "plank"
        assert cleaner.mark(photo, "keep").to_path == photo.path
    assert list_rows(folder, "tree")[2] == ("http://b/1", MOVED, "cleaned: to plank", "")
    assert list_rows(folder, "plank") == [("http://b/1", OK, "", "plank/ee.jpg")]


def test_of_two_copies_in_one_pose_one_may_go_and_the_rows_stay(folder: Path) -> None:
    write_row(folder, "plank/dd.jpg", "http://d/1")
    contents = {path: hashlib.sha256(b"d").hexdigest() for path in ("plank/dd.jpg", "plank/ff.jpg")}
    with open_cleaner(folder, contents) as cleaner:
        cleaner.mark(find(cleaner, "plank/dd.jpg"), "remove")
        assert list_rows(folder, "plank")[1] == ("http://d/1", OK, "", "plank/ff.jpg")
        cleaner.mark(find(cleaner, "plank/ff.jpg"), "remove")
        assert list_rows(folder, "plank")[1][1] == REMOVED


def test_a_folder_without_a_manifest_gets_rows_by_content_for_what_was_marked(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    with open_cleaner(folder) as cleaner:
        cleaner.mark(find(cleaner, "tree/own/cc.jpg"), "relabel", "none")
        cleaner.mark(find(cleaner, "none/gg"), "remove")
    assert {(row.pose, row.url, row.status, row.path) for row in read_manifest(folder)} == {
        ("none", "", REMOVED, "_removed/none/gg"),
        ("none", "", OK, "none/cc.jpg"),  # `own` is a kind of tree, not of none
        ("tree", "", MOVED, ""),
    }


def test_a_folder_inside_a_pose_stays_with_the_pose_alone(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        cleaner.mark(photo := find(cleaner, "tree/own/cc.jpg"), "remove")
        cleaner.mark(photo, "keep")
        assert photo.path == "tree/own/cc.jpg"
        cleaner.mark(photo, "relabel", "plank")
        assert photo.path == "plank/cc.jpg"
        cleaner.undo()
        assert photo.path == "tree/own/cc.jpg"


def test_to_keep_what_was_removed_puts_it_back_and_relabelling_it_too(folder: Path) -> None:
    before = read_folder(folder)
    with open_cleaner(folder) as cleaner:
        cleaner.mark(photo := find(cleaner, "tree/aa.jpg"), "remove")
        cleaner.mark(photo, "remove")
        cleaner.mark(photo, "keep")
        assert photo.path == "tree/aa.jpg"
        assert list_rows(folder, "tree")[0][1:] == (OK, "", "tree/aa.jpg")
        cleaner.mark(photo, "remove")
        cleaner.mark(photo, "relabel", "none")
        assert photo.path == "none/aa.jpg"
        assert list_rows(folder, "tree")[0][1] == MOVED and list_rows(folder, "none")[0][1] == OK
        cleaner.mark(photo, "relabel", "tree")
        assert list_rows(folder, "none")[0][1] == MOVED and list_rows(folder, "tree")[0][1] == OK
    with open_cleaner(folder) as cleaner:  # in another session
        for _ in range(6):
            assert cleaner.undo()
        assert cleaner.undo() is None and not cleaner.can_undo()
    assert read_folder(folder, JOURNAL) == before


@pytest.mark.parametrize("seed", range(8))
def test_any_marks_and_undos_keep_every_file_once_and_undo_to_the_byte(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    if seed % 2:
        (folder / MANIFEST).unlink()
        with Manifest(folder):
            pass
    before, contents = read_folder(folder), list_contents(folder)
    known = {path: hashlib.sha256(content).hexdigest() for path, content in before.items()}
    for _ in range(4):
        with open_cleaner(folder, known) as cleaner:
            for _ in range(12):
                act(cleaner, rng)
            assert len(cleaner.photos) == len(contents)
            assert all((folder / photo.path).is_file() for photo in cleaner.photos)
            lying = {photo.path: (photo.pose, photo.action) for photo in cleaner.photos}
        assert list_contents(folder) == contents
        present = {(p.split("/")[0], hashlib.sha256(content).hexdigest()) for p, content in read_folder(folder).items()}
        for row in read_manifest(folder):
            assert row.status == MOVED or (folder / row.path).is_file(), row
            assert (row.status in (OK, DUPLICATE)) == ((row.pose, row.sha256) in present), row
        after = read_folder(folder)
        with open_cleaner(folder, known) as cleaner:  # a replay changes nothing
            assert {photo.path: (photo.pose, photo.action) for photo in cleaner.photos} == lying
        assert read_folder(folder) == after
    with open_cleaner(folder) as cleaner:
        while cleaner.undo():
            pass
    assert read_folder(folder, JOURNAL) == before


def act(cleaner: Cleaner, rng: random.Random) -> None:
    photo, action = rng.choice(cleaner.photos), rng.choice(["keep", "remove", "relabel", "relabel", "undo"])
    if action == "undo":
        cleaner.undo()
    else:
        cleaner.mark(photo, action, rng.choice(POSES) if action == "relabel" else "")


class WatchedCleaner(Cleaner):
    """Shows the folder to a watcher at each step, as a kill at that moment would leave it."""

    on_step: Callable[[], None] = staticmethod(lambda: None)

    def _record(self, mark: Mark, photo: TrackedPhoto) -> None:
        self.on_step()
        super()._record(mark, photo)
        self.on_step()

    def _move(self, path: str, to_path: str) -> None:
        super()._move(path, to_path)
        self.on_step()


@pytest.mark.parametrize("steps", ["remove", "relabel", "relabel-copy", "undo", "put back"])
def test_a_kill_at_any_step_is_completed_at_the_next_start(folder: Path, tmp_path: Path, steps: str) -> None:
    killed: list[Path] = []

    def take_picture() -> None:
        killed.append(Path(shutil.copytree(folder, tmp_path / f"killed{len(killed)}")))

    with Manifest(folder) as manifest, Journal(folder) as journal:
        cleaner = WatchedCleaner(folder, manifest, journal, {})
        photo = find(cleaner, "tree/bb.jpg" if steps == "relabel-copy" else "tree/aa.jpg")
        if steps in ("undo", "put back"):
            cleaner.mark(photo, "remove" if steps == "put back" else "relabel", "none" if steps == "undo" else "")
        before = read_files_once_ended(folder, tmp_path)
        change = cleaner.rows.change
        cleaner.rows.change = lambda *given: (take_picture(), change(*given), take_picture())  # type: ignore[assignment, misc]
        cleaner.on_step = take_picture  # type: ignore[method-assign]
        if steps == "undo":
            cleaner.undo()
        elif steps == "put back":
            cleaner.mark(photo, "keep")
        else:
            cleaner.mark(photo, *(("remove",) if steps == "remove" else ("relabel", "plank")))
    after = read_folder(folder)
    assert before != after and len(killed) >= 5
    for number, place in enumerate(killed):
        with open_cleaner(place):
            pass
        assert read_folder(place) == (after if number else before), (steps, number)


def read_files_once_ended(folder: Path, tmp_path: Path) -> dict[str, bytes]:
    copy = Path(shutil.copytree(folder, tmp_path / "ended"))
    with open_cleaner(copy):
        pass
    return read_folder(copy)


def test_a_torn_last_line_never_happened(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        cleaner.mark(find(cleaner, "tree/aa.jpg"), "keep")
        cleaner.mark(find(cleaner, "tree/bb.jpg"), "keep")
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    for cut in (1, len(lines[1]) // 2, len(lines[1]) - 1):
        (folder / JOURNAL).write_bytes(lines[0] + lines[1][:cut])
        with open_cleaner(folder) as cleaner:
            assert cleaner.count_marks() == {"keep": 1} and cleaner.last_number == 1
        assert (folder / JOURNAL).read_bytes() == lines[0]


def test_added_files_do_not_bring_a_removed_or_moved_photo_back(folder: Path, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for name in ("one", "two"):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), np.roll(picture, len(name) * (name == "two"), 0))
    source = [(tmp_path / f"{name}.png", f"file:///{name}") for name in ("one", "two")]
    shutil.copy(source[0][0], folder / "tree/first.png")  # never in the manifest
    add_files(source[1:], "tree", folder)
    [added] = [row.path for row in read_manifest(folder) if row.url == "file:///two"]
    with open_cleaner(folder) as cleaner:
        cleaner.mark(find(cleaner, "tree/first.png"), "remove")
        cleaner.mark(find(cleaner, added), "relabel", "none")
    before = read_folder(folder)
    assert add_files(source, "tree", folder) == {LEFT_OUT: 2}
    assert read_folder(folder) == before


def test_only_one_command_at_a_time_may_change_the_folder(folder: Path) -> None:
    with open_cleaner(folder), pytest.raises(OutputError, match="another command is changing"), open_cleaner(folder):
        pass


def test_a_photo_put_back_by_hand_is_moved_again_but_one_added_since_is_not_touched(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        cleaner.mark(find(cleaner, "tree/aa.jpg"), "remove")
    (folder / "_removed/tree/aa.jpg").rename(folder / "tree/aa.jpg")
    with open_cleaner(folder) as cleaner:
        assert find(cleaner, "_removed/tree/aa.jpg").is_removed
    write_photo(folder, "tree/aa.jpg", "another")
    with open_cleaner(folder) as cleaner:
        assert not find(cleaner, "tree/aa.jpg").marks
        cleaner.mark(find(cleaner, "tree/aa.jpg"), "remove")
        assert (folder / "_removed/tree/aa-2.jpg").read_text() == "another"


def test_an_undo_finds_another_name_where_the_old_one_is_taken(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        cleaner.mark(find(cleaner, "tree/aa.jpg"), "remove")
        write_photo(folder, "tree/aa.jpg", "another")
        photo = cleaner.undo()
        assert photo and photo.path == "tree/aa-2.jpg"
    assert list_rows(folder, "tree")[0] == ("http://a/1", OK, "", "tree/aa-2.jpg")
    assert (folder / "tree/aa.jpg").read_text() == "another"


def test_an_undo_of_a_file_that_was_deleted_takes_the_decision_back(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        cleaner.mark(find(cleaner, "tree/aa.jpg"), "remove")
        (folder / "_removed/tree/aa.jpg").unlink()
        assert cleaner.undo()
    assert list_rows(folder, "tree")[0] == ("http://a/1", OK, "", "tree/aa.jpg")  # `download` fetches it again


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_not_be_written_takes_the_mark_back(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        (folder / "tree").chmod(0o500)
        try:
            with pytest.raises(PermissionError):
                cleaner.mark(find(cleaner, "tree/aa.jpg"), "remove")
        finally:
            (folder / "tree").chmod(0o700)
        assert not cleaner.can_undo()


class StuckCleaner(Cleaner):
    """A disk on which nothing can be moved any more."""

    is_stuck = False

    def _move(self, path: str, to_path: str) -> None:
        if self.is_stuck:
            raise OSError(28, "No space left on device")
        super()._move(path, to_path)


def test_a_mark_or_undo_that_can_not_move_the_file_did_not_happen(folder: Path) -> None:
    with Manifest(folder) as manifest, Journal(folder) as journal:
        cleaner = StuckCleaner(folder, manifest, journal, {})
        cleaner.mark(done := find(cleaner, "tree/bb.jpg"), "remove")
        cleaner.is_stuck = True
        with pytest.raises(OSError, match="No space"):
            cleaner.mark(photo := find(cleaner, "tree/aa.jpg"), "relabel", "none")
        assert (photo.path, photo.pose, photo.action) == ("tree/aa.jpg", "tree", "")
        with pytest.raises(OSError, match="No space"):
            cleaner.undo()
        assert (done.path, done.action) == ("_removed/tree/bb.jpg", "remove") and cleaner.count_marks() == {"remove": 1}
    after = read_folder(folder)
    with open_cleaner(folder) as cleaner:
        assert cleaner.count_marks() == {"remove": 1}
    assert read_folder(folder) == after and (folder / "tree/aa.jpg").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_neither_read_nor_moved_where_they_lead_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_text("secret")
    (folder / "tree/out.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "tree/in.jpg").symlink_to("aa.jpg")
    with open_cleaner(folder) as cleaner:
        with pytest.raises(PhotoError, match="leads out of the folder"):
            cleaner.locate(find(cleaner, "tree/out.jpg"))
        for name in ("out", "in"):
            with pytest.raises(PhotoError, match="is a link"):
                cleaner.mark(find(cleaner, f"tree/{name}.jpg"), "remove")
        assert not (folder / JOURNAL).read_bytes()


def test_what_is_no_mark_is_refused(folder: Path) -> None:
    with open_cleaner(folder) as cleaner:
        photo = find(cleaner, "tree/aa.jpg")
        for action, pose in (("delete", ""), ("undo", ""), ("relabel", ""), ("keep", "tree")):
            with pytest.raises(OptionError):
                cleaner.mark(photo, action, pose)
        (folder / "tree/aa.jpg").unlink()
        with pytest.raises(PhotoError, match="is missing"):
            cleaner.mark(photo, "keep")


def test_a_mark_says_who_when_and_what(folder: Path) -> None:
    with open_cleaner(folder, None, "first", "auto 0.95") as cleaner:
        cleaner.mark(find(cleaner, "tree/aa.jpg"), "relabel", "none")
    [line] = (folder / JOURNAL).read_text().splitlines()
    content = json.loads(line)
    assert content.items() >= {
        "number": 1, "action": "relabel", "pose": "tree", "to_pose": "none", "path": "tree/aa.jpg",
        "to_path": "none/aa.jpg", "run": "first", "by": "auto 0.95",
    }.items()  # fmt: skip
    assert content["sha256"] == hashlib.sha256(b"a").hexdigest() and content["time"].endswith("+00:00")


@pytest.mark.parametrize("pose", ["../outside", "..", "/no/such/place", ".hidden", "_removed/../.."])
def test_a_pose_that_leads_out_of_the_folder_moves_nothing(folder: Path, pose: str) -> None:
    before = read_folder(folder)
    with open_cleaner(folder) as cleaner, pytest.raises(PhotoError, match="cannot be moved to"):
        cleaner.mark(find(cleaner, "tree/bb.jpg"), "relabel", pose)
    assert list_contents(folder) == sorted(content for path, content in before.items() if path != MANIFEST)
    assert (folder / JOURNAL).read_bytes() == b"" and not (folder.parent / "outside").exists()
    with open_cleaner(folder) as cleaner:
        assert find(cleaner, "tree/bb.jpg").marks == []


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_no_photo_is_moved_through_a_link_that_leads_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "_removed").mkdir()
    (folder / "_removed" / "tree").symlink_to(tmp_path / "elsewhere")
    (folder / "none").rename(tmp_path / "none")
    (folder / "none").symlink_to(tmp_path / "none")
    before = read_folder(folder)
    with open_cleaner(folder) as cleaner:
        photo = next(photo for photo in cleaner.photos if photo.path == "tree/aa.jpg")
        for action, pose in (("remove", ""), ("relabel", "none")):
            with pytest.raises(PhotoError, match="is a link that leads out of the folder"):
                cleaner.mark(photo, action, pose)
        assert cleaner.last_number == 0
    assert read_folder(folder, JOURNAL) == before and not any((tmp_path / "elsewhere").iterdir())
    (folder / "_removed" / "tree").unlink()
    (folder / "_removed").rmdir()
    (folder / "_removed").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="_removed is a link that leads out of"), open_cleaner(folder):
        pass
