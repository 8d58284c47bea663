"""Print the package graph of `runtime/` and `train/`: `python benchmarks/package_graph.py [--dot FILE]`.

Packages come bottom-up, each with what it imports.  The exit code is 1 if there is an import cycle between packages, or
if a package imports upwards against `ORDER`.  The sources are parsed, never imported or run; imports inside functions
and under TYPE_CHECKING count too.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Bottom-up: a package may import those of earlier lines only, not its neighbours on the same line.  A module at the top
# of a room, such as `runtime/errors.py`, counts as a package.
ORDER: dict[str, tuple[tuple[str, ...], ...]] = {
    "runtime": (
        ("errors",),
        ("system",),
        ("core",),
        ("photos",),
        ("engines", "sources", "cropping", "drawing"),
        ("people", "sinks"),
        ("classifier",),
        ("tracking",),
        ("pipelines", "serve"),
        ("archive",),
        ("cli",),
    ),
    "train": (
        ("distributed", "layouts"),
        ("photos", "run_files"),
        ("people",),
        ("landmarks",),
        ("fit", "gather"),
        ("clean", "predict"),
        ("report",),
        ("result",),
        ("api",),
        ("cli",),
    ),
}
# Of a room: they re-export and start it, and belong to no package; `runtime/package` is `yoga_live` itself.
OUTSIDE = {"__init__", "__main__", "recordings", "package"}

Graph = dict[str, set[str]]


def find_modules(room: str, root: Path = ROOT) -> dict[str, Path]:
    """Every module of a room by its dotted name: `sources.cameras`; a package's own file is `sources`."""
    modules = {}
    for path in sorted((root / room).rglob("*.py")):
        parts = path.relative_to(root / room).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return modules


def list_targets(path: Path, room: str, root: Path = ROOT) -> Iterator[str]:
    """What a file imports from its own room, dotted as in `find_modules` or with a name after it."""
    package = ["yoga_live", *path.relative_to(root).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names = [".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names]
        else:
            continue
        prefix = f"yoga_live.{room}."
        yield from (name.removeprefix(prefix) for name in names if name.startswith(prefix))


def build_module_graph(room: str, root: Path = ROOT) -> Graph:
    """Module to the modules of its room that it imports."""
    modules = find_modules(room, root)
    graph: Graph = {name: set() for name in modules}
    for name, path in modules.items():
        for target in list_targets(path, room, root):
            found = target if target in modules else target.rpartition(".")[0]  # `from .cameras import open_camera`
            if found in modules and found != name:
                graph[name].add(found)
    return graph


def join_packages(modules: Mapping[str, Iterable[str]]) -> Graph:
    """Package to the packages that its modules import."""
    graph: Graph = {}
    for name, targets in modules.items():
        package = name.partition(".")[0]
        if package not in OUTSIDE:
            found = {target.partition(".")[0] for target in targets} - OUTSIDE - {package}
            graph.setdefault(package, set()).update(found)
    return graph


def find_cycle(graph: Graph) -> list[str]:
    """One import cycle, its first name repeated at the end; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def find_upward(room: str, packages: Graph) -> list[str]:
    """One sentence for each import against `ORDER`, each package missing from it, and each entry without a package."""
    level = {package: number for number, line in enumerate(ORDER[room]) for package in line}
    wrong = [f"{room}/{name} is missing from ORDER" for name in sorted(packages.keys() - level.keys())]
    wrong += [f"{room}/{name} is in ORDER but does not exist" for name in sorted(level.keys() - packages.keys())]
    wrong += [
        f"{room}/{name} imports {target}, which is not below it"
        for name, targets in sorted(packages.items())
        for target in sorted(targets)
        if name in level and target in level and level[target] >= level[name]
    ]
    return wrong


def sort_packages(room: str, packages: Graph) -> list[str]:
    """Topological order, bottom-up; ties are broken by `ORDER`."""
    place = {package: number for number, package in enumerate(name for line in ORDER[room] for name in line)}
    sorter, names = TopologicalSorter(packages), []
    sorter.prepare()
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=lambda name: (place.get(name, len(place)), name))
        names.append(ready.pop(0))
        sorter.done(names[-1])
    return names


def format_dot(graphs: Mapping[str, Graph]) -> str:
    """Graphviz text: a cluster for each room, an arrow from the importer to the imported."""
    lines = ["digraph packages {", "  rankdir=BT;", "  node [shape=box];"]
    for room, packages in graphs.items():
        lines += [f"  subgraph cluster_{room} {{", f'    label="{room}";']
        lines += [f'    "{room}/{name}" [label="{name}"];' for name in sorted(packages)]
        lines += ["  }"]
        lines += [
            f'  "{room}/{name}" -> "{room}/{target}";' for name in sorted(packages) for target in sorted(packages[name])
        ]
    return "\n".join([*lines, "}"]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dot", type=Path, metavar="FILE", help="also write the graph as Graphviz text")
    args = parser.parse_args(arguments)
    graphs, wrong = {}, []
    for room in ORDER:
        packages = graphs[room] = join_packages(build_module_graph(room))
        wrong += find_upward(room, packages)
        print(f"{room}/")
        if cycle := find_cycle(packages):
            wrong.append(f"{room}/ has an import cycle: {' -> '.join(cycle)}")
        for name in sorted(packages) if cycle else sort_packages(room, packages):
            print(f"  {name:12} {', '.join(sorted(packages[name])) or '-'}")
    if args.dot:
        args.dot.write_text(format_dot(graphs), encoding="utf-8")
    for line in wrong:
        print(f"package_graph: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
