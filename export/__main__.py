"""`python -m yoga_live.export` is the same command."""

import sys

from .command import main

sys.exit(main())
