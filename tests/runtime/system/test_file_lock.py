"""A lock on an open file: one holder, gone with it, and nothing of the file is changed."""

from pathlib import Path

import pytest

from yoga_live.runtime.system.claims import lock_file


def test_one_has_it_until_its_file_is_closed_and_the_text_stays(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text("who has it")
    with path.open("ab") as first:
        lock_file(first.fileno())
        with path.open("ab") as second, pytest.raises(OSError):
            lock_file(second.fileno())
        assert path.read_text() == "who has it"
    with path.open("ab") as third:
        lock_file(third.fileno())
