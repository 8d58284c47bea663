"""Outputs appear whole or not at all, and never over something."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from yoga_live.runtime.errors import OptionError, OutputError, TakenError
from yoga_live.runtime.system.files import (
    ODD_NAMES,
    check_apart,
    check_output,
    create_anew,
    find_cache_folder,
    find_result,
    hold_signals,
    rename_to_new,
    resolve,
    write_json,
    write_text,
    write_then_rename,
)


def test_file_that_exists_is_refused_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"a\.csv exists already; .*--force"):
        check_output(path)
    check_output(path, force=True)
    assert path.read_text() == "mine"


def test_missing_folder_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"mkdir -p .*nowhere"):
        check_output(tmp_path / "nowhere" / "a.csv")


@pytest.mark.parametrize("force", [False, True])
def test_folder_in_the_place_of_the_output_is_refused(tmp_path: Path, force: bool) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OutputError, match=r"a\.csv"):
        check_output(tmp_path / "a.csv", force=force)


def test_a_name_that_is_no_utf8_comes_back_from_text_and_json(tmp_path: Path) -> None:
    odd = b"caf\xe9.jpg".decode("utf-8", ODD_NAMES)
    write_text(tmp_path / "a.csv", odd)
    assert (tmp_path / "a.csv").read_bytes() == b"caf\xe9.jpg"
    write_json(tmp_path / "a.json", {"photo_folder": odd, "pose": "Śvānāsana"})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "Śvānāsana" in text and json.loads(text)["photo_folder"] == odd


def test_name_is_taken_only_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_text("old")
    with pytest.raises(RuntimeError), write_then_rename(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with write_then_rename(path) as temporary:
        assert temporary.suffix == ".onnx" and temporary.parent == path.parent
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]


@pytest.fixture(params=["hard links", "none"])
def _file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hard links, and without: FAT says EPERM."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "none":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("_file_system")
def test_what_appears_while_it_is_written_is_left_alone_and_the_result_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    for number in range(2):
        with (
            pytest.raises(TakenError, match=r"a\.onnx was created by another program.*the result is .*a\.part"),
            write_then_rename(path, replace=False) as temporary,
        ):
            temporary.write_text(f"result {number}")
            path.write_text("another's")
    names = {p.name: p.read_text() for p in tmp_path.iterdir()}
    kept = f"a.part{os.getpid()}.onnx"  # what lay under the first name was not replaced either
    assert names == {"a.onnx": "another's", "a.part.onnx": "result 0", kept: "result 1"}
    with write_then_rename(tmp_path / "b.onnx", replace=False) as temporary:
        temporary.write_text("mine")
    assert (tmp_path / "b.onnx").read_text() == "mine" and len(list(tmp_path.iterdir())) == 4


@pytest.mark.usefixtures("_file_system")
def test_a_rename_is_never_over_another_file_folder_or_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "new").write_text("new")
    for name in ("file", "folder", "link"):
        with pytest.raises(FileExistsError):
            rename_to_new(tmp_path / "new", tmp_path / name)
    rename_to_new(tmp_path / "new", tmp_path / "free")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "free", "link"]
    assert (tmp_path / "free").read_text() == "new" and (tmp_path / "file").read_text() == "mine"


def test_the_part_that_an_output_grew_under_goes_with_success_and_is_its_result_without(tmp_path: Path) -> None:
    path, part = tmp_path / "a.csv", tmp_path / "a.part.csv"
    part.write_text("as far as it came")
    assert find_result(path) == part
    with write_then_rename(path, replace=False, grows=True) as temporary:
        temporary.write_text("whole")
    assert find_result(path) == path and not part.exists()
    part.write_text("as far as it came")
    with pytest.raises(TakenError), write_then_rename(path, replace=False, grows=True) as temporary:
        temporary.write_text("whole again")
    assert part.read_text() == "whole again" and path.read_text() == "whole" and len(list(tmp_path.iterdir())) == 2


def test_a_link_that_leads_nowhere_is_an_output_that_exists(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "unplugged" / "a.csv")
    with pytest.raises(OutputError, match="exists already"):
        check_output(tmp_path / "a.csv")


def test_a_full_disk_names_the_output_not_the_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for error in (OSError(errno.ENOSPC, "No space left on device"), None):
        with pytest.raises(OSError, match=r"denied|No space") as caught, write_then_rename(path) as temporary:
            raise error or OSError(errno.ENOSPC, "No space left on device", str(temporary))
        assert caught.value.filename == str(path)
    with pytest.raises(OSError, match=r"denied|No space") as caught, write_then_rename(path):
        raise OSError(errno.EACCES, "Permission denied", "another file")
    assert caught.value.filename == "another file"


def test_what_a_killed_process_left_long_ago_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        "old": f".a[1].part{dead.pid}.csv",
        "alive": f".a[1].part{os.getppid()}.csv",
        "new": f".a[1].part0{dead.pid}.csv",
        "another's": f".b.part{dead.pid}.csv",
        "the user's": ".a[1].party.csv",
    }
    for name in names.values():
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (1e9, 1e9))
    os.utime(tmp_path / names["new"])
    write_text(tmp_path / "a[1].csv", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {*names.values(), "a[1].csv"} - {names["old"]}


def test_text_and_json_keep_every_letter(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Śvānāsana 木")
    assert (tmp_path / "a.txt").read_bytes() == "Śvānāsana 木".encode()
    write_json(tmp_path / "a.json", {"pose": "Śvānāsana"})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "Śvānāsana" in text and json.loads(text) == {"pose": "Śvānāsana"} and text.endswith("\n")


def test_a_signal_waits_until_a_file_has_its_name(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), hold_signals():
        signal.raise_signal(signal.SIGINT)
        (tmp_path / "whole").write_text("all of it")
    assert (tmp_path / "whole").read_text() == "all of it"
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # as before


def test_a_link_to_itself_leads_to_where_it_lies(tmp_path: Path) -> None:
    link = tmp_path / "link.mp4"
    link.symlink_to(link)
    assert resolve(link) == link
    with pytest.raises(OutputError):
        check_apart([link], [link])


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_nothing_is_written_through_a_link_that_has_the_temporary_name(
    link: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    mine, path = tmp_path / "mine", tmp_path / "a.csv"
    mine.write_text("mine")
    link(tmp_path / f".a.part{os.getpid()}.csv", mine)
    write_text(path, "the table")
    assert (mine.read_text(), path.read_text(), path.is_symlink()) == ("mine", "the table", False)


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(FileExistsError, match="other than a file"):
        create_anew(tmp_path / "a")
    assert (tmp_path / "a").is_fifo()


def test_a_user_without_a_home_folder_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: Path("~nobody-there").expanduser())
    with pytest.raises(OptionError, match="set HOME or XDG_CACHE_HOME"):
        find_cache_folder("frames")
