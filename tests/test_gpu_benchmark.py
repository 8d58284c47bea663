"""`benchmarks/gpu.py`, tried on the CPU: it must not be on a GPU, lent for minutes, that it is found to be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GPU = ROOT / "benchmarks" / "gpu.py"
BARE = """
import importlib.machinery
ABSENT = {"matplotlib", "tensorboard", "aiohttp", "ddgs", "onnxscript", "onnx_ir", "av", "scipy", "openvino", "ray",
          "pyarrow", "fsspec", "lxml"}
find = importlib.machinery.PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] in ABSENT else find(name, path, target)
importlib.machinery.PathFinder.find_spec = find_spec
"""


def run_gpu(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """On a machine with nothing but torch, torchvision, onnx, onnxruntime, OpenCV, safetensors and what they bring."""
    (folder / "sitecustomize.py").write_text(BARE)
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(GPU), *arguments], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.slow
def test_every_step_runs_where_only_six_packages_are(tmp_path: Path) -> None:
    answer = run_gpu(tmp_path, "--device", "cpu", "--tiny")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    table = answer.stdout.partition("| what | value |")[2]
    rows = dict(line.strip("| ").split(" | ", 1) for line in table.splitlines()[2:] if line)
    assert rows["packages that were missing and replaced"] == "tensorboard, matplotlib"
    assert rows["killed and resumed"] == "the very weights"
    assert rows["torch on cpu (FP32) and on the CPU"].endswith("within 0.0e+00 of the largest")
    in_onnx = [value for name, value in rows.items() if "in ONNX Runtime on cpu" in name]
    assert len(in_onnx) == 2 and all("8 of 8 answers" in value for value in in_onnx)
    assert "of 65,504" in rows["FP16 kernels: largest number of any layer"]
    assert rows["FP16 kernels: a network made to overflow is seen"].startswith("in ")
    assert {"images a second, batch 1", "mixed precision that training chooses"} <= rows.keys()
    assert "FAILED" not in answer.stdout


def test_a_step_that_comes_too_late_is_a_row_and_a_failure(tmp_path: Path) -> None:
    answer = run_gpu(tmp_path, "--device", "cpu", "--tiny", "--minutes", "0")
    assert answer.returncode == 2 and "| draw | FAILED: StepError: not begun: the time is over |" in answer.stdout
    assert answer.stderr.splitlines()[-1] == "gpu: error: 8 steps failed; the table says which"


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    answer = run_gpu(tmp_path)
    assert answer.returncode == 2 and not answer.stdout
    assert answer.stderr.strip() == (
        "gpu: error: torch finds no GPU; run it where there is one, or with --device cpu to try the command"
    )


def test_the_rooms_are_found_without_being_installed(tmp_path: Path) -> None:
    """-S leaves out what installations add to the path."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; import bare_packages; bare_packages.find_rooms()\n"
        "import os, subprocess\n"
        "from yoga_live.runtime.errors import YogaLiveError\n"
        "child = 'import yoga_live.runtime.errors as e; print(e.__name__)'\n"
        "subprocess.run([sys.executable, '-S', '-c', child], check=True)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(
        [sys.executable, "-S", "-c", code, str(GPU.parent)],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "yoga_live.runtime.errors"
