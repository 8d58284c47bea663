"""`yoga-train`, and `python -m yoga_live.train`, which is the same command."""

import sys

from ..runtime.system.startup import start


def main() -> int:
    """Run `yoga-train`.  Returns the exit code."""
    return start("yoga-train", "yoga_live.train.cli.main")


if __name__ == "__main__":
    sys.exit(main())
