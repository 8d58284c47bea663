"""The house as a package: whole in the wheel, floors kept, commands that answer at once."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    "runtime": set(),
    "calibration": {"runtime"},
    "train": {"runtime", "calibration"},
    "export": {"runtime", "calibration", "train"},
}
COMMANDS = {
    "train": ["", "fit", "lr-find", "report", "predict", "clean"],
    "export": ["", "onnx", "fp16", "engine", "info"],
    "calibration": ["", "confidence", "int8", "check"],
    "runtime": ["", "archive", "benchmark", "poses", "cameras"],
}
HEAVY = (
    *("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "cv2", "numpy", "PIL", "av", "matplotlib"),
    *("ray", "pyarrow", "fsspec"),
)


def list_room_files(root: Path) -> set[str]:
    """Every file of the four rooms as the wheel should hold it; `runtime/package` is `yoga_live` itself."""
    return {
        f"yoga_live/{path.relative_to(root).as_posix().removeprefix('runtime/package/')}"
        for room in FLOORS
        for path in (root / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


UNBOUND = {"pyarrow", "fsspec"}  # a major version each few months, and little of it is used


def list_requirements(*without: str) -> Iterator[Any]:
    """What is asked for by the product itself and its extras."""
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    requirements = pytest.importorskip("packaging.requirements")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [lines for extra, lines in project["optional-dependencies"].items() if extra not in without]
    asked = map(requirements.Requirement, chain(project["dependencies"], *extras))
    yield from (each for each in asked if each.name != project["name"])  # an extra that holds another


def test_what_is_used_deeply_is_bound_below_its_next_major_version() -> None:
    """PyAV 19 dropped an argument of `av.open`, and `av>=17.1` took it."""
    loose = [str(asked) for asked in list_requirements("dev") if "<" not in str(asked.specifier)]
    assert {re.split("[<>=]", line)[0] for line in loose} == UNBOUND, loose


def test_bounds_admit_what_is_installed() -> None:
    for asked in list_requirements("jetson"):
        try:
            version = metadata.version(asked.name)
        except metadata.PackageNotFoundError:
            continue
        assert version in asked.specifier, f"{asked} does not admit {version}"


def test_no_torch_is_asked_for_that_runs_code_out_of_weights() -> None:
    """CVE-2025-32434 (up to 2.5.1) and CVE-2026-24747 (below 2.10): weights_only=True did not hold."""
    floors = re.findall(r'"torch>=(\d+)\.(\d+),', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert len(floors) == 2 and all((int(major), int(minor)) >= (2, 10) for major, minor in floors)


@pytest.mark.slow
def test_the_wheel_holds_exactly_the_files_of_the_rooms(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="building a wheel needs setuptools 77 or newer")
    source = tmp_path / "source"
    for name in (*FLOORS, "examples"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    answer = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=source, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    [wheel] = tmp_path.glob("yoga_live-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = {name.partition("/licenses/")[2] for name in archive.namelist()}
        finder = archive.getinfo("yoga_live/runtime/models/people/movenet_multipose.onnx")
    assert names == list_room_files(ROOT)
    assert {"LICENSE", "runtime/models/people/LICENSE", "runtime/models/people/NOTICE"} <= licences
    assert finder.compress_size < 10e6
    assert "yoga_live/runtime/fonts/DejaVuSans.ttf" in names
    makers = {path.name for path in (ROOT / "benchmarks" / "shipped_model").iterdir() if path.suffix != ".py"}
    assert {"sources.csv", "cleaning.jsonl"} <= makers
    assert not {Path(name).name for name in names} & {*makers, "rejection.py", "risk_coverage.py"}


def test_the_packages_that_are_installed_are_the_folders_that_hold_python() -> None:
    """A stray folder would be found by an installation with -e alone; in the wheel it would be missing."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.findall(r'^    "(yoga_live[\w.]*)",$', text, re.MULTILINE)
    folders = {path.parent.relative_to(ROOT) for room in FLOORS for path in (ROOT / room).rglob("*.py")}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)
    names = {".".join(("yoga_live", *folder.parts)) for folder in folders} - {"yoga_live.runtime.package"}
    assert len(listed) == len(set(listed)) and set(listed) == {"yoga_live", *names}


def list_imports(path: Path) -> Iterator[str]:
    """Names of all modules that a file imports, also inside functions; relative ones in full."""
    package = ["yoga_live", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (".".join([*base, name]) for name in names)


def list_sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    for path in list_sources(room):
        rooms = {name.split(".")[1] for name in list_imports(path) if name.startswith("yoga_live.")}
        assert rooms <= {room, *FLOORS[room]}, path


@pytest.mark.parametrize("room", FLOORS)
def test_imports_across_the_rooms_are_relative(room: str) -> None:
    """So that editors and type checkers follow them by path, with no set-up."""
    for path in list_sources(room):
        absolute = [
            alias
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for alias in ([a.name for a in node.names] if isinstance(node, ast.Import) else [])
            + ([node.module] if isinstance(node, ast.ImportFrom) and not node.level and node.module else [])
        ]
        assert not {name.split(".")[0] for name in absolute} & {"yoga_live", *FLOORS}, path


def test_the_runtime_never_imports_torch_or_onnx() -> None:
    """But for one function of the file that tells which network a TensorRT engine is of."""
    hashing = ROOT / "runtime" / "engines" / "network_hash.py"
    tops = {name.split(".")[0] for path in list_sources("runtime") if path != hashing for name in list_imports(path)}
    assert "numpy" in tops
    training = {"torch", "torchvision", "onnxscript", "safetensors", "matplotlib"}
    assert not tops & {*training, "onnx"}
    assert not {name.split(".")[0] for name in list_imports(hashing)} & training
    block = "import sys; sys.modules['onnx'] = None;"
    answer = run_python(block + "from yoga_live.runtime.engines import network_hash, onnxruntime, openvino, tensorrt")
    assert answer.returncode == 0, answer.stderr


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


MAINS = {
    "train": "yoga_live.train.cli.main",
    "export": "yoga_live.export.command",
    "calibration": "yoga_live.calibration.command",
    "runtime": "yoga_live.runtime.cli.main",
}

HELP = """
import importlib, sys
main = importlib.import_module(sys.argv[1]).main
try:
    main([*sys.argv[2].split(), "--help"])
except SystemExit as error:
    print(sorted(set(sys.argv[3].split(",")) & set(sys.modules)), file=sys.stderr)
    sys.exit(error.code)
"""


@pytest.mark.parametrize(("room", "command"), [(room, command) for room in COMMANDS for command in COMMANDS[room]])
def test_help_answers_without_importing_anything_heavy(room: str, command: str) -> None:
    answer = run_python(HELP, MAINS[room], command, ",".join(HEAVY))
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("usage: yoga-") and "examples" in answer.stdout
    assert "--debug" in answer.stdout
    assert answer.stderr.strip() == "[]"


@pytest.mark.parametrize("room", FLOORS)
def test_each_room_is_a_command_of_python_too(room: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", f"yoga_live.{room}", "--help"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0 and answer.stdout.startswith("usage: yoga-"), answer.stderr


def test_python_m_yoga_live_is_the_command() -> None:
    answers = [
        subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
        for command in ([sys.executable, "-m", "yoga_live"], [sys.executable, "-m", "yoga_live.runtime"])
    ]
    assert [answer.stdout for answer in answers] == [f"yoga-live {metadata.version('yoga-live')}\n"] * 2
    wrong = subprocess.run([sys.executable, "-m", "yoga_live", "a.txt", "0"], capture_output=True, check=False)
    assert wrong.returncode == 2


@pytest.mark.parametrize("name", ["yoga_live", *(f"yoga_live.{room}" for room in FLOORS)])
def test_every_package_says_its_version_and_imports_nothing_heavy_for_it(name: str) -> None:
    code = f"import {name} as p, sys; print(p.__version__, '__version__' in dir(p) or p.__name__ == 'yoga_live')"
    heavy = f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    answer = run_python(f"{code}; {heavy}")
    assert answer.stdout.split() == [metadata.version("yoga-live"), "True", "[]"], answer.stderr
    wrong = run_python(f"import {name} as p; p.nothing")
    assert f"module '{name}' has no attribute 'nothing'" in wrong.stderr


def test_the_package_itself_is_no_part_of_the_runtime() -> None:
    """`yoga_live` is the folder runtime/package, which an installation with -e would find there, too."""
    answer = run_python("import yoga_live.runtime.package")
    assert re.search("ImportError.*import yoga_live$|ModuleNotFoundError", answer.stderr.strip(), re.MULTILINE)


def test_the_runtime_is_imported_without_any_engine_or_opencv() -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split(',')));"
    answer = run_python(block + "import yoga_live.runtime as r; print(r.YogaLiveError.__name__)", ",".join(HEAVY))
    assert answer.stdout.strip() == "YogaLiveError", answer.stderr
