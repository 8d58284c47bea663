"""Who may ask a page of ours: no other site through the reader's browser, nobody without the token."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from email.errors import (
    FirstHeaderLineIsContinuationDefect,
    MisplacedEnvelopeHeaderDefect,
    MissingHeaderBodySeparatorDefect,
)
from email.message import Message

NO_HEADER = (
    MissingHeaderBodySeparatorDefect,
    FirstHeaderLineIsContinuationDefect,
    MisplacedEnvelopeHeaderDefect,
)
"""What Python's parser passes over in a head, with all that follows: a length that another reader would see."""


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

    def refuse(self, host: str, origin: str | None, target: str) -> str:
        """Why this request is not answered, empty if it is; from its headers Host and Origin and its target."""
        named, path = split_target(target)
        if not self.accepts(host) or (named is not None and named.lower() != host.lower()):
            return f"this page answers to {self.answers_to} only"
        if origin is not None and origin not in {f"{scheme}://{host}" for scheme in self.schemes}:
            return "another page may not ask here"
        first = path.partition("?")[0].removeprefix("/").partition("/")[0]
        if self.token and not secrets.compare_digest(first.encode(), self.token.encode()):
            return "the address lacks its token; take it from the terminal"
        return ""


def name_head_fault(headers: Message) -> str:
    """What makes the head of a request ambiguous, to us or to a proxy before us; empty if nothing (RFC 9112)."""
    faults = {
        "its head has a line that is not a header": any(isinstance(defect, NO_HEADER) for defect in headers.defects),
        "it names more than one host": len(headers.get_all("Host", [])) > 1,
        "it says more than once how long it is": len(headers.get_all("Content-Length", [])) > 1,
        "it says in two ways how long it is": "Content-Length" in headers and "Transfer-Encoding" in headers,
    }
    return next((f"the request cannot be understood: {fault}" for fault, is_so in faults.items() if is_so), "")


def split_target(target: str) -> tuple[str | None, str]:
    """The host and the rest of a request's target; None where it names no host, as browsers' don't."""
    found = re.match(r"https?://([^/?#]*)", target, re.IGNORECASE)
    return (found[1], target[found.end() :] or "/") if found else (None, target)


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
