"""Folders and files in, names of outputs that never collide out."""

from pathlib import Path

import pytest

from yoga_live.runtime.errors import OutputError, SourceError
from yoga_live.runtime.sources.inputs import check_new, list_files, make_folder, name_outputs, parse_input
from yoga_live.runtime.sources.remote import RemoteFile


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def is_mp4(path: Path) -> bool:
    return path.suffix.lower() in {".mp4", ".mov"}


def names(*paths: Path) -> list[str]:
    return [name.as_posix() for name in name_outputs(list_files(paths, is_mp4, "video"))]


def test_a_folder_gives_all_below_it_sorted_without_hidden_and_other_files(tmp_path: Path) -> None:
    make(tmp_path, "b.mp4", "a.MP4", "x/c.mov", "notes.txt", ".hidden.mp4", ".trash/d.mp4", "._b.mp4")
    listed = list_files([tmp_path], is_mp4, "video")
    assert [file.name for file in listed] == ["a.MP4", "b.mp4", "x/c.mov"]
    assert [name.as_posix() for name in name_outputs(listed)] == ["a", "b", "x/c"]


def test_a_file_given_twice_is_done_once(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    assert len(list_files([tmp_path / "b.mp4", tmp_path], is_mp4, "video")) == 2


def test_a_named_file_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    make(tmp_path, "recording")
    assert names(tmp_path / "recording") == ["recording"]


def test_the_outputs_of_the_last_run_are_no_input(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "out/a.mp4")
    listed = list_files([tmp_path], is_mp4, "video", leave_out=[tmp_path / "out", tmp_path / "none_yet"])
    assert [file.name for file in listed] == ["a.mp4"]
    assert len(list_files([tmp_path], is_mp4, "video", leave_out=[tmp_path])) == 2


@pytest.mark.parametrize("kind", ["video", "photo"])
def test_what_is_not_there_or_empty_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SourceError, match=f"the {kind} .*no.mp4 does not exist"):
        list_files([tmp_path / "no.mp4"], is_mp4, kind)
    with pytest.raises(SourceError, match=f"has no {kind}s"):
        list_files([tmp_path], is_mp4, kind)


def test_what_is_not_there_is_listed_beside_others_where_it_may(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    given = [tmp_path / "no.mp4", tmp_path / "a.mp4"]
    assert [file.path.name for file in list_files(given, is_mp4, "video", keep_missing=True)] == ["no.mp4", "a.mp4"]
    for paths, keep_missing in ((given, False), (given[:1], True)):
        with pytest.raises(SourceError, match=r"the video .*no\.mp4 does not exist"):
            list_files(paths, is_mp4, "video", keep_missing=keep_missing)


def test_files_of_one_stem_keep_their_suffix(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "a.mov", "b.mp4")
    assert names(tmp_path) == ["a.mov", "a.mp4", "b"]


def test_names_that_differ_in_case_alone_are_kept_apart(tmp_path: Path) -> None:
    make(tmp_path, "A.mov", "a.mp4")
    assert names(tmp_path) == ["A.mov", "a.mp4"]


def test_files_of_one_name_keep_their_folders(tmp_path: Path) -> None:
    make(tmp_path, "mon/a.mp4", "tue/a.mp4", "tue/b.mp4")
    assert names(tmp_path / "mon" / "a.mp4", tmp_path / "tue" / "a.mp4") == ["mon/a.mp4", "tue/a.mp4"]
    assert names(tmp_path / "mon", tmp_path / "tue") == ["mon/a.mp4", "tue/a.mp4", "b"]


def test_whatever_is_given_no_two_names_are_alike(tmp_path: Path) -> None:
    make(tmp_path, "x/a.mp4", "y/a.mp4", "y/a.mov", "y/x/a.mp4", "a.mp4.mp4", "a.mov")
    found = names(tmp_path, tmp_path / "x", tmp_path / "y")
    assert len({name.casefold() for name in found}) == len(found) == 6


def test_names_that_can_not_be_told_apart_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "x/a.mp4", "y/a.mp4", "given/x/a.mp4.mov", "given/x/a.mp4.mp4")
    with pytest.raises(OutputError, match="use two commands"):
        name_outputs(
            [
                *list_files([tmp_path / "x" / "a.mp4", tmp_path / "y" / "a.mp4"], is_mp4, "video"),
                *list_files([tmp_path / "given"], lambda path: path.suffix == ".mov", "video"),
            ]
        )


def test_taken_outputs_are_refused_all_at_once_and_inputs_always(tmp_path: Path) -> None:
    make(tmp_path, "in.mp4", "a.mp4", "b.mp4", "c.part.mp4")
    paths = [tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4", tmp_path / "new" / "d.mp4"]
    with pytest.raises(OutputError, match=r"a\.mp4 exists already.*1 more"):
        check_new(paths, [])
    check_new(paths, [], force=True)
    with pytest.raises(OutputError, match=r"in\.mp4 is the input itself"):
        check_new([tmp_path / "in.mp4"], [tmp_path / "in.mp4"], force=True)


def test_an_output_never_grows_over_an_input_or_another_output(tmp_path: Path) -> None:
    make(tmp_path, "a.part.mp4")
    (tmp_path / "b.part.mp4").hardlink_to(tmp_path / "a.part.mp4")
    for name in ("a.mp4", "b.mp4"):
        with pytest.raises(OutputError, match="is written under the name"):
            check_new([tmp_path / name], [tmp_path / "a.part.mp4"], force=True)
    with pytest.raises(OutputError, match="would both write"):
        check_new([tmp_path / "new" / "c.part.mp4", tmp_path / "new" / "C.mp4"], [], force=True)
    check_new([tmp_path / "a.jpg", tmp_path / "a.part.jpg"], [], grow=False)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "out")
    with pytest.raises(OutputError, match=r"--save .*out is a file"):
        make_folder("--save", tmp_path / "out")
    make_folder("--save", tmp_path / "new" / "deep")
    assert (tmp_path / "new" / "deep").is_dir()


def test_the_scheme_of_an_address_may_be_in_capitals() -> None:
    assert parse_input("FILE:///A/b%20c.mp4") == Path("/A/b c.mp4")
    assert parse_input("S3://Studio/A.mp4") == RemoteFile("s3://Studio/A.mp4")


def test_a_folder_that_cannot_be_read_is_told_and_the_others_are_listed(plain_rights: None, tmp_path: Path) -> None:
    make(tmp_path, "ok/a.mp4", "private/b.mp4", "private/deep/c.mp4")
    (tmp_path / "private").chmod(0)
    unreadable: dict[Path, str] = {}
    found = list_files([tmp_path], is_mp4, "video", unreadable=unreadable)
    assert [file.name for file in found] == ["ok/a.mp4"]
    assert unreadable == {tmp_path / "private": "Permission denied"}
    for paths, known in (([tmp_path], None), ([tmp_path / "private"], {})):
        with pytest.raises(SourceError, match=r"the folder .*private cannot be read: Permission denied$"):
            list_files(paths, is_mp4, "video", unreadable=known)
    (tmp_path / "private").chmod(0o700)
