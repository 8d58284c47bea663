"""`python -m yoga_live.runtime` is the same command."""

import sys

from .cli.main import main

sys.exit(main())
