"""The start of a command, while its packages are imported: Ctrl-C ends it with a line instead of a traceback."""

from __future__ import annotations

import os
import signal
from importlib import import_module


def start(name: str, module: str) -> int:
    """Run the `main` of a command's module.  Returns the exit code."""

    def stop(number: int, _: object) -> None:
        try:
            os.write(2, f"\n{name}: stopped\n".encode())
        finally:
            os._exit(128 + number)  # nothing was started; an exception during an import would look like a broken one

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not if it is ignored
        signal.signal(signal.SIGINT, stop)
    return import_module(module).main()
