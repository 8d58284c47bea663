"""A fragment that a full disk tore is cut off, whole ones are left."""

import struct
from pathlib import Path

import pytest

from yoga_live.runtime.sinks.fragments import drop_torn_fragment


def box(kind: bytes, size: int, *, long: bool = False) -> bytes:
    """A box of `size` bytes, its head included."""
    head = struct.pack(">I4sQ", 1, kind, size) if long else struct.pack(">I4s", size, kind)
    return head + bytes(size - len(head))


@pytest.mark.parametrize("long", [False, True])
def test_a_file_is_cut_back_to_its_last_whole_fragment_wherever_it_was_torn(tmp_path: Path, long: bool) -> None:
    path, head = tmp_path / "a.part.mp4", box(b"ftyp", 24) + box(b"moov", 80)
    fragment = box(b"moof", 40) + box(b"mdat", 100, long=long)
    content = head + 2 * fragment
    for torn in range(len(fragment)):
        path.write_bytes(content + fragment[:torn])
        assert drop_torn_fragment(path) == 2
        assert path.read_bytes() == content


def test_what_holds_no_whole_fragment_says_so_and_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.part.mp4"
    for content in (b"", b"\0", box(b"ftyp", 24), box(b"ftyp", 24) + box(b"moof", 40) + box(b"mdat", 100)[:99]):
        path.write_bytes(content)
        assert drop_torn_fragment(path) == 0 and path.read_bytes() == content


def test_a_box_that_was_not_given_its_size_is_torn(tmp_path: Path) -> None:
    path, fragment = tmp_path / "a.part.mp4", box(b"moof", 40) + box(b"mdat", 100)
    path.write_bytes(fragment + box(b"moof", 40) + b"\0\0\0\0mdat" + bytes(50))
    assert drop_torn_fragment(path) == 1 and path.read_bytes() == fragment
