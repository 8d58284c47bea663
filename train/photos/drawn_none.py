"""fit --none default: drawn rooms and drawn people who do nothing, as `none` for a folder that has none of its own."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...runtime.core.none_class import find_none_lookalikes
from ...runtime.core.opencv import cv2
from ...runtime.core.types import NO_POSE, Frame
from ...runtime.errors import OptionError, OutputError
from ...runtime.sources.drawn_figure import POSES, Limb, Pose, draw_figure, draw_room, jitter_pose, random_appearance
from ...runtime.system.files import ORPHAN_S, hold_signals, is_alive, rename_to_new
from .folder import list_files

log = logging.getLogger(__name__)
PREFIX = "drawn_none__"
"""Photos of `none` whose names begin so are trained on, and never held out."""
PART = ".drawn_none.part"
"""The hidden folder that they are drawn into has this name and the number of the process."""
COUNT = 120
SIZES_WH = ((320, 240), (240, 320), (288, 288))
STANDING = POSES["standing"]
IDLE: tuple[Pose, ...] = (
    STANDING,
    replace(STANDING, near_arm=Limb(165, 20, 10), gaze=0.3),  # at the telephone
    replace(STANDING, near_arm=Limb(130, -130, -150), far_arm=Limb(-130, 130, 150)),  # hands on the hips
    replace(STANDING, near_leg=Limb(95, 178, 97), far_leg=Limb(92, 176, 97), width=0.2, gaze=0.8),  # sitting
    replace(
        STANDING, near_leg=Limb(160, 190, 100), far_leg=Limb(200, 215, 120), near_arm=Limb(200, 190, 180),
        far_arm=Limb(160, 150, 140), width=0.1, gaze=1.0,
    ),  # walking
)  # fmt: skip


def is_drawn(path: str) -> bool:
    """Whether a photo, by its path in the photo folder, is one of these."""
    return path.startswith(f"{NO_POSE}/{PREFIX}")


def find_drawn(paths: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Which of N photos are such drawings, bool (N,).  paths: in the photo folder."""
    return np.array([is_drawn(path) for path in paths], dtype=bool)


def draw_none(count: int = COUNT, seed: int = 0) -> Iterator[Frame]:
    """Draw empty rooms (a third) and people who stand, walk, sit or telephone.  Yields uint8 (H, W, 3), BGR."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        look, size_wh = random_appearance(rng), SIZES_WH[number % len(SIZES_WH)]
        if number // len(SIZES_WH) % 3 == 0:
            frame = draw_room(size_wh, look)
        else:
            frame = draw_figure(jitter_pose(IDLE[number % len(IDLE)], rng, 8.0), size_wh, look)
        noise = rng.normal(0, rng.uniform(0, 8), frame.shape)
        yield np.clip(frame + noise, 0, 255).astype(np.uint8)


@contextmanager
def add_drawn_none(photos: Path) -> Iterator[int]:
    """Draw `none` into a photo folder that has none of its own; if the block fails, remove again what was drawn.

    Yields how many were drawn: none where there are some from earlier, as others may have been deleted on purpose.

    Raises OptionError where there is one, also under another name such as `None` or `no_class`, OutputError where it
    cannot be written.
    """
    folder = photos / NO_POSE
    names = [path.relative_to(photos).as_posix() for _, path in list_files(photos, (NO_POSE,))]
    if others := [name for name in names if not is_drawn(name)]:
        raise OptionError(
            f"--none default: {folder} holds photos of your own, such as {others[0].partition('/')[2]}, which say more "
            "than drawn ones; leave the option out"
        )
    if names:
        yield 0
        return
    names = sorted(path.name for path in photos.iterdir() if path.is_dir())
    if found := find_none_lookalikes(names, least_doubt=True):
        raise OptionError(
            f"--none default: {photos / found[0]} seems to hold pictures of no pose already; rename it to {NO_POSE} "
            "and leave the option out, or, if it is a pose, give it another name"
        )
    drawn: list[Path] = []
    is_new = not folder.exists()
    try:
        try:
            _draw_into(folder, drawn)
        except OSError as error:
            raise OutputError(
                f"cannot draw into {folder}: {error.strerror or error}; fix this and try again"
            ) from error
        yield len(drawn)
    except BaseException:
        for path in drawn:
            path.unlink(missing_ok=True)
        if is_new:
            with suppress(OSError):  # it is not there, or someone put a photo into it meanwhile
                folder.rmdir()
        raise
    log.warning(
        "drew %d rooms and people doing nothing into %s; they are trained on and never held out. Photos of your own "
        "are worth more: replace them when you have some", COUNT, folder,
    )  # fmt: skip


def _draw_into(folder: Path, drawn: list[Path]) -> None:
    """Draw into a hidden folder, which gets the name `folder` once all is drawn.  drawn: gets the pictures' paths.

    A folder that is there must have no pictures; its hidden files are kept.
    """
    _remove_orphans(folder.parent)
    temporary = folder.with_name(f"{PART}{os.getpid()}")
    names = [f"{PREFIX}{number:03d}.png" for number in range(COUNT)]
    try:
        temporary.mkdir()
        for name, frame in zip(names, draw_none(), strict=True):
            (temporary / name).write_bytes(cv2.imencode(".png", frame)[1].tobytes())
        with hold_signals():
            try:
                temporary.rename(folder)
                drawn += [folder / name for name in names]
            except OSError:  # a link, hidden files inside, or Windows, where an empty folder is not replaced either
                folder.mkdir(exist_ok=True)
                for name in names:
                    rename_to_new(temporary / name, folder / name)
                    drawn.append(folder / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_orphans(photos: Path) -> None:
    """Remove what killed processes left; what is recent may belong to a process of another machine."""
    for left in photos.glob(f"{PART}*"):
        pid = left.name[len(PART) :]
        if pid.isascii() and pid.isdigit() and not is_alive(int(pid)):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > ORPHAN_S:
                    shutil.rmtree(left)
