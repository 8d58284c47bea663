"""`python -m yoga_live.train` is the same command."""

import sys

from .command import main

sys.exit(main())
