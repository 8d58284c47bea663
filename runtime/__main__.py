"""`python -m yoga_live.runtime` is the same command."""

import sys

from .command import main

sys.exit(main())
