"""Making a pose model honest (confidence) and small (INT8), and the numbers that say how good it is."""

from __future__ import annotations

from ..runtime.system.public_names import offer

__version__: str

__getattr__, __dir__ = offer(__name__, {})
