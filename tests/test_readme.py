"""What the README and the pages tell to type works: their Python is run, their commands go through the real parsers."""

from __future__ import annotations

import re
import shlex
import sys
from itertools import dropwhile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "docs" / "_ext"))

from generated_reference import write_commands  # noqa: E402

README = ROOT / "README.md"
PAGES = [
    *(README, ROOT / "CONTRIBUTING.md", ROOT / "runtime" / "models" / "README.md"),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]
PROGRAMS: tuple[str, ...] = ("yoga-live", "yoga-train", "yoga-export", "yoga-calibrate")


def read_blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return find_blocks(page.read_text(encoding="utf-8"), language)


def find_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


PYTHON = [(page, block) for page in PAGES for block in read_blocks(page, "python")]
SHELL = [(page, block) for page in PAGES for block in read_blocks(page, "sh")]
LOOP = next(block for block in read_blocks(README, "python") if "VideoCapture" in block)


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


@pytest.mark.parametrize("number", range(len(PYTHON)), ids=[page.stem for page, _ in PYTHON])
def test_python_of_a_page_runs(number: int, class_video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from yoga_live.runtime import PoseClassifier

    page, block = PYTHON[number]
    exec(compile(block, f"{page.name}, block {number + 1}", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said
    if block == LOOP:
        poses = {line.split()[0] for line in said}
        assert len(said) == 12 and poses <= set(PoseClassifier().labels)
        assert all(0 <= float(line.split()[1]) <= 1 for line in said)
    if "annotate_video(" in block:
        assert "Segment(" in said[-1] and said[-1].endswith("None")
        assert class_video.with_suffix(".csv").read_text().startswith("start_s,end_s,pose,confidence")


def test_the_pages_show_a_loop_and_a_whole_video() -> None:
    assert any("annotate_video(" in block for _, block in PYTHON)


def test_the_example_loop_has_five_lines() -> None:
    assert sum(bool(line) and not line.startswith("import cv2") for line in LOOP.split("\n")) == 5


def read_commands(block: str) -> list[list[str]]:
    """The words of each command in a block for a shell; lines that end in a backslash go on."""
    commands: list[list[str]] = []
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        words.whitespace_split, words.commenters = True, "#"
        commands.append([])
        for word in words:
            if set(word) <= set("&|;"):
                commands.append([])
            else:
                commands[-1].append(word)
    return [command for command in commands if command]


def find_program(command: list[str]) -> tuple[str, list[str]]:
    """Which of the four programs is called, by its name, its path or as a module, and its arguments."""
    words = list(dropwhile(lambda word: word == "sudo" or re.match(r"\w+=", word), command))
    if words and (name := words[0].rpartition("/")[2]) in PROGRAMS:
        return name, words[1:]
    for number, word in enumerate(words[1:], 1):
        if words[number - 1] == "-m" and word.startswith("yoga_live."):
            return f"yoga-{word.removeprefix('yoga_live.')}", words[number + 1 :]
    return "", []


HELP = [(Path(f"{name} --help-all"), write_commands(name)) for name in PROGRAMS]
EXAMPLES = [(name, block) for name, text in HELP for block in find_blocks(text, "sh")]
CALLS = [(page, find_program(words)) for page, block in [*SHELL, *EXAMPLES] for words in read_commands(block)]
COMMANDS = [(page, name, arguments) for page, (name, arguments) in CALLS if name]


@pytest.mark.parametrize("program", PROGRAMS)
def test_commands_of_the_pages_are_understood(
    program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from yoga_live.calibration.command import parse_args as calibrate
    from yoga_live.export.command import parse_args as export
    from yoga_live.runtime.cli.options import parse_args as live
    from yoga_live.train.cli.main import parse_args as train

    parse_args = dict(zip(PROGRAMS, (live, train, export, calibrate), strict=True))[program]
    monkeypatch.chdir(tmp_path)  # no file of ours is called as one of theirs
    commands = [(page, arguments) for page, name, arguments in COMMANDS if name == program]
    assert len(commands) > 3
    for page, arguments in commands:
        if "--help" in arguments:
            continue
        try:
            args = parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{page.name}: {program} {' '.join(arguments)}: {capsys.readouterr().err}")
        if program == "yoga-live":
            assert args.command or any(hasattr(args, name) for name in ("camera", "video", "videos", "images", "demo"))


def test_a_command_is_found_by_its_name_its_path_and_as_a_module() -> None:
    block = 'cd x && yoga-live "a b.mp4" --force  # words\nsudo /opt/bin/yoga-train stats photos\n'
    block += "torchrun --nnodes 2 \\\n  -m yoga_live.train fit photos\nA=1 pip install '.[cpu]' | tail\n"
    found = [find_program(command) for command in read_commands(block)]
    assert found == [
        ("", []),
        ("yoga-live", ["a b.mp4", "--force"]),
        ("yoga-train", ["stats", "photos"]),
        ("yoga-train", ["fit", "photos"]),
        ("", []),
        ("", []),
    ]


def test_the_two_commands_stand_as_the_checks_run_them() -> None:
    text = README.read_text(encoding="utf-8")
    assert 'pip install ".[cpu]" && yoga-live --demo --save demo.mp4' in text
    assert 'pip install ".[train,export,cpu,dev]" && pytest' in text


def test_the_readme_s_own_poses_can_be_pasted_line_by_line() -> None:
    """Each path that a command reads was written by a line before it: nothing is called that nobody has."""
    block = next(block for block in read_blocks(README, "sh") if "yoga-train fit" in block)
    written, read = set[str](), 0
    for words in read_commands(block):
        arguments = find_program(words)[1]
        if words[0] == "python":
            written.add(words[-1])
        written |= {words[number + 1] for number, word in enumerate(words[:-1]) if word == "--to"}
        for path in (word for word in arguments if "/" in word or word == "photos" or word.endswith(".onnx")):
            read += 1
            assert any(path == root or path.startswith(f"{root}/") for root in written), words
    poses = {words[words.index("--pose") + 1] for words in read_commands(block) if "--pose" in words}
    assert len(poses - {"none"}) >= 2 and "none" in poses and read > 8
