"""From folders of photos to a fine-tuned pose model."""

from __future__ import annotations

from ..runtime.system.public_names import offer

__version__: str

__getattr__, __dir__ = offer(__name__, {})
