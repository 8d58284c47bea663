"""Counts what a photo folder holds: photos and pictures per pose, one picture under two poses, sizes, failures."""

from __future__ import annotations

import base64
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ...runtime.core.none_class import describe_lookalike, find_none_lookalikes
from ...runtime.core.preprocess import letterbox
from ...runtime.core.types import NO_POSE
from ...runtime.photos.decoding import decode_photo
from ...runtime.photos.kinds import PHOTO_SUFFIXES, count_suffixes
from ...runtime.system.files import write_text
from ...runtime.system.item_failures import Failure, attempt
from ...runtime.system.plain_text import show_in_page
from .folder import Photo, PhotoList, inspect_photos
from .manifest import DUPLICATE, MOVED, OK, REMOVED, read_manifest
from .mirroring import Pairs, find_sides, name_pairs
from .picture_groups import find_pictures

READ_SIZE = 224  # as `fit` reads them, so that both find the same groups
THUMBNAIL = 112  # pixels
SAMPLES = 12  # pictures of each pose on the page
REVIEWED = 60  # pictures of each kind that is worth a look on the page
LISTED = 10  # conflicts in the terminal; the page lists more


@dataclass(frozen=True)
class PoseStats:
    """One row of the table.  sides: quantiles of the shorter side in pixels, at 5 %, 50 % and 95 %."""

    pose: str
    photos: int
    pictures: int  # different ones: copies of one count once
    duplicates: int  # photos with the same bytes as another photo of the folder
    sides: tuple[int, int, int]


@dataclass(frozen=True)
class Conflict:
    """One picture under several poses, so that at least one label is wrong.  members: indices into the photos.

    by_mirror: only its mirror image is under another pose, which may be right for poses that left and right tell apart.
    """

    poses: tuple[str, ...]
    members: tuple[int, ...]
    by_mirror: bool = False


@dataclass(frozen=True)
class FolderStats:
    """Everything `yoga-train stats` shows."""

    poses: tuple[PoseStats, ...]
    pictures: int  # one under several poses counts once here
    conflicts: tuple[Conflict, ...]
    broken: tuple[tuple[str, str], ...]
    failures: tuple[tuple[str, int], ...]
    sides: Pairs = ()  # poses whose mirror images are for that reason not counted as copies


def measure_folder(folder: Path, mirror: bool | None = None) -> tuple[PhotoList, FolderStats]:
    """Read and count a photo folder.  mirror: see `count_photos`.  Raises RunError."""
    photos = inspect_photos(folder, READ_SIZE)
    return photos, count_photos(photos, count_failures(folder), mirror)


def count_failures(folder: Path) -> Counter[str]:
    """Count the URLs that did not become photos by reason, from the manifest; cleaned photos do not count."""
    photos = {OK, DUPLICATE, REMOVED, MOVED}
    return Counter(row.kind or row.status for row in read_manifest(folder) if row.status not in photos)


def count_photos(photo_list: PhotoList, failures: Counter[str], mirror: bool | None = None) -> FolderStats:
    """Count photos, pictures and conflicts: copies of a picture count once, photos of one room do not.

    mirror: whether mirror images are copies; None: unless the names of two poses differ only by left and right.
    """
    photos = photo_list.photos
    pairs = find_sides(photo_list.labels) if mirror is None else ()
    is_copy = not pairs and mirror is not False
    groups = find_pictures(photos, photo_list.thumbnails, mirror=is_copy)
    contents = Counter(photo.sha256 for photo in photos)
    members: dict[str, list[int]] = {pose: [] for pose in photo_list.labels}
    for index, photo in enumerate(photos):
        members[photo.pose].append(index)
    rows = []
    for pose, indices in members.items():
        sides = [min(photos[i].size_wh) for i in indices]
        low, middle, high = np.quantile(sides, (0.05, 0.5, 0.95)).astype(int).tolist() if sides else (0, 0, 0)
        copies = sum(contents[photos[i].sha256] > 1 for i in indices)
        rows.append(PoseStats(pose, len(indices), len(set(groups[indices].tolist())), copies, (low, middle, high)))
    conflicts = find_conflicts(photos, groups.tolist())
    if is_copy:
        conflicts = tuple(replace(each, by_mirror=_is_by_mirror(photo_list, each)) for each in conflicts)
    pictures = len(set(groups.tolist()))
    return FolderStats(tuple(rows), pictures, conflicts, photo_list.broken, tuple(failures.most_common()), pairs)


def find_conflicts(photos: tuple[Photo, ...], groups: list[int]) -> tuple[Conflict, ...]:
    """Find groups that cross poses, largest first."""
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    found: list[Conflict] = []
    for indices in members.values():
        poses = tuple(sorted({photos[i].pose for i in indices}))
        if len(poses) > 1:
            found.append(Conflict(poses, tuple(indices)))
    return tuple(sorted(found, key=lambda conflict: -len(conflict.members)))


def _is_by_mirror(photo_list: PhotoList, conflict: Conflict) -> bool:
    """Whether only mirror images are under several poses."""
    rows = list(conflict.members)
    photos, thumbnails = tuple(photo_list.photos[row] for row in rows), photo_list.thumbnails
    groups = find_pictures(photos, None if thumbnails is None else thumbnails[rows], mirror=False)
    return not find_conflicts(photos, groups.tolist())


def format_table(stats: FolderStats) -> str:
    """Format the table for a terminal."""
    wide = max([12, *(len(row.pose) for row in stats.poses)])
    lines = [f"{'pose':{wide}} {'photos':>7} {'pictures':>8} {'copies':>7}   shorter side at 5 / 50 / 95 %"]
    lines += [
        f"{row.pose:{wide}} {row.photos:7d} {row.pictures:8d} {row.duplicates:7d}   "
        f"{' / '.join(map(str, row.sides))} px"
        for row in stats.poses
    ]
    total, copies = sum(row.photos for row in stats.poses), sum(row.duplicates for row in stats.poses)
    lines.append(f"{'all':{wide}} {total:7d} {stats.pictures:8d} {copies:7d}")
    if stats.sides:
        differ = f"{name_pairs(stats.sides)} differ only by left and right"
        lines.append(f"{differ}: mirror images are other pictures here (--mirror counts them as copies)")
    for conflict in stats.conflicts[:LISTED]:
        lines.append(f"{len(conflict.members):7d} copies of one picture under {', '.join(conflict.poses)}")
    if count := len(stats.conflicts):
        each = "at least one of its labels is wrong" if count == 1 else "at least one label of each is wrong"
        pictures = "picture" if count == 1 else "pictures"
        lines.append(f"{count:7d} {pictures} under more than one pose: {each}")
        if mirrored := sum(conflict.by_mirror for conflict in stats.conflicts):
            lines.append(
                f"{'':7} ({mirrored} of them mirrored: if left and right tell these poses apart, give --no-mirror here "
                "and to fit)"
            )
        lines.append(f"{'':7} (yoga-train report finds other label errors, once there is a run)")
    labels = [row.pose for row in stats.poses]
    lines += [describe_lookalike(label, has_none=NO_POSE in labels) for label in find_none_lookalikes(labels)]
    lines += _format_broken(stats.broken)
    lines += [
        f"{count:7d} {'URL or file' if count == 1 else 'URLs or files'} failed: {reason}"
        for reason, count in stats.failures
    ]
    return "\n".join(lines)


def _format_broken(broken: tuple[tuple[str, str], ...]) -> list[str]:
    """Format the unreadable files, and the suffixes of those that are not photos by their name."""
    paths = [Path(path) for path, _ in broken]
    others = [path for path in paths if path.suffix.lower() not in PHOTO_SUFFIXES]
    files = "file is not a readable photo" if len(broken) == 1 else "files are not readable photos"
    lines = [f"{len(broken):7d} {files}"] if broken else []
    if others:
        lines[0] += f", {len(others)} of other kinds: {count_suffixes(others)}"
    return lines


def write_page(
    stats: FolderStats,
    photo_list: PhotoList,
    path: Path,
    *,
    replace: bool = True,
    review: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Write `stats.html`: one file, no outside links, every text escaped.

    review: photos worth a look: why -> indices into the photos.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=show_in_page,
    )
    photos, folder = photo_list.photos, photo_list.folder
    members: dict[str, list[int]] = {row.pose: [] for row in stats.poses}
    for index, photo in enumerate(photos):
        members[photo.pose].append(index)
    page = environment.get_template("stats.html").render(
        stats=stats,
        folder=folder.resolve().name,
        samples={pose: _spread(indices, SAMPLES) for pose, indices in members.items()},
        photos=photos,
        review={kind: list(rows) for kind, rows in (review or {}).items() if rows},
        shown=REVIEWED,
        thumbnail=lambda index: _encode_thumbnail(photo_list, index),
        most=max((row.photos for row in stats.poses), default=1) or 1,
    )
    write_text(path, page, replace=replace)


def _encode_thumbnail(photo_list: PhotoList, index: int) -> str:
    """Encode a JPEG data URL; empty if the photo is not cached and has been removed meanwhile."""
    if photo_list.frames is not None:
        frame = letterbox(photo_list.frames[index], THUMBNAIL)
    else:
        path = photo_list.folder / photo_list.photos[index].path
        frame = attempt(path, lambda: letterbox(decode_photo(path, min_side=THUMBNAIL), THUMBNAIL))
        if isinstance(frame, Failure):
            return ""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _spread(indices: list[int], count: int) -> list[int]:
    """Choose evenly spaced indices."""
    if len(indices) <= count:
        return indices
    return [indices[i] for i in np.linspace(0, len(indices) - 1, count).astype(int)]
