"""Lists the local cameras as Linux names them (V4L2).  Imports nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import SourceError
from ..system.plain_text import show_name

STABLE = "/dev/v4l/"
"""Where udev links each camera under a name that does not depend on the order of plugging in."""


@dataclass(frozen=True)
class ListedCamera:
    """A local camera.  number: of /dev/videoN.  name: from the driver.  stable_path: a permanent link, or empty."""

    number: int
    name: str
    stable_path: str


def list_cameras(root: Path = Path("/")) -> list[ListedCamera]:
    """List every /dev/videoN, lowest number first.  root: folder of dev/ and sys/."""
    numbers = sorted(
        number for path in (root / "dev").glob("video[0-9]*") if (number := _read_number(path)) is not None
    )
    folder = root / STABLE.strip("/") / "by-id"
    links = {
        _read_number(link.resolve()): f"{STABLE}by-id/{link.name}" for link in sorted(folder.glob("*"), reverse=True)
    }
    return [ListedCamera(number, _read_name(root, number), links.get(number, "")) for number in numbers]


def find_number(link: str) -> int:
    """Find the number of the /dev/videoN that a stable path now leads to.  Raises SourceError."""
    number = _read_number(Path(link).resolve())
    if number is None:
        raise SourceError(f"{show_name(link)} is not a connected camera; list them with: yoga-live cameras")
    return number


def _read_number(path: Path) -> int | None:
    found = re.fullmatch(r"video([0-9]{1,4})", path.name)
    return int(found[1]) if found else None


def _read_name(root: Path, number: int) -> str:
    try:
        text = (root / f"sys/class/video4linux/video{number}/name").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not on this system; the camera exists anyway
        return ""
    return text.strip()
