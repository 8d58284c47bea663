"""A labelled contact sheet of a batch exactly as the network sees it, augmentation included."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from ...runtime.core.labels import display_name
from ...runtime.core.preprocess import letterbox
from ...runtime.core.types import NO_POSE, Frame
from ...runtime.drawing.text import FONT
from ...runtime.errors import RunError
from ...runtime.photos.decoding import decode_photo
from ...runtime.photos.limits import check_shown
from ...runtime.system.files import write_then_rename
from ...runtime.system.item_failures import Failure, attempt
from ..photos.dataset import PhotoDataset
from ..photos.folder import PLACES, list_files, list_poses
from .augmentation import draw_augmentation
from .backdrops import find_surroundings
from .config import Augmentation

CAPTION = 22  # pixels under each picture
COLUMNS = 8
MOST_PLACES = 8  # photos of places that a sheet draws from


def draw_batch(folder: Path, count: int, size: int, seed: int) -> tuple[PhotoDataset, list[str]]:
    """Draw readable photos at random, the poses in turn.  Returns them and their labels.

    Up to eight photos of places follow them, without a label, for the augmentation.

    Raises RunError if the folder is no folder per pose or holds no readable photo.
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
        raise RunError(f"{folder} holds no readable photo; yoga-train stats says what is wrong with its files")
    places = [path for path in by_pose.get(NO_POSE, []) if path.parent == folder / NO_POSE / PLACES]
    shown = [places[i] for i in rng.permutation(len(places))]
    drawn += [photo for _ in range(MOST_PLACES) if (photo := _take_readable(NO_POSE, shown, size))]
    frames, sizes_wh = np.stack([frame for frame, _ in drawn]), np.array([size_wh for _, size_wh in drawn])
    scenes = np.arange(len(labels), len(drawn))
    return PhotoDataset(frames, np.zeros(len(drawn), np.int64), None, sizes_wh, scenes), labels


def _take_readable(pose: str, paths: list[Path], size: int) -> tuple[Frame, tuple[int, int]] | None:
    """Decode the next readable photo as `fit` does; broken ones are passed over.  Returns width and height too."""
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


def augment_batch(photos: PhotoDataset, count: int, ranges: Augmentation, seed: int) -> Frame:
    """Augment the first `count` photos as a training step does.  Returns uint8 (count, S, S, 3) BGR."""
    surroundings = find_surroundings(photos, ranges)
    draws = draw_augmentation(count, ranges, torch.Generator().manual_seed(seed), len(surroundings.scenes))
    images = surroundings.augment(np.arange(count), photos.frames.shape[1], draws, torch.device("cpu"))
    return images.round().to(torch.uint8).numpy()


def write_contact_sheet(frames: Frame, labels: list[str], path: Path, *, replace: bool = True) -> None:
    """Write a picture in the format of `path`'s suffix.  frames: uint8 (N, S, S, 3) BGR."""
    size, columns = frames.shape[1], min(COLUMNS, len(frames))
    rows = -(-len(frames) // columns)
    sheet = Image.new("RGB", (columns * size, rows * (size + CAPTION)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(str(FONT), 14)
    for number, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        x, y = number % columns * size, number // columns * (size + CAPTION)
        sheet.paste(Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])), (x, y))
        name = display_name(label)
        while font.getlength(name) > size - 8 and len(name) > 1:
            name = f"{name.removesuffix('…')[:-1]}…"
        pen.text((x + 4, y + size + 2), name, fill="black", font=font)
    with write_then_rename(path, replace=replace) as temporary:
        sheet.save(temporary)
