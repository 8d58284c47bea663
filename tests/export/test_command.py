"""`yoga-export onnx`: what it writes and says, and what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from yoga_live.calibration.onnx_file import read_model
from yoga_live.calibration.runs import load_run
from yoga_live.export.command import main
from yoga_live.train.cli.second_opinion import format_export


def test_a_run_becomes_one_file_with_its_parity_told(ask, trained_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("old")
    answer = ask(main, "onnx", trained_run, "--to", tmp_path / "a.onnx", "--force")
    assert answer.code == 0, answer.err
    assert "torch and ONNX Runtime agree on 100.0% (8 of 8" in answer.out
    assert "next: yoga-calibrate int8" in answer.out and "Traceback" not in answer.err
    assert read_model(tmp_path / "a.onnx")[1].labels[-1] == "none"
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_the_next_command_finds_photos_that_were_moved(ask, trained_run: Path, tmp_path: Path) -> None:
    photos = tmp_path / "now here"
    photos.symlink_to(load_run(trained_run).photo_folder)
    answer = ask(main, "onnx", trained_run, "--photos", photos, "--to", tmp_path / "a.onnx")
    assert answer.code == 0 and f"--run {trained_run} --photos '{photos}' --to " in answer.out, answer.err
    assert format_export(trained_run, photos) == f"yoga-export onnx {trained_run} --photos '{photos}' --to yoga.onnx"
    assert format_export(trained_run, None) == f"yoga-export onnx {trained_run} --to yoga.onnx"


def test_an_existing_output_is_refused_untouched_without_force(ask, trained_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("mine")
    answer = ask(main, "onnx", trained_run, "--to", tmp_path / "a.onnx")
    assert "exists already" in answer.refusal() and len(answer.err.splitlines()) == 1
    assert (tmp_path / "a.onnx").read_text() == "mine"


def test_a_missing_output_folder_is_refused_before_any_work(ask, tmp_path: Path) -> None:
    answer = ask(main, "onnx", tmp_path / "norun", "--to", tmp_path / "absent" / "a.onnx")
    assert "mkdir -p" in answer.refusal() and len(answer.err.splitlines()) == 1


def test_what_is_no_run_is_refused_on_one_line(ask, trained_run: Path, tmp_path: Path) -> None:
    for run in (tmp_path / "nowhere", trained_run / "run.json", trained_run / "report"):
        answer = ask(main, "onnx", run, "--to", tmp_path / "a.onnx")
        assert "not a finished run" in answer.refusal() and len(answer.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_are_refused_on_one_line(ask, trained_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    (run / "weights.safetensors").write_bytes((run / "weights.safetensors").read_bytes()[:5000])
    answer = ask(main, "onnx", run, "--to", tmp_path / "a.onnx")
    assert "weights.safetensors" in answer.refusal() and len(answer.err.splitlines()) == 1
    assert not (tmp_path / "a.onnx").exists()


def test_photos_that_are_gone_are_refused_with_the_option_that_helps(ask, trained_run: Path, tmp_path: Path) -> None:
    answer = ask(main, "onnx", trained_run, "--to", tmp_path / "a.onnx", "--photos", tmp_path / "nowhere")
    assert "--photos" in answer.refusal() and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["onnx"], ["onnx", "run"], ["wrong"]])
def test_incomplete_commands_are_refused(ask, arguments: list[str]) -> None:
    ask(main, *arguments).refusal()


def test_a_terminal_is_told_that_pytorch_is_loaded(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    code = "import sys\nsys.modules['torch'] = None\nfrom yoga_live.export.command import main\n"
    code += "sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "onnx", "run", "--to", "a.onnx"]
    ours, terminal = pty.openpty()
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=terminal, cwd=tmp_path, check=False)
    os.close(terminal)
    said = os.read(ours, 10_000).decode().splitlines()
    os.close(ours)
    assert ended.returncode == 2 and said[0] == "yoga-export: loading PyTorch" and len(said) == 2
