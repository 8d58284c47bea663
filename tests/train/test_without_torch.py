"""`yoga-train` where only the extra `photos` is installed, or not even that, as on a Jetson."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.system.cli_runner import PHOTO_PACKAGES

from .photo_bench import PhotoServer

ROOT = Path(__file__).parents[2]
OLDER = ROOT / "tests" / "older_files" / "0943129"
OTHER_EXTRAS = (
    *("torch", "torchvision", "safetensors", "tensorboard", "matplotlib", "onnx", "onnxscript", "onnxruntime"),
    *("openvino", "tensorrt", "ray", "pyarrow", "fsspec", "scipy", "pywt", "imagehash", "pandas"),
)
COMMAND = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from yoga_live.train.__main__ import main
sys.exit(main())
"""
Run = Callable[..., tuple[int, str, str]]


def make_command(absent: tuple[str, ...], *arguments: object) -> list[str]:
    return [sys.executable, "-c", COMMAND, ",".join(absent), *map(str, arguments)]


def run_without(absent: tuple[str, ...], *arguments: object) -> tuple[int, str, str]:
    """The command's exit code, stdout and stderr, in a process that cannot import some packages."""
    answer = subprocess.run(make_command(absent, *arguments), capture_output=True, text=True, check=False)
    return answer.returncode, answer.stdout, answer.stderr


@pytest.fixture
def run() -> Run:
    """run("stats", folder), with the packages of the extra `photos` alone."""
    return lambda *arguments: run_without(OTHER_EXTRAS, *arguments)


@pytest.fixture
def run_bare() -> Run:
    """run("add", ...), without the extra `photos` too; OpenCV is there, as the system's own on a Jetson."""
    return lambda *arguments: run_without((*OTHER_EXTRAS, *PHOTO_PACKAGES), *arguments)


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    with PhotoServer() as running:
        yield running


@pytest.fixture
def mine(drawn_photos: Path, tmp_path: Path) -> Path:
    """Four photos of one pose."""
    (tmp_path / "mine").mkdir()
    for path in sorted((drawn_photos / "tree").iterdir())[:4]:
        shutil.copyfile(path, tmp_path / "mine" / path.name)
    return tmp_path / "mine"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds at ten frames a second."""
    sink = VideoSink(tmp_path / "clip.mp4", SourceInfo("", (96, 64), Fraction(10), Fraction(1, 1000)))
    for number in range(20):
        coarse = np.random.default_rng(number // 5).integers(0, 256, (4, 6, 3), dtype=np.uint8)
        sink.write(TimedFrame(np.repeat(np.repeat(coarse, 16, 0), 16, 1), number / 10, number * 100))
    sink.close()
    return tmp_path / "clip.mp4"


def assert_missing(answer: tuple[int, str, str], package: str, extra: str) -> None:
    code, out, err = answer
    assert (code, out) == (2, ""), err
    assert err.startswith("yoga-train: error: ") and err.count("\n") == 1
    assert package in err and err.endswith(f'run in the folder of yoga-live: pip install ".[{extra}]"\n')


def test_photos_are_added_counted_and_shown_without_torch(run: Run, mine: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    code, out, err = run("add", mine, "--pose", "tree", "--to", photos)
    assert code == 0 and "      4 ok\n" in out and "4 photos in manifest.csv" in out, err
    code, out, err = run("stats", photos)
    assert code == 0 and ["tree", "4", "4", "0"] in [line.split()[:4] for line in out.splitlines()], err
    assert (photos / "stats.html").is_file()
    assert "photos of nobody, of several people and collages are not looked for: no engine is installed" in out
    assert run("stats", photos, "--no-people")[1].count("looked for") == 0
    code, out, err = run("show", photos, "--to", tmp_path / "plain.png", "--plain")
    assert code == 0 and "4 photos of tree" in out, err
    with Image.open(tmp_path / "plain.png") as sheet:
        assert sheet.width == 4 * 224


def test_a_data_set_is_added_without_torch(run: Run, drawn_photos: Path, tmp_path: Path) -> None:
    code, out, err = run("add", drawn_photos, "--to", tmp_path / "photos")
    assert code == 0 and "     64 ok\n" in out, err


def test_photos_are_captured_without_torch(run: Run, clip: Path, tmp_path: Path) -> None:
    asked = ("--count", 2, "--every", 0.5)
    code, out, err = run("capture", "--pose", "tree", "--video", clip, "--to", tmp_path / "photos", *asked)
    assert code == 0 and "2 of 2 photos taken" in out, err


def test_lists_are_imported_and_downloaded_without_torch(
    run: Run, server: PhotoServer, mine: Path, tmp_path: Path
) -> None:
    server.pages.update({f"/{path.name}": path.read_bytes() for path in mine.iterdir()})
    urls = [f"http://127.0.0.1:{server.port}{page}" for page in server.pages]
    (tmp_path / "found.txt").write_text("\n".join(urls))
    lists, photos = tmp_path / "lists", tmp_path / "photos"
    code, out, err = run("collect", "--urls", tmp_path / "found.txt", "--pose", "tree", "--to", lists)
    assert code == 0 and "4 URLs added" in out, err
    code, out, err = run("download", lists, "--to", photos, "--allow-private")
    assert code == 0 and "      4 ok\n" in out, err


def test_labels_are_cleaned_without_torch(run: Run, tmp_path: Path) -> None:
    older = Path(shutil.copytree(OLDER, tmp_path / "older"))
    (older / "run" / "folds.csv").unlink()
    code, out, err = run("clean", older / "photos", older / "run", "--auto", "0.8", "--dry-run")
    assert code == 0 and "1 photo would be marked" in out, err
    code, out, err = run("clean", older / "photos", older / "run", "--undo", 1)
    assert code == 0 and "1 mark taken back" in out, err


def test_the_cleaning_page_is_served_without_torch(tmp_path: Path) -> None:
    older = Path(shutil.copytree(OLDER, tmp_path / "older"))
    command = make_command(OTHER_EXTRAS, "clean", older / "photos", older / "run", "--no-browser")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
        with urlopen(address, timeout=10) as page:
            assert b"<html" in page.read()
        process.send_signal(signal.SIGINT)
        assert "0 kept, 0 removed, 0 relabelled" in process.communicate(timeout=20)[0] and process.returncode == 0


@pytest.mark.parametrize("command", ["fit", "lr-find"])
def test_training_without_torch_names_the_extra_train(run: Run, drawn_photos: Path, command: str) -> None:
    to = ("--to", "never") if command == "fit" else ()
    assert_missing(run(command, drawn_photos, *to), "'torch'", "train")


def test_a_report_without_torch_names_the_extra_train(run: Run, tmp_path: Path) -> None:
    older = Path(shutil.copytree(OLDER, tmp_path / "older"))
    assert_missing(run("report", older / "run"), "'torch'", "train")


def test_what_training_makes_of_photos_is_shown_with_torch(run: Run, drawn_photos: Path, tmp_path: Path) -> None:
    answer = run("show", drawn_photos, "--to", tmp_path / "batch.png")
    assert_missing(answer, "torch, which is not installed; give --plain", "train")
    assert not (tmp_path / "batch.png").exists()


def test_a_board_adds_and_captures_with_what_the_runtime_brings(
    run_bare: Run, mine: Path, clip: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    code, out, err = run_bare("add", mine, "--pose", "tree", "--to", photos)
    assert code == 0 and "      4 ok\n" in out, err
    code, out, err = run_bare("capture", "--pose", "plank", "--video", clip, "--to", photos, "--count", 1)
    assert code == 0 and "1 of 1 photo taken" in out, err


def test_a_download_without_its_packages_names_the_extra_photos(run_bare: Run, tmp_path: Path) -> None:
    (tmp_path / "tree.csv").write_text("http://127.0.0.1/a.jpg\n")
    assert_missing(run_bare("download", tmp_path / "tree.csv", "--to", tmp_path / "photos"), "'aiohttp'", "photos")


def test_a_search_without_its_packages_names_the_extra_photos(run_bare: Run, tmp_path: Path) -> None:
    assert_missing(run_bare("collect", "tree pose", "--pose", "tree", "--to", tmp_path / "lists"), "'ddgs", "photos")


def test_the_extra_train_holds_the_extra_photos() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert "yoga-live[photos]" in extras["train"]
    assert {re.split("[<>=]", line)[0] for line in extras["photos"]} == {*PHOTO_PACKAGES, "opencv-python"}
