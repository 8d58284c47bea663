"""How well copies of a picture are told from other photos of the same room.

    python benchmarks/same_picture.py                          drawn people in drawn rooms
    python benchmarks/same_picture.py FOLDER...                folders with one folder of photos per class

Copies are made of each photo: smaller or larger, compressed again, mirrored, cropped, brighter or darker, and several
of these at once.  Found is a copy that shares the group of its original.  Merged is a pair of photos of different
classes that share a group; pairs count whose hashes differ in at most 16 bits, most of which are photos of one room
(drawn: all pairs of a room).  Beside it stand the same numbers by the hash alone, at 4 and at 8 bits.
"""

from __future__ import annotations

import argparse
import io
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, jitter_pose, random_appearance
from yoga_live.train.photos.folder import HASH_SIDE, hash_photo, list_files, list_poses
from yoga_live.train.photos.near_duplicates import group_hashes
from yoga_live.train.photos.picture_groups import group_pictures
from yoga_live.train.photos.same_picture import make_thumbnail

Picture = Image.Image
Rng = np.random.Generator
ROOMS, DRAWN_PER_ROOM = 40, 10
ROOM_BITS = 16  # photos of a folder whose hashes differ in at most these count as photos of one room


@dataclass(frozen=True)
class Facts:
    """What is known of a photo.  room: only pairs of one room are compared; empty: all pairs of like hashes."""

    label: str
    room: str
    hashes: tuple[int, int]
    thumbnail: np.ndarray


def encode(picture: Picture, quality: int) -> Picture:
    """Compress and decode again."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def scale(picture: Picture, factor: float) -> Picture:
    """Resize by a factor."""
    return picture.resize((max(16, round(picture.width * factor)), max(16, round(picture.height * factor))))


def crop(picture: Picture, rng: Rng, most: float) -> Picture:
    """Cut a random fraction of up to `most` off the width and off the height, from both ends as it comes."""
    width, height = picture.size
    cut_x, cut_y = rng.uniform(0, most, 2) * picture.size
    left, top = rng.uniform(0, cut_x), rng.uniform(0, cut_y)
    return picture.crop((round(left), round(top), round(left + width - cut_x), round(top + height - cut_y)))


def light(picture: Picture, rng: Rng) -> Picture:
    """Make it brighter or darker by up to a fifth."""
    return ImageEnhance.Brightness(picture).enhance(rng.uniform(0.8, 1.2))


KINDS: dict[str, Callable[[Picture, Rng], Picture]] = {
    "scaled, 0.4 to 1.7": lambda picture, rng: scale(picture, rng.uniform(0.4, 1.7)),
    "quality 40 to 90": lambda picture, rng: encode(picture, int(rng.integers(40, 91))),
    "mirrored": lambda picture, rng: ImageOps.mirror(picture),
    "cropped, up to 5 %": lambda picture, rng: crop(picture, rng, 0.05),
    "cropped by 5 % each way": lambda picture, rng: picture.crop(
        (round(0.05 * picture.width), 0, picture.width, round(0.95 * picture.height))
    ),
    "brightness, 0.8 to 1.2": light,
    "all of these at once": lambda picture, rng: encode(
        scale(light(crop(ImageOps.mirror(picture), rng, 0.05), rng), rng.uniform(0.6, 1)), int(rng.integers(40, 91))
    ),
}


def find_facts(picture: Picture, label: str, room: str) -> Facts:
    """Hashes and thumbnail of a picture."""
    frame = np.ascontiguousarray(np.asarray(picture.convert("RGB"))[:, :, ::-1])
    return Facts(label, room, hash_photo(frame), make_thumbnail(frame))


def draw_rooms(rng: Rng) -> list[tuple[Picture, str, str]]:
    """One person in each room, in different poses, with the noise of a camera."""
    drawn: list[tuple[Picture, str, str]] = []
    for room in range(ROOMS):
        look = random_appearance(rng)
        for pose in rng.permutation(sorted(POSES))[:DRAWN_PER_ROOM].tolist():
            frame = draw_figure(jitter_pose(POSES[pose], rng), (320, 240), look)
            noisy = np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)
            drawn.append((Image.fromarray(noisy[:, :, ::-1]), pose, f"room {room}"))
    return drawn


def read_folder(folder: Path, most: int, rng: Rng) -> list[tuple[Picture, str, str]]:
    """Photos of a folder per class, at most so many."""
    files = list_files(folder, list_poses(folder, least=1))
    chosen = sorted(rng.permutation(len(files))[:most].tolist())
    frames = ((decode_photo(files[i][1], min_side=HASH_SIDE), files[i][0]) for i in chosen)
    return [(Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])), label, "") for frame, label in frames]


def group(facts: list[Facts], bits: int | None) -> np.ndarray:
    """Group numbers; by the hashes alone if a number of bits is given."""
    hashes = np.array([one.hashes for one in facts], np.uint64)
    if bits is not None:
        return group_hashes(hashes[:, 0], hashes[:, 1], bits)
    return group_pictures(hashes[:, 0], hashes[:, 1], np.array([one.thumbnail for one in facts]))


def list_pairs(facts: list[Facts]) -> list[tuple[int, int]]:
    """Pairs of photos of different classes in one room."""

    def differ(one: Facts, other: Facts) -> int:
        straight, turned = one.hashes[0] ^ other.hashes[0], one.hashes[1] ^ other.hashes[0]
        return min(straight.bit_count(), turned.bit_count(), (one.hashes[0] ^ other.hashes[1]).bit_count())

    return [
        (i, j)
        for i, one in enumerate(facts)
        for j, other in enumerate(facts[:i])
        if one.label != other.label and one.room == other.room and (one.room or differ(one, other) <= ROOM_BITS)
    ]


def measure(name: str, photos: list[tuple[Picture, str, str]], rng: Rng) -> None:
    """Print the table of one set."""
    originals = [find_facts(*photo) for photo in photos]
    pairs = list_pairs(originals)
    classes = len({one.label for one in originals})
    print(
        f"\n{name}: {len(originals)} photos of {classes} classes, {len(pairs)} pairs of different classes in one room\n"
    )
    print("| | pictures compared | hash, 4 bits | hash, 8 bits |\n|---|---|---|---|")
    found: Counter[tuple[str, int | None]] = Counter()
    for kind, make in KINDS.items():
        copies = [find_facts(make(picture, rng), label, room) for picture, label, room in photos]
        for bits in (None, 4, 8):
            groups = group(originals + copies, bits)
            found[kind, bits] = int((groups[: len(originals)] == groups[len(originals) :]).sum())
        print_row(f"found: {kind}", [found[kind, bits] / len(copies) for bits in (None, 4, 8)])
    total = len(originals) * len(KINDS)
    print_row("found: all", [sum(found[kind, bits] for kind in KINDS) / total for bits in (None, 4, 8)])
    started_s = time.perf_counter()
    alone = {bits: group(originals, bits) for bits in (None, 4, 8)}
    seconds = time.perf_counter() - started_s
    merged = [sum(int(alone[bits][i] == alone[bits][j]) for i, j in pairs) for bits in (None, 4, 8)]
    print_row("merged: pairs of different classes", [count / max(len(pairs), 1) for count in merged])
    largest = [int(np.bincount(alone[bits]).max()) for bits in (None, 4, 8)]
    print(f"| largest group | {largest[0]} | {largest[1]} | {largest[2]} |")
    print(f"\n{total} copies; grouping the photos alone took {seconds:.2f} s")


def print_row(name: str, fractions: list[float]) -> None:
    """One row of the table, in percent."""
    print(f"| {name} | " + " | ".join(f"{fraction:.2%}" for fraction in fractions) + " |")


def main() -> None:
    """Measure each folder, or drawn rooms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="folders with one folder per class")
    parser.add_argument("--most", type=int, default=600, help="photos of each folder")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    if not args.folders:
        measure("drawn rooms", draw_rooms(rng), rng)
    for folder in args.folders:
        measure(folder.name, read_folder(folder, args.most, rng), rng)


if __name__ == "__main__":
    main()
