"""What the README tells to type works: its Python is run, its commands are understood, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE))


@pytest.fixture
def class_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """class.mp4 in the current folder: two seconds of the drawn figure as a tree."""
    av = pytest.importorskip("av")
    pytest.importorskip("onnxruntime")
    from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

    monkeypatch.chdir(tmp_path)
    image = draw_figure(POSES["tree"], (320, 240))
    with av.open("class.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=6)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")))
        container.mux(stream.encode(None))
    return tmp_path / "class.mp4"


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_of_the_readme_runs(number: int, class_video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from yoga_live.runtime import PoseClassifier

    exec(compile(PYTHON[number], f"README block {number + 1}", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    if "VideoCapture" in PYTHON[number]:
        poses = {line.split()[0] for line in said}
        assert len(said) == 12 and poses <= set(PoseClassifier().labels)
        assert all(0 <= float(line.split()[1]) <= 1 for line in said)
    else:
        assert said and "Segment(" in said[-1] and said[-1].endswith("None")
        assert class_video.with_suffix(".csv").read_text().startswith("start_s,end_s,pose,confidence\n")


def test_the_readme_has_both_examples() -> None:
    assert len(PYTHON) == 2 and any("VideoCapture" in block for block in PYTHON)


def test_the_example_loop_has_five_lines() -> None:
    loop = next(block for block in PYTHON if "VideoCapture" in block)
    assert sum(bool(line) and not line.startswith("import cv2") for line in loop.split("\n")) == 5


def read_commands(program: str) -> list[list[str]]:
    """Arguments of each time that a program is called."""
    parts = [part.strip() for line in SHELL.split("\n") for part in line.partition(" #")[0].split("&&")]
    return [shlex.split(part)[1:] for part in parts if part.split(" ")[0] == program]


def test_commands_of_the_readme_are_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from yoga_live.runtime.cli.options import parse_args

    commands = read_commands("yoga-live")
    assert len(commands) > 12
    for arguments in commands:
        args = parse_args(arguments)
        assert args.command or any(hasattr(args, name) for name in ("camera", "video", "videos", "images", "demo"))


@pytest.mark.parametrize("program", ["yoga-train", "yoga-export", "yoga-calibrate"])
def test_options_of_the_other_commands_exist(program: str, ask: Callable[..., object]) -> None:
    """Their work is not begun: --help comes first, and names each option that the README uses."""
    from yoga_live.calibration.command import main as calibrate
    from yoga_live.export.command import main as export
    from yoga_live.train.cli.main import main as train

    main = {"yoga-train": train, "yoga-export": export, "yoga-calibrate": calibrate}[program]
    commands = read_commands(program)
    assert commands
    for arguments in commands:
        answer = ask(main, arguments[0], "--help")
        for option in [argument for argument in arguments if argument.startswith("--")]:
            assert option in answer.out, (program, arguments)  # type: ignore[attr-defined]


def test_links_of_the_readme_lead_somewhere() -> None:
    root = Path(__file__).parent.parent
    targets = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(targets) >= 3 and all((root / target).exists() for target in targets)
