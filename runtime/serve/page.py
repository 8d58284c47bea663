"""`--serve`: the live page, from its address to its end; who may open it, and what they see."""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..classifier import PoseClassifier
from ..core.pace import Pace
from ..core.types import Hold
from ..drawing.summary import PALETTE
from ..errors import OptionError
from ..sources.base import SourceInfo
from ..system.files import find_cache_folder
from ..system.secret_files import name_others
from .access import PageGuard
from .address import ServeAddress, accepts_host, is_this_machine, list_names, resolve
from .server import PageServer
from .state import LiveBoard, PageSink
from .try_photo import PhotoTrial, describe_poses

TOKEN_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
TOKEN_LENGTH = 14  # 69 bits, and still typed into a phone

log = logging.getLogger(__name__)


class LivePage:
    """A page that is being served.  addresses: to open it, token included, the one for a phone first."""

    def __init__(self, server: PageServer, addresses: tuple[str, ...], *, is_public: bool) -> None:
        self.server, self.addresses, self.is_public = server, addresses, is_public
        self.board = server.board

    def make_sink(self, source: SourceInfo, *, paced: bool) -> PageSink:
        """The page as a sink of this source.  paced: show a recording in its own time."""
        self.board.source = source.name
        return PageSink(self.board, Pace() if paced else None)

    def publish(self, time_s: float, hold: Hold, holds: Mapping[int, Hold] | None = None) -> None:
        """Show what is held at `time_s`, seconds; holds: by each of several people."""
        self.board.publish(time_s, hold, holds)

    def stay(self) -> None:
        """Keep the page up until Ctrl-C, which is raised: what was seen can be read, and photos can be tried."""
        threading.Event().wait()


@contextmanager
def open_page(
    address: ServeAddress | None, classifier: PoseClassifier, goals_s: Mapping[str, float]
) -> Iterator[LivePage | None]:
    """Serve the page while the block lasts; nothing for no address.  Raises OptionError if it cannot listen there."""
    if address is None:
        yield None
        return
    family, ip = resolve(address)
    is_public = not is_this_machine(ip)
    token = read_token(find_cache_folder("serve") / "token") if is_public else ""
    names = frozenset({address.host.lower()})
    guard = PageGuard(
        lambda host: accepts_host(host, names, is_public=is_public),
        "this machine's own names" if is_public else "127.0.0.1 and localhost",
        token,
        ("http", "https"),
    )
    board, trial = LiveBoard(goals_s), PhotoTrial(classifier.make_guest())
    introduction = {
        "run": secrets.token_hex(8),
        "poses": describe_poses(classifier.labels),
        "colours": PALETTE,
        "goals_s": dict(goals_s),
    }
    try:
        server = PageServer((family, ip, address.port), guard, board, trial, introduction)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            f"cannot listen on --serve {address}: {reason}; give another port, or 0 for a free one"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="page", daemon=True)
    thread.start()
    path = f"{token}/" if token else ""
    addresses = tuple(f"http://{name}:{server.server_port}/{path}" for name in list_names(ip))
    try:
        yield LivePage(server, addresses, is_public=is_public)
    finally:
        server.close()
        thread.join()


def read_token(path: Path) -> str:
    """The token that phones have in their address, made once: a phone finds the page again after a restart.

    The file is the user's alone; deleting it shuts everybody out who has the old one.  Raises OptionError for one that
    others may have read or written.
    """
    kept = _read_kept(path)
    if re.fullmatch(f"[{TOKEN_LETTERS}]{{{TOKEN_LENGTH}}}", kept):
        return kept
    token = "".join(secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_LENGTH))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            is_private = not name_others(os.fstat(file.fileno()))
            file.write(token if is_private else "")
        if not is_private:  # a disk without permissions, such as FAT
            path.unlink()
            log.warning("cannot keep %s from other users: the page will have another address next time", path)
    except OSError as error:
        log.warning("cannot write %s (%s): the page will have another address next time", path, error.strerror)
    return token


def _read_kept(path: Path) -> str:
    """What the file holds; empty where there is none that can be used, a link or a FIFO for example."""
    try:
        careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with os.fdopen(os.open(path, os.O_RDONLY | careful), encoding="ascii") as file:
            status = os.fstat(file.fileno())
            kept = file.read(1000).strip()
    except (OSError, UnicodeDecodeError):
        return ""
    is_ours = os.name == "nt" or status.st_uid in {os.geteuid(), 0}
    if (who := name_others(status)) or not is_ours:
        raise OptionError(
            f"the page's token {path} {'may be ' + who if who else 'belongs to another user'}, who could then open the "
            "page; delete it, and a new one is made, with a new address"
        )
    return kept
