"""The reference as the code has it: commands from their parsers, the API from each room's `__all__`.

A page holds `<!-- commands of PROGRAM -->` or `<!-- api -->`; the Markdown that is written here takes its place when
the site is built.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

PARSERS = {
    "yoga-live": "yoga_live.runtime.cli.options",
    "yoga-train": "yoga_live.train.cli.main",
    "yoga-export": "yoga_live.export.command",
    "yoga-calibrate": "yoga_live.calibration.command",
}
"""Where each program's `parse_args` is."""
ROOMS = ("yoga_live.runtime", "yoga_live.calibration", "yoga_live.train", "yoga_live.export")
OF_EVERY_COMMAND = {"--help", "--debug", "--version"}
IS_COMMAND = re.compile(rf"\s+({'|'.join(PARSERS)}|torchrun|tensorboard|export|-m) ?")


class _Found(Exception):
    """Carries a parser out of the function that was about to use it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def find_parser(parse_args: Callable[[list[str]], Any], arguments: list[str]) -> argparse.ArgumentParser:
    """The parser that `parse_args` makes for these arguments; nothing is parsed."""

    def stop(parser: argparse.ArgumentParser, *_: Any) -> Any:
        raise _Found(parser)

    from yoga_live.runtime.system.cli_runner import CommandParser

    with patch.object(CommandParser, "parse_known_args", stop):
        try:
            parse_args(arguments)
        except _Found as found:
            return found.parser
    raise LookupError("parse_args used no CommandParser")


def list_parsers(program: str) -> list[tuple[argparse.ArgumentParser, str]]:
    """A program's parser and those of its subcommands, each with a sentence that says what it does."""
    parse_args = importlib.import_module(PARSERS[program]).parse_args
    parser = find_parser(parse_args, [])
    found = [(parser, parser.description or "")]
    if program == "yoga-live":
        from yoga_live.runtime.cli.subcommands import SUBCOMMANDS

        parsers = [find_parser(parse_args, [name]) for name in SUBCOMMANDS]
        return found + [(each, each.description or "") for each in parsers]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found += [(each, each.description or helps[name]) for name, each in action.choices.items()]
    return found


def write_commands(program: str) -> str:
    """Markdown of a program: usage, options in their groups, examples; then the same of each subcommand."""
    parsers = list_parsers(program)
    epilog = parsers[0][0].epilog
    parts = []
    for number, (parser, text) in enumerate(parsers):
        parts += [f"## {parser.prog}"] if number else []
        parts += [escape(finish_sentence(text)), fence(describe_usage(parser))]
        parts += describe_options(parser, is_main=number == 0)
        if parser.epilog and (number == 0 or parser.epilog != epilog):
            parts += describe_epilog(parser.epilog)
    return "\n\n".join(parts)


def describe_usage(parser: argparse.ArgumentParser) -> str:
    """The usage as `--help` prints it on a terminal of 100 columns, without the options that every command has."""
    with patch.dict(os.environ, {"COLUMNS": "100"}):
        usage = parser.format_usage().removeprefix("usage: ").rstrip().replace("\n       ", "\n")
    return usage.replace(" [-h] [--debug] [--version]", "")


def describe_options(parser: argparse.ArgumentParser, *, is_main: bool) -> list[str]:
    """Each group's title and options.  is_main: with the options that every command has."""
    formatter = parser.formatter_class(prog=parser.prog)
    parts = [f"```{{program}} {parser.prog}\n```"]
    last = getattr(parser, "_last_group", None)
    for group in sorted(parser._action_groups, key=lambda group: group is last):
        actions = [
            action
            for action in group._group_actions
            if action.help != argparse.SUPPRESS
            and not isinstance(action, argparse._SubParsersAction)
            and (is_main or not OF_EVERY_COMMAND & set(action.option_strings))
        ]
        if not actions:
            continue
        is_titled = group.title not in ("positional arguments", "options", "optional arguments")
        parts += [f"**{escape(group.title or '').capitalize()}**"] if is_titled else []
        parts += [escape(finish_sentence(group.description))] if group.description else []
        for action in actions:
            invocation = formatter._format_action_invocation(action)
            text = formatter._expand_help(action) if action.help else ""
            parts.append(f"```{{option}} {invocation}\n\n{escape(text)}\n```")
    return parts


def describe_epilog(epilog: str) -> list[str]:
    """An epilog's prose as paragraphs, its commands as blocks."""
    parts: list[str] = []
    lines: list[str] = []
    is_code = False

    def end() -> None:
        if lines:
            words = "\n".join(lines)
            parts.append(fence(words, "sh") if is_code else escape(words))
            lines.clear()

    for line in epilog.splitlines():
        now_code = bool(IS_COMMAND.match(line))
        if not line.strip() or now_code != is_code or (lines and lines[-1].endswith(":")):
            end()
        is_code = now_code
        if line.strip():
            words = line[2:] if is_code else line.strip()
            words = put_comment_above(words) if is_code else words
            lines.append(words[:1].upper() + words[1:] if not is_code and not lines else words)
    end()
    return parts


def put_comment_above(line: str) -> str:
    """An example with its explanation, which stands two spaces after it, as two lines that a shell takes too."""
    found = re.match(r"(\S.*?) {2,}(?:# )?(\S.*)$", line)
    return f"# {found[2].removeprefix('(').removesuffix(')')}\n{found[1]}" if found else line


def write_api() -> str:
    """Markdown of what the rooms export, in the order of their `__all__`."""
    parts = []
    for name in ROOMS:
        room = importlib.import_module(name)
        exported = getattr(room, "__all__", ())
        if exported:
            parts += [f"## {name}", f"```{{eval-rst}}\n.. automodule:: {name}\n   :no-members:\n```"]
            parts += [document(name, each, getattr(room, each)) for each in sorted(exported, key=partial(rank, room))]
    return "\n\n".join(parts)


def rank(room: object, name: str) -> int:
    """What is called comes first, then what is made and returned, then what is raised."""
    value = getattr(room, name)
    return 0 if not inspect.isclass(value) else 2 if issubclass(value, BaseException) else 1


def document(room: str, name: str, value: object) -> str:
    """The autodoc directive of one exported thing."""
    if inspect.isclass(value):
        is_error = issubclass(value, BaseException)
        kind = "exception" if is_error else "class"
        more = "" if is_error else "\n   :members:"
        return f"```{{eval-rst}}\n.. auto{kind}:: {room}.{name}{more}\n```"
    kind = "function" if callable(value) else "data"
    return f"```{{eval-rst}}\n.. auto{kind}:: {room}.{name}\n```"


def escape(text: str) -> str:
    """Text that Markdown shows as it is; what stands between backticks stays code."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([\\*_<>\[\]])", r"\\\1", piece) for piece in pieces)


def fence(text: str, language: str = "text") -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def finish_sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", ":")) else f"{text}."


def fill_in(source: str) -> str:
    """A page with what its comments ask for."""
    source = re.sub(r"<!-- commands of ([\w-]+) -->", lambda found: write_commands(found[1]), source)
    return source.replace("<!-- api -->", write_api()) if "<!-- api -->" in source else source


def mark_code(lines: list[str]) -> list[str]:
    """A docstring whose indented blocks are Python for Sphinx, and not quotations."""
    marked: list[str] = []
    for line in lines:
        before = next((each for each in reversed(marked) if each.strip()), "")
        begins = line.startswith("    ") and marked and not marked[-1].strip()
        is_first = begins and not before.startswith(" ") and not before.endswith("::")
        marked += [".. code-block:: python", ""] if is_first else []
        marked.append(line)
    return marked


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""

    def mark_docstring(_: Any, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
        lines[:] = mark_code(lines)

    def fill_in_page(_: Any, docname: str, source: list[str]) -> None:
        source[0] = fill_in(source[0])

    app.connect("source-read", fill_in_page)
    app.connect("autodoc-process-docstring", mark_docstring)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
