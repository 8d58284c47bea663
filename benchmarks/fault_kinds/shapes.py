"""How a file says it is to be shown: aspect ratios and display matrices, beside what ffmpeg shows."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fault_kinds import ffmpeg
from fault_kinds.bench import Bench
from fault_kinds.outcome import Outcome, judge_done
from fault_kinds.shape_model import Pixels, draw_quadrants, name_shapes

KIND = "aspect ratios and matrices"
RATIOS = ("1:1", "4:3", "3:4", "16:11", "12:11", "10:11", "40:33", "64:45", "2:1", "1:2")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2")
CONTAINERS = {"mp4": H264, "mkv": H264, "mov": H264, "ts": H264, "mpg": MPEG2}
DVD = {"4:3": "16:15", "16:9": "64:45"}
"""Display aspects of PAL DVDs, 720 x 576, as MPEG-2 can say them, and their pixels."""
MATRICES = {
    "as it is": (1, 0, 0, 1),
    "90 degrees": (0, 1, -1, 0),
    "180 degrees": (-1, 0, 0, -1),
    "270 degrees": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down mirrored": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transversed": (0, -1, -1, 0),
    "zeros": (0, 0, 0, 0),
}
"""a, b, c, d of ISO 14496-12's matrix."""
SHOWN_SHARE = 0.7
"""The upper part of the picture, which the overlay leaves free."""
COLOUR, ASPECT = 25.0, 0.03
"""By how much colours (median, of 255) and width over height may differ."""


@dataclass(frozen=True)
class Shape:
    """One clip to draw."""

    container: str
    ratio: str = "1:1"
    matrix: str = ""
    size_wh: tuple[int, int] = (176, 144)

    @property
    def name(self) -> str:
        return f"{self.container} of {self.size_wh[0]} x {self.size_wh[1]}, pixels {self.ratio}" + (
            f", matrix {self.matrix}" if self.matrix else ""
        )


def list_shapes() -> list[Shape]:
    """Every ratio in every container that can say it, every matrix with square and with wide pixels."""
    shapes = [Shape(kind, ratio) for kind in CONTAINERS if kind != "mpg" for ratio in RATIOS]
    shapes += [Shape("mpg", pixels, "", (720, 576)) for pixels in DVD.values()]
    shapes += [Shape(kind, ratio, matrix) for kind in ("mp4", "mov") for matrix in MATRICES for ratio in ("1:1", "2:1")]
    return shapes + [Shape("mp4", "1:1", matrix, (256, 144)) for matrix in MATRICES]


def run(bench: Bench) -> Iterator[Outcome]:
    """Try every shape."""
    for number, shape in enumerate(bench.choose(list_shapes())):
        clip = draw_shape(shape, bench.folder / f"{number}.{shape.container}")
        yield judge_shape(bench, shape.name, clip)


def draw_shape(shape: Shape, path: Path) -> Path:
    """Draw one clip."""
    picture = path.with_suffix(".png")
    Image.fromarray(draw_quadrants(*shape.size_wh)).save(picture)
    encode = [*CONTAINERS[shape.container], "-vf", f"setsar={shape.ratio.replace(':', '/')}"]
    ffmpeg.draw_clip(path, picture, *encode, rate=25 if shape.container == "mpg" else 10)
    if shape.matrix:
        set_matrix(path, MATRICES[shape.matrix])
    return path


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a display matrix into the track header of an MP4 or MOV."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    for place, value in zip((0, 4, 12, 16), matrix, strict=True):
        content[at + place : at + place + 4] = ((value * 0x10000) & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)


def judge_shape(bench: Bench, name: str, clip: Path) -> Outcome:
    """Watch a clip; the network and the copy must have what ffmpeg shows."""
    copy, table = ffmpeg.name_copy(clip), ffmpeg.name_copy(clip, ".csv")
    answer = bench.watch(clip, "--save", copy, "--timeline", table)
    shown = ffmpeg.read_shown(clip)
    wanted = name_shapes(shown)
    right = f"what ffmpeg shows: {wanted[0]}, {describe(shown)}"
    if answer.code or not copy.exists():
        return judge_done(KIND, name, answer, "no copy", right)
    faults = []
    if (seen := read_longest(table)) not in wanted:
        faults.append(f"the network saw {seen}, not {wanted[0]}")
    if difference := compare_pictures(ffmpeg.read_shown(copy, 0.3), shown):
        faults.append(f"the copy {difference}")
    return judge_done(KIND, name, answer, "; ".join(faults), right)


def describe(picture: Pixels) -> str:
    """The size of a picture."""
    return f"{picture.shape[1]} x {picture.shape[0]}"


def compare_pictures(seen: Pixels, wanted: Pixels) -> str:
    """How a picture differs from the one that it should be, its size and encoder's noise aside; empty: it does not."""
    aspects = [picture.shape[1] / picture.shape[0] for picture in (seen, wanted)]
    if abs(aspects[0] / aspects[1] - 1) > ASPECT:
        return f"is shown as {describe(seen)}, not {describe(wanted)}"
    height, width = wanted.shape[:2]
    fitted = np.asarray(Image.fromarray(seen).resize((width, height), Image.Resampling.BILINEAR))
    rows = round(height * SHOWN_SHARE)
    difference = np.abs(fitted[:rows].astype(int) - wanted[:rows].astype(int))
    quarters = [difference[:, : width // 2], difference[:, width // 2 :]]
    worst = max(float(np.median(quarter)) for quarter in quarters)
    return f"has other colours at a place, by {worst:.0f} of 255" if worst > COLOUR else ""


def read_longest(table: Path) -> str:
    """The pose that a timeline names for the longest time."""
    held: Counter[str] = Counter()
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            held[row["pose"]] += round(1000 * (float(row["end_s"]) - float(row["start_s"])))
    return held.most_common(1)[0][0] if held else "nothing"
