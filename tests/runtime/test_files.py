"""Outputs appear whole or not at all, and never over something."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from yoga_live.runtime.errors import OutputError
from yoga_live.runtime.files import ODD_NAMES, check_output, write_json, write_text, write_then_rename


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
