"""Pictures that the user has: copied as they are, each with its row; what is no photo says why."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.errors import OptionError, RunError
from yoga_live.train.gather.add_files import LEFT_OUT, add_folder
from yoga_live.train.photos.manifest import DUPLICATE, OK, REFUSED, Manifest, ManifestRow, read_manifest

MESSY = Path(__file__).parents[3].parent / "shared" / "data" / "messy"


def save_photo(path: Path, seed: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((80, 60)).save(path, **options)
    return path


def rows_by_name(photos: Path) -> dict[str, ManifestRow]:
    return {row.url.rsplit("/", 1)[-1]: row for row in read_manifest(photos)}


def list_photos(photos: Path) -> list[str]:
    return sorted(path.relative_to(photos).as_posix() for path in photos.glob("[!.]*/*"))


def test_photos_are_copied_byte_for_byte_under_their_content_s_name(tmp_path: Path) -> None:
    source = save_photo(tmp_path / "mine" / "deep" / "er" / "my photo.jpeg")
    outcomes = add_folder(tmp_path / "mine", "tree", tmp_path / "photos")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    copy = tmp_path / "photos" / "tree" / f"{digest[:16]}.jpg"
    assert copy.read_bytes() == source.read_bytes()
    [row] = read_manifest(tmp_path / "photos")
    assert (row.pose, row.sha256, row.status, row.path) == ("tree", digest, OK, f"tree/{copy.name}")
    assert (row.width, row.height, len(row.phash)) == ("80", "60", 16)
    assert row.url == source.resolve().as_uri() and "my%20photo" in row.url
    assert outcomes == {(OK, ""): 1} and source.exists()


def test_what_is_no_photo_gets_a_row_with_the_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    save_photo(tmp_path / "mine" / "a.jpg")
    (tmp_path / "mine" / "b.jpg").write_text("<html>404</html>")
    (tmp_path / "mine" / "c.jpg").write_bytes((tmp_path / "mine" / "a.jpg").read_bytes()[:400])
    save_photo(tmp_path / "mine" / "d.png", 1)
    add_folder(tmp_path / "mine", "tree", tmp_path / "photos")
    rows = rows_by_name(tmp_path / "photos")
    assert [rows[name].status for name in ("a.jpg", "b.jpg", "c.jpg", "d.png")] == [OK, REFUSED, REFUSED, OK]
    assert "HTML" in rows["b.jpg"].reason and rows["c.jpg"].reason
    assert len(list_photos(tmp_path / "photos")) == 2


def test_the_same_folder_twice_changes_nothing(tmp_path: Path) -> None:
    save_photo(tmp_path / "mine" / "a.jpg")
    save_photo(tmp_path / "mine" / "b.jpg", 1)
    photos = tmp_path / "photos"
    add_folder(tmp_path / "mine", "tree", photos)
    before = (photos / "manifest.csv").read_bytes(), list_photos(photos)
    assert add_folder(tmp_path / "mine", "tree", photos) == {(DUPLICATE, "same content"): 2}
    assert ((photos / "manifest.csv").read_bytes(), list_photos(photos)) == before


def test_a_copy_is_stored_once_within_a_pose_and_once_under_each_pose(tmp_path: Path) -> None:
    for name in ("a.jpg", "copy of a.jpg"):
        save_photo(tmp_path / "mine" / name)
    photos = tmp_path / "photos"
    assert add_folder(tmp_path / "mine", "tree", photos) == {(OK, ""): 1, (DUPLICATE, "same content"): 1}
    add_folder(tmp_path / "mine" / "a.jpg", "chair", photos)
    assert [path.split("/")[0] for path in list_photos(photos)] == ["chair", "tree"]


def test_a_photo_that_was_lost_is_put_back(tmp_path: Path) -> None:
    save_photo(tmp_path / "mine" / "a.jpg")
    photos = tmp_path / "photos"
    add_folder(tmp_path / "mine", "tree", photos)
    [lost] = list_photos(photos)
    (photos / lost).unlink()
    assert add_folder(tmp_path / "mine", "tree", photos) == {(OK, ""): 1}
    assert list_photos(photos) == [lost]


def test_a_photo_that_was_removed_does_not_come_back(tmp_path: Path) -> None:
    save_photo(tmp_path / "mine" / "a.jpg")
    photos = tmp_path / "photos"
    add_folder(tmp_path / "mine", "tree", photos)
    [row] = read_manifest(photos)
    (photos / row.path).unlink()
    removed = replace(row, status="removed", reason="blurred", path="_removed/a.jpg")
    with Manifest(photos) as manifest:
        manifest.add(removed)
    assert add_folder(tmp_path / "mine", "tree", photos) == {LEFT_OUT: 1}
    assert list(read_manifest(photos)) == [removed] and list_photos(photos) == []


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    save_photo(tmp_path / "mine" / "a.jpg")
    save_photo(tmp_path / "mine" / ".thumbnails" / "b.jpg", 1)
    (tmp_path / "mine" / ".DS_Store").write_bytes(b"x")
    assert add_folder(tmp_path / "mine", "tree", tmp_path / "photos") == {(OK, ""): 1}


@pytest.mark.parametrize("source", ["photos/tree", "photos", "."])
def test_the_photo_folder_itself_is_refused(tmp_path: Path, source: str) -> None:
    save_photo(tmp_path / "photos" / "tree" / "a.jpg")
    with pytest.raises(RunError, match="is inside the other"):
        add_folder(tmp_path / source, "tree", tmp_path / "photos")
    assert list_photos(tmp_path / "photos") == ["tree/a.jpg"]


def test_nothing_to_add_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        add_folder(tmp_path / "nowhere", "tree", tmp_path / "photos")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="has no files"):
        add_folder(tmp_path / "empty", "tree", tmp_path / "photos")


def test_a_pose_that_is_no_folder_s_name_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    save_photo(tmp_path / "mine" / "a.jpg")
    with pytest.raises(OptionError, match="cannot be the name of a pose"):
        add_folder(tmp_path / "mine", "../tree", tmp_path / "photos")
    assert not (tmp_path / "photos").exists()


@pytest.mark.skipif(not MESSY.is_dir(), reason="the shared photos are not here")
def test_messy_files_each_end_as_a_photo_or_as_a_true_reason(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        add_folder(MESSY, "tree", tmp_path / "photos")
    rows = rows_by_name(tmp_path / "photos")
    assert set(rows) == {path.name for path in MESSY.iterdir()}
    refused = {name for name, row in rows.items() if row.status == REFUSED}
    assert refused == {"empty.jpg", "html_named.jpg", "truncated.jpg"}
    turned = rows["exif_rotated_upright_is_portrait.jpg"]
    assert int(turned.height) > int(turned.width)
    assert rows["photo_avif_named.jpg"].path.endswith(".avif")


def test_a_file_that_lies_in_the_pose_without_a_row_is_not_stored_again(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    by_hand = save_photo(photos / "tree" / "home" / "mine.jpg")
    save_photo(tmp_path / "mine" / "a.jpg")
    save_photo(tmp_path / "mine" / "b.jpg", 1)
    assert add_folder(tmp_path / "mine", "tree", photos) == {(DUPLICATE, "same content"): 1, (OK, ""): 1}
    assert len(list((photos / "tree").rglob("*.jpg"))) == 2 and by_hand.exists()
    row = rows_by_name(photos)["a.jpg"]
    assert (row.status, row.path) == (OK, "tree/home/mine.jpg")  # the first row of that content
    assert add_folder(tmp_path / "mine", "tree", photos) == {(DUPLICATE, "same content"): 2}
    assert len(list((photos / "tree").rglob("*.jpg"))) == 2


def test_files_that_are_no_photos_are_counted_by_kind_and_get_no_row(tmp_path: Path) -> None:
    save_photo(tmp_path / "mine" / "a.jpg")
    save_photo(tmp_path / "mine" / "b.png", 1).rename(tmp_path / "mine" / "without_a_suffix")
    for name in ("a.mov", "in/b.mov", "c.pdf"):
        (tmp_path / "mine" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(b"%PDF-1.7")
    outcomes = add_folder(tmp_path / "mine", "tree", tmp_path / "photos")
    assert outcomes == {(OK, ""): 2, ("left out", "not a photo: 2 .mov, 1 .pdf"): 3}
    assert set(rows_by_name(tmp_path / "photos")) == {"a.jpg", "without_a_suffix"}
    with pytest.raises(RunError, match=r"has no photos; ignored 1 file that is not a photo: 1 \.mov"):
        add_folder(tmp_path / "mine" / "in", "tree", tmp_path / "photos")


@pytest.mark.parametrize(
    ("size_wh", "reason"), [((1, 1), "too small: 1 x 1 pixels"), ((90, 60), "of one colour: #0a141e everywhere")]
)
def test_a_picture_that_shows_nobody_is_no_photo_of_a_pose(
    tmp_path: Path, size_wh: tuple[int, int], reason: str
) -> None:
    (tmp_path / "mine").mkdir()
    Image.new("RGB", size_wh, (10, 20, 30)).save(tmp_path / "mine" / "a.png")
    add_folder(tmp_path / "mine", "tree", tmp_path / "photos")
    [row] = read_manifest(tmp_path / "photos")
    assert row.status == REFUSED and row.reason.startswith(reason)


def test_a_plain_picture_may_be_a_photo_of_none(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    Image.new("RGB", (90, 60)).save(tmp_path / "mine" / "black.png")
    assert add_folder(tmp_path / "mine", "none", tmp_path / "photos") == {(OK, ""): 1}


@pytest.mark.skipif(not (MESSY.parents[1] / "faults").is_dir(), reason="the shared faults are not here")
def test_shared_pictures_that_failed_are_right(tmp_path: Path) -> None:
    faults = MESSY.parents[1] / "faults"
    for name in ("o6.tif", "one.png", "float01.tif"):
        add_folder(faults / name, "tree", tmp_path / "photos")
    rows = rows_by_name(tmp_path / "photos")
    assert (rows["o6.tif"].width, rows["o6.tif"].height) == ("40", "60") and rows["float01.tif"].status == OK
    assert rows["one.png"].reason.startswith("too small")


def test_a_folder_that_cannot_be_read_is_refused_before_anything_is_copied(plain_rights: None, tmp_path: Path) -> None:
    (tmp_path / "mine" / "private").mkdir(parents=True)
    (tmp_path / "mine" / "private").chmod(0)
    with pytest.raises(RunError, match=r"the folder .*mine/private cannot be read: Permission denied"):
        add_folder(tmp_path / "mine", "tree", tmp_path / "photos")
    (tmp_path / "mine" / "private").chmod(0o700)
    assert not (tmp_path / "photos").exists()
