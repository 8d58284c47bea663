"""`yoga-live`, and `python -m yoga_live.runtime`, which is the same command."""

import sys

from .system.startup import start


def main() -> int:
    """Run `yoga-live`.  Returns the exit code."""
    return start("yoga-live", "yoga_live.runtime.cli.main")


if __name__ == "__main__":
    sys.exit(main())
