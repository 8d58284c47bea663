"""Removes secrets from addresses: passwords and tokens are never printed, logged or saved."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_END = r"[^\s'\"<>]"
_ADDRESS = re.compile(rf"(?<![A-Za-z0-9+.-])(?!file:///)[A-Za-z][A-Za-z0-9+.-]+:(?://{_END}+|/{_END}*@{_END}+)")
"""An address, also as a path, which has lost a slash; but not the name of a local file."""
_USER_AND_PASSWORD = re.compile(rf"(?<![^\s'\"<>(=])[^\s'\"<>/:@]+:(?!\\)[^\s'\"<>/]*@{_END}+")


def hide_credentials(text: str) -> str:
    """Remove user, password, query, fragment and settings in the path of an address: any may hold a secret.

    Everything up to the last @ is removed, as a password may hold a # that should have been written as %23, and so on.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    host, *path = re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0].split("/")
    return "/".join((scheme + separator + host, *("..." if re.search("[=&:;]", part) else part for part in path)))


def hide_in_text(text: str, arguments: Iterable[str]) -> str:
    """Remove the secrets of the addresses in a text, and of those in the command line's arguments."""
    for argument in sorted({each for word in arguments for each in _list_forms(word)}, key=len, reverse=True):
        if "://" in argument or re.match(r"(?![A-Za-z]:[\\/])[^@]*:.*@", argument, re.DOTALL):
            text = text.replace(argument, hide_credentials(argument))
    for pattern in (_ADDRESS, _USER_AND_PASSWORD):
        text = pattern.sub(lambda found: _hide_before_stops(found[0]), text)
    return text


def _list_forms(argument: str) -> list[str]:
    """List the forms of an argument, or the value of `--option=value`, in messages: as given, as a path, quoted."""
    values = [argument]
    if argument.startswith("--") and "=" in argument:
        values.append(argument.partition("=")[2])
    shown = [form for value in values if value for form in (value, str(Path(value)))]
    return [*shown, *(repr(form)[1:-1] for form in shown)]


def _hide_before_stops(found: str) -> str:
    """Hide the secrets of an address, except for punctuation of the message after it."""
    address = found.rstrip(".,:;)?!")
    return hide_credentials(address) + found[len(address) :]
