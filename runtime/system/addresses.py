"""Addresses without their secrets: passwords and tokens are never printed, logged or kept."""

from __future__ import annotations

import re


def hide_credentials(text: str) -> str:
    """An address without user, password, query, fragment and settings in its path: any of them may hold a secret.

    All up to the last @ goes: a password that should have been written with %23 may hold a #, and so on.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    host, *path = re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0].split("/")
    return "/".join((scheme + separator + host, *("..." if re.search("[=&:;]", part) else part for part in path)))


def hide_in_text(text: str, arguments: list[str]) -> str:
    """A text without the secrets of the addresses in it, and of those among the command line's arguments."""
    for argument in sorted(arguments, key=len, reverse=True):
        if "://" in argument or "@" in argument:
            text = text.replace(argument, hide_credentials(argument))
    return re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+", lambda found: hide_credentials(found[0]), text)
