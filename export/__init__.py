"""From a trained run to the one file that every device reads."""

from __future__ import annotations

from ..runtime.system.public_names import offer

__version__: str

__getattr__, __dir__ = offer(__name__, {})
