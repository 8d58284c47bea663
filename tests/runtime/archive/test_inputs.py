"""The recordings of an archive: folders, lists and URLs; names that stay when it grows."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from yoga_live.runtime.archive.inputs import list_archive
from yoga_live.runtime.errors import MissingPackageError, OutputError, SourceError
from yoga_live.runtime.sources.remote import RemoteFile
from yoga_live.runtime.sources.video import VideoSource


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    folder = tmp_path / "classes"
    for name in ("mon/a.mp4", "mon/a.mov", "tue/a.mp4", "tue/notes.txt", "tue/.hidden.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"12345")
    return folder


@pytest.fixture
def bucket() -> str:
    fsspec = pytest.importorskip("fsspec")
    root = f"memory://bucket-{uuid.uuid4().hex}"
    fs, path = fsspec.core.url_to_fs(root)
    for name in ("mon/a.mp4", "mon/b.MKV", "tue/a.mp4", "tue/notes.txt"):
        fs.pipe_file(f"{path}/{name}", b"1234567")
    return root


def name_all(*inputs: Path | RemoteFile) -> list[str]:
    return [row.place.as_posix() for row in list_archive(inputs)]


def test_a_folder_is_listed_by_name_below_itself(classes: Path) -> None:
    rows = list_archive([classes])
    assert [row.place.as_posix() for row in rows] == [
        "classes/mon/a.mov", "classes/mon/a.mp4", "classes/tue/a.mp4",
    ]  # fmt: skip
    assert all(row.size_bytes == 5 and row.version.startswith("mtime_ns ") for row in rows)


def test_names_stay_when_the_archive_grows(classes: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("classes/mon/a.mp4\n")
    more = tmp_path / "more.list"
    more.write_text("# all of them\n\nclasses/tue/a.mp4\nclasses/mon/a.mov\nclasses/mon/a.mp4\nclasses/mon/a.mp4\n")
    [name] = name_all(few)
    assert name == (classes / "mon/a.mp4").as_posix().lstrip("/")
    assert name in name_all(more) and len(name_all(more)) == 3
    assert set(name_all(classes)) <= set(name_all(classes, more))


def test_a_file_that_changed_is_another_version(classes: Path) -> None:
    path = classes / "mon/a.mp4"
    [before] = list_archive([path])
    os.utime(path, ns=(1, 2))
    [after] = list_archive([path])
    assert after.place == before.place and after.version != before.version


def test_what_a_list_names_and_is_not_there_is_a_failure_of_its_own(classes: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("classes/mon/a.mp4\ngone.mp4\n")
    rows = list_archive([tmp_path / "list.txt"])
    assert [row.size_bytes for row in rows] == [5, 0]
    with pytest.raises(SourceError, match=r"gone\.mp4 does not exist"):
        list_archive([tmp_path / "gone.mp4"])


def test_results_are_no_input(classes: Path) -> None:
    out = classes / "out"
    out.mkdir()
    (out / "x.mp4").write_bytes(b"1")
    assert len(list_archive([classes], [out])) == 3


def test_a_bucket_is_listed_with_what_changes_when_a_file_does(bucket: str) -> None:
    rows = list_archive([RemoteFile(bucket)])
    names = [str(row.path).replace(":///", "://") for row in rows]  # the memory's own way to write an URL
    assert names == [f"{bucket}/{name}" for name in ("mon/a.mp4", "mon/b.MKV", "tue/a.mp4")]
    assert rows[0].place.as_posix() == f"memory/{bucket.removeprefix('memory://')}/mon/a.mp4"
    assert all(row.size_bytes == 7 and row.version for row in rows)


def test_a_list_mixes_urls_and_paths(bucket: str, classes: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{bucket}/mon/a.mp4\nclasses/mon/a.mp4\n{bucket}/gone.mp4\n")
    rows = list_archive([tmp_path / "list.txt"])
    assert sorted(row.size_bytes for row in rows) == [0, 5, 7]


def test_what_can_not_be_listed_is_one_line(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        list_archive([RemoteFile(f"{bucket}/gone")])
    with pytest.raises(SourceError, match=r"not known|Protocol"):
        list_archive([RemoteFile("nosuch://bucket/a.mp4")])
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(SourceError, match="is empty"):
        list_archive([tmp_path / "empty.txt"])
    (tmp_path / "latin.txt").write_bytes(b"\xe4\xff.mp4")
    with pytest.raises(SourceError, match="not UTF-8"):
        list_archive([tmp_path / "latin.txt"])


def test_a_scheme_whose_package_is_missing_names_it() -> None:
    pytest.importorskip("fsspec")
    try:
        import gcsfs  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        with pytest.raises(MissingPackageError, match="gcsfs"):
            list_archive([RemoteFile("gs://bucket/a.mp4")])


def test_secrets_of_a_url_are_not_told_and_no_part_of_a_name() -> None:
    file = RemoteFile("https://me:secret@host:81/a/b.mp4?X-Amz-Signature=123")
    assert str(file) == "https://host:81/a/b.mp4" and file.name == "b.mp4" and file.suffix == ".mp4"


def test_names_that_differ_in_case_alone_are_refused(bucket: str) -> None:
    with pytest.raises(OutputError, match="would have outputs of the same name"):
        import fsspec

        fs, path = fsspec.core.url_to_fs(bucket)
        fs.pipe_file(f"{path}/mon/A.mp4", b"1")
        list_archive([RemoteFile(bucket)])


def test_a_folder_that_cannot_be_read_becomes_a_failure_of_its_own(plain_rights: None, tmp_path: Path) -> None:
    (tmp_path / "classes" / "private").mkdir(parents=True)
    (tmp_path / "classes" / "a.mp4").touch()
    (tmp_path / "classes" / "private").chmod(0)
    names = [row.place.as_posix() for row in list_archive([tmp_path / "classes", tmp_path / "classes" / "private"])]
    assert names == ["classes/a.mp4", "classes/private"]
    with pytest.raises(SourceError, match=r"private is a folder that cannot be read: Permission denied"):
        VideoSource(tmp_path / "classes" / "private")
    (tmp_path / "classes" / "private").chmod(0o700)


def test_videos_that_were_annotated_beside_others_are_no_input_unless_named(classes: Path, bucket: str) -> None:
    copy = classes / "mon" / "a.Annotated.MP4"
    copy.write_bytes(b"drawn upon")
    assert len(name_all(classes)) == 3 and len(name_all(copy)) == 1
    fsspec = pytest.importorskip("fsspec")
    fs, path = fsspec.core.url_to_fs(bucket)
    before = name_all(RemoteFile(bucket))
    fs.pipe_file(f"{path}/mon/a.annotated.mp4", b"drawn upon")
    assert name_all(RemoteFile(bucket)) == before
    assert len(name_all(RemoteFile(f"{bucket}/mon/a.annotated.mp4"))) == 1
