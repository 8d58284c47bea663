"""`python -m yoga_live`, which is the command `yoga-live`."""

import sys
from importlib import import_module

if __name__ == "__main__":
    sys.exit(import_module(".runtime.__main__", __package__).main())
