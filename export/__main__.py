"""`yoga-export`, and `python -m yoga_live.export`, which is the same command."""

import sys

from ..runtime.system.startup import start


def main() -> int:
    """Run `yoga-export`.  Returns the exit code."""
    return start("yoga-export", "yoga_live.export.command")


if __name__ == "__main__":
    sys.exit(main())
