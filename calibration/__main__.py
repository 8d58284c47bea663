"""`python -m yoga_live.calibration` is the same command."""

import sys

from .command import main

sys.exit(main())
