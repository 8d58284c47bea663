"""`yoga-calibrate`, and `python -m yoga_live.calibration`, which is the same command."""

import sys

from ..runtime.system.startup import start


def main() -> int:
    """Run `yoga-calibrate`.  Returns the exit code."""
    return start("yoga-calibrate", "yoga_live.calibration.command")


if __name__ == "__main__":
    sys.exit(main())
