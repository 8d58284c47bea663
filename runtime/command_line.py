"""What all four commands share: one line and exit code 2 for bad input, a traceback for a bug."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress

from .errors import YogaLiveError
from .files import find_cache_folder
from .telemetry import silence_telemetry


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keep examples as they are written, and show defaults."""


def run_command(name: str, run: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> int:
    """Run a command's body.  Returns 0, 2 (bad input, one line on stderr), 130 (Ctrl-C) or 141 (nobody reads on)."""
    silence_telemetry()
    with suppress(RuntimeError):  # nobody's home
        os.environ.setdefault("MPLCONFIGDIR", str(find_cache_folder("matplotlib")))  # its list of fonts goes there
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s", stream=sys.stderr, force=True)
    for noisy in ("onnxscript", "onnx_ir", "torch", "matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name that is no UTF-8 is said, as stderr says it
    signal.signal(signal.SIGTERM, _interrupt)  # a service that is stopped ends as one on which Ctrl-C was pressed
    hang_up = getattr(signal, "SIGHUP", None)  # the terminal was closed; not on Windows, and not under nohup
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:
        signal.signal(hang_up, _hang_up)
    try:
        run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our lines, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except YogaLiveError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("yoga_live"):
            raise
        print(
            f"{name}: error: the package {error.name!r} is not installed; {_install_hint(name)}",
            file=sys.stderr,
        )
        return 2
    except OSError as error:  # a full disk, a folder without permission: the machine's doing, not a bug
        where = f" ({error.filename})" if error.filename else ""
        print(f"{name}: error: {error.strerror or error}{where}; mend that and run it again", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{name}: stopped", file=sys.stderr)
        return 130
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _hang_up(*_: object) -> None:
    """End as with Ctrl-C; what is still said must not fail for want of the terminal."""
    for number in (1, 2):
        if stat.S_ISCHR(os.fstat(number).st_mode):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    raise KeyboardInterrupt


def _install_hint(name: str) -> str:
    extras = {
        "yoga-train": "train",
        "yoga-export": "export,cpu",
        "yoga-calibrate": "export,cpu",
        "yoga-live": "cpu",
    }
    return f'run, in the folder of yoga-live: pip install ".[{extras[name]}]"'
