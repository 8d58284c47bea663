"""Addresses without their secrets: passwords and tokens are never printed, logged or kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_END = r"[^\s'\"<>]"
_ADDRESS = re.compile(rf"(?<![A-Za-z0-9+.-])(?!file:///)[A-Za-z][A-Za-z0-9+.-]+:(?://{_END}+|/{_END}*@{_END}+)")
"""An address, also as a path, which has lost one slash; not the name of a local file."""
_USER_AND_PASSWORD = re.compile(rf"(?<![^\s'\"<>(=])[^\s'\"<>/:@]+:(?!\\)[^\s'\"<>/]*@{_END}+")


def hide_credentials(text: str) -> str:
    """An address without user, password, query, fragment and settings in its path: any of them may hold a secret.

    All up to the last @ goes: a password that should have been written with %23 may hold a #, and so on.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    host, *path = re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0].split("/")
    return "/".join((scheme + separator + host, *("..." if re.search("[=&:;]", part) else part for part in path)))


def hide_in_text(text: str, arguments: Iterable[str]) -> str:
    """A text without the secrets of the addresses in it, and of those among the command line's arguments."""
    for argument in sorted({each for word in arguments for each in _list_forms(word)}, key=len, reverse=True):
        if "://" in argument or re.match(r"(?![A-Za-z]:[\\/])[^@]*:.*@", argument, re.DOTALL):
            text = text.replace(argument, hide_credentials(argument))
    for pattern in (_ADDRESS, _USER_AND_PASSWORD):
        text = pattern.sub(lambda found: _hide_before_stops(found[0]), text)
    return text


def _list_forms(argument: str) -> list[str]:
    """How messages show an argument or the value of `--option=value`: as it is, as a path, quoted."""
    values = [argument]
    if argument.startswith("--") and "=" in argument:
        values.append(argument.partition("=")[2])
    shown = [form for value in values if value for form in (value, str(Path(value)))]
    return [*shown, *(repr(form)[1:-1] for form in shown)]


def _hide_before_stops(found: str) -> str:
    """Hide in an address that the message goes on after: a colon or semicolon at its end is the message's."""
    address = found.rstrip(".,:;)")
    return hide_credentials(address) + found[len(address) :]
