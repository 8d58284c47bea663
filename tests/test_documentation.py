"""The pages lead where they say, each stands where it is looked for, and the reference is what the code does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
sys.path += [str(ROOT / "benchmarks"), str(DOCS / "_ext")]

from generated_reference import PARSERS, escape, list_parsers, mark_code, write_api, write_commands  # noqa: E402
from package_graph import ORDER  # noqa: E402

ROOMS = ("train", "export", "calibration", "runtime", "benchmarks")
SITE = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.md")), *SITE]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
INCLUDE = re.compile(r"^```\{include\} (\S+)\n.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PLUMBING = {"__init__.py", "__main__.py"}
FROM_ELSEWHERE = re.compile(r"""(?:src|srcset)\s*=\s*["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//""")


def name_page(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def list_headings(page: Path) -> set[str]:
    """Anchors of a page, with those of the pages that it includes."""
    text = page.read_text(encoding="utf-8")
    included = [(page.parent / name).resolve() for name in INCLUDE.findall(text)]
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
    return anchors.union(*map(list_headings, included))


@pytest.mark.parametrize("page", PAGES, ids=map(name_page, PAGES))
def test_links_between_pages_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not heading or heading in list_headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=map(name_page, PAGES))
def test_files_and_extras_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name == "CHANGELOG.md":  # it speaks of what was, too
        return
    for name in re.findall(rf"\b(?:tests|examples|{'|'.join(ROOMS)})/[\w/]+\.(?:py|sh|csv)\b", text):
        assert (ROOT / name).is_file(), name
    extras_table = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.optional-dependencies]")[2]
    offered = re.findall(r"^([a-z0-9]+) = \[", extras_table.partition("\n[")[0], re.MULTILINE)
    for extras in re.findall(r"\[([a-z0-9,]+)\]\"", text):
        assert set(extras.split(",")) <= set(offered), extras


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


@pytest.mark.parametrize("page", SITE, ids=map(name_page, SITE))
def test_a_page_of_the_site_stands_in_its_index_and_in_llms_txt(page: Path) -> None:
    name = page.relative_to(DOCS).with_suffix("").as_posix()
    if name != "index":
        assert name in re.findall(r"^([\w/-]+)$", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
        links = LINK.findall((DOCS / "llms.txt").read_text(encoding="utf-8"))
        assert {f"{name}.md", f"{name}.html"} & set(links), name


def test_llms_txt_has_the_form_of_its_convention() -> None:
    lines = (DOCS / "llms.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yoga-live" and lines[2].startswith("> ")
    for line in lines[3:]:
        assert not line.startswith("- ") or re.fullmatch(r"- \[[^\]]+\]\([^)]+\): .+", line), line
    for link in LINK.findall("\n".join(lines)):
        assert (DOCS / link).with_suffix(".md").is_file(), link


@pytest.mark.parametrize("program", PARSERS)
def test_every_option_of_a_program_stands_in_its_reference(program: str) -> None:
    text = write_commands(program)
    parsers = list_parsers(program)
    assert len(parsers) > 3 and "==SUPPRESS==" not in text
    for parser, sentence in parsers:
        section = text.partition(f"```{{program}} {parser.prog}\n")[2].partition("```{program}")[0]
        assert sentence and section, parser.prog
        for action in parser._actions:
            for option in action.option_strings:
                if option not in ("--help", "-h", "--debug", "--version"):
                    assert re.search(rf"^```\{{option\}} .*{re.escape(option)}\b", section, re.MULTILINE), option
    assert "```{option} --debug" in text and text.count("```{option} --debug") == 1


def test_words_of_the_reference_show_as_they_are_written() -> None:
    assert escape("name<TAB>url, 'drawn__*', `a_b`") == r"name\<TAB\>url, 'drawn\_\_\*', `a_b`"


def test_an_indented_block_of_a_docstring_becomes_code_and_a_list_does_not() -> None:
    assert mark_code(["One.", "", "    a = 1", "    b", "", "Two."])[2:5] == [".. code-block:: python", "", "    a = 1"]
    for lines in (["One:", "  two"], ["One::", "", "    a = 1"]):
        assert mark_code(lines) == lines


def test_all_that_the_rooms_export_is_documented() -> None:
    import importlib

    text = write_api()
    for room in ("runtime", "calibration", "train", "export"):
        module = importlib.import_module(f"yoga_live.{room}")
        for name in getattr(module, "__all__", ()):
            assert f":: yoga_live.{room}.{name}\n" in text
            assert (getattr(module, name).__doc__ or "").strip(), name


def test_the_page_of_files_has_their_columns() -> None:
    from yoga_live.calibration.runs import RunPhoto
    from yoga_live.runtime.core.model_metadata import METADATA_KEY, ModelInfo
    from yoga_live.runtime.sinks.timeline import format_csv
    from yoga_live.train.photos import manifest
    from yoga_live.train.run_files.log import describe_epoch

    page = (DOCS / "reference" / "files.md").read_text(encoding="utf-8")
    assert f"`{format_csv(()).strip()}`" in page
    assert f"`{','.join(manifest.COLUMNS)}`" in page
    assert f"`{','.join(field.name for field in fields(RunPhoto))}`" in page
    assert f"`{','.join(describe_epoch(1, None, None, None, 0.0, 0.0))}`" in page
    assert all(f"`{field.name}`" in page for field in fields(ModelInfo)) and f"`{METADATA_KEY}`" in page
    for status in (manifest.OK, manifest.DUPLICATE, manifest.REFUSED, manifest.FAILED, manifest.FORBIDDEN):
        assert f"`{status}`" in page


def test_the_pages_of_events_and_of_http_have_their_fields() -> None:
    from yoga_live.runtime.core.types import Hold
    from yoga_live.runtime.serve import state, try_photo
    from yoga_live.runtime.sinks.events import Events

    told: list[str] = []
    events = Events(told.append, {"tree": 1.0}, "class.mp4")
    events.update(3.0, Hold("tree", 0.9, 2.0))
    events.close(4.0)
    lines = [json.loads(line) for line in told]
    page = (DOCS / "reference" / "events.md").read_text(encoding="utf-8")
    assert [line["event"] for line in lines] == ["begin", "goal", "end"]
    for line in lines:
        row = next(row for row in page.splitlines() if row.startswith(f"| `{line['event']}` |"))
        assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == {*line} - {"event", "video"}
    assert "| `video` |" in page
    page = (DOCS / "reference" / "http.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in state.LiveBoard().describe())
    assert f"{state.MOST_SIDE:,} pixels" in page
    assert f"{try_photo.MOST_BYTES // 10**6} MB and {try_photo.MOST_PIXELS // 10**6} megapixels" in page


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    for package in ("furo", "myst_parser", "sphinx_copybutton", "torch", "onnx"):
        pytest.importorskip(package)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", tmp_path / "trees"]
    built = subprocess.run(
        [*command, DOCS, tmp_path / "site"], capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    assert built.returncode == 0, built.stderr
    site = tmp_path / "site"
    assert (site / "llms.txt").is_file()
    for page in SITE:
        name = page.relative_to(DOCS)
        html = (site / name).with_suffix(".html").read_text(encoding="utf-8")
        assert not FROM_ELSEWHERE.search(html), name
        assert (site / name).is_file() and "<!-- commands of" not in (site / name).read_text(encoding="utf-8")
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name


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
