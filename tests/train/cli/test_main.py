"""`yoga-train`: one line and exit code 2 for bad input, every option reaches the run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from yoga_live.train.cli.main import main, parse_args
from yoga_live.train.distributed.launcher import leads_training


def test_fit_trains_says_how_well_and_what_comes_next(ask, drawn_photos: Path, start_weights: Path, tmp_path: Path):
    answer = ask(
        main, "fit", drawn_photos, "--to", tmp_path / "run", "--weights", start_weights, "--epochs-frozen", 3,
        "--epochs", 0, "--size", 32, "--batch", 8, "--seed", 4, "--device", "cpu", "--train-only", "0[0-3]*",
        "--arch", "resnet18",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    asked = {"weights": str(start_weights), "epochs_frozen": 3, "epochs": 0, "size": 32, "batch": 8, "seed": 4}
    asked |= {"device": "cpu", "train_only": "0[0-3]*"}
    assert {name: content["config"][name] for name in asked} == asked
    accuracy = f"{content['metrics']['test']['accuracy']:.1%}"
    assert f"test accuracy {accuracy}" in answer.out and "95 % interval" in answer.out
    assert answer.out.splitlines()[-1] == f"next: yoga-export onnx {tmp_path / 'run'} --to yoga.onnx"
    held_out = [row for row in (tmp_path / "run" / "photos.csv").read_text().splitlines() if not row.endswith("train")]
    assert held_out and not any(f"/0{digit}" in row for row in held_out for digit in range(4))


def test_an_existing_run_is_refused_on_one_line(ask, drawn_photos: Path, trained_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained_run, tmp_path / "run", copy_function=os.link)  # the command takes hold of it
    answer = ask(main, "fit", drawn_photos, "--to", run)
    assert "exists already" in answer.refusal() and len(answer.err.splitlines()) == 1 and not answer.out


def test_a_missing_photo_folder_is_refused_on_one_line(ask, tmp_path: Path) -> None:
    answer = ask(main, "fit", tmp_path / "nowhere", "--to", tmp_path / "run")
    assert "nowhere is not a folder" in answer.refusal() and len(answer.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_poses_is_refused_on_one_line(ask, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    answer = ask(main, "fit", tmp_path / "photos", "--to", tmp_path / "run")
    assert "at least two poses" in answer.refusal() and len(answer.err.splitlines()) == 1


def test_bad_weights_are_refused_on_one_line(ask, drawn_photos: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pth").write_text("<html>404</html>")
    line = ask(main, "fit", drawn_photos, "--to", tmp_path / "run", "--weights", tmp_path / "bad.pth").refusal()
    assert "bad.pth cannot be read" in line and not (tmp_path / "run").exists()


def test_an_unknown_device_is_refused_on_one_line(ask, drawn_photos: Path, tmp_path: Path) -> None:
    answer = ask(main, "fit", drawn_photos, "--to", tmp_path / "run", "--device", "toaster")
    assert "--device toaster" in answer.refusal() and len(answer.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--epochs", "-1"), ("--epochs-frozen", "many"), ("--size", "225"), ("--size", "0"), ("--batch", "1"),
        ("--batch", "all"), ("--seed", "-1"), ("--seed", "x"),
        ("--epochs", "²"), ("--batch", "٣٢"), ("--folds", "1"), ("--folds", "²"), ("--devices", "0"),
        ("--seed", "9" * 5000),
    ],
)  # fmt: skip
def test_values_that_can_not_be_are_refused_by_the_option(ask, tmp_path: Path, option: str, value: str) -> None:
    line = ask(main, "fit", tmp_path, "--to", tmp_path / "run", option, value).refusal()
    assert f"argument {option}" in line and value[:20] in line and len(line) < 300


def test_no_command_or_no_output_is_refused(ask, tmp_path: Path) -> None:
    assert "COMMAND" in ask(main).refusal()
    assert "--to" in ask(main, "fit", tmp_path).refusal()


def test_defaults_are_those_of_the_configuration() -> None:
    from yoga_live.train.fit.config import FitConfig

    args = parse_args(["fit", "photos", "--to", "run"])
    names = ("weights", "epochs_frozen", "epochs", "size", "batch", "seed", "device", "train_only")
    assert {name: getattr(args, name) for name in names} == {name: getattr(FitConfig(), name) for name in names}


BLOCKED = """
import sys
sys.modules["torch"] = None
from yoga_live.train.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "photos", "--to", "run"],
        ["lr-find", "photos"],
        ["report", "run"],
        ["predict", "photos", "run"],
    ],
    ids=str,
)
def test_a_terminal_is_told_that_pytorch_is_loaded(words: list[str], tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, terminal = pty.openpty()
    command = [sys.executable, "-c", BLOCKED, *words]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=terminal, cwd=tmp_path, check=False).returncode
    os.close(terminal)
    parts = []
    with suppress(OSError):  # EIO: the other end is closed, and nothing is left of what was written to it
        while part := os.read(ours, 10_000):
            parts.append(part)
    os.close(ours)
    said = b"".join(parts).decode().splitlines()
    assert code == 2 and said[0] == "yoga-train: loading PyTorch" and "'torch' is not installed" in said[-1]
    quiet = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert quiet.returncode == 2 and "loading" not in quiet.stderr


@pytest.mark.parametrize(("rank", "leads"), [(None, True), ("0", True), ("1", False)])
def test_of_several_processes_one_speaks(rank: str | None, leads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert leads_training() is leads
