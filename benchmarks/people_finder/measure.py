"""Measure the people finder: `python benchmarks/people_finder/measure.py SOURCES SOURCES2`.

SOURCES holds asanas/, five/, everyday/ as for the shipped model; SOURCES2 rooms/, exercise/, home/.  `with_people.txt`
names the pictures of everyday/ and rooms/ in which someone is seen after all; they were found by eye among those where
the finder reports anybody, and count as neither.  Photos are drawn by seed.  Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.types import Floats, Frame
from yoga_live.runtime.engines.base import Network
from yoga_live.runtime.engines.factory import open_network
from yoga_live.runtime.people import People, PeopleFinder
from yoga_live.runtime.people.decoding import HEADS, decode_heads
from yoga_live.runtime.people.finder import MIN_SCORE, MOST_PEOPLE, PEOPLE_MODEL, fit_frame
from yoga_live.runtime.photos.decoding import decode_photo

WITH_PEOPLE = Path(__file__).with_name("with_people.txt")
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3)
ANYBODY = 0.02
PHOTOS = 250
COMPOSITIONS = 40
SIDES = (256, 320, 384)
MARGIN = 0.08
SAME_BOX = 0.5
CANVAS_WH = (1920, 1080)
INVERTED, DOWN_DOG = ("salamba_sirsasana", "vrischikasana"), "adho_mukha_svanasana"


@dataclass(frozen=True)
class PhotoSet:
    """name: as printed.  has_person: whether each photo shows one, else none does.  is_tuning: for the threshold."""

    name: str
    files: Sequence[Path]
    has_person: bool
    is_tuning: bool


def list_photos(*folders: Path, skip: Iterable[str] = ()) -> list[Path]:
    """Photos below the folders, drawn by seed."""
    skipped = set(skip)
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    files = [path for path in files if "/".join(path.parts[-2:]) not in skipped]
    random.Random(0).shuffle(files)
    return files[:PHOTOS]


def list_sets(sources: Path, sources2: Path) -> list[PhotoSet]:
    """The photos of nobody and of one person, by source."""
    with_people = WITH_PEOPLE.read_text(encoding="utf-8").split()
    asanas = [folder for folder in sorted((sources / "asanas").iterdir()) if folder.name != "unknown"]
    inverted = [folder for folder in asanas if folder.name in INVERTED]
    down_dogs = [folder for folder in asanas if folder.name == DOWN_DOG]
    others = [folder for folder in asanas if folder not in (*inverted, *down_dogs)]
    return [
        PhotoSet("nobody: objects, animals", list_photos(sources / "everyday", skip=with_people), False, True),
        PhotoSet("nobody: rooms", list_photos(sources2 / "rooms", skip=with_people), False, False),
        PhotoSet("asanas, 59 kinds", list_photos(*others), True, True),
        PhotoSet("five poses, another scrape", list_photos(sources / "five"), True, False),
        PhotoSet("exercises, dancing", list_photos(sources2 / "exercise"), True, False),
        PhotoSet("head stands, scorpions", list_photos(*inverted), True, False),
        PhotoSet("down dogs", list_photos(*down_dogs), True, False),
    ]


def find_all(finder: PeopleFinder, files: Iterable[Path]) -> list[People]:
    return [finder.find(decode_photo(path)) for path in files]


def best_scores(people: Sequence[People]) -> Floats:
    """The surest person's score in each photo, 0 where there is nobody."""
    return np.array([each.scores.max(initial=0) for each in people])


def print_row(*cells: object) -> None:
    print(f"| {' | '.join(str(cell) for cell in cells)} |")


def report_sets(finder: PeopleFinder, sets: Sequence[PhotoSet], title: str) -> None:
    """Print how many photos have anybody at each threshold, and the threshold that the tuning sets choose."""
    print_row(title, "photos", *(f"from {each:g}" for each in THRESHOLDS))
    print_row(*["---"] * (2 + len(THRESHOLDS)))
    tuning: dict[bool, Floats] = {}
    for each in sets:
        scores = best_scores(find_all(finder, each.files))
        print_row(each.name, len(scores), *(f"{100 * (scores >= limit).mean():.1f}" for limit in THRESHOLDS))
        if each.is_tuning:
            tuning[each.has_person] = scores
    limits = np.arange(0.05, 0.5, 0.01)
    gains = [(tuning[True] >= limit).mean() - (tuning[False] >= limit).mean() for limit in limits]
    print(f"\nhighest recall minus false people on the first and third row: threshold {limits[np.argmax(gains)]:.2f}")


def overlaps(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union of boxes (N, 4) and (M, 4): (N, M)."""
    left_top = np.maximum(boxes[:, None, :2], others[None, :, :2])
    right_bottom = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(right_bottom - left_top, 0, None).prod(axis=2)
    areas, other_areas = ((each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, others))
    return shared / (areas[:, None] + other_areas - shared + 1e-9)


def count_found(found: Floats, truth: Floats) -> int:
    """Number of true boxes that have a found box of their own."""
    same, used = overlaps(truth, found), set()
    for row in same:
        chosen = max((column for column in range(len(row)) if column not in used), key=row.__getitem__, default=None)
        if chosen is not None and row[chosen] >= SAME_BOX:
            used.add(chosen)
    return len(used)


def cut_people(finder: PeopleFinder, files: Iterable[Path]) -> list[tuple[Frame, Floats]]:
    """Cut single people out of photos, with a margin: pictures and the box in each, (4,)."""
    cut = []
    for path in files:
        image = decode_photo(path)
        people = finder.find(image)
        if (people.scores >= 0.1).sum() == 1 and people.scores.max() >= 0.3:
            box = people.boxes[people.scores.argmax()]
            margin = 0.15 * (box[2:] - box[:2])
            left, top = np.maximum(0, box[:2] - margin).astype(int)
            right, bottom = np.minimum(image.shape[1::-1], box[2:] + margin).astype(int)
            cut.append((image[top:bottom, left:right], box - [left, top, left, top]))
    return cut


def compose(tiles: Sequence[tuple[Frame, Floats]], rows: int) -> tuple[Frame, Floats]:
    """Put people side by side into one grey 1080p frame.  Returns it and the true boxes, (N, 4)."""
    columns = -(-len(tiles) // rows)
    cell_w, cell_h = CANVAS_WH[0] // columns, CANVAS_WH[1] // rows
    canvas, boxes = np.full((*CANVAS_WH[::-1], 3), 120, np.uint8), []
    for index, (image, box) in enumerate(tiles):
        scale = min(cell_w / image.shape[1], cell_h / image.shape[0])
        width, height = int(image.shape[1] * scale), int(image.shape[0] * scale)
        left = index % columns * cell_w + (cell_w - width) // 2
        top = index // columns * cell_h + (cell_h - height) // 2
        canvas[top : top + height, left : left + width] = cv2.resize(image, (width, height))
        boxes.append(box * scale + [left, top, left, top])
    return canvas, np.array(boxes)


def report_several(tiles: Sequence[tuple[Frame, Floats]], threads: int) -> None:
    """Print the recall of several people, for inputs of different sizes."""
    finders = [PeopleFinder("cpu", threads, side=side) for side in SIDES]
    print_row("people in the frame", *(f"`side` {side}: found, %; false in {COMPOSITIONS} frames" for side in SIDES))
    print_row(*["---"] * (1 + len(SIDES)))
    for count, rows in ((1, 1), (2, 1), (3, 1), (4, 1), (6, 1), (6, 2), (7, 1), (8, 1), (8, 2)):
        drawn = random.Random(count * 10 + rows)
        frames = [compose(drawn.sample(list(tiles), count), rows) for _ in range(COMPOSITIONS)]
        cells = []
        for finder in finders:
            looks = [(finder.find(frame).boxes, truth) for frame, truth in frames]
            found = sum(count_found(boxes, truth) for boxes, truth in looks)
            false = sum(len(boxes) for boxes, _ in looks) - found
            cells.append(f"{100 * found / count / len(frames):.1f}; {false}")
        print_row(f"{count} in {rows} row{'s' if rows > 1 else ''}", *cells)


def report_cut(tiles: Sequence[tuple[Frame, Floats]], threads: int) -> None:
    """Print the recall of people of whom the frame's border cuts a part off, without and with a margin."""
    finders = [PeopleFinder("cpu", threads, margin=margin) for margin in (0, MARGIN)]
    print_row(
        "cut off the person", "people", "found, %", "right box, %", f"`margin={MARGIN:g}`: found, %", "right box, %"
    )
    print_row(*["---"] * 6)
    for side, axis, is_end in (("the lower", 1, True), ("the upper", 1, False), ("the left", 0, False)):
        for part in (0.25, 0.5):
            frames = [cut_off(image, box, axis, part, is_end) for image, box in tiles]
            cells = []
            for finder in finders:
                found = [finder.find(frame).boxes for frame, _ in frames]
                right = sum(count_found(boxes, inside[None]) for boxes, (_, inside) in zip(found, frames, strict=True))
                cells += [100 * sum(len(boxes) > 0 for boxes in found) / len(frames), 100 * right / len(frames)]
            print_row(f"{side} {part:.0%}", len(frames), *(f"{cell:.1f}" for cell in cells))


def cut_off(image: Frame, box: Floats, axis: int, part: float, is_end: bool) -> tuple[Frame, Floats]:
    """Cut a picture so that it ends within a person.  Returns it and the box of what is left of them.

    axis: 0 cuts left or right, 1 above or below.  part: of the box that is lost.  is_end: at the right or lower side.
    """
    low, high = box[axis], box[axis + 2]
    at = int(high - part * (high - low) if is_end else low + part * (high - low))
    kept, inside = range(at) if is_end else range(at, image.shape[1 - axis]), box.copy()
    inside[axis], inside[axis + 2] = (low, at) if is_end else (0, high - at)
    return np.take(image, kept, axis=1 - axis), inside


def move_one_pixel(frames: Frame) -> Frame:
    """Move the network's input by one of its pixels to the lower right."""
    moved = frames.copy()
    moved[:, 1:, 1:] = frames[:, :-1, :-1]
    return moved


def pad_to_square(frames: Frame) -> Frame:
    """Add black to the right or below, until the network's input is a square."""
    height, width = frames.shape[1:3]
    side = max(height, width)
    return np.pad(frames, ((0, 0), (0, side - height), (0, side - width), (0, 0)))


def report_rounding(path: Path, files: Iterable[Path], threads: int) -> None:
    """Print how far INT8 moves people, beside what one pixel of the input and a square input do in float.

    path: the network in float, from `movenet.py`.
    """
    inputs = [fit_frame(decode_photo(file))[0] for file in files]
    networks = [open_network(each, "cpu", threads) for each in (path, PEOPLE_MODEL)]
    exact, rounded = ([decode_frames(network, frames) for frames in inputs] for network in networks)
    shifted = [decode_frames(networks[0], move_one_pixel(frames)).transform((1, 1), (-1, -1)) for frames in inputs]
    print_row(
        "against float", "people", "not found", "box overlap, mean", "key points moved, mean; median", "by over 0.1"
    )
    print_row(*["---"] * 6)
    square = [decode_frames(networks[0], pad_to_square(frames)) for frames in inputs]
    for name, others in (("INT8", rounded), ("moved by one pixel", shifted), ("padded to a square", square)):
        overlap, moves, lost = [], [], 0
        for people, other in zip(exact, others, strict=True):
            people = people.select(people.scores >= MIN_SCORE)
            same = overlaps(people.boxes, other.boxes)
            for index, row in enumerate(same):
                match = int(row.argmax())
                if row[match] < SAME_BOX or other.scores[match] < MIN_SCORE - 0.05:
                    lost += 1
                    continue
                overlap.append(row[match])
                size = np.sqrt((people.boxes[index, 2:] - people.boxes[index, :2]).prod())
                distances = np.linalg.norm(people.keypoints[index] - other.keypoints[match], axis=1) / size
                moves += distances[people.keypoint_scores[index] > 0.3].tolist()
        cells = f"{np.mean(overlap):.3f}", f"{np.mean(moves):.4f}; {np.median(moves):.4f}"
        print_row(name, len(overlap) + lost, lost, *cells, f"{100 * np.mean(np.array(moves) > 0.1):.1f} %")


def decode_frames(network: Network, frames: Frame) -> People:
    outputs = network.infer_outputs(HEADS, frames)
    return decode_heads({name: output[0] for name, output in zip(HEADS, outputs, strict=True)}, MOST_PEOPLE)


def report_times(threads: int, looks: int = 60) -> None:
    """Print milliseconds of a look beside those of the pose model, in turns."""
    classifier = PoseClassifier(device="cpu", threads=threads)
    finders = {side: PeopleFinder("cpu", threads, side=side) for side in SIDES}
    frame = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    frame = np.asarray(cv2.blur(frame, (31, 31)), np.uint8)
    outputs = open_network(PEOPLE_MODEL, "cpu", threads).infer_outputs(HEADS, fit_frame(frame)[0])
    heads = {name: output[0] for name, output in zip(HEADS, outputs, strict=True)}
    calls = {"pose model": lambda: classifier.probabilities(frame)}
    calls |= {f"finder, `side` {side}": lambda finder=finder: finder.find(frame) for side, finder in finders.items()}
    calls |= {"of it, decoding (256)": lambda: decode_heads(heads, MOST_PEOPLE)}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(looks):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - start))
    base = float(np.median(times["pose model"]))
    print_row(f"a 1080p frame, {threads} thread{'s' if threads > 1 else ''}", "ms, median", "times the pose model")
    print_row(*["---"] * 3)
    for name, values in times.items():
        print_row(name, f"{np.median(values):.1f}", f"{np.median(values) / base:.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, metavar="SOURCES")
    parser.add_argument("sources2", type=Path, metavar="SOURCES2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--float", type=Path, metavar="FILE.onnx", help="compare INT8 with this network")
    parser.add_argument("--times", action="store_true", help="measure the times alone")
    args = parser.parse_args()
    if args.times:
        report_times(args.threads)
        return 0
    anybody = PeopleFinder("cpu", args.threads, min_score=ANYBODY)
    sets = list_sets(args.sources, args.sources2)
    report_sets(anybody, sets, "photos with anybody, %")
    print()
    with_margin = PeopleFinder("cpu", args.threads, min_score=ANYBODY, margin=MARGIN)
    report_sets(with_margin, sets, f"the same with `margin={MARGIN:g}`")
    tiles = cut_people(anybody, [*sets[3].files, *sets[4].files])
    print(f"\n{len(tiles)} people cut out of the fourth and fifth row's photos, from a score of {MIN_SCORE:g}:\n")
    report_several(tiles, args.threads)
    print()
    report_cut(tiles, args.threads)
    print()
    if args.float:
        report_rounding(args.float, [*sets[2].files, *sets[4].files], args.threads)
        print()
    report_times(args.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
