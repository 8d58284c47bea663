"""`python -m yoga_live.train` is the same command."""

import sys

from .cli.main import main

sys.exit(main())
