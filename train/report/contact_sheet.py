"""A labelled contact sheet of a batch exactly as the network sees it; needs PyTorch only for augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ...runtime.core.labels import display_name
from ...runtime.core.preprocess import letterbox
from ...runtime.core.types import NO_POSE, Frame
from ...runtime.drawing.text import find_height, fit_text, load_font, split_text
from ...runtime.errors import RunError
from ...runtime.photos.decoding import decode_photo
from ...runtime.photos.limits import check_shown
from ...runtime.system.files import write_then_rename
from ...runtime.system.item_failures import Failure, attempt
from ..fit.config import Augmentation
from ..photos.dataset import PhotoDataset
from ..photos.folder import PLACES, list_files, list_poses
from ..photos.mirroring import Mirroring

if TYPE_CHECKING:
    from ..fit.augmentation import Draws

COLUMNS, MARGIN, LEAST_WIDTH = 8, 14, 640
MIRRORED = "mirrored: left and right swapped.  "
AUGMENTED = (
    "What the network sees in training: every photo changed, and differently each time",
    "All are turned, moved, enlarged or reduced, and lighter, darker or paler. "
    "Under each stand its pose and what else was done:",
    f"{MIRRORED}cut out: the plain wall behind the person is gone.  "
    "place: before a photo of none/backgrounds.  colours: before blotches of colour.  "
    "box: a grey box hides a part.  blur: out of focus.",
    "Plain grey around a photo is what its shape leaves of the square. "
    "If you cannot recognise a pose here, the network learns something wrong from it.",
)
PLAIN = (
    "What the network sees in validation and live: every photo as it is",
    "It is fitted into a square of {size} x {size} pixels; grey bars fill what its shape leaves. "
    "Under each stands its pose.",
)
MOST_PLACES = 8  # photos of places that a sheet draws from


def draw_batch(folder: Path, count: int, size: int, seed: int) -> tuple[PhotoDataset, list[str]]:
    """Draw readable photos at random, the poses in turn.  Returns them and their labels.

    Up to eight photos of places follow them, without a label, for the augmentation.

    Raises RunError if the folder is no photo folder or has no readable photo.
    """
    by_pose: dict[str, list[Path]] = {}
    for pose, path in list_files(folder, list_poses(folder, least=1)):
        by_pose.setdefault(pose, []).append(path)
    rng = np.random.default_rng(seed)
    waiting = {pose: [paths[i] for i in rng.permutation(len(paths))] for pose, paths in by_pose.items()}
    drawn: list[tuple[Frame, tuple[int, int]]] = []
    labels: list[str] = []
    while len(drawn) < count and any(waiting.values()):
        for pose, paths in waiting.items():
            photo = _take_readable(pose, paths, size) if len(drawn) < count else None
            if photo is not None:
                drawn.append(photo)
                labels.append(pose)
    if not drawn:
        raise RunError(f"{folder} has no readable photo; yoga-train stats shows what is wrong with its files")
    places = [path for path in by_pose.get(NO_POSE, []) if path.parent == folder / NO_POSE / PLACES]
    shown = [places[i] for i in rng.permutation(len(places))]
    drawn += [photo for _ in range(MOST_PLACES) if (photo := _take_readable(NO_POSE, shown, size))]
    frames, sizes_wh = np.stack([frame for frame, _ in drawn]), np.array([size_wh for _, size_wh in drawn])
    scenes = np.arange(len(labels), len(drawn))
    return PhotoDataset(frames, np.zeros(len(drawn), np.int64), None, sizes_wh, scenes), labels


def _take_readable(pose: str, paths: list[Path], size: int) -> tuple[Frame, tuple[int, int]] | None:
    """Decode the next readable photo as `fit` does; broken ones are skipped.  Returns width and height too."""
    while paths:
        path = paths.pop()
        shown = attempt(path, partial(_decode, path, size, pose))
        if not isinstance(shown, Failure):
            return shown
    return None


def _decode(path: Path, size: int, pose: str) -> tuple[Frame, tuple[int, int]]:
    photo = decode_photo(path, min_side=size)
    check_shown(photo, blank_is_fine=pose == NO_POSE)
    return letterbox(photo, size), (photo.shape[1], photo.shape[0])


def augment_batch(photos: PhotoDataset, count: int, ranges: Augmentation, seed: int) -> tuple[Frame, list[str]]:
    """Augment the first `count` photos as a training step does.

    Returns uint8 (count, S, S, 3) BGR, and in words what was done with each.
    """
    import torch

    from ..fit.augmentation import draw_augmentation
    from ..fit.backdrops import find_surroundings

    surroundings = find_surroundings(photos, ranges)
    draws = draw_augmentation(count, ranges, torch.Generator().manual_seed(seed), len(surroundings.scenes))
    images = surroundings.augment(np.arange(count), photos.frames.shape[1], draws, torch.device("cpu"))
    return images.round().to(torch.uint8).numpy(), describe_draws(
        draws, surroundings.backdrops[:count].reshape(count, -1).max(axis=1) > 0
    )


def swap_labels(labels: Sequence[str], notes: Sequence[str], mirroring: Mirroring) -> list[str]:
    """The labels that photos are trained with, once mirrored.  notes: what was done with each, see `augment_batch`."""
    return [
        mirroring.find_partner(label) if "mirrored" in note.split(", ") else label
        for label, note in zip(labels, notes, strict=True)
    ]


def describe_draws(draws: Draws, has_backdrop: npt.NDArray[np.bool_]) -> list[str]:
    """Say what was done with each photo that is there or not; turn, size and light change with every one.

    has_backdrop: bool (N,), whether a plain backdrop was found behind the person.
    """
    import torch

    mirrored = draws.is_mirrored
    replaced = ~draws.clutter[:, 0, 0, 0].isnan()
    cut = replaced & draws.cut & torch.from_numpy(has_backdrop)
    facts = {
        "mirrored": mirrored,
        "cut out": cut,
        "place": draws.scene >= 0,
        "colours": replaced & (draws.scene < 0),
        "box": draws.erase[:, 0] >= 0,
        "blur": draws.sigma > 0,
    }
    return [", ".join(words for words, given in facts.items() if given[row]) for row in range(len(mirrored))]


def write_contact_sheet(
    frames: Frame,
    labels: list[str],
    path: Path,
    notes: list[str] | None = None,
    legend: tuple[str, ...] = (),
    *,
    replace: bool = True,
) -> None:
    """Write a picture in the format of `path`'s suffix.  frames: uint8 (N, S, S, 3) BGR.

    notes: a second line under each picture; legend: lines above all of them, the first one large.
    """
    size, columns = frames.shape[1], min(COLUMNS, len(frames))
    caption = caption_height(size, notes is not None)
    width = max(columns * size, LEAST_WIDTH if legend else 0)
    lines = [line for number, words in enumerate(legend) for line in _wrap(words, 19 if number else 26, width)]
    header = sum(_line_height(px) for _, px in lines) + (2 * MARGIN if lines else 0)
    rows = -(-len(frames) // columns)
    sheet = Image.new("RGB", (width, header + rows * (size + caption)), "white")
    pen, y = ImageDraw.Draw(sheet), MARGIN
    for line, px in lines:
        pen.text((MARGIN, y), line, fill="black", font=load_font(px))
        y += _line_height(px)
    name_px, note_px = _caption_sizes(size)
    for number, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        x, y = number % columns * size, header + number // columns * (size + caption)
        sheet.paste(Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])), (x, y))
        name, px = fit_text("no pose" if label == NO_POSE else display_name(label), name_px, size - 8, note_px)
        pen.text((x + 4, y + size + 2), name, fill="black", font=load_font(px))
        if notes:
            note, px = fit_text(notes[number], note_px, size - 8, note_px)
            pen.text((x + 4, y + size + 2 + _line_height(name_px)), note, fill="#5a5a5a", font=load_font(px))
    with write_then_rename(path, replace=replace) as temporary:
        sheet.save(temporary)


def caption_height(size: int, has_notes: bool = False) -> int:
    """Pixels under each picture.  size: its side."""
    name_px, note_px = _caption_sizes(size)
    return _line_height(name_px) + (_line_height(note_px) if has_notes else 0) + 4


def _caption_sizes(size: int) -> tuple[int, int]:
    return min(max(size // 12, 11), 22), min(max(size // 15, 9), 18)


def _line_height(size_px: int) -> int:
    return find_height(size_px) + 1


def _wrap(words: str, size_px: int, width: int) -> list[tuple[str, int]]:
    """The lines of one entry of the legend, each with the size of its letters."""
    lines, rest = [], words
    while rest:
        line, rest = split_text(rest, size_px, width - 2 * MARGIN)
        lines.append((line, size_px))
    return lines
