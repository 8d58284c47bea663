"""The manifest loses no row, whenever its writer is killed, and doesn't depend on the order of events."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from yoga_live.runtime.errors import OutputError, RunError
from yoga_live.runtime.system.foreign_files import is_inside
from yoga_live.train.photos.manifest import (
    COLUMNS,
    DUPLICATE,
    FAILED,
    MANIFEST,
    OK,
    PLACES,
    REFUSED,
    REMOVED,
    WITHDRAWN,
    Manifest,
    ManifestRow,
    read_manifest,
)

steady = settings(deadline=None)  # a busy machine is no failure

PHOTO = ManifestRow("tree", "http://a.example/1", "ab" * 32, "0f", "640", "480", "", OK, "", "tree/abab.jpg", "f0")


def write(folder: Path, *rows: ManifestRow) -> list[ManifestRow]:
    with Manifest(folder) as manifest:
        for row in rows:
            manifest.add(row)
    return list(read_manifest(folder))


def failed(url: str, reason: str = "timed out") -> ManifestRow:
    return ManifestRow("tree", url, status=FAILED, reason=reason)


def test_columns_start_as_the_design_has_them() -> None:
    assert ",".join(COLUMNS).startswith("pose,url,sha256,phash,width,height,group,status,reason")


def test_the_newest_row_of_a_url_counts_and_rows_are_sorted(tmp_path: Path) -> None:
    rows = write(tmp_path, failed("http://b/"), failed("http://a/"), replace(failed("http://b/"), reason="HTTP 500"))
    assert [(row.url, row.reason) for row in rows] == [("http://a/", "timed out"), ("http://b/", "HTTP 500")]
    assert len((tmp_path / MANIFEST).read_text().splitlines()) == 3


def test_a_withdrawn_row_is_gone_and_settles_nothing(tmp_path: Path) -> None:
    copy = replace(PHOTO, url="http://z/")
    assert write(tmp_path, PHOTO, copy, replace(copy, status=REMOVED), replace(copy, status=WITHDRAWN)) == [PHOTO]
    assert len((tmp_path / MANIFEST).read_text().splitlines()) == 2
    assert [row.url for row in write(tmp_path, copy)] == [PHOTO.url, copy.url]  # and may come again


@steady
@given(st.permutations([PHOTO, *(replace(PHOTO, url=f"http://a.example/{i}") for i in (2, 3)), failed("http://x/")]))
def test_the_file_does_not_depend_on_which_copy_came_first(
    tmp_path_factory: pytest.TempPathFactory, rows: list[ManifestRow]
) -> None:
    first, *others, broken = write(tmp_path_factory.mktemp("photos"), *rows)
    assert first == PHOTO
    assert [row.status for row in others] == [DUPLICATE, DUPLICATE]
    assert {row.reason for row in others} == {"same content: http://a.example/1"}
    assert broken.status == FAILED


def test_a_copy_of_a_removed_photo_stays_a_duplicate(tmp_path: Path) -> None:
    removed = replace(PHOTO, url="http://z/", status="removed", reason="no tree", path="_removed/tree/abab.jpg")
    rows = write(tmp_path, replace(removed, status=OK), removed, PHOTO)
    assert [(row.url, row.status) for row in rows] == [(PHOTO.url, DUPLICATE), ("http://z/", "removed")]


@steady
@given(st.lists(st.text(max_size=30), min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_any_text_survives_but_for_white_space(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    hashes = {"sha256": "", "phash": "", "mirror_phash": ""}  # no text: what else stands there is refused
    row = replace(ManifestRow(*cells), status=REFUSED, **hashes)
    assume(not row.path or is_inside(row.path))
    texts = {name: str(getattr(row, name)) for name in COLUMNS}
    plain = ManifestRow(
        *(text if name in PLACES else " ".join(text.replace("\0", "").split()) for name, text in texts.items())
    )
    assert write(tmp_path_factory.mktemp("photos"), row) == [plain]


@steady
@given(st.data())
def test_killed_at_any_byte_no_whole_row_is_lost(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut the journal anywhere, as a kill does: every row before the cut is read, the torn one is dropped."""
    folder = tmp_path_factory.mktemp("photos")
    write(folder, *(failed(f"http://a/{i}", f'no connection: {"é" * i}, "{i}"') for i in range(6)))
    content = (folder / MANIFEST).read_bytes()
    header = content.index(b"\n") + 1
    cut = data.draw(st.integers(header, len(content)))
    (folder / MANIFEST).write_bytes(content[:cut])
    whole = content[header:cut].count(b"\n")
    assert [row.url for row in read_manifest(folder)] == [f"http://a/{i}" for i in range(whole)]
    rows = write(folder, failed("http://b/"))
    assert [row.url for row in rows] == [*(f"http://a/{i}" for i in range(whole)), "http://b/"]


def test_rows_are_on_disk_before_the_end(tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add(PHOTO)
        assert list(read_manifest(tmp_path)) == [PHOTO]


def test_left_over_temporary_files_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".manifest.part123.csv").write_text("half")
    write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", MANIFEST]


def test_two_commands_cannot_write_at_once(tmp_path: Path) -> None:
    with Manifest(tmp_path), pytest.raises(OutputError, match="another command"), Manifest(tmp_path):
        pass
    assert write(tmp_path, PHOTO) == [PHOTO]


@pytest.mark.parametrize("content", ["a,b,c\n", ",".join(COLUMNS) + "\nx,y\n", ",".join(COLUMNS) + '\n"x\n'])
def test_a_manifest_of_another_make_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(RunError, match=r"manifest\.csv"), Manifest(tmp_path):
        pass
    assert (tmp_path / MANIFEST).read_text() == content


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot create the folder"), Manifest(tmp_path / "file" / "photos"):
        pass


def test_a_long_manifest_takes_a_few_bytes_a_row(tmp_path: Path) -> None:
    line = "tree,http://host.example/{:060d}.jpg,,,,,,failed,timed out,,\n"
    with (tmp_path / MANIFEST).open("w") as file:
        file.write(",".join(COLUMNS) + "\n")
        file.writelines(line.format(i) for i in range(5_000))
    tracemalloc.start()
    assert sum(1 for _ in read_manifest(tmp_path)) == 5_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / 5_000 < 320  # 32 MB for 100,000
