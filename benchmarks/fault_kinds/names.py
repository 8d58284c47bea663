"""Odd names of files: no UTF-8, control characters, line breaks.  Each works everywhere and is printed harmlessly."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from fault_kinds import ffmpeg
from fault_kinds.bench import Bench
from fault_kinds.command_worker import list_command
from fault_kinds.outcome import CONTROLS, RAW, Answer, Outcome, find_break
from fault_kinds.shape_model import draw_quadrants

KIND = "names"
CLUSTER_LIMIT_S = 150.0
STEMS = (
    *(b"\xff", b"caf\xe9", b"\xc3\x28", b"\xed\xa0\x80", b"\x9b2J"),
    *(b"tree\x1b[2J", b"\x1b]0;title\x07", b"two\nlines", b"a\rb", b"tab\there"),
    *("\u202egnp.x".encode(), "\u200bzero".encode(), "\u015av\u0101n\u0101sana".encode(), "\U0001f9d8".encode()),
    *(b"-rf", b"--help", b" space first", b"space last ", b"'quotes\"", b"$(id)", b"a;b", b"%s%n{0}"),
    *(b"Yoga: class", b"100%", "e\u0301".encode(), b"#hash?query", b"a" * 200, b"back\\slash", b"[0-9]*"),
)
"""Names without their suffix, as bytes."""


def run(bench: Bench) -> Iterator[Outcome]:
    """Photos, videos and the cluster, each with a folder of such names."""
    stems = [os.fsdecode(stem) for stem in bench.choose(STEMS)]
    photos, videos = bench.make_folder("photos"), bench.make_folder("videos")
    Image.fromarray(draw_quadrants(96, 72)).save(bench.folder / "photo.png")
    clip = ffmpeg.draw_clip(bench.folder / "clip.mp4", bench.folder / "photo.png", "-c:v", "mpeg4", rate=10)
    for number, stem in enumerate(stems):
        # each file its own bytes, or it would be a duplicate
        (photos / f"{stem}.png").write_bytes((bench.folder / "photo.png").read_bytes() + bytes([number]))
        (videos / f"{stem}.mp4").write_bytes(clip.read_bytes())
    yield from try_images(bench, photos, stems)
    yield from try_add(bench, photos, stems)
    yield from try_videos(bench, videos, stems)
    yield from try_one_by_one(bench, videos, stems)
    yield from try_cluster(bench, videos, stems)


def judge(command: str, stem: str, answer: Answer, missing: str) -> Outcome:
    """A name is handled if nothing broke and its results are there; raw characters are held against their own names."""
    trouble = find_break(answer)
    trouble = "" if trouble.startswith(RAW) and not CONTROLS.search(stem) else trouble
    fault = trouble or (f"exit code {answer.code}: {answer.last_line}" if answer.code else "") or missing
    right = "exit code 0, a result for it, its name printed harmlessly" if fault else ""
    return Outcome(f"{KIND}, {command}", f"{ascii(stem)[:60]}", "wrong" if fault else "handled", fault, right)


def try_images(bench: Bench, photos: Path, stems: list[str]) -> Iterator[Outcome]:
    """`--images` with a table, and without."""
    table = bench.folder / "answers.csv"
    options = ["--model", bench.model, "--device", "cpu"]
    answer = bench.worker.run("yoga-live", "--images", photos, "--table", table, *options)
    plain = bench.worker.run("yoga-live", "--images", photos, *options)
    answer = plain if find_break(plain) and not find_break(answer) else answer
    rows = count_rows(table)
    for stem in stems:
        yield judge("--images", stem, answer, "" if rows == len(stems) else f"{rows} rows for {len(stems)} photos")


def count_rows(table: Path) -> int:
    """Rows of a CSV whose cells may hold anything."""
    if not table.exists():
        return 0
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return sum(bool(row) for row in csv.reader(file)) - 1


def try_add(bench: Bench, photos: Path, stems: list[str]) -> Iterator[Outcome]:
    """`add`, then `stats` of what was added, and of the same files copied by hand."""
    added, copied = bench.folder / "added", bench.folder / "copied"
    copied.mkdir()
    shutil.copytree(photos, copied / "tree")
    answers = [bench.worker.run("yoga-train", "add", photos, "--pose", "tree", "--to", added)]
    answers += [bench.worker.run("yoga-train", "stats", folder) for folder in (added, copied)]
    answer = next((each for each in answers if each.code or find_break(each)), answers[0])
    rows = count_rows(added / "manifest.csv")
    for stem in stems:
        yield judge("add and stats", stem, answer, "" if rows == len(stems) else f"{rows} rows for {len(stems)} files")


def try_videos(bench: Bench, videos: Path, stems: list[str]) -> Iterator[Outcome]:
    """A folder of videos into a folder."""
    out = bench.folder / "out"
    options = ["--save", out, "--timeline", out, "--model", bench.model, "--device", "cpu"]
    answer = bench.worker.run("yoga-live", "--video", videos, *options)
    for stem in stems:
        there = (out / f"{stem}.mp4").exists() and (out / f"{stem}.poses.csv").exists()
        yield judge("--video FOLDER", stem, answer, "" if there else "its outputs are not there")


def try_one_by_one(bench: Bench, videos: Path, stems: list[str]) -> Iterator[Outcome]:
    """Each video by itself, its outputs named after it, a summary and events too."""
    for stem in stems:
        folder = bench.folder / "single"
        folder.mkdir(exist_ok=True)
        outputs = ["--save", folder / f"{stem}.mp4", "--timeline", folder / f"{stem}.json"]
        summary = ["--summary", folder / f"{stem}.png", "--events"]
        answer = bench.watch(videos / f"{stem}.mp4", *outputs, *summary)
        there = all((folder / f"{stem}.{suffix}").exists() for suffix in ("mp4", "json", "png"))
        yield judge("--video FILE", stem, answer, "" if there else "its outputs are not there")


def try_cluster(bench: Bench, videos: Path, stems: list[str]) -> Iterator[Outcome]:
    """The folder through `--cluster local`."""
    out = bench.folder / "cluster"
    options = ["--cluster", "local", "--workers", "1", "--to", out, "--model", bench.model, "--device", "cpu"]
    answer = bench.run_child(list_command("yoga-live", "--video", videos, *options), CLUSTER_LIMIT_S)
    made = len(list(out.rglob("*.poses.csv"))) if out.is_dir() else 0
    for stem in stems:
        yield judge(
            "--cluster", stem, answer, "" if made == len(stems) else f"{made} timelines for {len(stems)} videos"
        )
