"""The service for a board: a unit that systemd takes, whose command is one that yoga-live takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from yoga_live.runtime.cli import main as command
from yoga_live.runtime.system.secret_files import read_secret

FOLDER = Path(command.__file__).parents[1] / "jetson"
RAW = (FOLDER / "yoga-live.service").read_text(encoding="utf-8")
UNIT = RAW.replace("\\\n", "")  # with its long lines joined


def read_option(name: str) -> str:
    [value] = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return value


def read_shell_line(name: str) -> str:
    """What the shell is given, after systemd's own quoting."""
    found = re.fullmatch(r"/bin/sh -c '(.*)'", read_option(name))
    assert found is not None
    return found[1].replace("$$", "$").replace("%%", "%")


def read_settings() -> dict[str, str]:
    lines = (FOLDER / "yoga-live.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
@pytest.mark.parametrize(("options", "zoom"), [("", None), ("--zoom off --save a.mp4", "off")])
def test_the_command_of_the_service_is_one_that_yoga_live_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, zoom: str | None
) -> None:
    program = tmp_path / "yoga live"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    settings = {
        **read_settings(),
        "YOGA_LIVE": str(program),
        "CAMERA": "rtsp://me:secret@host/1",
        "OPTIONS": options,
        "PATH": "/usr/bin:/bin",
    }
    answer = subprocess.run(
        ["sh", "-c", read_shell_line("ExecStart")], env=settings, capture_output=True, text=True, check=True
    )
    args = command.parse_args(answer.stdout.splitlines())
    assert (args.model, args.window, args.zoom) == (Path(settings["MODEL"]), False, zoom)
    assert "secret" not in answer.stdout  # what `ps` would show
    monkeypatch.setenv("CAMERA", settings["CAMERA"])
    assert read_secret("--camera", args.camera) == settings["CAMERA"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.csv", args.timeline.name)


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
@pytest.mark.parametrize(
    ("camera", "waits_for"),
    [
        ("/dev/null", ""),
        ("97", "/dev/video97"),
        ("/dev/video97", "/dev/video97"),
        ("/etc/passwd", "/etc/passwd"),  # there, and no device
        ("csi://0", ""),
        ("rtsp://user:pa$s w'ord@10.0.0.2/stream?a=1&b=2", ""),
        ("https://camera.local/video", ""),
        ("@/etc/yoga-camera", ""),
        ("env:HOME", ""),
        ("", ""),
    ],
)
def test_the_service_waits_for_a_camera_that_is_a_device_and_for_no_other(camera: str, waits_for: str) -> None:
    line = read_shell_line("ExecStartPre").replace("sleep 5", "exit 7")
    answer = subprocess.run(["sh", "-c", line], env={"CAMERA": camera}, capture_output=True, text=True, check=False)
    expected = (7, f"waiting for {waits_for}\n") if waits_for else (0, "")
    assert (answer.returncode, answer.stdout, answer.stderr) == (*expected, "")
    assert read_option("TimeoutStartSec") == "infinity"


def test_the_service_is_given_the_time_that_closing_a_long_recording_takes() -> None:
    assert read_option("TimeoutStopSec") == "infinity" and read_option("KillMode") == "mixed"


def test_an_empty_model_is_the_shipped_one(tmp_path: Path) -> None:
    program = tmp_path / "yoga-live"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    given = {"YOGA_LIVE": str(program), "MODEL": "", "OPTIONS": "--events", "PATH": "/usr/bin:/bin"}
    settings = {**read_settings(), **given}
    answer = subprocess.run(
        ["sh", "-c", read_shell_line("ExecStart")], env=settings, capture_output=True, text=True, check=True
    )
    args = command.parse_args(answer.stdout.splitlines())
    assert args.model is None and args.events


def test_the_service_is_nobodys_root_starts_again_and_knows_each_setting() -> None:
    assert read_option("User") not in {"root", "0"} and "video" in read_option("SupplementaryGroups").split()
    assert read_option("Restart") == "always" and read_option("StartLimitIntervalSec") == "0"
    defaults = dict(setting.split("=", 1) for setting in read_option("Environment").split())
    assert defaults == read_settings()
    used = set(re.findall(r"(?:\$|env:)([A-Z_]+)", read_shell_line("ExecStart") + read_shell_line("ExecStartPre")))
    assert used == set(defaults)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "yoga-live.service"
    for text, is_right in ((RAW, True), (RAW.replace("Restart=always", "Restart=sometimes"), False)):
        unit.write_text(text.replace("User=yoga", "User=root"))
        answer = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
        about = [line for line in (answer.stdout + answer.stderr).splitlines() if "yoga-live.service" in line]
        assert (about == []) == is_right, answer.stderr
