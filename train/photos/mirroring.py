"""What a mirror image of a photo shows: the same pose, another one (left and right), or one that nobody knows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...runtime.errors import OptionError

SIDES = (
    ("left", "right"),
    ("links", "rechts"),
    ("gauche", "droite"),
    ("izquierd", "derech"),
    ("esquerd", "direit"),
    ("sinistr", "destr"),
    ("左", "右"),
)
"""Words, or their stems, in which the names of two poses differ."""
_LONE_LETTER = re.compile(r"(?<![^\W_])[lr](?![^\W_])")
_LONGER_WORD = re.compile(r"[^\W\d_]{2}")
_NAMED = 3  # pairs in a sentence

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Mirroring:
    """Whether training mirrors photos, and which poses are each other's mirror images.

    reason: a sentence for the log where the names of the poses turned it off, else empty.
    """

    is_on: bool = True
    swaps: Pairs = ()
    reason: str = ""

    @property
    def makes_copies(self) -> bool:
        """Whether a mirror image is a copy of the picture, of the same pose."""
        return self.is_on and not self.swaps

    def find_partner(self, label: str) -> str:
        """The pose of the mirror image of a photo of this pose."""
        return next((other for pair in self.swaps if label in pair for other in pair if other != label), label)


def choose_mirroring(labels: Sequence[str], mirror: bool | None = None, swaps: Pairs = ()) -> Mirroring:
    """Decide whether photos of these poses are mirrored.

    mirror: as asked for; None: unless two poses differ only by left and right.  swaps: pairs of poses, or of words
    in their names, see `find_swaps`.  Raises OptionError.
    """
    sides = find_sides(labels)
    if swaps and mirror is False:
        raise OptionError("--no-mirror and --mirror-swaps exclude each other; give one of them")
    if swaps:
        found = find_swaps(swaps, labels)
        left_out = tuple(pair for pair in sides if pair not in found)
        if left_out and not mirror:
            raise OptionError(_describe_left_out(left_out, found))
        return Mirroring(swaps=found)
    if mirror is None and sides:
        reason = (
            f"{name_pairs(sides)} differ only by left and right, so training does not mirror the photos; "
            f"--mirror-swaps {format_swaps(sides)} mirrors them and swaps these labels, --mirror mirrors them and "
            "keeps the labels"
        )
        return Mirroring(False, reason=reason)
    return Mirroring(mirror is not False)


def _describe_left_out(left_out: Pairs, found: Pairs) -> str:
    """Say what to do about poses that differ only by left and right.  found: the swaps that were asked for."""
    names = {label for pair in left_out for label in pair}
    kept = tuple(pair for pair in found if not names & {*pair})
    remedy = f"give --mirror-swaps {format_swaps((*kept, *left_out))}"
    if kept == found:
        return (
            f"--mirror-swaps leaves out {name_pairs(left_out)}, which also differ only by left and right; {remedy}, or "
            "add --mirror to mirror them with their labels"
        )
    other = tuple(pair for pair in found if pair not in kept)
    return (
        f"--mirror-swaps {format_swaps(other)} leaves out {name_pairs(left_out)}, which differ only by left and right; "
        f"{remedy}, or add --mirror if {format_swaps(other)} is meant"
    )


def had_mirror_copies(config: Mapping[str, Any], labels: Sequence[str]) -> bool:
    """Whether a mirror image was a copy of the picture in a run.  config: of its run.json.

    Older versions mirrored always and did not record it: there the names of the poses decide.
    """
    if "mirror" not in config:
        return not find_sides(labels)
    return config["mirror"] is not False and not config.get("mirror_swaps")


def find_sides(labels: Collection[str]) -> Pairs:
    """Find pairs of poses whose names differ only by left and right: left_arm, right_arm; Arm links, Arm rechts.

    Upper and lower case are the same.  The letters l and r count where they stand alone beside a longer word (arm_l),
    and as whole names where no other pose is one letter: there they may be letters of sign language.
    """
    by_name = {label.casefold(): label for label in labels}
    pairs: set[tuple[str, str]] = set()
    if {name for name in by_name if len(name) == 1} == {"l", "r"}:
        pairs.add(_sort(by_name["l"], by_name["r"]))
    for name, label in by_name.items():
        others = [_swap_words(name, *words) for words in SIDES]
        if _LONGER_WORD.search(name):
            others.append(_LONE_LETTER.sub(lambda found: "r" if found[0] == "l" else "l", name))
        pairs |= {_sort(label, by_name[other]) for other in others if other != name and other in by_name}
    return tuple(sorted(pairs))


def find_swaps(swaps: Pairs, labels: Sequence[str]) -> Pairs:
    """Find the pairs of poses that are meant, sorted.  swaps: two poses each, or two words in the names of several.

    Raises OptionError for what no pose is called, and for a pose without a partner, with itself or with two.
    """
    partners: dict[str, str] = {}
    for one, other in swaps:
        for pair in _find_pairs(one, other, labels):
            for label, partner in (pair, pair[::-1]):
                if partners.setdefault(label, partner) != partner:
                    raise OptionError(
                        f"--mirror-swaps {one}={other}: the mirror image of {label} cannot be both {partners[label]} "
                        f"and {partner}; name each pose once"
                    )
    return tuple(sorted({_sort(*pair) for pair in partners.items()}))


def _find_pairs(one: str, other: str, labels: Sequence[str]) -> Pairs:
    said = f"--mirror-swaps {one}={other}"
    if one == other or not one or not other:
        raise OptionError(f"{said}: two different poses are needed, such as left=right")
    if one in labels and other in labels:
        return ((one, other),)
    swapped = {label: _swap_words(label, one, other) for label in labels if one in label or other in label}
    missing = [name for name in (one, other) if name not in labels]
    if not swapped or len(missing) == 1:
        raise OptionError(f"{said}: there is no pose {missing[0]}; the poses are {', '.join(labels)}")
    for label, partner in swapped.items():
        if partner not in labels:
            raise OptionError(
                f"{said}: the mirror image of {label} would be {partner}, and there is no such pose; name pairs of "
                "poses, such as left_arm=right_arm"
            )
    return tuple(swapped.items())


def format_swaps(pairs: Pairs) -> str:
    """Format the value of `--mirror-swaps`, as it is typed in a shell."""
    return shlex.quote(",".join(f"{one}={other}" for one, other in pairs))


def _swap_words(name: str, one: str, other: str) -> str:
    return other.join(part.replace(other, one) for part in name.split(one))


def _sort(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def name_pairs(pairs: Pairs) -> str:
    """Name the first pairs in a sentence."""
    more = f" (and {len(pairs) - _NAMED} more pairs)" if len(pairs) > _NAMED else ""
    return ", ".join(f"{one} and {other}" for one, other in pairs[:_NAMED]) + more
