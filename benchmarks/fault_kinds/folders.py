"""Photo folders and places where files should be that hold something else: devices, FIFOs, links that lead out."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from fault_kinds.bench import Bench
from fault_kinds.command_worker import list_command
from fault_kinds.models import LABELS
from fault_kinds.outcome import Answer, Outcome, find_break, judge_done, judge_refusal
from fault_kinds.runs import draw_run

KIND = "folders and odd files"
LIMIT_S = 30.0
HEADER = "pose,url,sha256,phash,width,height,group,status,reason,path,mirror_phash\n"

Make = Callable[[Path], object]


def run(bench: Bench) -> Iterator[Outcome]:
    """Manifests, places, links."""
    yield from try_manifests(bench)
    yield from try_places(bench)
    yield from try_odd_photos(bench)
    yield try_waiting(bench)
    yield from try_removed(bench)


def draw_photos(folder: Path, count: int = 6) -> Path:
    """A folder of photos that differ, two poses."""
    rng = random.Random(str(folder.name))
    for number in range(count):
        place = folder / ("tree", "plank")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.frombytes("RGB", (64, 48), rng.randbytes(64 * 48 * 3)).save(place / f"{number}.png")
    return folder


def list_manifests() -> list[tuple[str, Make]]:
    """What manifest.csv may be that is no manifest."""
    texts = {
        "empty": b"",
        "a line break": b"\n",
        "zeros": bytes(4096),
        "other columns": b"a,b,c\n1,2,3\n",
        "a row of too few cells": HEADER.encode() + b"tree,file:///x\n",
        "binary": bytes(range(256)) * 4,
    }
    cases: list[tuple[str, Make]] = [
        (f"manifest.csv: {name}", lambda path, text=text: path.write_bytes(text)) for name, text in texts.items()
    ]
    cases.append(("manifest.csv: a link to /dev/zero", lambda path: path.symlink_to("/dev/zero")))
    cases.append(("manifest.csv: a FIFO", os.mkfifo))
    cases.append(("manifest.csv: a folder", lambda path: path.mkdir()))
    return cases


def try_manifests(bench: Bench) -> Iterator[Outcome]:
    """What is no manifest is refused, and is still there afterwards."""
    for number, (name, make) in enumerate(bench.choose(list_manifests())):
        photos = draw_photos(bench.folder / f"manifest_{number}")
        new = draw_photos(bench.folder / f"new_{number}", 2)
        make(photos / "manifest.csv")
        before = _read(photos / "manifest.csv")
        answer = bench.worker.run("yoga-train", "add", new, "--pose", "tree", "--to", photos, limit_s=LIMIT_S)
        outcome = judge_refusal(KIND, f"add: {name}", answer, says="manifest")
        if outcome.verdict == "refused" and _read(photos / "manifest.csv") != before:
            outcome = Outcome(KIND, f"add: {name}", "wrong", "it was changed", "it stays as it is")
        yield outcome
        answer = bench.worker.run("yoga-train", "stats", photos, limit_s=LIMIT_S)
        yield judge_refusal(KIND, f"stats: {name}", answer, says="manifest")


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def try_places(bench: Bench) -> Iterator[Outcome]:
    """Inputs and outputs that are of another kind than asked for."""
    photos = draw_photos(bench.folder / "plain")
    fifo, loop, long = bench.folder / "fifo", bench.folder / "loop", bench.folder / ("a" * 300 + ".mp4")
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    fixed = ["--model", bench.model, "--device", "cpu", "--no-window"]
    model, table = fixed[:4], ["--timeline", bench.folder / "t.csv"]
    videos = ("/dev/zero", "/dev/null", "/nowhere", loop, long, photos / "tree" / "0.png/x")
    files = [_write(bench.folder / "words.mp4", b"no video\n" * 99), _write(bench.folder / "empty.mp4", b"")]
    contents = {"none.txt": b"\n", "binary.txt": bytes(range(256)), "gone.txt": b"gone.mp4\n"}
    lists = [_write(bench.folder / name, content) for name, content in contents.items()]
    cases: list[tuple[str, list[str | Path]]] = [
        *((f"--video {path}", ["--video", path, *fixed, *table]) for path in videos),
        *((f"--images {path}", ["--images", path, *model]) for path in (*videos[:4], fifo)),
        ("--save into /dev/null", ["--demo", *fixed, "--save", "/dev/null"]),
        ("--save below a file", ["--demo", *fixed, "--save", photos / "tree" / "0.png" / "o.mp4"]),
        ("--timeline that is a folder", ["--demo", *fixed, "--timeline", photos]),
        ("--summary that is a link to itself", ["--demo", *fixed, "--summary", loop]),
        *((f"--video of {path.name}", ["--video", path, *fixed, *table]) for path in files),
        *((f"--video of {path.name}", ["--video", path, *model, "--timeline", bench.folder]) for path in lists),
    ]  # fmt: skip
    for name, arguments in bench.choose(cases):
        answer = bench.worker.run("yoga-live", *arguments, limit_s=LIMIT_S)
        yield judge_refusal(KIND, name.replace(str(bench.folder), "."), answer)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def try_odd_photos(bench: Bench) -> Iterator[Outcome]:
    """Photo folders with FIFOs, devices, loops and links called .jpg: the photos among them count, nothing hangs."""
    odd: list[tuple[str, Make]] = [
        ("a FIFO", os.mkfifo),
        ("a link to /dev/zero", lambda path: path.symlink_to("/dev/zero")),
        ("a link to itself", lambda path: path.symlink_to(path)),
        ("a link to nothing", lambda path: path.symlink_to("nothing")),
        ("a folder", lambda path: path.mkdir()),
        ("a file without permission", lambda path: (path.write_bytes(b"x"), path.chmod(0))),
    ]
    for number, (name, make) in enumerate(bench.choose(odd)):
        photos = draw_photos(bench.folder / f"odd_{number}")
        make(photos / "tree" / "odd.jpg")
        options = ["--model", bench.model, "--device", "cpu"]
        table = bench.folder / f"odd_{number}.csv"
        adding = ["add", photos, "--pose", "tree", "--to", bench.folder / f"to_{number}"]
        answers = [
            bench.worker.run("yoga-live", "--images", photos, "--table", table, *options, limit_s=LIMIT_S),
            bench.worker.run("yoga-train", "stats", photos, limit_s=LIMIT_S),
            bench.worker.run("yoga-train", *adding, limit_s=LIMIT_S),
        ]
        for command, answer in zip(("--images", "stats", "add"), answers, strict=True):
            fault = find_break(answer)
            right = "the six photos count, the odd one is told or left out" if fault else ""
            yield Outcome(KIND, f"{command}: {name} called odd.jpg", "wrong" if fault else "handled", fault, right)


def try_waiting(bench: Bench) -> Outcome:
    """A FIFO as --video: nobody writes into it, so a line says that it is waited for."""
    fifo = bench.folder / "pipe.mp4"
    os.mkfifo(fifo)
    fixed = ["--model", bench.model, "--device", "cpu", "--no-window", "--timeline", bench.folder / "p.csv"]
    command = list_command("yoga-live", "--video", fifo, *fixed)
    with subprocess.Popen(command, env=bench.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(6)
        process.terminate()
        try:
            out, err = process.communicate(timeout=10)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            code = None
    answer = Answer(code, out.decode(errors="replace"), err.decode(errors="replace"), 6.0)
    says = "wait" in answer.err.lower() or (answer.code == 2 and answer.err.count("error:") == 1)
    fault = find_break(answer) or ("" if says else f"not a word: {answer.last_line}")
    right = "a line says that it waits; SIGTERM ends it" if fault else ""
    return Outcome(KIND, "--video of a FIFO", "wrong" if fault else "handled", fault, right)


def try_removed(bench: Bench) -> Iterator[Outcome]:
    """`_removed` as a link out of the folder: nothing is moved there; where it is none, one photo is removed."""
    for target in ("no link", *bench.choose(("a folder", "a file", "nothing"))):
        place = bench.make_folder(f"removed_{target.replace(' ', '_')}")
        folder, outside = draw_wrong_run(place), place / "outside"
        if target == "a folder":
            outside.mkdir()
        elif target == "a file":
            outside.write_bytes(b"kept")
        removed = place / "photos" / "_removed"
        if target != "no link":
            removed.symlink_to(outside)
        arguments = ["clean", place / "photos", folder, "--auto", "0.9"]
        answer = bench.worker.run("yoga-train", *arguments, limit_s=LIMIT_S)
        name = f"clean --auto, _removed is {target if target == 'no link' else f'a link to {target} outside'}"
        if target == "no link":
            moved = removed.is_dir() and any(path.is_file() for path in removed.rglob("*"))
            yield judge_done(KIND, name, answer, "" if moved else "no photo was removed")
        elif outside.is_dir() and any(outside.iterdir()):
            yield Outcome(KIND, name, "wrong", "a photo was moved out of the folder", "refused in one line")
        else:
            yield judge_refusal(KIND, name, answer, says="_removed")


def draw_wrong_run(place: Path) -> Path:
    """A run that is sure that its first photo, of those that it was trained on, shows no pose of its label."""
    folder = draw_run(place)
    table = folder / "photos.csv"
    head, first, *others = table.read_text().splitlines()
    table.write_text("\n".join([head, first.replace(",test", ",train"), *others]) + "\n")
    lines = [f"path,{','.join(LABELS)}"]
    for number, row in enumerate([first, *others]):
        path, _, pose, *_ = row.split(",")
        shares = [0.5 if label == pose else 0.25 for label in LABELS] if number else [0.0, 0.5, 0.5]
        lines.append(",".join([path, *map(str, shares)]))
    (folder / "folds.csv").write_text("\n".join(lines) + "\n")
    return folder
