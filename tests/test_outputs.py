"""What every command that writes a file does when another run, or another program, has the name."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

HOLD = """
import sys
from pathlib import Path
from yoga_live.runtime.system.claims import claim_outputs, hold_folder

path = Path(sys.argv[1])
with hold_folder(path) if sys.argv[2] == "folder" else claim_outputs([path], force=True):
    print("held", flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Case:
    """A command.  works_by: the function, in the middle of its work, at whose call another program creates `output`."""

    room: str
    words: tuple[str, ...]
    output: str
    works_by: tuple[str, str]
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.words[0]} {self.output}"


MAINS = {"runtime": "cli.main", "train": "cli.main"}
LOADS = "yoga_live.calibration.runs", "load_run"
CASES = [
    Case("export", ("onnx", "RUN", "--to", "a.onnx"), "a.onnx", LOADS),
    Case("export", ("fp16", "MODEL", "--run", "RUN", "--to", "a.onnx"), "a.onnx", LOADS),
    Case("export", ("fp16", "MODEL", "--run", "RUN", "--to", "a.onnx"), "a.reliability.png", LOADS, ("a.onnx",)),
    Case("calibration", ("int8", "MODEL", "--run", "RUN", "--to", "a.onnx"), "a.onnx", LOADS),
    Case("calibration", ("confidence", "MODEL", "--run", "RUN", "--to", "a.onnx"), "a.onnx", LOADS),
    Case("calibration", ("check", "MODEL", "--run", "RUN", "--to", "a.csv"), "a.csv", LOADS),
    Case("calibration", ("check", "MODEL", "--run", "RUN", "--to", "a.json"), "a.json", LOADS),
    Case(
        "train", ("stats", "PHOTOS", "--html", "a.html"), "a.html", ("yoga_live.train.photos.stats", "measure_folder")
    ),
    Case("train", ("show", "PHOTOS", "--to", "a.png"), "a.png", ("yoga_live.train.report.contact_sheet", "draw_batch")),
    Case(
        "train",
        (
            "lr-find",
            "PHOTOS",
            "--to",
            "a.png",
            "--size",
            "32",
            "--batch",
            "8",
            "--steps",
            "20",
            "--arch",
            "resnet18",
            "--weights",
            "WEIGHTS",
        ),
        "a.csv",
        ("yoga_live.train.fit.lr_find", "find_rate"),
        ("a.png",),
    ),
]


@contextlib.contextmanager
def held_by_another(path: Path, kind: str = "file") -> Iterator[int]:
    command = [sys.executable, "-c", HOLD, str(path), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process.pid
        process.communicate(timeout=30)


@pytest.fixture
def run(
    ask: Callable[..., Any],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    """Run a case's command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    fixtures = {"RUN": "trained_run", "MODEL": "exported_model", "PHOTOS": "drawn_photos", "WEIGHTS": "start_weights"}

    def run_case(case: Case, *more: str) -> Any:
        words = [request.getfixturevalue(fixtures[word]) if word in fixtures else word for word in case.words]
        return ask(import_module(f"yoga_live.{case.room}.{MAINS.get(case.room, 'command')}").main, *words, *more)

    return run_case


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_output_that_another_run_writes_is_refused_before_any_work(
    run: Callable[..., Any], case: Case, tmp_path: Path
) -> None:
    with held_by_another(tmp_path / case.output) as pid:
        for force in ((), ("--force",)):
            line = run(case, *force).refusal()
            assert f"another command (process {pid} on " in line and f"is writing {case.output}" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_output_that_appears_meanwhile_is_left_alone_unless_forced(
    run: Callable[..., Any], case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    module, name = case.works_by
    work = getattr(import_module(module), name)

    def work_while_it_appears(*arguments: Any, **options: Any) -> Any:
        (tmp_path / case.output).write_text("another's")
        return work(*arguments, **options)

    monkeypatch.setattr(import_module(module), name, work_while_it_appears)
    answer = run(case, *["--force"][: int(force)])
    path = tmp_path / case.output
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    if force:
        assert answer.code == 0 and path.read_bytes() != b"another's" and not part.exists(), answer.err
        return
    line = answer.refusal()
    assert f"{case.output} was created by another program meanwhile" in line and f"the result is in {part.name}" in line
    assert path.read_text() == "another's" and part.stat().st_size > 0
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {path.name, part.name, *case.also}


def test_a_run_that_another_training_writes_is_refused(
    ask: Callable[..., Any], drawn_photos: Path, start_weights: Path, tmp_path: Path
) -> None:
    from yoga_live.train.cli.main import main

    words = "fit", drawn_photos, "--to", tmp_path / "runs" / "a", "--weights", start_weights, "--size", 32
    with held_by_another(tmp_path / "runs" / "a", "folder") as pid:
        line = ask(main, *words).refusal()
        assert f"another command (process {pid} on " in line and "runs/a; wait for it to end" in line
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_another_search_adds_to_is_refused(ask: Callable[..., Any], tmp_path: Path) -> None:
    from yoga_live.train.cli.main import main

    (tmp_path / "found.txt").write_text("https://example.org/a.jpg\n")
    words = "collect", "--urls", tmp_path / "found.txt", "--pose", "tree", "--to", tmp_path / "lists"
    (tmp_path / "lists").mkdir()
    with held_by_another(tmp_path / "lists" / "tree.csv"):
        assert "tree.csv; wait for it to end" in ask(main, *words).refusal()
    assert ask(main, *words).code == 0
    assert [path.name for path in (tmp_path / "lists").iterdir()] == ["tree.csv"]
