"""Who may ask a page of ours: no other site through the reader's browser, nobody without the token."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class PageGuard:
    """accepts: whether a Host header is one of ours.  token: the first part of every path, empty where none is needed.

    Another host name would mean that a foreign site has had its name changed to our address (DNS rebinding); another
    origin, that its script asks in the reader's name.
    """

    accepts: Callable[[str], bool]
    answers_to: str  # how a refusal names those hosts
    token: str = ""
    schemes: tuple[str, ...] = ("http",)  # of the origins; https too where something before us may speak it

    def refuse(self, host: str, origin: str | None, path: str) -> str:
        """Why this request is not answered, empty if it is; from its headers Host and Origin and its path."""
        if not self.accepts(host):
            return f"this page answers to {self.answers_to} only"
        if origin is not None and origin not in {f"{scheme}://{host}" for scheme in self.schemes}:
            return "another page may not ask here"
        first = path.removeprefix("/").partition("/")[0]
        if self.token and not secrets.compare_digest(first.encode(), self.token.encode()):
            return "the address lacks its token; take it from the terminal"
        return ""


def page_headers(pictures: str = "'self' data:") -> dict[str, str]:
    """Headers of every answer: the page loads and sends nothing elsewhere, and no other page shows it.

    pictures: where the page's own pictures may come from (CSP's img-src).
    """
    return {
        "Content-Security-Policy": f"default-src 'none'; img-src {pictures}; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
