"""Annotating a file, stopped at random moments: nothing half-done under a final name, what is there plays."""

from __future__ import annotations

import csv
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fault_kinds import ffmpeg
from fault_kinds.bench import Bench
from fault_kinds.command_worker import list_command
from fault_kinds.outcome import Answer, Outcome, find_break

KIND = "kills"
SECONDS, COUNT, AT_ONCE = 240, 50, 2
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -signal.SIGKILL}
STOPPED_AT = re.compile(r"stopped at (\d+(?:\.\d+)?)(?: s)? of (\d+(?:\.\d+)?) s", re.IGNORECASE)
SAME_S, LOST_S = 0.6, 3.0
"""By how much what plays may differ from what is told; and what SIGKILL may cost, as a power cut would."""
START_S, LIMIT_S = 30.0, 30.0


@dataclass(frozen=True)
class Stop:
    """One run that is stopped.  after_s: after its output began to grow, or after the start where `is_early`."""

    number: int
    kind: signal.Signals
    after_s: float
    is_early: bool

    @property
    def name(self) -> str:
        moment = "the start" if self.is_early else "the first output"
        return f"{self.kind.name} {self.after_s:.2f} s after {moment}, number {self.number}"


def run(bench: Bench) -> Iterator[Outcome]:
    """Stop many runs, two at once; the same command then goes through."""
    encode = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac")
    clip = ffmpeg.draw_moving(bench.folder / "clip.mp4", *encode, size="320x240", seconds=SECONDS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for outcomes in pool.map(lambda stop: try_stop(bench, clip, stop), list_stops(bench)):
            yield from outcomes


def list_stops(bench: Bench) -> list[Stop]:
    """Which signal, and when."""
    rng: random.Random = bench.make_random("kills")
    kinds = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
    stops = []
    for number in range(bench.count(COUNT)):
        is_early = number % 8 == 7
        after_s = rng.uniform(0.3, 1.2) if is_early else rng.uniform(0.05, 2.5)
        stops.append(Stop(number, kinds[number % len(kinds)], after_s, is_early))
    return stops


def try_stop(bench: Bench, clip: Path, stop: Stop) -> list[Outcome]:
    """Stop one run; of every third, what the next run with the same names makes of what is left."""
    folder = bench.make_folder(f"run_{stop.number}")
    answer = stop_run(bench, clip, folder, stop)
    fault = find_early_fault(answer, folder, stop) if stop.is_early else find_fault(answer, folder, stop)
    right = f"exit code {CODES[stop.kind]}, 'stopped at A of B s', o.part.mp4 plays to A, no o.mp4 and no o.csv"
    outcomes = [Outcome(KIND, stop.name, "wrong" if fault else "handled", fault, right if fault else "")]
    if stop.number % 3 == 2 and (folder / "o.part.mp4").exists():
        outcomes.append(try_again(bench, clip, folder, stop))
    return outcomes


def make_command(bench: Bench, clip: Path, folder: Path, *more: str) -> list[str]:
    """The command that is stopped."""
    outputs = ["--save", folder / "o.mp4", "--timeline", folder / "o.csv"]
    fixed = ["--model", bench.model, "--device", "cpu", "--no-window"]
    return list_command("yoga-live", "--video", clip, *outputs, *fixed, *more)


def stop_run(bench: Bench, clip: Path, folder: Path, stop: Stop) -> Answer:
    """Start it, wait, send the signal."""
    started_s = time.monotonic()
    process = subprocess.Popen(
        make_command(bench, clip, folder), env=bench.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said: list[bytes] = [b"", b""]
    pipes = enumerate((process.stdout, process.stderr))
    readers = [threading.Thread(target=_read, args=(pipe, said, number)) for number, pipe in pipes]
    for reader in readers:
        reader.start()
    part = folder / "o.part.mp4"
    while not stop.is_early and process.poll() is None and time.monotonic() - started_s < START_S:
        if part.exists() and part.stat().st_size > 5000:
            break
        time.sleep(0.02)
    time.sleep(stop.after_s)
    process.send_signal(stop.kind)
    try:
        code: int | None = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        code = None
    for reader in readers:
        reader.join()
    out, err = (part.decode(errors="replace") for part in said)
    return Answer(code, out, err, time.monotonic() - started_s)


def _read(pipe: object, said: list[bytes], number: int) -> None:
    said[number] = pipe.read()  # type: ignore[attr-defined]


def find_early_fault(answer: Answer, folder: Path, stop: Stop) -> str:
    """Before there is anything to keep: no traceback, no file."""
    if "Traceback" in answer.err:
        return find_break(answer)
    if answer.code not in (CODES[stop.kind], -stop.kind):  # the interpreter itself was starting
        return f"exit code {answer.code}: {answer.last_line}"
    finals = [name for name in ("o.mp4", "o.csv") if (folder / name).exists()]
    return f"{', '.join(finals)} under the final name" if finals else ""


def find_fault(answer: Answer, folder: Path, stop: Stop) -> str:
    """What is wrong with what a stopped run left and said."""
    faults = []
    if answer.code != CODES[stop.kind]:
        faults.append("hangs" if answer.code is None else f"exit code {answer.code}")
    if "Traceback" in answer.err:
        faults.append(find_break(answer))
    faults += [f"{name} under the final name" for name in ("o.mp4", "o.csv") if (folder / name).exists()]
    if re.search(r"written: \S*o\.(mp4|csv)", answer.out + answer.err):
        faults.append("'written'")
    part = folder / "o.part.mp4"
    media = ffmpeg.measure(part) if part.exists() else ffmpeg.Media(0, 0.0, 0.0, 0.0)
    told = STOPPED_AT.search(answer.out + answer.err)
    if stop.kind == signal.SIGKILL:
        return ", ".join([*faults, *([] if media.frames else ["o.part.mp4 does not play"])])
    if not media.frames:
        faults.append("no o.part.mp4" if not part.exists() else "o.part.mp4 does not play")
    if told is None:
        return ", ".join([*faults, "no 'stopped at A of B s'"])
    if abs(float(told[2]) - SECONDS) > SAME_S:
        faults.append(f"'{told[0]}'")
    if abs(float(told[1]) - media.picture_s) > SAME_S:
        faults.append(f"'{told[0]}', but o.part.mp4 plays {media.picture_s:.1f} s")
    if media.sound_s and abs(media.sound_s - media.picture_s) > SAME_S:
        faults.append(f"{media.sound_s:.1f} s of sound beside {media.picture_s:.1f} s of picture")
    faults += find_table_fault(folder / "o.part.csv", float(told[1]))
    return ", ".join(faults)


def find_table_fault(table: Path, until_s: float) -> list[str]:
    """The timeline too must reach to where it was stopped."""
    if not table.exists():
        return ["no o.part.csv"]
    with table.open(newline="", encoding="utf-8") as file:
        ends = [float(row["end_s"]) for row in csv.DictReader(file)]
    end_s = max(ends, default=0.0)
    return [] if abs(end_s - until_s) <= SAME_S else [f"o.part.csv ends at {end_s:.1f} s"]


def try_again(bench: Bench, clip: Path, folder: Path, stop: Stop) -> Outcome:
    """The next run with the same outputs replaces what is left, with a line."""
    answer = bench.run_child(make_command(bench, clip, folder, "--to", "2"))
    name = f"again after {stop.name}"
    right = "exit code 0, o.mp4 plays, one line says that o.part.mp4 was replaced" if answer.code else ""
    fault = find_break(answer) or (f"exit code {answer.code}: {answer.last_line}" if answer.code else "")
    if not fault and "o.part.mp4" not in answer.err + answer.out:
        fault, right = "not a word of o.part.mp4", "a line says that it was replaced"
    if not fault and ((folder / "o.part.mp4").exists() or not ffmpeg.measure(folder / "o.mp4").frames):
        fault, right = "o.mp4 does not play, or o.part.mp4 is still there", "o.mp4 alone, and it plays"
    return Outcome(KIND, name, "wrong" if fault else "handled", fault, right)
