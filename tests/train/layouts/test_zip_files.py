"""Zip files from anybody: photos and tables come out, nothing leaves the folder, nothing grows without bound."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from yoga_live.runtime.errors import RunError
from yoga_live.train.layouts import zip_files
from yoga_live.train.layouts.zip_files import is_zip, unpack


def pack(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return path


def list_tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_photos_and_tables_are_unpacked_and_other_files_counted(tmp_path: Path) -> None:
    path = pack(
        tmp_path / "a.zip", {"set/tree/1.jpg": b"1", "set/labels.csv": b"2", "set/run.exe": b"3", "a.zip": b"4"}
    )
    assert is_zip(path) and not is_zip(tmp_path) and not is_zip(tmp_path / "missing")
    (tmp_path / "out").mkdir()
    assert unpack(path, tmp_path / "out") == 2
    assert list_tree(tmp_path / "out") == {"set/tree/1.jpg", "set/labels.csv"}


@pytest.mark.parametrize(
    "name",
    ["../out.jpg", "a/../../out.jpg", "/etc/out.jpg", "..\\out.jpg", "C:\\out.jpg", "C:/out.jpg", "a" * 2000 + ".jpg"],
)
def test_names_that_lead_out_are_left_out(name: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {name: b"1", "in.jpg": b"2"})
    (tmp_path / "in" / "side").mkdir(parents=True)
    assert unpack(path, tmp_path / "in" / "side") == 1
    assert list_tree(tmp_path) == {"a.zip", "in/side/in.jpg"}


def test_links_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "out").mkdir()
    assert unpack(path, tmp_path / "out") == 1 and not list_tree(tmp_path / "out")


def test_what_unpacks_to_too_much_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zip_files, "MOST_BYTES", 1_000_000)
    path = pack(tmp_path / "a.zip", {f"{number}.jpg": b"\0" * 600_000 for number in range(2)})
    assert path.stat().st_size < 5_000
    (tmp_path / "out").mkdir()
    with pytest.raises(RunError, match=r"unpacks to 1,200,000 bytes, more than 1,000,000"):
        unpack(path, tmp_path / "out")
    assert not list_tree(tmp_path / "out")


def test_a_file_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"1.jpg": b"\0" * 600_000})
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2") + 24
    content[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(RunError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")
    assert sum(file.stat().st_size for file in (tmp_path / "out").rglob("*")) <= 1000


@pytest.mark.parametrize("damage", ["cut", "encrypted", "broken"])
def test_damaged_and_encrypted_files_are_one_line(damage: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"1.jpg": bytes(range(256)) * 40}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-30]
    elif damage == "broken":
        content[200] ^= 255
    else:
        content[6] |= 1
        content[content.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(RunError, match=r"a\.zip (cannot be unpacked|is encrypted)") as error:
        unpack(path, tmp_path / "out")
    assert "\n" not in str(error.value)
