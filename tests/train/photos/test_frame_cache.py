"""Decoded photos on disk: read again only what changed, whole or not at all."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.system.files import find_cache_folder
from yoga_live.train.photos import folder
from yoga_live.train.photos.folder import PhotoSet, read_photos
from yoga_live.train.photos.frame_cache import drop_unused_caches
from yoga_live.train.photos.stats import READ_SIZE, count_photos, measure_folder


@pytest.fixture
def photos(drawn_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(drawn_photos, tmp_path / "photos"))
    (folder / "tree" / "page.jpg").write_text("<html>gone</html>")
    return folder


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded."""
    names: list[str] = []
    read = folder._read_one

    def spy(path: Path, size: int, pose: str):
        names.append(path.name)
        return read(path, size, pose)

    monkeypatch.setattr(folder, "_read_one", spy)
    return names


def assert_equal(first: PhotoSet, second: PhotoSet) -> None:
    assert first.photos == second.photos and first.broken == second.broken and first.labels == second.labels
    np.testing.assert_array_equal(first.frames, second.frames)


def test_a_second_reading_decodes_nothing_and_gives_the_same(photos: Path, decoded: list[str]) -> None:
    plain = read_photos(photos, 64, cached=False)
    first = read_photos(photos, 64)
    decoded.clear()
    again = read_photos(photos, 64)
    assert not decoded
    assert_equal(first, plain)
    assert_equal(again, plain)
    assert isinstance(again.frames, np.memmap) and not again.frames.flags.writeable
    assert again.broken[0][0] == "tree/page.jpg"


def test_only_what_is_new_or_changed_is_decoded(photos: Path, decoded: list[str]) -> None:
    read_photos(photos, 64)
    decoded.clear()
    shutil.copy(photos / "tree" / "00.png", photos / "down_dog" / "new.png")
    shutil.copy(photos / "tree" / "02.png", photos / "tree" / "04.png")
    (photos / "tree" / "01.jpg").unlink()
    changed = read_photos(photos, 64)
    assert sorted(decoded) == ["04.png", "new.png"]
    assert_equal(changed, read_photos(photos, 64, cached=False))
    assert len(list(find_cache_folder("frames").glob("*/frames-*.bin"))) == 1  # the old frames are gone


def test_stats_decodes_a_photo_once_and_fit_at_its_size_does_not_again(photos: Path, decoded: list[str]) -> None:
    first_list, first = measure_folder(photos)
    assert len(decoded) == 65
    decoded.clear()
    again_list, again = measure_folder(photos)
    assert not decoded and again == first and again_list.photos == first_list.photos
    assert_equal(read_photos(photos, READ_SIZE), read_photos(photos, READ_SIZE, cached=False))
    assert len(decoded) == 65  # by the second one, without the cache
    shutil.copy(photos / "tree" / "00.png", photos / "down_dog" / "new.png")
    decoded.clear()
    assert measure_folder(photos)[1].poses[0].photos == first.poses[0].photos + 1 and decoded == ["new.png"]


def test_stats_says_where_nothing_can_be_cached_and_counts_the_same(
    photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cached_list, cached = measure_folder(photos)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level("WARNING"):
        photo_list, stats = measure_folder(photos)
    assert stats == cached and photo_list.frames is None and cached_list.frames is not None
    assert count_photos(photo_list, Counter()) == stats  # its thumbnails are there after the temporary file is gone
    assert any("cannot cache" in message for message in caplog.messages)


def test_each_size_has_its_own_frames(photos: Path) -> None:
    assert read_photos(photos, 64).frames.shape[1] == 64
    assert read_photos(photos, 96).frames.shape[1] == 96
    assert_equal(read_photos(photos, 64), read_photos(photos, 64, cached=False))


DAMAGES = ["index cut", "index of another version", "a long hash", "frames cut", "frames gone", "no text"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_made_anew(photos: Path, damage: str) -> None:
    read_photos(photos, 64)
    (place,) = find_cache_folder("frames").iterdir()
    (frames,) = place.glob("frames-*.bin")
    index = place / "index.csv"
    if damage == "index cut":
        index.write_text(index.read_text()[:-40])
    elif damage == "index of another version":
        index.write_text("0" + index.read_text()[1:])
    elif damage == "a long hash":
        lines = index.read_text().splitlines()
        cells = lines[2].split(",")
        index.write_text(
            "\n".join([*lines[:2], ",".join([*cells[:4], "f" + cells[4].zfill(16), *cells[5:]]), *lines[3:], ""])
        )
    elif damage == "frames cut":
        frames.write_bytes(frames.read_bytes()[:-1])
    elif damage == "frames gone":
        frames.unlink()
    else:
        index.write_bytes(b"\xff\x00\xfe" * 30)
    assert_equal(read_photos(photos, 64), read_photos(photos, 64, cached=False))


def test_a_kill_while_writing_leaves_the_old_cache(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_photos(photos, 64)
    shutil.copy(photos / "tree" / "00.png", photos / "down_dog" / "new.png")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folder, "_read_one", stop)
        with pytest.raises(KeyboardInterrupt):
            read_photos(photos, 64)
    assert len(list(find_cache_folder("frames").glob("*/frames-*.bin"))) == 1
    (photos / "down_dog" / "new.png").unlink()
    assert_equal(read_photos(photos, 64), before)


def test_where_nothing_can_be_kept_photos_are_read_into_memory_and_it_is_said(
    photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level("WARNING"):
        assert_equal(read_photos(photos, 64), read_photos(photos, 64, cached=False))
    assert any("cannot cache" in message for message in caplog.messages)


def test_caches_that_no_run_has_used_for_a_month_are_thrown_away(photos: Path) -> None:
    read_photos(photos, 64)
    read_photos(photos, 96)
    old, young = sorted(find_cache_folder("frames").iterdir())
    then = time.time() - 40 * 86400
    os.utime(old, (then, then))
    drop_unused_caches()
    assert not old.exists() and young.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["index.csv", "frames-*.bin"])
def test_a_named_pipe_in_the_cache_hangs_nobody(photos: Path, name: str) -> None:
    first = read_photos(photos, 64)
    [path] = find_cache_folder("frames").glob(f"*/{name}")
    path.unlink()
    os.mkfifo(path)
    assert_equal(read_photos(photos, 64), first)
