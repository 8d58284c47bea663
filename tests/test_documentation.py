"""The pages lead where they say: links are files, and every module of a room stands on the room's page."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from package_graph import ORDER  # noqa: E402

ROOMS = ("train", "export", "calibration", "runtime", "benchmarks")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.md"))]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PLUMBING = {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_links_between_pages_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if heading:
            heads = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, link


def list_described_modules(text: str) -> list[str]:
    """Modules in the page's tree, relative to the room: a line each, `name.py` and some words, under `package/`."""
    modules, package = [], ""
    for line in max(BLOCK.findall(text), key=lambda block: block.count(".py ")).splitlines():
        if line and not line.startswith(" "):
            package = line.split()[0] if line.split()[0].endswith("/") else ""
        if found := re.match(r"( *)(\w+\.py) {2,}\S", line):
            modules.append(package + found[2] if found[1] else found[2])
    return modules


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_of_a_room_stands_on_its_page(room: str) -> None:
    listed = list_described_modules((ROOT / room / "README.md").read_text(encoding="utf-8"))
    paths = (ROOT / room).glob("*.py") if room == "benchmarks" else (ROOT / room).rglob("*.py")
    modules = [path.relative_to(ROOT / room).as_posix() for path in paths if path.name not in PLUMBING]
    assert sorted(listed) == sorted(modules)


@pytest.mark.parametrize("room", [*ORDER])
def test_packages_stand_on_the_page_bottom_up(room: str) -> None:
    listed = list_described_modules((ROOT / room / "README.md").read_text(encoding="utf-8"))
    packages = [*dict.fromkeys(path.partition("/")[0].removesuffix(".py") for path in listed)]
    levels = {package: level for level, line in enumerate(ORDER[room]) for package in line}
    assert [levels[package] for package in packages if package in levels] == sorted(levels.values())


@pytest.mark.parametrize("room", [*ORDER])
def test_floors_on_the_page_for_contributors_are_those_that_tests_hold(room: str) -> None:
    blocks = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    floors = " < ".join(", ".join(line) for line in ORDER[room])
    assert any(f"{room} {floors}" in " ".join(block.split()) for block in blocks)


def test_a_module_without_a_line_of_its_own_is_not_described() -> None:
    page = "```\ncore/    words and a.py too\n  b.py   words\n  c.py\n  d.py  e.py\nf.py  words\n```\n"
    assert list_described_modules(page) == ["core/b.py", "core/d.py", "f.py"]
