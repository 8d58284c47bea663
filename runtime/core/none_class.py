"""What it means that a model has no class `none`, and names that seem to mean `none`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .types import NO_POSE

MEANINGS = frozenset((
    "none", "nopose", "noclass", "nolabel", "nothing", "unknown", "background", "backgrounds", "negative", "negatives",
    "other", "others",
))  # fmt: skip
"""Labels that say no pose, in lower case and without separators."""
DOUBTFUL = frozenset(("other", "others"))
"""Those which may as well be the other poses."""


def find_none_lookalikes(labels: Iterable[str], *, least_doubt: bool = False) -> tuple[str, ...]:
    """Find labels that seem to mean `none` but are poses of their own, such as `None`, `no_class` and `background`.

    least_doubt: leave out those which may as well be poses, such as `other`.
    """
    meanings = MEANINGS - DOUBTFUL if least_doubt else MEANINGS
    return tuple(label for label in labels if label != NO_POSE and re.sub(r"[\W_]+", "", label).casefold() in meanings)


def describe_lookalike(label: str, *, has_none: bool) -> str:
    """Ask in one line whether a label is `none`.  has_none: whether there are photos of `none`, too."""
    what = f"move its photos into the folder {NO_POSE}" if has_none else f"rename its folder to {NO_POSE}"
    return f"is {label!r} what `{NO_POSE}` means, pictures of no pose? Then {what}; now it is a pose like the others"


def describe_missing_none(labels: Iterable[str], remedy: str) -> str:
    """Say in one line what it means that there is no `none`; empty if there is.  remedy: what to do about it."""
    if NO_POSE in labels:
        return ""
    return (
        f"there is no class `{NO_POSE}`, so most pictures get one of the poses, also empty rooms and people doing "
        f"nothing; {remedy}"
    )


UNTESTED_NONE = (
    f"no photo of `{NO_POSE}` was held out, so how often pictures of no pose are rejected is not known; add photos of "
    f"your own to the folder {NO_POSE}"
)
"""Said of a model whose `none` is only drawn."""
