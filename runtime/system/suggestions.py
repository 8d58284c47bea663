"""What somebody probably meant: near names of files, options and commands, and the words that other programs use."""

from __future__ import annotations

import argparse
import errno
import os
import re
import stat
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from .foreign_files import KINDS

OTHER_WORDS = {
    "-o": ("--save", "--to"),
    "--out": ("--save", "--to"),
    "--output": ("--save", "--to"),
    "--source": ("--camera",),
    "--webcam": ("--camera",),
    "--weights": ("--model",),
    "--verbose": ("--debug",),
    "--overwrite": ("--force",),
    "--yes": ("--force",),
    "--start": ("--from",),
    "--ss": ("--from",),
    "--end": ("--to",),
    "--gpu": ("--device",),
    "--lr": ("--rate",),
    "--learning-rate": ("--rate",),
    "--batch": ("--batch-size",),
    "train": ("fit",),
    "test": ("report",),
    "eval": ("report",),
    "classify": ("predict",),
    "infer": ("predict",),
    "export": ("onnx",),
    "quantize": ("int8",),
    "scrape": ("collect",),
}
"""What peers and habits call an option or a command, and what it may be called here."""
MOST_NAMES = 2_000
"""A folder of more files is not searched for a near name."""


def suggest_path(path: Path) -> str:
    """`; did you mean class.mp4?` where the folder of a missing file holds one of nearly that name; or empty."""
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry, _ in zip(entries, range(MOST_NAMES), strict=False)]
    except (OSError, ValueError):
        return ""
    names = [name for name in names if name != path.name]  # it exists, but is no file
    same_stem = [name for name in sorted(names) if Path(name).stem == path.name]
    return _ask([str(path.with_name(name)) for name in same_stem or _find_near(path.name, names)])


def explain_absence(path: Path, hint: str) -> str:
    """Explain why a path is not a file: missing (with what was probably meant, or `hint`), a folder, a device."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "is a link that leads to itself; give a file"
        if path.is_symlink():
            return f"is a link to {path.readlink()}, which does not exist; give a file"
        return f"does not exist{suggest_path(path) or f'; {hint}'}"
    if stat.S_ISDIR(mode):
        try:
            os.scandir(path).close()
        except OSError as error:
            return f"is a folder that cannot be read: {error.strerror or error}"
    return f"is {KINDS.get(stat.S_IFMT(mode), 'not a file')}; give a file"


def suggest_word(word: str, known: Iterable[str]) -> str:
    """`; did you mean --save?` where one of the known words is near, or called so elsewhere; or empty."""
    known = [*known]
    return _ask([each for each in OTHER_WORDS.get(word, ()) if each in known] or _find_near(word, known))


def suggest_for_error(parser: argparse.ArgumentParser, message: str) -> str:
    """What was probably meant where argparse knows no such option or command; or empty."""
    if found := re.match(r"unrecognized arguments: (-{1,2}\w[\w-]*)", message):
        options = _list_options(parser)
        return "; only other commands have it" if found[1] in options else suggest_word(found[1], options)
    if found := re.match(r"argument (?:.*: )?invalid choice: '([^']*)' \(choose from (.*)\)", message):
        return suggest_word(found[1], re.findall(r"[\w.:-]+", found[2]))
    return ""


def _list_options(parser: argparse.ArgumentParser) -> list[str]:
    """The parser's options, and those of its commands."""
    options = [*parser._option_string_actions]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            options += [option for command in action.choices.values() for option in _list_options(command)]
    return options


def _find_near(word: str, known: Iterable[str]) -> list[str]:
    """At most one; case does not count, and the beginning of a word is enough."""
    lower = {each.lower(): each for each in known}
    begun = [each for each in sorted(lower) if len(word) > 3 and each.startswith(word.lower())]
    if len(begun) == 1:
        return [lower[begun[0]]]
    return [lower[near] for near in get_close_matches(word.lower(), lower, n=1, cutoff=0.72)]


def _ask(found: list[str]) -> str:
    return f"; did you mean {found[0]}?" if found else ""
