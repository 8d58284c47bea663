"""Ways in which a run, its checkpoint and a photo folder's records can be broken: name -> what breaks a folder so."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from yoga_live.train.fit.checkpoint import CHECKPOINT
from yoga_live.train.run_files.predictions import FOLDS, PREDICTIONS

Change = Callable[[Path], Any]
"""Breaks a folder."""
NESTED = 100_000
PLACES = ("../../etc/passwd", "/etc/passwd", "/dev/zero", "", "a/../../b")
SHARES = ("nan", "inf", "-1", "2", "x", "")
WEIGHTS = "weights.safetensors"


def replace(path: Path, content: str | bytes) -> None:
    """Write a file anew: the old one may be linked to the run that all tests share."""
    path.unlink(missing_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def say(**values: Any) -> Change:
    """Other values in run.json; `...` takes one out; names with __ lie deeper."""

    def change(run: Path) -> None:
        content = json.loads((run / "run.json").read_text())
        for name, value in values.items():
            *outer, last = name.split("__")
            place = content
            for part in outer:
                place = place[part]
            if value is ...:
                del place[last]
            else:
                place[last] = value
        replace(run / "run.json", json.dumps(content))

    return change


def write(name: str, text: str | bytes) -> Change:
    return lambda run: replace(run / name, text)


def point_to(name: str, target: str) -> Change:
    """The file is a link to somewhere else."""

    def change(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(target)

    return change


def make_pipe(name: str) -> Change:
    def change(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)

    return change


def make_folder(name: str) -> Change:
    def change(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).mkdir()

    return change


def row(column: str, value: str, name: str = "photos.csv") -> Change:
    """Another value in the first row of a table."""

    def change(run: Path) -> None:
        with (run / name).open(newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or ())
        rows[0][column if column in columns else columns[1]] = value
        (run / name).unlink()
        with (run / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    return change


def cut(name: str, kept: int) -> Change:
    return lambda run: replace(run / name, (run / name).read_bytes()[:kept])


RUNS: dict[str, Change] = {
    "no run.json": lambda run: (run / "run.json").unlink(),
    "no photos.csv": lambda run: (run / "photos.csv").unlink(),
    **{f"run.json is {text[:9]!r}": write("run.json", text) for text in ("", "{", "[]", "3", "null", '"a"', "{}")},
    "run.json in Latin 1": write("run.json", '{"arch": "é"}'.encode("latin-1")),
    "run.json of lists": write("run.json", "[" * NESTED + "]" * NESTED),
    "run.json of objects": write("run.json", '{"a":' * NESTED),
    "run.json is a pipe": make_pipe("run.json"),
    "run.json is a device": point_to("run.json", "/dev/zero"),
    "run.json is a folder": make_folder("run.json"),
    **{
        f"{name} {str(value)[:20]!r}": say(**{name: value})
        for name, values in {
            "config__size": (..., None, "64", 64.0, True, 0, -64, 10**9, 200_000, [64]),
            "config": (..., None, [], "a"),
            "labels": (..., None, "ab", [], ["tree"], [1, 2], ["../up", "b"], ["a", "a"], ["\ud800", "b"],
                       ["a\nb", "b"]),
            "arch": (..., None, 34, ["resnet34"]),
            "photo_folder": (..., None, 7, "a\0b"),
            "metrics": (..., None, [], {}),
            "metrics__test": (..., None, {}),
            "metrics__test__accuracy": (..., None, "1", -1, 2, float("nan"), float("inf")),
            "metrics__test__photos": (..., None, "1", -1, 1.5, 10**30),
            "metrics__frozen": ([], {}, {"accuracy": "a", "photos": 1}, {"accuracy": float("nan"), "photos": 3}),
            "metrics__interrupted": (..., None, "no"),
            "metrics__best_epoch": ("1", 1.5, -1, 10**30),
            "versions": ([], "a"),
            "finished_at": (7, []),
        }.items()
        for value in values
    },
    "photos.csv is empty": write("photos.csv", ""),
    "photos.csv is noise": write("photos.csv", bytes(range(256)) * 4),
    "photos.csv has no end of a cell": write("photos.csv", 'path,sha256,pose,group,split\n"' + "a" * 200_000),
    "photos.csv lacks a column": write("photos.csv", "path,sha256,pose,group\na/b,c,tree,1\n"),
    "photos.csv has a short row": write("photos.csv", "path,sha256,pose,group,split\na/b,c\n"),
    "photos.csv has a long row": write("photos.csv", "path,sha256,pose,group,split\na/b,c,tree,1,test,x,y\n"),
    "photos.csv is a pipe": make_pipe("photos.csv"),
    "photos.csv is a device": point_to("photos.csv", "/dev/zero"),
    "photos.csv is a folder": make_folder("photos.csv"),
    **{f"a photo at {place}": row("path", place) for place in PLACES},
    **{f"the group {text!r}": row("group", text) for text in ("", "x", "-1", "1.5", "9" * 40, "١")},
    **{f"the split {text!r}": row("split", text) for text in ("", "tests", "../test")},
    **{f"the pose {text!r}": row("pose", text) for text in ("", "nobody", "..")},
}  # fmt: skip
PARTS: dict[str, tuple[str, Change]] = {
    **{
        f"{name} is {kind}": (name, change(name))
        for name in (PREDICTIONS, WEIGHTS, "log.csv")
        for kind, change in {
            "a pipe": make_pipe,
            "a device": lambda name: point_to(name, "/dev/zero"),
            "a folder": make_folder,
            "noise": lambda name: write(name, bytes(range(256)) * 9),
        }.items()
    },
    "no predictions": (PREDICTIONS, lambda run: (run / PREDICTIONS).unlink()),
    "empty predictions": (PREDICTIONS, write(PREDICTIONS, "")),
    "predictions of nothing": (PREDICTIONS, write(PREDICTIONS, "path\n")),
    "predictions cut off": (PREDICTIONS, cut(PREDICTIONS, 400)),
    **{f"a probability {text!r}": (PREDICTIONS, row("tree", text, PREDICTIONS)) for text in SHARES},
    "a photo elsewhere in predictions": (PREDICTIONS, row("path", "../x", PREDICTIONS)),
    "folds that are a pipe": (FOLDS, make_pipe(FOLDS)),
    "empty weights": (WEIGHTS, write(WEIGHTS, "")),
    "weights cut off": (WEIGHTS, cut(WEIGHTS, 5000)),
    "a header of 2 ** 60 bytes": (WEIGHTS, write(WEIGHTS, (2**60).to_bytes(8, "little"))),
    "a nested header": (WEIGHTS, write(WEIGHTS, (200_000).to_bytes(8, "little") + b"[" * 200_000)),
    **{
        f"an epoch {text!r}": ("log.csv", row("epoch", text, "log.csv")) for text in ("", "x", "-1", "1e9", "9" * 300)
    },
    "a loss of 1e308": ("log.csv", row("validation_nll", "1e308", "log.csv")),
    "a log without an end": ("log.csv", write("log.csv", 'epoch,seconds\n"' + "a" * 200_000)),
}  # fmt: skip


def state(change: Callable[[dict[str, Any]], Any]) -> Change:
    """Another state in the checkpoint; what `change` returns is written instead."""

    def break_it(run: Path) -> None:
        path = run / CHECKPOINT
        with safe_open(path, "pt") as file:
            content = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        changed = change(content)
        path.unlink()
        save_file(tensors, path, metadata={"state": changed if isinstance(changed, str) else json.dumps(content)})

    return break_it


def put(path: str, value: Any) -> Change:
    def change(content: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        place: Any = content
        for part in outer:
            place = place[part]
        place[last] = value

    return state(change)


def lose_tensors(run: Path) -> None:
    path = run / CHECKPOINT
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    path.unlink()
    save_file({"generator": torch.zeros(3, dtype=torch.uint8)}, path, metadata=metadata)


STATES: dict[str, Change] = {
    "empty": write(CHECKPOINT, ""),
    "noise": write(CHECKPOINT, bytes(range(256)) * 20),
    "cut off": cut(CHECKPOINT, 20_000),
    "a pipe": make_pipe(CHECKPOINT),
    "a device": point_to(CHECKPOINT, "/dev/zero"),
    "no JSON": state(lambda content: "{"),
    "a list": state(lambda content: "[]"),
    "nested": state(lambda content: "[" * NESTED + "]" * NESTED),
    "other tensors": lose_tensors,
    **{
        f"{path} {str(value)[:12]!r}": put(path, value)
        for path, values in {
            "notes": (None, [], {}),
            "notes.epoch": (None, "1", 1.5, -1, 10**30),
            "notes.best_epoch": ("1", -1),
            "notes.best_nll": (None, "0.5"),
            "notes.log": (None, {}, [1], [{}], [{"epoch": "x", "seconds": 1.0}]),
            "notes.notes": (None, [], {"frozen": 1}, {"frozen": {"seconds": "x"}, "config": {}}),
            "groups": (None, {}, [], [1, 2, 3]),
            "schedule": (None, []),
            "scaler": (None, 3),
        }.items()
        for value in values
    },
}


MANIFESTS: dict[str, Change] = {
    "a pipe": make_pipe("manifest.csv"),
    "a device": point_to("manifest.csv", "/dev/zero"),
    "a path elsewhere": write("manifest.csv", "HEADER\ntree,http://a/b,ab,0,1,1,,ok,,../../etc/passwd,0\n"),
    "a path at the root": write("manifest.csv", "HEADER\ntree,http://a/b,ab,0,1,1,,ok,,/dev/zero,0\n"),
    "no hash": write("manifest.csv", "HEADER\ntree,http://a/b,xyz,0,1,1,,ok,,tree/a.jpg,0\n"),
    "a long hash": write("manifest.csv", f"HEADER\ntree,http://a/b,ab,{'f' * 17},1,1,,ok,,tree/a.jpg,0\n"),
    "a pipe as the journal": make_pipe("cleaning.jsonl"),
    "a nested journal": write("cleaning.jsonl", "[" * NESTED + "\n"),
    "a number of text": write("cleaning.jsonl", '{"number": "1", "action": "keep", "sha256": "a", "pose": "tree", '
        '"to_pose": "tree", "path": "tree/a", "to_path": "tree/a", "rows": []}\n'),
}  # fmt: skip
