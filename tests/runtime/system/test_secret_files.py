"""Secrets from files and the environment: never in a message, and said where others may read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from yoga_live.runtime.errors import OptionError, SourceError
from yoga_live.runtime.serve.page import read_token
from yoga_live.runtime.sources.cameras import open_camera
from yoga_live.runtime.system.secret_files import read_secret

ADDRESS = "rtsp://me:secret@camera.local/1"
needs_permissions = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")


def test_an_address_is_taken_as_it_is_or_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOGA_CAMERA", ADDRESS)
    assert read_secret("--camera", "0") == "0"
    assert read_secret("--camera", "env:YOGA_CAMERA") == ADDRESS
    for name in ("YOGA_NONE", "", "=\0"):
        with pytest.raises(OptionError, match="not set"):
            read_secret("--camera", f"env:{name}")


@needs_permissions
def test_a_file_that_others_may_read_or_change_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "camera"
    file.write_text(f"{ADDRESS}\r\nnotes\n", encoding="utf-8")
    for mode, words in ((0o600, ""), (0o640, ""), (0o644, "read by others"), (0o664, "read and changed by others")):
        file.chmod(mode)
        caplog.clear()
        assert read_secret("--camera", f"@{file}") == ADDRESS
        assert words in caplog.text and bool(caplog.text) == bool(words) and "secret@" not in caplog.text


@needs_permissions
def test_a_file_that_anybody_may_change_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "camera"
    file.write_bytes(b"\xef\xbb\xbf" + ADDRESS.encode())  # as Notepad writes it
    assert read_secret("--camera", f"@{file}") == ADDRESS
    file.chmod(0o666)
    with pytest.raises(OptionError, match="other users can change that file"):
        read_secret("--camera", f"@{file}")


def test_a_file_that_can_t_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, reason in (("nothing", "No such file"), ("empty", "is empty"), (".", "directory"), ("a\0b", "null")):
        with pytest.raises(OptionError, match=reason):
            read_secret("--camera", f"@{tmp_path / name}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_an_address_may_come_from_another_program(tmp_path: Path) -> None:
    reader, writer = os.pipe()  # what `--camera @<(pass show camera)` gives
    os.write(writer, ADDRESS.encode())
    os.close(writer)
    assert read_secret("--camera", f"@/dev/fd/{reader}") == ADDRESS
    os.close(reader)


@pytest.mark.parametrize("secret", ["hunter2", "me:hunter2", "@again", "env:YOGA_CAMERA", "https//me:hunter2@host/"])
def test_what_is_no_camera_is_refused_without_showing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("YOGA_CAMERA", secret)
    (tmp_path / "camera").write_text(secret, encoding="utf-8")
    (tmp_path / "camera").chmod(0o600)
    for given in ("env:YOGA_CAMERA", f"@{tmp_path / 'camera'}"):
        with pytest.raises(OptionError) as caught:
            open_camera(given)
        assert f"{given} does not hold a camera" in str(caught.value) and "hunter2" not in str(caught.value)


def test_a_camera_from_the_environment_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOGA_CAMERA", "http://me:secret@127.0.0.1:1/video")
    with pytest.raises(SourceError) as caught:
        open_camera("env:YOGA_CAMERA")
    assert "http://127.0.0.1:1/video" in str(caught.value) and "secret" not in str(caught.value)


@needs_permissions
def test_a_token_that_others_may_have_read_or_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "serve" / "token"
    token = read_token(path)
    for mode in (0o644, 0o640, 0o602, 0o620, 0o606):
        path.chmod(mode)
        with pytest.raises(OptionError, match="by others, who could then open the page; delete it"):
            read_token(path)
    path.chmod(0o600)
    assert read_token(path) == token


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to give a file away")
def test_a_token_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    read_token(path)
    os.chown(path, 12345, 12345)
    with pytest.raises(OptionError, match="belongs to another user"):
        read_token(path)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_in_the_token_s_place_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("a" * 14, encoding="ascii")
    (tmp_path / "token").symlink_to(tmp_path / "elsewhere")
    assert read_token(tmp_path / "token") != "a" * 14
    assert (tmp_path / "elsewhere").read_text(encoding="ascii") == "a" * 14 and not (tmp_path / "token").is_symlink()
