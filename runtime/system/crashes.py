"""Unexpected errors: one line for the user, and a file with what is needed to fix them."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import wraps
from importlib import metadata
from pathlib import Path

from ..errors import Stopped, YogaLiveError
from .addresses import hide_in_text
from .files import find_cache_folder
from .plain_text import show_name
from .streams import steady_streams

CRASH = 70
"""The exit code: EX_SOFTWARE of BSD's sysexits.h."""
KEPT = 20
"""Number of crash files kept; older ones are removed."""
LONGEST = 300
"""Characters of the error's own message that go into the line."""
ODD = "backslashreplace"
"""How file names that are not UTF-8 are shown."""


def report_crashes(name: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Decorate a command's `main`: an unexpected exception, also while parsing options, is one line and code 70.

    With --debug the traceback is printed too.  Exceptions that end a thread are reported likewise; the command goes on.
    """

    def decorate(main: Callable[..., int]) -> Callable[..., int]:
        @wraps(main)
        def run(argv: list[str] | None = None) -> int:
            with steady_streams():
                return _run(name, main, argv, sys.argv[1:] if argv is None else argv)

        return run

    return decorate


def _run(name: str, main: Callable[..., int], argv: list[str] | None, arguments: list[str]) -> int:
    try:
        with _tell_of_threads(name, arguments), _saying_all():
            return main(argv)
    except BrokenPipeError:  # the reader of --help has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except YogaLiveError as error:
        sys.stderr.write(f"{name}: error: {show_name(hide_in_text(str(error), arguments))}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{name}: error: {explain_os_error(error, arguments)}\n")
        return 2
    except KeyboardInterrupt as error:
        sys.stderr.write(f"\n{name}: stopped\n")
        return 128 + (error.number if isinstance(error, Stopped) else signal.SIGINT)
    except Exception as error:  # noqa: BLE001 - the purpose of this function
        _tell(name, arguments, error)
        return CRASH


@contextmanager
def _saying_all() -> Iterator[None]:
    """Flush what argparse prints (--help) before the command ends."""
    try:
        yield
    except SystemExit:
        sys.stdout.flush()
        raise


def explain_os_error(error: OSError, arguments: Iterable[str] = ()) -> str:
    """Describe an error of the machine or the user (full disk, no permission, name too long), which is not a bug."""
    where = f" ({error.filename})" if error.filename else ""
    reason = hide_in_text(f"{error.strerror or error}{where}", arguments)
    return f"{show_name(reason)}; fix this and try again"


@contextmanager
def show_tracebacks(args: argparse.Namespace, arguments: Iterable[str]) -> Iterator[None]:
    """With --debug, print the traceback of an error that will become one line, and raise it again.

    arguments: the words of the command line, whose secrets are hidden.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        if getattr(args, "debug", False):
            _print_traceback(error, arguments)
        raise


def _print_traceback(error: BaseException, arguments: Iterable[str]) -> None:
    """Print a traceback on stderr, without secrets and control characters."""
    text = hide_in_text("".join(traceback.format_exception(type(error), error, error.__traceback__)), arguments)
    sys.stderr.write("".join(f"{show_name(line)}\n" for line in text.rstrip("\n").split("\n")))


def record_crash(name: str, arguments: list[str], error: BaseException) -> Path:
    """Write the traceback, the command line without secrets, and versions.  Returns the file, private to its owner.

    Raises OSError, or OptionError if the user has no home folder.
    """
    folder = find_cache_folder("crashes")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    old = sorted(folder.glob("*.txt"))[: -KEPT + 1]
    for path in old:
        with suppress(OSError):
            path.unlink()
    path = folder / f"{datetime.now():%Y-%m-%dT%H-%M-%S.%f}-{name}-{os.getpid()}.txt"
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", errors=ODD
    ) as file:
        file.write(_describe(name, arguments, error))
    return path


def summarise_error(error: BaseException, arguments: list[str]) -> str:
    """Format an error's type and the first line of its message: printable, without secrets, bounded."""
    lines = hide_in_text(str(error), arguments).strip().splitlines()
    words = "".join(char if char.isprintable() else repr(char)[1:-1] for char in lines[0]) if lines else ""
    words = words if len(words) <= LONGEST else f"{words[:LONGEST]}..."
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def describe_crash(name: str, arguments: list[str], error: BaseException) -> str:
    """Describe in one line what happened, and where the traceback is, or why it could not be saved."""
    try:
        kept = f"the traceback is in {record_crash(name, arguments, error)}; to report it, attach that file to an issue"
    except (OSError, YogaLiveError) as trouble:
        kept = f"the traceback could not be saved ({trouble}); run it again with --debug to see it"
    return f"{summarise_error(error, arguments)}{_find_cause(error)}; {kept}".encode("utf-8", ODD).decode()


def _tell(name: str, arguments: list[str], error: BaseException, where: str = "") -> None:
    if "--debug" in arguments:
        _print_traceback(error, arguments)
    sys.stderr.write(f"{name}: error: unexpected {show_name(where + describe_crash(name, arguments, error))}\n")


def _find_cause(error: BaseException) -> str:
    """Explain the failed import of an installed package."""
    if isinstance(error, ImportError) and error.name and not error.name.startswith("yoga_live"):
        package = error.name.partition(".")[0]
        return f" (the package {package!r} is damaged or incompatible with the others; install it again)"
    return ""


def _describe(name: str, arguments: list[str], error: BaseException) -> str:
    """Format the content of the crash file."""
    told = hide_in_text("".join(traceback.format_exception(type(error), error, error.__traceback__)), arguments)
    line = shlex.join([name, *(hide_in_text(argument, arguments) for argument in arguments)])
    versions = "\n".join(f"  {package} {version}" for package, version in _list_versions())
    return (
        f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}\n"
        f"command: {line}\n"
        f"system: {platform.platform()}, Python {platform.python_version()} ({sys.executable})\n"
        f"packages:\n{versions}\n\n{told}"
    )


def _list_versions() -> list[tuple[str, str]]:
    """List the installed versions of yoga-live and its dependencies."""
    with suppress(metadata.PackageNotFoundError):
        asked = [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in metadata.requires("yoga-live") or ()]
        names = ["yoga-live", *sorted({*asked, "opencv-python-headless"}, key=str.lower)]
        return [(package, version) for package in names if (version := _find_version(package))]
    return []


def _find_version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


@contextmanager
def _tell_of_threads(name: str, arguments: list[str]) -> Iterator[None]:
    """Report exceptions that end a thread like others, unless a host program does so already."""
    if threading.excepthook is not threading.__excepthook__:
        yield
        return

    def tell(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
            thread = f" {ended.thread.name!r}" if ended.thread else ""
            _tell(name, arguments, ended.exc_value, f"error in the thread{thread}: ")

    threading.excepthook = tell
    try:
        yield
    finally:
        threading.excepthook = threading.__excepthook__
