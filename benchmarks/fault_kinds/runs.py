"""44 broken runs: run.json and photos.csv that say what cannot be, or lead out of their folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fault_kinds.bench import Bench
from fault_kinds.models import LABELS, write_sound
from fault_kinds.outcome import Outcome, judge_done, judge_refusal
from fault_kinds.shape_model import SIDE

KIND = "broken runs"
PHOTOS = 12
DEEP = 100_000
LIMIT_S = 30.0

Break = Callable[[Path], object]


def run(bench: Bench) -> Iterator[Outcome]:
    """`yoga-calibrate check` reads a run and its photos; the unbroken one must be read."""
    model = write_sound(bench.folder / "model.onnx")
    sound = draw_run(bench.folder)
    answer = bench.worker.run("yoga-calibrate", "check", model, "--run", sound, limit_s=60)
    yield judge_done(KIND, "an unbroken run", answer)
    cases = [*list_summaries(), *list_tables(), *list_files()]
    for number, (name, damage) in enumerate(bench.choose(cases)):
        folder = bench.folder / f"run_{number}"
        shutil.copytree(sound, folder)
        damage(folder)
        answer = bench.worker.run("yoga-calibrate", "check", model, "--run", folder, limit_s=LIMIT_S)
        yield judge_refusal(KIND, name, answer, says=r"run_|photo")


def draw_run(place: Path) -> Path:
    """What the command asks of a run: a summary, a table, and the photos that it names."""
    photos, folder = place / "photos", place / "sound"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["path,sha256,pose,group,split"]
    for number in range(PHOTOS):
        pose = LABELS[number % len(LABELS)]
        path = photos / pose / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{pose}/{number}.png,{digest},{pose},{number},test")
    (folder / "photos.csv").write_text("\n".join(lines) + "\n")
    (folder / "run.json").write_text(json.dumps(make_summary(photos), indent=2))
    return folder


def make_summary(photos: Path) -> dict[str, Any]:
    """A run.json."""
    metrics = {"test": {"accuracy": 0.9, "photos": PHOTOS}, "interrupted": False}
    config = {"size": SIDE, "arch": "resnet34"}
    summary: dict[str, Any] = {"labels": list(LABELS), "arch": "resnet34", "photo_folder": str(photos)}
    return {**summary, "config": config, "metrics": metrics, "finished_at": "2026-11-30T12:00:00"}


def list_summaries() -> list[tuple[str, Break]]:
    """What run.json may say."""
    changes: list[tuple[str, Any]] = [
        *(("labels", value) for value in (None, [], "tree", [1, 2, 3], ["tree", "tree", "none"])),
        ("labels", ["../x", "b", "none"]),
        *(("labels", ["tree", value, "none"]) for value in ("\x1b[2J", "\udc80", "a" * 5000, "two\nlines")),
        *(("config", value) for value in (None, [], {}, {"size": 10**9}, {"size": -1})),
        *(("config", {"size": value}) for value in (64.5, 10**30, [64], True, "big", None)),
        *(("metrics", value) for value in (None, [], {}, {"test": None, "interrupted": False})),
        *(("photo_folder", value) for value in (None, 7, "", "/dev/null", "/nowhere/at/all", "a\0b")),
    ]  # fmt: skip
    cases: list[tuple[str, Break]] = []
    for key, value in changes:
        shown = ascii(value) if len(ascii(value)) < 60 else f"{ascii(value)[:40]}..."
        cases.append((f"run.json: {key} {shown}", lambda folder, key=key, value=value: change(folder, key, value)))
    texts = {
        "nested deeply": "[" * DEEP + "]" * DEEP,
        "no JSON": "hello",
        "empty": "",
        "a list": "[]",
        "not UTF-8": "\xff",
    }
    for name, text in texts.items():
        cases.append((f"run.json: {name}", lambda folder, text=text: (folder / "run.json").write_text(text, "latin-1")))
    return cases


def change(folder: Path, key: str, value: Any) -> None:
    """Replace one entry of run.json."""
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


def list_tables() -> list[tuple[str, Break]]:
    """What photos.csv may hold."""
    head = "path,sha256,pose,group,split\n"
    digest = "0" * 64
    texts = {
        "empty": "",
        "its header alone": head,
        "other columns": "a,b\n1,2\n",
        "a path out of the folder": f"{head}../../../../etc/passwd,{digest},tree,1,test\n",
        "an absolute path": f"{head}/etc/passwd,{digest},tree,1,test\n",
        "a device": f"{head}/dev/zero,{digest},tree,1,test\n",
        "a group that is no number": f"{head}tree/0.png,{digest},tree,one,test\n",
        "a pose that is no label": f"{head}tree/0.png,{digest},handstand,1,test\n",
        "a cell of a million letters": f"{head}{'a' * 1_000_000},{digest},tree,1,test\n",
        "a control character": f"{head}tree/\x1b[2J.png,{digest},tree,1,test\n",
        "a NUL": f"{head}tree/\0.png,{digest},tree,1,test\n",
    }
    return [
        (f"photos.csv: {name}", lambda folder, text=text: (folder / "photos.csv").write_text(text))
        for name, text in texts.items()
    ]


def list_files() -> list[tuple[str, Break]]:
    """What lies where a file should."""

    def put(name: str, make: Callable[[Path], object]) -> Break:
        def replace(folder: Path) -> None:
            (folder / name).unlink()
            make(folder / name)

        return replace

    return [
        ("photos.csv is a link to /dev/zero", put("photos.csv", lambda path: path.symlink_to("/dev/zero"))),
        ("photos.csv is a FIFO", put("photos.csv", os.mkfifo)),
        ("photos.csv is a folder", put("photos.csv", lambda path: path.mkdir())),
        ("run.json is a link to /dev/zero", put("run.json", lambda path: path.symlink_to("/dev/zero"))),
        ("run.json is a FIFO", put("run.json", os.mkfifo)),
        ("run.json is a folder", put("run.json", lambda path: path.mkdir())),
        ("run.json is missing", put("run.json", lambda path: None)),
    ]
