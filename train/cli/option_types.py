"""Values of options: each function reads one kind, and refuses others with a line that says what is allowed."""

from __future__ import annotations

import argparse

from ...runtime.system.option_types import quote, read_whole


def _whole(text: str, what: str, least: int, most: int) -> int:
    return read_whole(text, f"{what}, {least} to {most:,}", least, most)


def read_count(text: str) -> int:
    """Read a number of photos."""
    return _whole(text, "a number of photos", 1, 1_000_000)


def read_sheet_count(text: str) -> int:
    """Read a number of photos that fits on a sheet."""
    return _whole(text, "a number of photos", 1, 1000)


def read_index(text: str) -> int:
    """Read a number such as a seed."""
    return _whole(text, "a number", 0, 2**31)


def read_requests(text: str) -> int:
    """Read a number of simultaneous requests."""
    return _whole(text, "a number of requests", 1, 1000)


def read_side(text: str) -> int:
    """Read a side of the network's input in pixels."""
    side = _whole(text, "a number of pixels", 32, 1024)
    if side % 32:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a multiple of 32, such as 160, 192 or 224")
    return side


def read_seconds(text: str) -> float:
    """Read seconds above 0."""
    if not (seconds := _read_number(text)) > 0:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a number of seconds above 0, up to 3,600, such as 10")
    return seconds


def read_wait(text: str) -> float:
    """Read seconds, 0 or more."""
    if (seconds := _read_number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a number of seconds from 0 to 3,600")
    return seconds


def read_swaps(text: str) -> tuple[tuple[str, str], ...]:
    """Read pairs of poses, or of words in their names: left=right,up_left=up_right."""
    pairs = [tuple(pair.split("=")) for pair in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise argparse.ArgumentTypeError(f"{quote(text)} is not two poses, such as left=right; several with commas")
    return tuple((one.strip(), other.strip()) for one, other in pairs)


def add_mirroring(group: argparse._ArgumentGroup) -> None:
    """Define --mirror, --no-mirror and --mirror-swaps of commands that train or show a training."""
    group.add_argument(
        "--mirror", action=argparse.BooleanOptionalAction,
        help="train on mirror images too (default: yes, unless the names of two poses differ only by left and right)",
    )  # fmt: skip
    group.add_argument(
        "--mirror-swaps", action="extend", type=read_swaps, default=[], metavar="LEFT=RIGHT",
        help="poses that are each other's mirror images, or words in the names of several such pairs: train on mirror "
        "images with these labels swapped; several with commas",
    )  # fmt: skip


def add_copies(group: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Define --mirror and --no-mirror of commands that look for copies."""
    group.add_argument(
        "--mirror", action=argparse.BooleanOptionalAction,
        help="count mirror images as copies of one picture (default: yes, unless the names of two poses differ only by "
        "left and right)",
    )  # fmt: skip


def _read_number(text: str) -> float:
    """Read a number up to 3,600; -1 for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        return -1.0
    return seconds if 0 <= seconds <= 3600 else -1.0
