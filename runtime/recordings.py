"""Deprecated name of `pipelines/annotate`; works for one more release, with a warning."""

from __future__ import annotations

import warnings
from typing import Any

NEW_NAMES = {"Outputs": "Outputs", "Wishes": "AnnotateConfig", "annotate_video": "annotate_video"}
"""What the README taught, and what it is called now."""


def __getattr__(name: str) -> Any:
    """Import a name from its new module, with a warning."""
    if name not in NEW_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .pipelines import annotate

    new = f"yoga_live.runtime.pipelines.annotate.{NEW_NAMES[name]}"
    warnings.warn(f"{__name__}.{name} is now {new}", DeprecationWarning, stacklevel=2)
    return _make_wishes if name == "Wishes" else getattr(annotate, NEW_NAMES[name])


def _make_wishes(*values: Any, **named: Any) -> Any:
    """An AnnotateConfig; `span` is `time_range` now."""
    from .pipelines.annotate import AnnotateConfig

    if "span" in named:
        named["time_range"] = named.pop("span")
    return AnnotateConfig(*values, **named)
