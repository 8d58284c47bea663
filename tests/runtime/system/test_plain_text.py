"""Names from elsewhere: harmless where people read them, and found again where programs do."""

from __future__ import annotations

import argparse
import ast
import csv
import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from yoga_live.runtime.core.types import Hold, Segment
from yoga_live.runtime.errors import YogaLiveError
from yoga_live.runtime.sinks.events import Events
from yoga_live.runtime.sinks.timeline import format_timeline
from yoga_live.runtime.sources.inputs import name_input, parse_input, read_list
from yoga_live.runtime.system.cli_runner import CommandParser, run_command
from yoga_live.runtime.system.crashes import report_crashes
from yoga_live.runtime.system.files import format_json, make_csv_writer
from yoga_live.runtime.system.plain_text import (
    escape_json,
    format_command,
    format_count,
    print,
    print_json,
    quote_path,
    show_name,
    unquote_path,
)
from yoga_live.runtime.system.progress import Progress

ODD = os.fsdecode(b"o\xff\x1b[2J\nx\ry\xc2\x9b\xe2\x80\xa8\xe2\x80\xae")
"""A byte that is not UTF-8, a terminal's command, line breaks, C1, a line separator, an override of the direction."""
SHOWN = "o\\udcff\\x1b[2J\\nx\\ry\\x9b\\u2028\\u202e"
COMMAND = re.compile(r"yoga-(train|calibrate|export) [a-z0-9]+ |yoga-live 0 --model ")
ROOMS = ("runtime", "calibration", "train", "export")
NAMES = [ODD, "plain.mp4", "śvānāsana 犬.mp4", "a%0Ab.mp4", "file:x", "100 %.mp4", "/abs/" + ODD]


def is_harmless(text: str) -> bool:
    return all(letter == "\n" or (letter.isprintable()) for letter in text)


def find_unquoted(source: str) -> list[str]:
    """Values put into the text of one of our commands as they are, without `format_command`."""
    found = list[str]()
    for text in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)):
        is_command = False
        for part in text.values:
            if isinstance(part, ast.Constant):
                is_command = is_command or bool(COMMAND.search(str(part.value)))
            elif is_command and isinstance(part, ast.FormattedValue) and part.format_spec is None:
                is_quoted = isinstance(part.value, ast.Call) and ast.unparse(part.value.func) == "format_command"
                found += [] if is_quoted else [ast.unparse(text)]
    return found


def test_a_printed_command_can_be_copied_whatever_its_paths_are() -> None:
    line = format_command("yoga-export", "onnx", Path("runs/my first"), "--to", "it's.onnx", 3)
    assert shlex.split(line) == ["yoga-export", "onnx", str(Path("runs/my first")), "--to", "it's.onnx", "3"]
    assert format_command("yoga-live", "a.mp4") == "yoga-live a.mp4"

    assert find_unquoted('f"next: yoga-train fit {args.photos} --rate {rate:.1e}"')
    assert not find_unquoted('f"next: yoga-train fit {format_command(args.photos)} --rate {rate:.1e}"')
    root = Path(__file__).parents[3]
    sources = [path for room in ROOMS for path in (root / room).rglob("*.py")]
    assert len(sources) > 100
    unquoted = {str(path): find_unquoted(path.read_text("utf-8")) for path in sources}
    assert {path: found for path, found in unquoted.items() if found} == {}


def test_one_is_singular() -> None:
    assert [format_count(n, "photo") for n in (0, 1, 2)] == ["0 photos", "1 photo", "2 photos"]
    assert [format_count(n, "copy", "copies") for n in (1, 2)] == ["1 copy", "2 copies"]


@pytest.mark.parametrize("name", ["tree", "śvānāsana 犬", "a\N{NO-BREAK SPACE}b", "👩\N{ZERO WIDTH JOINER}👧"])
def test_a_usual_name_stays_as_it_is(name: str) -> None:
    assert show_name(name) == name and quote_path(name) == name


def test_what_would_steer_a_terminal_is_shown_by_number() -> None:
    assert show_name(ODD) == SHOWN


def test_printing_logging_progress_and_errors_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: argparse.Namespace) -> None:
        logging.getLogger("yoga_live.test").warning("%s is lost", ODD)
        print(ODD, "second", sep="\n")
        with Progress(ODD, None, ODD) as progress:
            progress.advance(1, ODD)
            progress.say(ODD)
        raise YogaLiveError(f"{ODD} cannot be read")

    assert run_command("yoga-live", run, argparse.Namespace()) == 2
    told = capsys.readouterr()
    assert told.out == f"{SHOWN}\nsecond\n" and is_harmless(told.err)
    lines = told.err.splitlines()
    assert lines[0] == f"yoga-live: {SHOWN} is lost" and lines[-1] == f"yoga-live: error: {SHOWN} cannot be read"
    assert all(SHOWN in line for line in lines)


def test_an_error_of_the_system_and_of_the_command_line_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: argparse.Namespace) -> None:
        Path(ODD).read_bytes()

    assert run_command("yoga-live", run, argparse.Namespace()) == 2
    with pytest.raises(SystemExit):
        CommandParser("yoga-live").parse_args([f"--{ODD}"])
    told = capsys.readouterr().err
    assert is_harmless(told) and told.count("\n") == 2 and told.count(SHOWN) == 2


def test_a_traceback_in_the_log_keeps_its_lines_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: argparse.Namespace) -> None:
        try:
            raise ValueError(ODD)
        except ValueError:
            logging.getLogger("yoga_live.test").exception("%s failed", ODD)

    assert run_command("yoga-live", run, argparse.Namespace()) == 0
    told = capsys.readouterr().err
    assert is_harmless(told) and "Traceback" in told and told.splitlines()[-1].startswith("x\\r")


def test_json_stays_json_and_says_the_same() -> None:
    content = {ODD: [ODD, 1.5]}
    for text in (escape_json(json.dumps(content, ensure_ascii=False)), format_json(content)):
        assert json.loads(text) == content and is_harmless(text) and text.encode()
    told: list[str] = []
    Events(told.append, video=ODD).update(1.0, Hold("tree", 0.9, 0.5))
    assert json.loads(told[0])["video"] == ODD and show_name(told[0]) == told[0]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_events_are_json_on_a_terminal_that_is_not_utf_8(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding, errors="backslashreplace"))
    Events(print_json, video="é Š 😀.mp4").update(1.0, Hold("tree", 0.9, 0.5))
    assert json.loads(written.getvalue())["video"] == "é Š 😀.mp4"
    assert ("é".encode() in written.getvalue()) == (encoding == "utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_found_again_by_what_was_written(name: str) -> None:
    text = quote_path(name)
    assert unquote_path(text) == name and show_name(text) == text and text.encode()


@pytest.mark.parametrize("name", NAMES[:4])
def test_an_input_is_found_again_by_the_name_in_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"x")
    text = name_input(Path(name))
    assert text.encode() and show_name(text) == text
    found = parse_input(text)
    assert isinstance(found, Path) and found.read_bytes() == b"x"
    (tmp_path / "videos.txt").write_text(f"# written by a table\n{text}\r\n", encoding="utf-8")
    assert read_list(tmp_path / "videos.txt") == [tmp_path / found]


def test_a_list_holds_names_that_are_not_utf_8_and_no_other_text(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9\x85.mp4")
    (tmp_path / "videos.txt").write_bytes(os.fsencode(odd) + b"\n")
    with pytest.raises(YogaLiveError, match="is not UTF-8 text"):  # it names no file: another encoding
        read_list(tmp_path / "videos.txt")
    (tmp_path / odd).touch()
    assert read_list(tmp_path / "videos.txt") == [tmp_path / odd]
    (tmp_path / "videos.txt").write_text("a.mp4\n", encoding="utf-16-le")
    with pytest.raises(YogaLiveError, match="is not UTF-8 text"):
        read_list(tmp_path / "videos.txt")


def test_a_csv_cell_with_any_line_break_is_one_cell() -> None:
    rows = [["a\rb", "1"], ["c\nd", "2"], ["plain", "3"]]
    buffer = io.StringIO(newline="")
    make_csv_writer(buffer).writerows(rows)
    assert list(csv.reader(io.StringIO(buffer.getvalue(), newline=""))) == rows
    assert buffer.getvalue().endswith("plain,3\n") and "\r\n" not in buffer.getvalue()


def test_a_label_breaks_no_chapter_file() -> None:
    text = format_timeline(".vtt", (Segment(0.0, 1.0, "a\n\n00:00.000 --> 00:09.000\nb\x1b", 0.9),))
    assert text.count("-->") == 1 and is_harmless(text)


def test_commands_print_by_this_module_alone() -> None:
    """ruff's T20 finds the builtin; where it is allowed is a short list."""
    root = Path(__file__).parents[3]
    config = (root / "pyproject.toml").read_text(encoding="utf-8")
    allowed = [line.split('"')[1] for line in config.splitlines() if line.endswith('= ["T20"]')]
    assert set(allowed) == {"runtime/system/cli_runner.py", "benchmarks/*", "examples/*", "tests/tensorrt_probe.py"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_command_reads_and_writes_odd_names_and_says_them_harmlessly(tmp_path: Path) -> None:
    """The whole program: table, timeline and summary of files whose names hold everything that a name can."""
    from PIL import Image

    folder = tmp_path / ODD
    folder.mkdir()
    Image.new("RGB", (64, 64), "red").save(folder / f"{ODD}.png")
    Image.new("L", (64, 64), 200).save(folder / "b.png")
    (folder / f"broken{ODD}.png").write_bytes(b"x")
    words = [sys.executable, "-m", "yoga_live.runtime", "--images", ".", "--table", f"{ODD}.csv"]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
    told = (done.stdout + done.stderr).decode()
    assert done.returncode == 2 and is_harmless(told) and f"broken{SHOWN}.png" in told
    with (folder / f"{ODD}.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        names = {row["file"] for row in csv.DictReader(file)}
    assert names == {"b.png", f"{ODD}.png", f"broken{ODD}.png"}


@pytest.mark.parametrize("error", [YogaLiveError(ODD), RuntimeError(ODD)])
def test_an_error_that_nobody_foresaw_is_told_harmlessly(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ODD))

    def main(argv: list[str] | None = None) -> int:
        raise error

    assert report_crashes("yoga-live")(main)([]) in {2, 70}
    told = capsys.readouterr().err
    assert is_harmless(told) and told.count("\n") == 1
