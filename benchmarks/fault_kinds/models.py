"""100 broken model files: refused in one line by every command, or answered with numbers that are finite."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fault_kinds.bench import Bench
from fault_kinds.outcome import Answer, Outcome, find_break, find_refusal_fault
from fault_kinds.shape_model import SIDE, draw_quadrants, make_linear_graph, write_linear_model

KIND = "broken models"
LABELS = ("tree", "warrior_2", "none")
COUNT = 100
DEEP = 100_000
LIMIT_S = 30.0
MAY_BE_TAKEN = ("training", "calibration", "precision", "surprise")
"""Entries that no answer depends on."""
HARMLESS: tuple[Any, ...] = (True, 1e-308, 5e-324, ["tree", "  ", "none"], ["tree", "../../etc", "none"])
"""Odd, but a finite answer can be given."""

Break = Callable[[Path], object]


def run(bench: Bench) -> Iterator[Outcome]:
    """Break the same small model in many ways."""
    folder = bench.make_folder("photos")
    Image.fromarray(draw_quadrants(96, 72)).save(folder / "photo.png")
    sound = write_sound(bench.folder / "sound.onnx")
    yield judge_model(bench, folder, "an unbroken model", sound, is_sure=False)
    cases = [*list_documents(), *list_graphs(), *list_files()]
    cases += list_noise(sound.read_bytes(), COUNT - len(cases), bench)
    for number, (name, write, is_sure) in enumerate(bench.choose(cases)):
        path = bench.folder / f"model_{number}.onnx"
        write(path)
        yield judge_model(bench, folder, name, path, is_sure=is_sure)


def write_sound(path: Path, more: dict[str, Any] | None = None, labels: Any = LABELS) -> Path:
    """A model that names the colour that there is most of."""
    weights = np.tile(np.eye(3), (SIDE * SIDE, 1)) * 16 / (SIDE * SIDE)
    return write_linear_model(path, labels, weights.astype(np.float32), np.zeros(3, np.float32), more=more)


def judge_model(bench: Bench, photos: Path, name: str, path: Path, *, is_sure: bool) -> Outcome:
    """Ask three commands.  is_sure: it must be refused, else it may be answered too."""
    table = path.with_suffix(".csv")
    live = bench.worker.run("yoga-live", "--images", photos, "--table", table, "--model", path, limit_s=LIMIT_S)
    info = bench.worker.run("yoga-export", "info", path, limit_s=LIMIT_S)
    faults, refused = [], 0
    for command, answer in (("yoga-live", live), ("yoga-export info", info)):
        if answer.code == 0 and not find_break(answer) and (command != "yoga-live" or is_finite(table)):
            continue
        if fault := find_refusal_fault(answer) or (find_silence(answer, path) if "logits" in name else ""):
            faults.append(f"{command}: {fault}")
        refused += 1
    if is_sure and not find_break(live) and live.code == 0:
        faults.append("yoga-live: an answer, exit code 0")
    right = "one line" + ("" if is_sure else ", or a finite answer")
    if faults:
        return Outcome(KIND, name, "wrong", "; ".join(faults), right)
    return Outcome(KIND, name, "refused" if refused else "handled")


def find_silence(answer: Answer, path: Path) -> str:
    """What only the network's answer tells, must say of which file it is."""
    return "" if path.name in answer.err else f"the line does not name the file: {answer.last_line}"


def is_finite(table: Path) -> bool:
    """Whether every number of a table is one."""
    rows = table.read_text(encoding="utf-8", errors="replace").splitlines()[1:] if table.exists() else []
    values = [cell for row in rows for cell in row.split(",")[2:-1] if cell]
    return bool(values) and all(math.isfinite(float(value)) and 0 <= float(value) <= 1 for value in values)


def list_documents() -> list[tuple[str, Break, bool]]:
    """What the metadata may say that is not so."""
    values: list[tuple[str, Any]] = [
        *(("labels", value) for value in ([1, 2, 3], [], ["tree"], "tree", None, {"a": 1, "b": 2, "c": 3})),
        *(("labels", value) for value in (["tree", "tree", "none"], ["a", "b"], [*"abcd"], [["a"], "b", "c"])),
        *(("labels", ["tree", value, "none"]) for value in ("", "\x1b[2J", "two\nlines", "\udc80", "a" * 5000)),
        *(("labels", ["tree", value, "none"]) for value in ("\0", None, 1.5)),
        *(("labels", ["tree", value, "none"]) for value in ("\u202egnp.tree", "\x9b2J", "a\tb", "  ", "../../etc")),
        *(("size", value) for value in (SIDE * 1.0, 0, -1, 31, 200_000, 10**9, 10**30, "64", None, [64], True, 64.5)),
        *(("temperature", value) for value in (0, -1, 1e-308, 5e-324, 1000, 1e308, "1", None, [1.0], {}, True)),
        *(("threshold", value) for value in (-0.1, 1.1, "0.5", None, [0.5], 10**400)),
        *(("precision", value) for value in (32, None, ["fp32"], "\x1b[31mfp32")),
        *(("training", value) for value in ("none", [1], 3, {"\x1b[2J": 1})),
        *(("calibration", value) for value in ("none", [1], 3)),
        *(("format", value) for value in (0, 2, "1", None, 1e9)),
        ("surprise", 1),
    ]  # fmt: skip
    cases: list[tuple[str, Break, bool]] = []
    for key, value in values:
        is_sure = key not in MAY_BE_TAKEN and all(value is not each and value != each for each in HARMLESS)
        shown = ascii(value) if len(ascii(value)) < 60 else f"{ascii(value)[:40]}..."
        cases.append((f"{key} {shown}", lambda path, key=key, value=value: _write_with(path, {key: value}), is_sure))
    raw = {
        "nested deeply": '{"format": 1, "labels": ' + "[" * DEEP + "]" * DEEP + "}",
        "training nested deeply": json.dumps(_document())[:-1] + ', "training": ' + "[" * DEEP + "]" * DEEP + "}",
        "no JSON": "tree",
        "an empty document": "",
        "a list": "[1]",
        "a number": "1",
        "null": "null",
        "NaN for temperature": json.dumps({**_document(), "temperature": math.nan}),
        "infinite threshold": json.dumps({**_document(), "threshold": math.inf}),
        "a number of 10,000 digits": json.dumps(_document())[:-1] + ', "temperature": ' + "9" * 10_000 + "}",
    }
    return cases + [(name, lambda path, text=text: _write_text(path, text), True) for name, text in raw.items()]


def _document() -> dict[str, Any]:
    return {"format": 1, "labels": list(LABELS), "size": SIDE}


def _write_with(path: Path, more: dict[str, Any]) -> None:
    size = more.get("size")
    write_sound(path, more)
    if isinstance(size, int) and not isinstance(size, bool) and 10**5 < size < 2**31:  # the graph says so too
        _set_input_side(path, size)


def _set_input_side(path: Path, side: int) -> None:
    import onnx

    model = onnx.load(str(path))
    for number in (1, 2):
        model.graph.input[0].type.tensor_type.shape.dim[number].dim_value = side
    onnx.save(model, str(path))


def _write_text(path: Path, text: str) -> None:
    import onnx

    model = make_linear_graph(np.zeros((SIDE * SIDE * 3, 3), np.float32), np.zeros(3, np.float32))
    onnx.helper.set_model_props(model, {"yoga_live": text})
    onnx.save(model, str(path))


def list_graphs() -> list[tuple[str, Break, bool]]:
    """Networks that answer with what is no number, or that are other than their metadata say."""
    cases: list[tuple[str, Break, bool]] = []
    for name, value in (("NaN", math.nan), ("infinite", math.inf), ("minus infinite", -math.inf)):
        for place in ("one", "all"):
            bias = np.full(3, value, np.float32) if place == "all" else np.array([0, value, 0], np.float32)
            cases.append((f"{place} logits {name}", lambda path, bias=bias: _write_bias(path, bias), True))
    cases.append(("logits of 1e38", lambda path: _write_bias(path, np.array([1e38, -1e38, 0], np.float32)), False))
    cases += [
        (f"{count} logits for 3 labels", lambda path, count=count: _write_classes(path, count), True)
        for count in (1, 2, 4)
    ]
    for name, old, new in (
        ("an input of another name", b"frames", b"pixels"),
        ("no maps", b"maps", b"spam"),
        ("no logits", b"logits", b"logjam"),
        ("an unknown operator", b"Flatten", b"Flatter"),
    ):
        cases.append((name, lambda path, old=old, new=new: _replace(path, old, new), True))
    return cases


def _write_bias(path: Path, bias: Any) -> None:
    write_linear_model(path, LABELS, np.zeros((SIDE * SIDE * 3, 3), np.float32), bias)


def _write_classes(path: Path, count: int) -> None:
    write_linear_model(path, LABELS, np.zeros((SIDE * SIDE * 3, count), np.float32), np.zeros(count, np.float32))


def _replace(path: Path, old: bytes, new: bytes) -> None:
    path.write_bytes(write_sound(path).read_bytes().replace(old, new))


def list_files() -> list[tuple[str, Break, bool]]:
    """What lies where a model should."""
    return [
        ("an empty file", lambda path: path.write_bytes(b""), True),
        ("text", lambda path: path.write_text("a model"), True),
        ("a folder", lambda path: path.mkdir(), True),
        ("nothing", lambda path: None, True),
        ("a link to itself", lambda path: path.symlink_to(path), True),
        ("a FIFO", lambda path: os.mkfifo(path), True),
        ("a link to /dev/zero", lambda path: path.symlink_to("/dev/zero"), True),
    ]


def list_noise(content: bytes, count: int, bench: Bench) -> list[tuple[str, Break, bool]]:
    """Cut files and flipped bits, outside the weights."""
    rng = bench.make_random("models")
    ends = [*range(400), *range(len(content) - 600, len(content))]
    cases: list[tuple[str, Break, bool]] = []
    for number in range(max(count, 10)):
        damaged = bytearray(content)
        if number % 3 == 0:
            del damaged[rng.choice((1, 10, 100, len(content) // 2, len(content) - 5)) :]
        else:
            for _ in range(rng.choice((1, 3, 10))):
                damaged[rng.choice(ends)] ^= 1 << rng.randrange(8)
        cases.append((f"flipped or cut, number {number}", lambda path, it=bytes(damaged): path.write_bytes(it), False))
    return cases
