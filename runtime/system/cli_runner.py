"""What all four commands share: one line and exit code 2 for bad input; what nobody foresaw is for crashes.py."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import Any, NoReturn

from ..errors import MissingPackageError, OptionError, Stopped, YogaLiveError
from .addresses import hide_in_text
from .crashes import explain_os_error, show_tracebacks
from .files import find_cache_folder
from .plain_text import LineFormatter, show_name
from .public_names import read_version
from .suggestions import suggest_for_error
from .telemetry import silence_telemetry


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keep examples as they are written, and show the defaults that say something, as one would type them."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        if default is None or isinstance(default, bool) or default in ("", [], ()):
            return action.help
        if isinstance(default, tuple):
            return f"{action.help} (default: {'x'.join(map(str, default))})"
        return super()._get_help_string(action)


class PrintText(argparse.Action):
    """An option that prints a text and ends the command.  text: gives it, asked only when the option is used."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, text: Callable[[argparse.ArgumentParser], str], **settings: Any
    ) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **settings)
        self._text = text

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(self._text(parser))
        parser.exit()


class CommandParser(argparse.ArgumentParser):
    """An argument parser with the options that every command has; so have the parsers of its subcommands.

    Its error is one line, whatever the arguments hold.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._arguments: list[str] = []
        self._last_group = group = self.add_argument_group("if something goes wrong")
        group.add_argument(
            "--debug", action="store_true", help="print the traceback of any error", default=argparse.SUPPRESS
        )
        group.add_argument("--version", action=PrintText, text=_describe_version, help="print the version and exit")

    def format_help(self) -> str:
        """Describe all options, those of every command last."""
        self._action_groups.remove(self._last_group)
        self._action_groups.append(self._last_group)
        return super().format_help()

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Read the command line, as argparse does."""
        self._arguments = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say in one line, without secrets, what was wrong with the command line, and exit with 2."""
        told = show_name(hide_in_text(f"{message}{suggest_for_error(self, message)}", self._arguments))
        end = "" if told.endswith("?") else ";"
        self.exit(2, f"{self.prog}: error: {told}{end} --help shows the options\n")


def _describe_version(parser: argparse.ArgumentParser) -> str:
    return f"{parser.prog.partition(' ')[0]} {read_version()}"


def make_parser(name: str, **settings: Any) -> argparse.ArgumentParser:
    """A `CommandParser`, for commands that others are added to; settings as argparse has them."""
    return CommandParser(name, **settings)


def run_command(name: str, run: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> int:
    """Run a command's body.  Returns 0, 2 (bad input, one line on stderr) or 141 (nobody reads on).

    Stopped by a signal it is 128 and the signal's number: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """
    _set_up(name, args)
    with _noting_signals() as stops:
        return _execute(name, run, args, stops)


def _execute(name: str, run: Callable[[argparse.Namespace], None], args: argparse.Namespace, stops: list[int]) -> int:
    """Run the body and tell how it ended.  stops: the signals that came."""
    try:
        with show_tracebacks(args):
            _run(run, args, stops)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our lines, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except YogaLiveError as error:
        print(f"{name}: error: {show_name(hide_in_text(str(error), _list_words(args)))}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("yoga_live"):
            raise
        print(
            f"{name}: error: the package {error.name!r} is not installed; {_install_hint(name)}",
            file=sys.stderr,
        )
        return 2
    except OSError as error:
        print(f"{name}: error: {explain_os_error(error, _list_words(args))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"\n{name}: {str(error) or 'stopped'}", file=sys.stderr)
        own = [error.number] if isinstance(error, Stopped) else []
        return 128 + [*own, *stops, signal.SIGINT][0]
    return 0


def _list_words(args: argparse.Namespace) -> list[str]:
    """What was given on the command line, as messages may repeat it."""
    values = [value for given in vars(args).values() for value in (given if isinstance(given, list) else [given])]
    return [str(value) for value in values if isinstance(value, str | PurePath)]


def _set_up(name: str, args: argparse.Namespace) -> None:
    """Telemetry off, logs to stderr, before anything heavy is imported."""
    silence_telemetry()
    with suppress(OptionError):  # nobody's home
        os.environ.setdefault("MPLCONFIGDIR", str(find_cache_folder("matplotlib")))  # its list of fonts goes there
    log_to_stderr(name)
    for noisy in ("onnxscript", "onnx_ir", "torch", "matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    is_debug = getattr(args, "debug", False)  # then tracebacks of what became an item's row are shown too
    logging.getLogger("yoga_live").setLevel(logging.DEBUG if is_debug else logging.NOTSET)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name that is no UTF-8 is said, as stderr says it


@contextmanager
def _noting_signals() -> Iterator[list[int]]:
    """Let signals end the run as Ctrl-C does.  Yields a list that grows by those that came."""
    stops: list[int] = []  # library code ends well on a KeyboardInterrupt, whatever its cause

    def interrupt(number: int, _: object) -> None:
        stops.append(number)
        if number != signal.SIGTERM:
            _leave_terminal()
        raise Stopped(number)

    def note(number: int, frame: Any) -> None:
        stops.append(number)
        signal.default_int_handler(number, frame)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if callable(before[signal.SIGINT]):  # not where it is ignored, as in a job in the background
        signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, interrupt)  # a service that is stopped ends as one on which Ctrl-C was pressed
    hang_up = getattr(signal, "SIGHUP", None)  # the terminal was closed; not on Windows, and not under nohup
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:
        before[hang_up] = signal.getsignal(hang_up)
        signal.signal(hang_up, interrupt)
    try:
        yield stops
    finally:
        for number, handler in before.items():  # one that comes while Python ends finds nothing of ours
            if handler is not None:
                signal.signal(number, handler)


def _run(run: Callable[[argparse.Namespace], None], args: argparse.Namespace, stops: list[int]) -> None:
    """A package that a signal hit while it was imported says that it is broken or missing, which it is not."""
    try:
        run(args)
    except (ImportError, MissingPackageError):
        if stops:
            raise Stopped(stops[0]) from None
        raise


def log_to_stderr(name: str) -> None:
    """Show what libraries of ours log, a line each."""
    told = logging.StreamHandler(sys.stderr)
    told.setFormatter(LineFormatter(f"{name}: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[told], force=True)


def _leave_terminal() -> None:
    """Once the terminal has been closed, what is still said must not fail for want of it."""
    for number in (1, 2):
        with suppress(OSError):  # it was closed before
            if stat.S_ISCHR(os.fstat(number).st_mode):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _install_hint(name: str) -> str:
    extras = {
        "yoga-train": "train",
        "yoga-export": "export,cpu",
        "yoga-calibrate": "export,cpu",
        "yoga-live": "cpu",
    }
    return f'run, in the folder of yoga-live: pip install ".[{extras.get(name, "train,export,cpu")}]"'
