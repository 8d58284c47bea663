"""A labelled contact sheet of a batch exactly as the network sees it, augmentation included."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from ..runtime.errors import PhotoError, RunError
from ..runtime.files import write_then_rename
from ..runtime.overlay import FONT
from ..runtime.photos import decode_photo
from ..runtime.pose_names import display_name
from ..runtime.preprocess import Frame, letterbox
from .augmentation import Augmentation, augment_frames, draw_augmentation
from .photo_folder import list_files, list_poses

CAPTION = 22  # pixels under each picture
COLUMNS = 8


def draw_batch(folder: Path, count: int, size: int, seed: int) -> tuple[Frame, list[str]]:
    """Draw readable photos at random, the poses in turn.  Returns uint8 (N, S, S, 3) BGR and their labels.

    Raises RunError if the folder is no folder per pose or holds no readable photo.
    """
    by_pose: dict[str, list[Path]] = {}
    for pose, path in list_files(folder, list_poses(folder, least=1)):
        by_pose.setdefault(pose, []).append(path)
    rng = np.random.default_rng(seed)
    waiting = {pose: [paths[i] for i in rng.permutation(len(paths))] for pose, paths in by_pose.items()}
    frames: list[Frame] = []
    labels: list[str] = []
    while len(frames) < count and any(waiting.values()):
        for pose, paths in waiting.items():
            frame = _take_readable(paths, size) if len(frames) < count else None
            if frame is not None:
                frames.append(frame)
                labels.append(pose)
    if not frames:
        raise RunError(f"{folder} holds no readable photo; yoga-train stats says what is wrong with its files")
    return np.stack(frames), labels


def _take_readable(paths: list[Path], size: int) -> Frame | None:
    """Decode the next readable photo as `fit` does; broken ones are passed over."""
    while paths:
        with suppress(PhotoError):
            return letterbox(decode_photo(paths.pop(), min_side=size), size)
    return None


def augment_batch(frames: Frame, ranges: Augmentation, seed: int) -> Frame:
    """Augment as a training step does.  frames: uint8 (N, S, S, 3) BGR.  Returns the same."""
    draws = draw_augmentation(len(frames), ranges, torch.Generator().manual_seed(seed))
    images = augment_frames(torch.from_numpy(frames), frames.shape[1], draws)
    return images.round().to(torch.uint8).numpy()


def write_contact_sheet(frames: Frame, labels: list[str], path: Path) -> None:
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
    with write_then_rename(path) as temporary:
        sheet.save(temporary)
