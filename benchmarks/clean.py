"""The cleaning page with many photos: `python benchmarks/clean.py --photos 20000`.

Draws a folder and a run in a temporary place, starts `yoga-train clean` on it and times what a browser would ask.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np

from yoga_live.calibration.runs import RunPhoto, write_run_photos
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, jitter_pose, random_appearance
from yoga_live.train.photos.manifest import ManifestRow
from yoga_live.train.run_files.predictions import FOLDS, write_predictions

LABELS = tuple(f"pose_{number:02d}" for number in range(11))
SIZE_WH = (640, 480)
DRAWINGS = 40  # different figures; each photo is one of them in other light, with noise, so that all bytes differ
PER_PAGE = 60


def draw_photos(folder: Path, count: int) -> list[RunPhoto]:
    """Write JPEGs of a phone's usual web size, a folder per pose, and say what the run knows of them."""
    rng = np.random.default_rng(0)
    figures = [
        draw_figure(jitter_pose(POSES["tree"], rng), SIZE_WH, random_appearance(rng)).astype(np.float32)
        + cv2.resize(rng.normal(0, 30, (24, 32, 3)).astype(np.float32), SIZE_WH)
        for _ in range(DRAWINGS)
    ]
    photos: list[RunPhoto] = []
    for number in range(count):
        frame = (figures[number % DRAWINGS] * rng.uniform(0.5, 1.2, 3)).clip(0, 255).astype(np.uint8)
        content = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
        pose = LABELS[number % len(LABELS)]
        path = folder / pose / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        split = "test" if number % 7 == 0 else "validation" if number % 7 == 1 else "train"
        digest = hashlib.sha256(content).hexdigest()
        group = number - (number % 20 == 1)  # every tenth photo is a near-duplicate of one under another pose
        photos.append(RunPhoto(f"{pose}/{path.name}", digest, pose, group, split))
    return photos


def write_run(run: Path, folder: Path, photos: list[RunPhoto], *, with_manifest: bool) -> None:
    """Write a run whose network doubts every tenth photo, and the manifest that a download would have left."""
    run.mkdir()
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1, (len(photos), len(LABELS)))
    for number, photo in enumerate(photos):
        logits[number, (LABELS.index(photo.pose) + (number % 10 == 0)) % len(LABELS)] += 5
    shares = np.exp(logits)
    write_run_photos(run / "photos.csv", photos)
    write_predictions(run / FOLDS, [photo.path for photo in photos], LABELS, shares / shares.sum(axis=1, keepdims=True))
    content = {"labels": LABELS, "config": {"size": 224}, "arch": "resnet34", "photo_folder": str(folder)}
    (run / "run.json").write_text(json.dumps(content))
    if with_manifest:
        columns = [field.name for field in fields(ManifestRow)]
        with (folder / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            for number, photo in enumerate(photos):
                hashes = {"phash": f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}"}
                row = {"pose": photo.pose, "url": f"http://example.org/{number}.jpg", "sha256": photo.sha256}
                writer.writerow(row | hashes | {"status": "ok", "path": photo.path})


def start_page(photos: Path, run: Path) -> tuple[subprocess.Popen[str], str, float]:
    """Start the command.  Returns it, the page's address and the seconds until it answered."""
    started_s = time.perf_counter()
    command = [sys.executable, "-m", "yoga_live.train", "clean", str(photos), str(run), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            urllib.request.urlopen(found.group() + "api/session").read()
            return process, found.group(), time.perf_counter() - started_s
    raise SystemExit("the page did not start")


def measure(name: str, count: int, ask: Callable[[int], object]) -> None:
    """Print how long one request takes, at 50 and 95 %."""
    times_ms = []
    for number in range(count):
        started_s = time.perf_counter()
        ask(number)
        times_ms.append((time.perf_counter() - started_s) * 1000)
    middle, high = np.quantile(times_ms, (0.5, 0.95))
    print(f"{name:28} {middle:8.1f} {high:8.1f}   {count} times")


def measure_page(address: str, count: int) -> None:
    """Ask as a browser does."""
    rng = random.Random(0)

    def get(path: str) -> bytes:
        return urllib.request.urlopen(address + path).read()

    def post(path: str, **content: object) -> bytes:
        headers = {"Content-Type": "application/json"}
        return urllib.request.urlopen(
            urllib.request.Request(address + path, json.dumps(content).encode(), headers)
        ).read()

    started_s = time.perf_counter()
    conflicts = json.loads(get("api/session?conflicts=1"))["views"]["conflicts"]
    print(f"{'conflicts found':28} {time.perf_counter() - started_s:8.2f} s, {conflicts} photos")
    print(f"{'milliseconds':28} {'p50':>8} {'p95':>8}")
    numbers = rng.sample(range(count), min(count, 600))
    measure(
        "page of the list", 100, lambda _: get(f"api/photos?view=likely&from={rng.randrange(count)}&count={PER_PAGE}")
    )
    measure("thumbnail, new", 200, lambda n: get(f"thumbnail/{numbers[n]}"))
    measure("thumbnail, remembered", 200, lambda n: get(f"thumbnail/{numbers[n]}"))
    measure("large picture, new", 100, lambda n: get(f"picture/{numbers[n]}"))
    measure("mark: keep", 100, lambda n: post("api/mark", photo=numbers[n], action="keep"))
    measure("mark: remove", 200, lambda n: post("api/mark", photo=numbers[100 + n], action="remove"))
    measure("mark: relabel", 200, lambda n: post("api/mark", photo=numbers[300 + n], action="relabel", pose=LABELS[-1]))
    measure("undo", 100, lambda _: post("api/undo", view="likely"))


def main() -> int:
    """Draw, start, measure; twice, for a second start replays the journal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--no-manifest", action="store_true", help="a plain folder per pose: no hashes are known")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, run = Path(place) / "photos", Path(place) / "run"
        photos = draw_photos(folder, args.photos)
        write_run(run, folder, photos, with_manifest=not args.no_manifest)
        for words in ("start until it answers", "second start, with a journal"):
            process, address, start_s = start_page(folder, run)
            try:
                print(f"{words:28} {start_s:8.2f} s")
                if words.startswith("start"):
                    measure_page(address, args.photos)
            finally:
                process.terminate()
                process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
