"""What a photo folder holds, counted and drawn: true sizes, groups, one picture under two poses, escaped names."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

pytest.importorskip("jinja2")

from yoga_live.runtime.errors import RunError
from yoga_live.runtime.photos.decoding import decode_photo, read_size_wh
from yoga_live.train.photos.folder import inspect_photos, list_poses
from yoga_live.train.photos.manifest import FAILED, OK, REFUSED, Manifest, ManifestRow
from yoga_live.train.photos.near_duplicates import SAME_BITS, group_photos
from yoga_live.train.photos.stats import SAMPLES, count_failures, format_table, measure_folder, write_page

MESSY = Path(__file__).parents[3].parent / "shared" / "data" / "messy"


def draw(seed: int, size_wh: tuple[int, int] = (90, 60)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size_wh, Image.Resampling.BICUBIC)


def save(picture: Image.Image, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """tree: three pictures, one of them twice; chair: its own and a mirrored, smaller one of tree's; a broken file."""
    folder = tmp_path / "photos"
    for seed in (1, 2, 3):
        save(draw(seed), folder / "tree" / f"{seed}.png")
    shutil.copy(folder / "tree" / "1.png", folder / "tree" / "same.png")
    save(draw(4, (400, 300)), folder / "chair" / "4.jpg")
    save(ImageOps.mirror(draw(2)).resize((72, 48)), folder / "chair" / "mirrored.jpg")
    (folder / "chair" / "page.jpg").write_text("<html>not found</html>")
    return folder


def test_photos_pictures_and_copies_are_counted_by_pose(photos: Path) -> None:
    _, stats = measure_folder(photos)
    rows = {row.pose: (row.photos, row.pictures, row.duplicates) for row in stats.poses}
    assert rows == {"chair": (2, 2, 0), "tree": (4, 3, 2)}
    assert stats.pictures == 4  # the mirrored one counts with its original
    head, *lines = format_table(stats).splitlines()
    assert head.split()[:4] == ["pose", "photos", "pictures", "copies"] and "group" not in "".join([head, *lines])
    assert lines[2].split() == ["all", "6", "4", "2"]


def test_one_picture_under_two_poses_is_a_conflict(photos: Path) -> None:
    photo_list, stats = measure_folder(photos)
    [conflict] = stats.conflicts
    assert conflict.poses == ("chair", "tree")
    assert {photo_list.photos[i].path for i in conflict.members} == {"chair/mirrored.jpg", "tree/2.png"}


def test_poses_of_one_person_in_one_room_are_different_pictures_and_no_label_is_accused(one_room: Path) -> None:
    photos, stats = measure_folder(one_room)
    assert len(set(group_photos(photos.photos, SAME_BITS).tolist())) < 25  # what the hash alone calls copies
    assert not stats.conflicts and all(row.photos == 10 and row.pictures >= 8 for row in stats.poses)
    assert "more than one pose" not in format_table(stats)


def test_broken_files_are_listed_with_the_reason(photos: Path) -> None:
    _, stats = measure_folder(photos)
    [(path, reason)] = stats.broken
    assert path == "chair/page.jpg" and "HTML" in reason


def test_sides_are_those_of_the_file_though_it_is_decoded_smaller(tmp_path: Path) -> None:
    save(draw(1, (2400, 1600)), tmp_path / "tree" / "large.jpg", quality=95)
    assert decode_photo(tmp_path / "tree" / "large.jpg", min_side=224).shape[:2] == (400, 600)
    _, stats = measure_folder(tmp_path)
    assert stats.poses[0].sides == (1600, 1600, 1600)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(draw(1, (300, 200)), tmp_path / "tree" / "a.jpg", exif=exif)
    height, width = decode_photo(path).shape[:2]
    assert inspect_photos(tmp_path, 64).photos[0].size_wh == (width, height)
    assert (width, height) == ((200, 300) if orientation > 4 else (300, 200))


@pytest.mark.skipif(not MESSY.is_dir(), reason="the shared photos are not here")
def test_sizes_of_messy_photos_are_those_of_their_decoding(tmp_path: Path) -> None:
    shutil.copytree(MESSY, tmp_path / "tree")
    photo_list = inspect_photos(tmp_path, 64)
    assert len(photo_list.photos) == 7
    for photo in photo_list.photos:
        content = (tmp_path / photo.path).read_bytes()
        height, width = decode_photo(content).shape[:2]
        assert photo.size_wh == read_size_wh(content) == (width, height), photo.path


def test_failures_come_from_the_manifest_by_reason(photos: Path) -> None:
    assert count_failures(photos) == {}
    with Manifest(photos) as manifest:
        for number in range(3):
            manifest.add(ManifestRow("tree", f"http://a/{number}", status=REFUSED, reason="HTTP 404"))
        manifest.add(ManifestRow("tree", "http://b/1", status=FAILED, reason="timed out: after 10 s"))
        manifest.add(ManifestRow("tree", "http://c/1", "ab", status=OK, path="tree/1.png"))
    assert count_failures(photos) == Counter({"HTTP 404": 3, "timed out": 1})
    table = format_table(measure_folder(photos)[1])
    assert "3 URLs or files failed: HTTP 404" in table and "1 picture under more than one pose" in table


def test_one_pose_is_enough_to_count_and_no_pose_is_said(tmp_path: Path) -> None:
    save(draw(1), tmp_path / "none" / "1.png")
    assert measure_folder(tmp_path)[1].poses[0].photos == 1
    with pytest.raises(RunError, match="at least two poses"):
        list_poses(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="make one folder per pose"):
        measure_folder(tmp_path / "empty")


def test_an_empty_pose_is_a_row_of_zeros(photos: Path) -> None:
    (photos / "plank").mkdir()
    photo_list, stats = measure_folder(photos)
    assert next(row for row in stats.poses if row.pose == "plank").sides == (0, 0, 0)
    write_page(stats, photo_list, photos / "stats.html")


def test_the_page_shows_photos_from_the_cache_and_where_there_is_none_from_their_files(photos: Path) -> None:
    photo_list, stats = measure_folder(photos)
    pages = []
    for shown in (photo_list, replace(photo_list, frames=None)):
        write_page(stats, shown, photos / "stats.html")
        pages.append(re.findall(r"data:image/jpeg;base64,([^\"]+)", (photos / "stats.html").read_text()))
    assert len(pages[0]) == len(pages[1]) > 5
    for cached, decoded in zip(*pages, strict=True):
        one, other = (np.asarray(Image.open(io.BytesIO(base64.b64decode(each))), int) for each in (cached, decoded))
        assert one.shape == other.shape == (112, 112, 3) and abs(one - other).mean() < 3


class Page(HTMLParser):
    """Tags, links and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


def draw_page(photos: Path) -> Page:
    photo_list, stats = measure_folder(photos)
    write_page(stats, photo_list, photos / "stats.html")
    return Page((photos / "stats.html").read_text(encoding="utf-8"))


def test_the_page_holds_every_pose_and_pictures_and_asks_nothing_of_the_network(photos: Path) -> None:
    page = draw_page(photos)
    assert page.tags["img"] == 2 + 2 + 4  # the conflict's, chair's, tree's
    assert all(link.startswith("data:image/jpeg;base64,") and len(link) > 500 for link in page.links)
    assert "photos: 6 photos" in page.words and "chair/page.jpg" in page.words
    assert not re.search(r"url\(|@import|<script", (photos / "stats.html").read_text())


def test_names_are_escaped(photos: Path) -> None:
    shutil.copy(photos / "tree" / "1.png", photos / "chair" / "<script>alert(1)<'\"&>.png")
    (photos / "chair" / "<img src=x onerror=alert(1)>.jpg").write_text("broken")
    (photos / "<b>bold").mkdir()
    with Manifest(photos) as manifest:
        manifest.add(ManifestRow("tree", "http://a/", status=REFUSED, reason="<script>evil</script>"))
    page = draw_page(photos)
    assert page.tags["script"] == page.tags["b"] - len(measure_folder(photos)[1].conflicts) == 0
    for name in ("<script>alert(1)<'\"&>.png", "<img src=x onerror=alert(1)>.jpg", "<b>bold", "<script>evil</script>"):
        assert name in page.words
    assert "x" not in page.links


def test_a_name_that_is_no_unicode_does_not_stop_the_page(photos: Path) -> None:
    try:
        (photos / "tree" / "caf\udce9.png").write_bytes((photos / "tree" / "3.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    assert "caf\\udce9.png" in draw_page(photos).words


def test_samples_are_spread_over_a_large_pose(photos: Path) -> None:
    for seed in range(100, 140):
        save(draw(seed), photos / "tree" / f"{seed}.png")
    assert draw_page(photos).tags["img"] == 2 + 2 + SAMPLES
