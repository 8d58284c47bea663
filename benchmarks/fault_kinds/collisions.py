"""Two who want one name: an output that appears while a run lasts, two runs with one output, a disk that is full."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from fault_kinds import ffmpeg
from fault_kinds.bench import Bench
from fault_kinds.command_worker import list_command, run_child
from fault_kinds.outcome import Answer, Outcome, find_break, find_refusal_fault

KIND = "collisions"
SECONDS = 40.0
USERS = b"what the user wrote"
LIMIT_S, START_S = 120.0, 30.0
DISK_BYTES = 200_000
CLUSTER_LIMIT_S = 150.0


def run(bench: Bench) -> Iterator[Outcome]:
    """Every output, in every way to be taken."""
    encode = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac")
    clip = ffmpeg.draw_moving(bench.folder / "clip.mp4", *encode, size="320x240", seconds=SECONDS)
    outputs = ("o.mp4", "o.csv", "o.png")
    cases: list[Callable[[Path], Outcome]] = []
    cases += [partial(try_appearing, bench, clip, taken, after_s) for taken in outputs for after_s in (0.2, 0.6)]
    cases += [partial(try_appearing_in_folder, bench, clip, taken) for taken in ("clip.mp4", "clip.poses.csv")]
    cases += [partial(try_two, bench, clip, delay_s) for delay_s in (0.0, 0.0, 0.1, 0.3, 0.6, 1.0)]
    cases += [partial(try_full_disk, bench, clip, size) for size in (DISK_BYTES, 2 * DISK_BYTES, 4 * DISK_BYTES)]
    cases += [partial(try_images, bench), partial(try_two_adds, bench), partial(try_clusters, bench, clip)]
    for number, case in enumerate(bench.choose(cases)):
        yield case(bench.make_folder(f"case_{number}"))


def start(bench: Bench, *arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start yoga-live with the small model, in a process of its own."""
    command = list_command("yoga-live", *arguments, "--model", bench.model, "--device", "cpu")
    return subprocess.Popen(command, env=bench.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes], limit_s: float = LIMIT_S) -> Answer:
    """Wait for its end."""
    started_s = time.monotonic()
    try:
        out, err = process.communicate(timeout=limit_s)
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        code = None
    return Answer(code, out.decode(errors="replace"), err.decode(errors="replace"), time.monotonic() - started_s)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until an output grows."""
    until_s = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until_s and not path.exists():
        time.sleep(0.01)


def try_appearing(bench: Bench, clip: Path, taken: str, after_s: float, folder: Path) -> Outcome:
    """Somebody writes one of the outputs while the run lasts."""
    outputs = ["--save", folder / "o.mp4", "--timeline", folder / "o.csv", "--summary", folder / "o.png"]
    process = start(bench, "--video", clip, *outputs, "--no-window")
    wait_for(folder / "o.part.mp4", process)
    time.sleep(after_s)
    (folder / taken).write_bytes(USERS)
    return judge_appearing(f"{taken} appears {after_s} s after the start", finish(process), folder / taken)


def try_appearing_in_folder(bench: Bench, clip: Path, taken: str, folder: Path) -> Outcome:
    """The same where outputs go into a folder."""
    process = start(bench, "--video", clip, clip, "--save", folder, "--timeline", folder)
    process = process if process.poll() is None else start(bench, "--video", clip, "--save", folder)
    wait_for(folder / "clip.part.mp4", process)
    (folder / taken).write_bytes(USERS)
    return judge_appearing(f"{taken} appears in the folder", finish(process), folder / taken)


def judge_appearing(name: str, answer: Answer, taken: Path) -> Outcome:
    """The user's file is as it was, the result has its .part name, a line says so."""
    part = taken.with_name(f"{taken.stem}.part{taken.suffix}")
    faults = []
    if taken.read_bytes() != USERS:
        faults.append(f"{taken.name} was replaced")
    if not part.exists():
        faults.append(f"no {part.name}")
    elif part.suffix == ".mp4" and abs(ffmpeg.measure(part).picture_s - SECONDS) > 1:
        faults.append(f"{part.name} is not whole")
    if fault := find_refusal_fault(answer):
        faults.append(fault)
    elif part.name not in answer.err:
        faults.append(f"the line does not name {part.name}: {answer.last_line}")
    right = f"the user's {taken.name} stays, the result stays {part.name}, one line, exit code 2"
    return Outcome(KIND, name, "wrong" if faults else "handled", "; ".join(faults), right if faults else "")


def try_two(bench: Bench, clip: Path, delay_s: float, folder: Path) -> Outcome:
    """Two runs with one output name."""
    first = start(bench, "--video", clip, "--save", folder / "o.mp4", "--no-window")
    time.sleep(delay_s)
    second = start(bench, "--video", clip, "--save", folder / "o.mp4", "--no-window")
    answers = [finish(first), finish(second)]
    name = f"two runs with one output, {delay_s} s apart"
    right = "one ends with 0, the other with 2 and one line, o.mp4 is whole"
    codes = sorted(-1 if answer.code is None else answer.code for answer in answers)
    if codes != [0, 2]:
        words = [find_break(answer) or answer.last_line for answer in answers]
        return Outcome(KIND, name, "wrong", f"exit codes {codes}: {' | '.join(words)}", right)
    loser = next(answer for answer in answers if answer.code == 2)
    if fault := find_refusal_fault(loser):
        return Outcome(KIND, name, "wrong", fault, right)
    if abs((length_s := ffmpeg.measure(folder / "o.mp4").picture_s) - SECONDS) > 1:
        return Outcome(KIND, name, "wrong", f"o.mp4 plays {length_s:.1f} s of {SECONDS:.0f}", right)
    return Outcome(KIND, name, "refused")


def try_full_disk(bench: Bench, clip: Path, most_bytes: int, folder: Path) -> Outcome:
    """No file may grow further: what a full disk does, without one."""
    command = list_command("yoga-live", "--video", clip, "--save", folder / "o.mp4", "--no-window")
    command += ["--model", str(bench.model), "--device", "cpu"]
    limits = (most_bytes, most_bytes)
    answer = run_child(
        command, bench.environment, LIMIT_S, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    )
    faults = [fault] if (fault := find_refusal_fault(answer)) else []
    if "o.part.mp4" not in answer.err:
        faults.append(f"the line does not name o.part.mp4: {answer.last_line}")
    if (folder / "o.mp4").exists():
        faults.append("o.mp4 is there")
    part = folder / "o.part.mp4"
    if not part.exists() or not ffmpeg.measure(part).frames:
        faults.append("no o.part.mp4 that plays")
    right = "one line that names o.mp4 and the part, which plays; no o.mp4"
    name = f"no room after {most_bytes // 1000} kB"
    return Outcome(KIND, name, "wrong" if faults else "refused", "; ".join(faults), right if faults else "")


def try_images(bench: Bench, folder: Path) -> Outcome:
    """The table of photos appears while they are classified."""
    from PIL import Image

    from fault_kinds.shape_model import draw_quadrants

    photos = folder / "photos"
    photos.mkdir()
    Image.fromarray(draw_quadrants(3000, 2000)).save(photos / "0.png")
    for number in range(1, 60):
        (photos / f"{number}.png").write_bytes((photos / "0.png").read_bytes())
    table = folder / "o.csv"
    process = start(bench, "--images", photos, "--table", table)
    assert process.stderr is not None
    process.stderr.readline()  # how many photos, which it says once it has looked
    table.write_bytes(USERS)
    answer = finish(process)
    faults = [] if table.read_bytes() == USERS else ["o.csv was replaced"]
    faults += [] if answer.code == 2 else [f"exit code {answer.code}"]
    faults += [] if (folder / "o.part.csv").exists() else ["no o.part.csv"]
    right = "the user's o.csv stays, the result stays o.part.csv, exit code 2"
    name = "the table of --images appears"
    return Outcome(KIND, name, "wrong" if faults else "handled", "; ".join(faults), right if faults else "")


def try_two_adds(bench: Bench, folder: Path) -> Outcome:
    """Two commands that add to one photo folder: one of them is told that the other is at it."""
    from PIL import Image

    rng = bench.make_random("adds")
    for number in range(300):
        place = folder / "new"
        place.mkdir(exist_ok=True)
        Image.frombytes("RGB", (64, 48), rng.randbytes(64 * 48 * 3)).save(place / f"{number}.png")
    command = list_command("yoga-train", "add", folder / "new", "--pose", "tree", "--to", folder / "photos")
    processes = [
        subprocess.Popen(command, env=bench.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = [finish(process) for process in processes]
    whole = len(list((folder / "photos" / "tree").glob("*.png"))) == 300
    codes = sorted(-1 if answer.code is None else answer.code for answer in answers)
    loser = [answer for answer in answers if answer.code == 2]
    fault = "" if codes in ([0, 0], [0, 2]) else f"exit codes {codes}"
    fault = fault or next((found for each in loser if (found := find_refusal_fault(each))), "")
    fault = fault or ("" if whole else "not every photo is there")
    right = "all 300 photos; who comes second ends with one line, or waits" if fault else ""
    return Outcome(KIND, "two commands add to one folder", "wrong" if fault else "handled", fault, right)


def try_clusters(bench: Bench, clip: Path, folder: Path) -> Outcome:
    """Two clusters into one folder: the second says who holds it."""
    arguments = ["--video", clip, "--to", folder / "out", "--cluster", "local", "--workers", "1"]
    first = start(bench, *arguments)
    time.sleep(3)
    second = start(bench, *arguments)
    answers = [finish(process, CLUSTER_LIMIT_S) for process in (first, second)]
    codes = [answer.code for answer in answers]
    fault = "" if codes == [0, 2] else f"exit codes {codes}: {' | '.join(answer.last_line for answer in answers)}"
    fault = fault or find_refusal_fault(answers[1])
    right = "the first ends with 0, the second with 2 and one line that says who holds the folder" if fault else ""
    return Outcome(KIND, "two --cluster runs into one folder", "wrong" if fault else "refused", fault, right)
