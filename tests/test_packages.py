"""The packages of a room: one order bottom-up, no import cycles, no crowded folders."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

import package_graph as graph  # noqa: E402

MOST_MODULES = 16
ROOMS = tuple(graph.ORDER)


def write_room(root: Path, **sources: str) -> Path:
    """A room `runtime` of packages with one module `x` each."""
    for name, source in sources.items():
        (root / "runtime" / name).mkdir(parents=True)
        (root / "runtime" / name / "x.py").write_text(source)
    return root


@pytest.mark.parametrize("room", ROOMS)
def test_packages_import_only_those_below_them(room: str) -> None:
    assert not graph.find_upward(room, graph.join_packages(graph.build_module_graph(room)))


@pytest.mark.parametrize("room", ROOMS)
def test_no_modules_import_each_other_in_a_cycle(room: str) -> None:
    """Imports inside functions count: they hide a cycle, they do not remove it."""
    modules = graph.build_module_graph(room)
    assert len(modules) > 50 and not graph.find_cycle(modules)


@pytest.mark.parametrize("room", ROOMS)
def test_no_folder_holds_too_many_modules(room: str) -> None:
    modules = [path for path in (ROOT / room).rglob("*.py") if path.stem not in {"__init__", "__main__"}]
    crowded = {folder: n for folder, n in Counter(path.parent for path in modules).items() if n > MOST_MODULES}
    assert not crowded


def test_an_import_upwards_is_found_even_inside_a_function(tmp_path: Path) -> None:
    root = write_room(tmp_path, core="def f():\n    from ..cli import x\n", cli="from ..core.x import f\n")
    packages = graph.join_packages(graph.build_module_graph("runtime", root))
    assert packages == {"core": {"cli"}, "cli": {"core"}}
    assert graph.find_cycle(packages) in (["core", "cli", "core"], ["cli", "core", "cli"])
    assert "runtime/core imports cli, which is not below it" in graph.find_upward("runtime", packages)


def test_neighbours_do_not_import_each_other(tmp_path: Path) -> None:
    root = write_room(tmp_path, sources="import yoga_live.runtime.drawing.x\n", drawing="")
    packages = graph.join_packages(graph.build_module_graph("runtime", root))
    assert "runtime/sources imports drawing, which is not below it" in graph.find_upward("runtime", packages)


def test_a_package_without_a_place_in_the_order_is_named(tmp_path: Path) -> None:
    root = write_room(tmp_path, helpers="")
    packages = graph.join_packages(graph.build_module_graph("runtime", root))
    assert "runtime/helpers is missing from ORDER" in graph.find_upward("runtime", packages)


def test_the_benchmark_prints_the_order_and_writes_graphviz(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert graph.main(["--dot", str(tmp_path / "packages.dot")]) == 0
    packages = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert packages.index("errors") < packages.index("sources") < packages.index("pipelines") < packages.index("cli")
    text = (tmp_path / "packages.dot").read_text(encoding="utf-8")
    assert text.startswith("digraph") and '"runtime/pipelines" -> "runtime/tracking";' in text


def test_the_benchmark_fails_on_an_import_upwards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order = {room: tuple(reversed(lines)) for room, lines in graph.ORDER.items()}
    monkeypatch.setattr(graph, "ORDER", order)
    assert graph.main([]) == 1
    assert "runtime/cli imports archive, which is not below it" in capsys.readouterr().err
