"""Reading a folder per pose: the runtime's own frames, broken files listed, labels in one order."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.errors import RunError
from yoga_live.runtime.photos import decoding
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.train.photos.folder import hash_photo, list_files, list_poses, read_contents, read_photos

MESSY = Path(__file__).parents[3].parent / "shared" / "data" / "messy"


def make_folders(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
    return folder


def save_noise(path: Path, size_wh: tuple[int, int] = (90, 60), seed: int = 0, **options: Any) -> Path:
    width, height = size_wh
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path, **options)
    return path


def test_training_sees_each_photo_exactly_as_the_live_loop_letterboxes_it(drawn_photos: Path) -> None:
    photo_set = read_photos(drawn_photos, 96)  # too large for a JPEG to be decoded at a half
    assert len(photo_set.photos) == len(photo_set.frames) == 64
    for photo, frame in zip(photo_set.photos, photo_set.frames, strict=True):
        np.testing.assert_array_equal(frame, letterbox(decode_photo(drawn_photos / photo.path), 96), photo.path)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_odd_colour_modes_are_read_as_the_live_loop_reads_them(tmp_path: Path, mode: str) -> None:
    for pose in ("tree", "plank"):
        picture = Image.open(save_noise(tmp_path / f"{pose}.png")).convert("RGB").convert(mode)
        make_folders(tmp_path / "photos", pose)
        picture.save(tmp_path / "photos" / pose / f"odd.{'tif' if mode == 'CMYK' else 'png'}")
    photo_set = read_photos(tmp_path / "photos", 64)
    assert not photo_set.broken
    for photo, frame in zip(photo_set.photos, photo_set.frames, strict=True):
        np.testing.assert_array_equal(frame, letterbox(decode_photo(tmp_path / "photos" / photo.path), 64))


def test_a_phone_photo_stands_upright(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # stored lying, to be shown turned by 90 degrees
    save_noise(tmp_path / "tree" / "phone.jpg", (200, 100), exif=turned)
    save_noise(tmp_path / "plank" / "flat.jpg", (200, 100))
    frames = read_photos(tmp_path, 64).frames
    bars = [bool((frame[:, 0] == 114).all()) for frame in frames]
    assert bars == [False, True]  # sorted: plank fills the width, tree (upright) the height


def test_a_large_jpeg_decoded_at_a_fraction_stays_close_to_the_full_decoding(tmp_path: Path) -> None:
    save_noise(tmp_path / "tree" / "large.jpg", (2400, 1600), quality=95)
    save_noise(tmp_path / "plank" / "small.jpg")
    photo_set = read_photos(tmp_path, 128)
    full = letterbox(decode_photo(tmp_path / "tree" / "large.jpg"), 128)
    assert photo_set.photos[1].path == "tree/large.jpg"
    assert np.abs(photo_set.frames[1].astype(int) - full).max() <= 4


def test_labels_are_sorted_with_none_last(tmp_path: Path) -> None:
    assert list_poses(make_folders(tmp_path, "tree", "none", "zen", "chair")) == ("chair", "tree", "zen", "none")


def test_hidden_folders_removed_photos_and_loose_files_are_no_poses(tmp_path: Path) -> None:
    make_folders(tmp_path, "tree", "chair", "_removed", ".cache")
    (tmp_path / "manifest.csv").write_text("pose,url\n")
    assert list_poses(tmp_path) == ("chair", "tree")


@pytest.mark.parametrize("names", [(), ("tree",), ("tree", "none"), ("tree", "_removed")])
def test_fewer_than_two_poses_are_refused_and_none_is_no_pose(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(RunError, match="at least two poses"):
        list_poses(make_folders(tmp_path, *names))


def test_a_folder_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere is not a folder"):
        list_poses(tmp_path / "nowhere")


def test_broken_files_are_listed_with_their_reason_and_the_rest_is_read(tmp_path: Path) -> None:
    good = save_noise(tmp_path / "tree" / "good.jpg", (400, 300))
    save_noise(tmp_path / "plank" / "good.png")
    (tmp_path / "tree" / "cut.jpg").write_bytes(good.read_bytes()[:1500])
    (tmp_path / "tree" / "page.jpg").write_text("<!DOCTYPE html><html>404</html>")
    (tmp_path / "plank" / "empty.png").touch()
    (tmp_path / "plank" / "notes.txt").write_text("not a picture")
    (tmp_path / "plank" / ".DS_Store").write_text("hidden, so not even listed")
    photo_set = read_photos(tmp_path, 64)
    reasons = dict(photo_set.broken)
    assert [photo.path for photo in photo_set.photos] == ["plank/good.png", "tree/good.jpg"]
    assert sorted(reasons) == ["plank/empty.png", "plank/notes.txt", "tree/cut.jpg", "tree/page.jpg"]
    assert "empty" in reasons["plank/empty.png"] and "HTML" in reasons["tree/page.jpg"]
    assert "damaged" in reasons["tree/cut.jpg"] and "not a picture" in reasons["plank/notes.txt"]
    np.testing.assert_array_equal(photo_set.frames[1], letterbox(decode_photo(good, min_side=64), 64))


def test_a_pose_without_one_readable_photo_is_refused_by_name(tmp_path: Path) -> None:
    save_noise(tmp_path / "tree" / "good.png")
    save_noise(tmp_path / "plank" / "good.png", seed=1)
    make_folders(tmp_path, "goddess")
    (tmp_path / "goddess" / "broken.jpg").write_text("no picture")
    with pytest.raises(RunError, match="goddess"):
        read_photos(tmp_path, 64)


def test_photos_in_folders_below_a_pose_belong_to_it(tmp_path: Path) -> None:
    path = save_noise(tmp_path / "tree" / "home" / "a.png")
    save_noise(tmp_path / "plank" / "b.png")
    tree = read_photos(tmp_path, 64).photos[1]
    assert (tree.path, tree.pose) == ("tree/home/a.png", "tree")
    assert tree.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_mirror_hash_is_the_hash_of_the_mirrored_photo(drawn_photos: Path) -> None:
    frame = decode_photo(drawn_photos / "tree" / "00.png")
    phash, mirror_phash = hash_photo(frame)
    assert hash_photo(np.ascontiguousarray(frame[:, ::-1])) == (mirror_phash, phash)
    assert phash != mirror_phash and 0 <= phash < 2**64


@pytest.mark.skipif(not MESSY.is_dir(), reason="the untouched originals of ../shared/data/messy are not here")
def test_real_messy_photos_are_read_or_listed(tmp_path: Path) -> None:
    make_folders(tmp_path, "plank", "tree")
    (tmp_path / "plank" / "messy").symlink_to(MESSY)
    for path in MESSY.iterdir():
        (tmp_path / "tree" / path.name).write_bytes(path.read_bytes())
    save_noise(tmp_path / "plank" / "b.png")
    broken = {name.removeprefix("tree/") for name, _ in read_photos(tmp_path, 64).broken if name.startswith("tree/")}
    assert {"empty.jpg", "html_named.jpg"} <= broken <= {"empty.jpg", "html_named.jpg", "truncated.jpg"}


def test_folders_that_are_hidden_inside_a_pose_are_left_out(tmp_path: Path) -> None:
    save_noise(tmp_path / "tree" / "a.png")
    save_noise(tmp_path / "plank" / "b.png")
    save_noise(tmp_path / "tree" / ".ipynb_checkpoints" / "a-checkpoint.png")
    save_noise(tmp_path / "tree" / "home" / ".thumbnails" / "deep" / "a.png")
    hidden_above = tmp_path.rename(tmp_path.with_name(".photos"))  # only what is inside the photo folder counts
    assert [photo.path for photo in read_photos(hidden_above, 64).photos] == ["plank/b.png", "tree/a.png"]


def test_contents_are_read_by_path_with_and_without_a_cache(tmp_path: Path) -> None:
    for path in ("tree/a.png", "tree/home/b.png", "plank/c.png"):
        save_noise(tmp_path / path, seed=len(path))
    (tmp_path / "plank" / "broken.jpg").write_text("no picture")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    expected = {f.relative_to(tmp_path).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    assert read_contents(tmp_path, 64) == expected
    read_photos(tmp_path, 64)
    assert read_contents(tmp_path, 64) == expected
    save_noise(tmp_path / "tree/a.png", seed=99)
    assert read_contents(tmp_path, 64)["tree/a.png"] != expected["tree/a.png"]


def test_pictures_that_show_nobody_are_broken_files_of_a_pose(tmp_path: Path) -> None:
    for pose in ("tree", "plank", "none"):
        save_noise(tmp_path / pose / "a.png")
        Image.new("RGB", (90, 60), (7, 7, 7)).save(tmp_path / pose / "plain.png")
        Image.new("RGB", (1, 1)).save(tmp_path / pose / "one.png")
    photo_set = read_photos(tmp_path, 64)
    assert [photo.path for photo in photo_set.photos] == ["plank/a.png", "tree/a.png", "none/a.png", "none/plain.png"]
    reasons = dict(photo_set.broken)
    assert reasons["tree/plain.png"].startswith("of one colour") and reasons["none/one.png"].startswith("too small")


def test_the_hash_of_a_large_photo_is_that_of_the_whole(tmp_path: Path) -> None:
    photo = decode_photo(save_noise(tmp_path / "large.png", (1500, 900)))
    grey = (
        Image.fromarray(np.ascontiguousarray(photo[:, :, ::-1])).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    )
    assert hash_photo(photo) == hash_photo(np.dstack([np.asarray(grey)] * 3))


def draw_plainly(name: str) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """A grey picture of 64 x 96 pixels, by arithmetic alone."""
    y, x = np.mgrid[0:96, 0:64].astype(np.int64)
    body = (abs(x - 30) < 6) & (y > 20) | ((x - 30) ** 2 + (y - 14) ** 2 < 60)
    with_arm = body | (abs(y - 34 - (x - 30) // 3) < 4) & (x > 20)
    return {
        "waves": (x * x * 3 + y * x * 7 + y * 5) % 256,
        "person": np.where(body, 200, 60 + x),
        "person, arm out": np.where(with_arm, 200, 60 + x),
        "dark person": np.where(with_arm, 30, 20 + y // 8),
        "checks": (x // 9 + y // 7) % 2 * 255,
        "disc": np.where((x - 20) ** 2 + (y - 60) ** 2 < 300, 250, 5),
        "mirror image of itself": abs(2 * x - 63) * 3 + y,
        "slope": y * 2,
        "diagonal slope": x + y,
        "black": x * 0,
        "grey": x * 0 + 77,
        "white": x * 0 + 255,
    }[name].astype(np.uint8)


IMAGEHASH = {  # imagehash.phash (4.3.2, SciPy 1.17.1) of the picture and of its mirror image, at 32 x 32 pixels
    "waves": (0xB6664E04E67E811F, 0xF11555553333D44E),
    "person": (0x8C73333333333333, 0xD926666666666666),
    "person, arm out": (0x8C33636133B37363, 0xD966363466E62636),
    "dark person": (0x8C4C736333337363, 0xD959263666662637),
    "checks": (0xF554D5545454F554, 0xD555555555551555),
    "disc": (0xC03F3FC03727D838, 0x956A6A9D62728D6C),
    "mirror image of itself": (0xA02A00AA0020AA20, 0xA02A00AA0020AA20),
    "slope": (0x8000000000000000, 0x8000000000000000),
    "diagonal slope": (0xAA00000000000000, 0xFF00000000000000),
    "black": (0x0, 0x0),
    "grey": (0x8000000000000000, 0x8000000000000000),
    "white": (0x8000000000000000, 0x8000000000000000),
}


@pytest.mark.parametrize("name", IMAGEHASH)
def test_hashes_are_those_of_imagehash_which_stand_in_manifests(name: str) -> None:
    """Without the square root of two, or in 32 bits, some differ."""
    assert hash_photo(np.dstack([draw_plainly(name)] * 3)) == IMAGEHASH[name]


def test_the_hash_of_a_coloured_photo_is_that_of_imagehash_too() -> None:
    frame_bgr = np.dstack([draw_plainly(name) for name in ("disc", "person", "waves")])
    assert hash_photo(frame_bgr) == (0x8C3333C077377133, 0xD966669576626466)


def test_equal_frequencies_count_as_equal() -> None:
    """Every second frequency of a slope is 0, or 1e-13 with the rounding errors of a processor."""
    for down, right in [(0, 1), (0, 3), (1, 0), (1, 1), (2, 1), (3, 2), (4, 3), (4, 0)]:
        slope = np.add.outer(np.arange(32) * down, np.arange(32) * right).astype(np.uint8)
        mirrored = 0xD500000000000000 if right else 0x8000000000000000
        assert hash_photo(np.dstack([slope] * 3)) == (0x8000000000000000, mirrored)


def test_what_a_package_would_read_is_read_once_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pose in ("tree", "plank"):
        save_noise(tmp_path / pose / "a.png")
    (tmp_path / "tree" / "b.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    monkeypatch.setattr(decoding, "_load_heif", lambda: False)
    assert "pip install pi-heif" in dict(read_photos(tmp_path, 64).broken)["tree/b.heic"]
    monkeypatch.setattr(decoding, "_load_heif", lambda: True)
    assert "pip install" not in dict(read_photos(tmp_path, 64).broken)["tree/b.heic"]


def test_a_folder_that_cannot_be_read_is_refused_by_name(plain_rights: None, tmp_path: Path) -> None:
    (tmp_path / "tree" / "mine").mkdir(parents=True)
    (tmp_path / "tree" / "a.jpg").touch()
    (tmp_path / "tree" / "mine").chmod(0)
    with pytest.raises(RunError, match=r"the folder .*tree/mine cannot be read: Permission denied"):
        list_files(tmp_path, ("tree",))
    (tmp_path / "tree" / "mine").chmod(0o700)
    assert list_files(tmp_path, ("tree",)) == [("tree", tmp_path / "tree" / "a.jpg")]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (
            ("closer", "none"),
            "has 2 pose folders (closer, none); at least two poses are needed besides none, which is not one; add a "
            "second one, or one folder for all other poses together",
        ),
        (("closer",), "has 1 pose folder (closer); at least two poses are needed; add a second one, or"),
        (("none",), "at least two poses are needed besides none, which is not one; make one folder per pose"),
        ((), "has 0 pose folders (it is empty); at least two poses are needed; make one folder per pose"),
    ],
)
def test_too_few_poses_are_counted_without_none(tmp_path: Path, names: tuple[str, ...], line: str) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(RunError, match=re.escape(line)):
        list_poses(tmp_path)
