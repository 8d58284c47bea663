"""A Ray cluster of this machine alone: it listens and connects on 127.0.0.1, and asks nobody where it runs."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)


def keep_ray_local() -> None:
    """Set up, before Ray is imported, that a cluster which it starts stays on this machine.  The user's values hold.

    Without this Ray finds out its address by way of 8.8.8.8, listens on it for the whole network, and writes
    ~/.ray/auth_token (2.60).
    """
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on Linux too: use the loopback address
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # of this cluster, in no file


@contextmanager
def without_api_server() -> Iterator[None]:
    """Start Ray without its API server, which there is only to report usage where the dashboard is left out.

    Switched off or not, it asks the metadata services of three clouds (and so the name server) where it runs; there is
    no setting against it.
    """
    from ray._private.node import Node  # pyright: ignore[reportPrivateUsage]

    started = Node.start_api_server
    Node.start_api_server = lambda *_, **__: None
    try:
        yield
    finally:
        Node.start_api_server = started


@contextmanager
def log_ray_messages() -> Iterator[None]:
    """Log, for --debug, what Ray would print on standard output: a page in yellow for each worker that died.

    `log_to_driver=False` leaves these out only of what the workers print themselves (2.60).
    """
    from ray._private import worker

    printed = getattr(worker, "print_to_stdstream", None)

    def keep(data: dict[str, Any], *_: object, **__: object) -> None:
        log.debug("%s: %s", data.get("pid"), " ".join(map(str, data.get("lines", ()))))

    if printed is None:  # a version that prints in another way
        yield
        return
    worker.print_to_stdstream = keep
    try:
        yield
    finally:
        worker.print_to_stdstream = printed
