"""What all four commands share: bad input is one line and exit code 2.  Unexpected errors are for crashes.py."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import PurePath
from typing import Any, NoReturn

from ..errors import MissingPackageError, OptionError, Stopped, YogaLiveError
from .addresses import hide_in_text
from .crashes import explain_os_error, show_tracebacks
from .files import find_cache_folder
from .plain_text import LineFormatter, show_name
from .public_names import read_version
from .streams import escape_unprintable
from .suggestions import suggest_for_error
from .telemetry import silence_telemetry

ONE_FILE = frozenset((
    "--camera", "--video", "--save", "--timeline", "--table", "--summary", "--record", "--to", "--against", "--run",
))  # fmt: skip
"""Options that name a source or a result: given twice, one of them would be missing, and nothing would say so.

Of the other options the last one counts, as usual: an alias may hold settings that the user then replaces.
"""
PHOTO_PACKAGES = frozenset(("aiohttp", "ddgs", "jinja2"))
"""What the commands of yoga-train that need no PyTorch import: the extra `photos`."""
SUFFIXES = frozenset((
    ".mp4", ".csv", ".json", ".vtt", ".png", ".jpg", ".jpeg", ".svg", ".pdf", ".onnx", ".engine",
))  # fmt: skip
"""Of results: one of these alone would be the name of a hidden file without a suffix."""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keep the layout of examples, and show only informative defaults, as one would type them."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        if default is None or isinstance(default, bool) or default in ("", [], ()):
            return action.help
        if isinstance(default, tuple):
            return f"{action.help} (default: {'x'.join(map(str, default))})"
        return super()._get_help_string(action)


class PrintText(argparse.Action):
    """An option that prints a text and ends the command.  text: makes it, called only when the option is used."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, text: Callable[[argparse.ArgumentParser], str], **settings: Any
    ) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **settings)
        self._text = text

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(self._text(parser))
        parser.exit()


class CommandParser(argparse.ArgumentParser):
    """An argument parser with the options that every command and subcommand has.

    Its error is one line, whatever the arguments hold.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._arguments: list[str] = []
        self._seen: dict[str, list[str]] = {}
        self._last_group = group = self.add_argument_group("diagnostics")
        group.add_argument(
            "--debug", action="store_true", help="print the traceback of any error", default=argparse.SUPPRESS
        )
        group.add_argument("--version", action=PrintText, text=_describe_version, help="print the version and exit")

    def format_help(self) -> str:
        """Format the help, with the options that every command has at the end."""
        self._action_groups.remove(self._last_group)
        self._action_groups.append(self._last_group)
        return super().format_help()

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Read the command line, as argparse does."""
        self._arguments = sys.argv[1:] if args is None else list(args)
        self._seen = {}
        return super().parse_known_args(args, namespace)

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Read the values of an option, as argparse does; refuse empty ones, which as a path mean this folder."""
        values = arg_strings[:1] if action.nargs == argparse.PARSER else arg_strings  # the rest is the subcommand's
        if "" in values:
            raise argparse.ArgumentError(action, "the value is empty (an unset variable?); give one")
        if ONE_FILE.intersection(action.option_strings) and isinstance(action, argparse._StoreAction):
            bare = next((each for each in arg_strings if PurePath(each).name.lower() in SUFFIXES), None)
            if bare is not None and not os.path.lexists(bare):
                reason = f"{bare} is a suffix alone; give a name before it, such as {PurePath(bare).parent / 'class'}"
                raise argparse.ArgumentError(action, f"{reason}{PurePath(bare).name}")
            first = self._seen.setdefault(action.dest, arg_strings)
            if first != arg_strings:
                both = f"{' '.join(first)} and {' '.join(arg_strings)}"
                raise argparse.ArgumentError(action, f"given twice, {both}; give only one")
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        """Print one line about the wrong command line, without secrets, and exit with 2."""
        reason = show_name(hide_in_text(f"{message}{suggest_for_error(self, message)}", self._arguments))
        end = "" if reason.endswith("?") else ";"
        self.exit(2, f"{self.prog}: error: {reason}{end} --help shows the options\n")


def _describe_version(parser: argparse.ArgumentParser) -> str:
    return f"{parser.prog.partition(' ')[0]} {read_version()}"


def make_parser(name: str, **settings: Any) -> argparse.ArgumentParser:
    """Make a `CommandParser` for a command with subcommands; settings as in argparse."""
    return CommandParser(name, **settings)


def add_command(commands: Any, name: str, sentence: str, examples: str) -> argparse.ArgumentParser:
    """Add a subcommand.  sentence: what it does, for its line in the list and the top of its help."""
    line = sentence[0].lower() + sentence[1:].rstrip(".")
    return commands.add_parser(name, help=line, description=sentence, epilog=examples, formatter_class=HelpFormatter)


def run_command(name: str, run: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> int:
    """Run a command's body.  Returns the exit code: 0, 2 (bad input, one line on stderr) or 141 (broken pipe).

    If a signal stopped it: 128 plus the signal's number, so 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """
    _set_up(name, args)
    with _noting_signals() as stops:
        return _execute(name, run, args, stops)


def _execute(name: str, run: Callable[[argparse.Namespace], None], args: argparse.Namespace, stops: list[int]) -> int:
    """Run the body and return the exit code.  stops: the signals received."""
    try:
        with show_tracebacks(args, _list_words(args)):
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
            f"{name}: error: the package {error.name!r} is not installed; {_install_hint(name, error.name)}",
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
    """List the values given on the command line, as messages may repeat them."""
    values = [value for given in vars(args).values() for value in (given if isinstance(given, list) else [given])]
    return [str(value) for value in values if isinstance(value, str | PurePath)]


def _set_up(name: str, args: argparse.Namespace) -> None:
    """Switch telemetry off and send logs to stderr, before anything heavy is imported."""
    silence_telemetry()
    with suppress(OptionError):  # the user has no home folder
        os.environ.setdefault("MPLCONFIGDIR", str(find_cache_folder("matplotlib")))  # for its list of fonts
    log_to_stderr(name, _list_words(args))
    for noisy in ("onnxscript", "onnx_ir", "torch", "matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    is_debug = getattr(args, "debug", False)  # then the tracebacks of failed items are shown too
    logging.getLogger("yoga_live").setLevel(logging.DEBUG if is_debug else logging.NOTSET)
    escape_unprintable(sys.stdout)


@contextmanager
def _noting_signals() -> Iterator[list[int]]:
    """Let signals end the command as Ctrl-C does.  Yields a list that collects those received."""
    stops: list[int] = []  # library code cleans up on a KeyboardInterrupt, whatever its cause

    def interrupt(number: int, _: object) -> None:
        stops.append(number)
        if number != signal.SIGTERM:
            _leave_terminal()
        raise Stopped(number)

    def note(number: int, frame: Any) -> None:
        stops.append(number)
        signal.default_int_handler(number, frame)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if callable(before[signal.SIGINT]):  # not if it is ignored, as in a background job
        signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, interrupt)  # stopping a service is like Ctrl-C
    hang_up = getattr(signal, "SIGHUP", None)  # the terminal was closed; not on Windows, and not under nohup
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:
        before[hang_up] = signal.getsignal(hang_up)
        signal.signal(hang_up, interrupt)
    try:
        yield stops
    finally:
        for number, handler in before.items():  # a signal during Python's shutdown must not reach our handlers
            if handler is not None:
                signal.signal(number, handler)


def _run(run: Callable[[argparse.Namespace], None], args: argparse.Namespace, stops: list[int]) -> None:
    """Run the body.  A signal during an import makes the package seem broken or missing: that counts as a stop."""
    try:
        run(args)
    except (ImportError, MissingPackageError):
        if stops:
            raise Stopped(stops[0]) from None
        raise


def log_to_stderr(name: str, arguments: Sequence[str] = ()) -> None:
    """Print log records on stderr, one line each.  arguments: words of the command line, whose secrets are hidden."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(f"{name}: %(message)s", hide=partial(hide_in_text, arguments=arguments)))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _leave_terminal() -> None:
    """Discard further output to a closed terminal, which would fail otherwise."""
    for number in (1, 2):
        with suppress(OSError):  # it was closed before
            if stat.S_ISCHR(os.fstat(number).st_mode):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _install_hint(name: str, package: str | None) -> str:
    extras = {
        "yoga-train": "photos" if (package or "").partition(".")[0] in PHOTO_PACKAGES else "train",
        "yoga-export": "export,cpu",
        "yoga-calibrate": "export,cpu",
        "yoga-live": "cpu",
    }
    return f'run in the folder of yoga-live: pip install ".[{extras.get(name, "train,export,cpu")}]"'
