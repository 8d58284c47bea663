"""The pages lead where they say: links are files, and every module of a room stands on the room's page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("train", "export", "calibration", "runtime", "benchmarks")
PAGES = [ROOT / "README.md", *sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.md"))]
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


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_of_a_room_stands_on_its_page(room: str) -> None:
    text = (ROOT / room / "README.md").read_text(encoding="utf-8")
    modules = {path.name for path in (ROOT / room).glob("*.py")} - PLUMBING
    assert not sorted(name for name in modules if not re.search(rf"(?<![\w]){re.escape(name)}", text))
