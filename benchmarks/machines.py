"""Training as two machines beside one: `python benchmarks/machines.py PHOTOS [--rounds 3]`.

Two torchrun agents on this machine, a process and half the threads each, with photos and a cache of their own, take
turns with one process.  For every process: the photos that it decoded, trained on and answered for, processor seconds
of the training epochs, and its own memory at the peak (anonymous pages: decoded frames are a file that all map).
On a busy machine compare processor seconds, with `--threads 1`: threads that wait for each other are slowed most.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command


def count_work() -> dict[str, float]:
    """Have this process count what it does, in the dictionary that is returned."""
    from yoga_live.train.fit.backdrops import Surroundings
    from yoga_live.train.fit.trainer import Trainer
    from yoga_live.train.photos import folder as photo_folder

    counts: dict[str, float] = {"decoded": 0, "trained on": 0, "answered for": 0, "processor s": 0.0}
    read, augment, predict = photo_folder._read_one, Surroundings.augment, Trainer.predict
    train_epoch = Trainer._train_epoch

    def read_and_count(path: Path, size: int, pose: str) -> Any:
        counts["decoded"] += 1
        return read(path, size, pose)

    def augment_and_count(self: Surroundings, rows: Any, *rest: Any) -> Any:
        counts["trained on"] += len(rows)
        return augment(self, rows, *rest)

    def predict_and_count(self: Trainer, photos: Any, **options: Any) -> Any:
        share = self.workers.own_slice(len(photos))
        counts["answered for"] += share.stop - share.start
        return predict(self, photos, **options)

    def train_and_time(self: Trainer, *rest: Any) -> float:
        self.surroundings  # noqa: B018  (found once, not in each epoch)
        started_s = time.process_time()
        loss = train_epoch(self, *rest)
        counts["processor s"] += time.process_time() - started_s
        return loss

    Trainer._train_epoch = train_and_time  # pyright: ignore[reportAttributeAccessIssue]
    photo_folder._read_one = read_and_count
    Surroundings.augment = augment_and_count  # pyright: ignore[reportAttributeAccessIssue]
    Trainer.predict = predict_and_count
    return counts


def work(arguments: list[str]) -> int:
    """Be one worker: `yoga-train`, and then a line of JSON in the file COUNTS."""
    from yoga_live.train.cli.main import main as train

    counts = count_work()
    code = train(arguments)
    Path(os.environ["COUNTS"] + os.environ.get("RANK", "0")).write_text(json.dumps(counts))
    return code


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def read_tree(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid] + [one for child in children for one in read_tree(int(child))]


def read_own_memory(pid: int) -> int:
    """Bytes of anonymous pages."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def watch_memory(processes: list[subprocess.Popen[bytes]]) -> int:
    """Wait for the end.  Returns the most that one process had."""
    most = 0
    while any(process.poll() is None for process in processes):
        for process in processes:
            most = max([most, *(read_own_memory(pid) for pid in read_tree(process.pid))])
        time.sleep(0.5)
    for process in processes:
        if process.returncode:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
    return most


def train(photos: list[Path], caches: list[Path], folder: Path, options: list[str], threads: int) -> dict[str, Any]:
    """Train on as many machines as there are photo folders.  Returns seconds an epoch, counts and memory."""
    counts, port, processes = folder.with_suffix(".counts"), find_port(), []
    for number, (place, cache) in enumerate(zip(photos, caches, strict=True)):
        environment = os.environ | {
            "XDG_CACHE_HOME": str(cache),
            "OMP_NUM_THREADS": str(threads),
            "COUNTS": str(counts),
        }
        launcher = [
            *("-m", "torch.distributed.run", "--nnodes", str(len(photos)), "--nproc-per-node", "1"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}"),
            *("--rdzv-conf", f"is_host={int(number == 0)}"),
        ]
        command = [sys.executable, *(launcher if len(photos) > 1 else []), __file__, "--worker", "fit", str(place)]
        processes.append(
            subprocess.Popen([*command, "--to", str(folder), *options], env=environment, stderr=subprocess.DEVNULL)
        )
    memory = watch_memory(processes)
    with (folder / "log.csv").open(newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)][1:]
    work_done = [json.loads(Path(f"{counts}{rank}").read_text()) for rank in range(len(photos))]
    return {"seconds": statistics.median(seconds), "work": work_done, "memory": memory}


def measure(args: argparse.Namespace) -> None:
    """Both in turns."""
    half = max(1, len(os.sched_getaffinity(0)) // 2)
    options = [
        *("--weights", "none", "--device", "cpu", "--arch", args.arch, "--size", str(args.size)),
        *("--batch", str(args.batch), "--epochs", str(args.epochs), "--epochs-frozen", "1"),
    ]
    with tempfile.TemporaryDirectory() as work_folder:
        folder = Path(work_folder)
        places = [folder / "a" / "photos", folder / "b" / "pictures"]
        for place in places:
            shutil.copytree(args.photos, place)
        ratios = []
        for turn in range(args.rounds):
            caches = [folder / f"cache{turn}{name}" for name in "abc"]
            one = train(places[:1], caches[:1], folder / f"one{turn}", options, args.threads or 2 * half)
            two = train(places, caches[1:], folder / f"two{turn}", options, half)
            ratios.append(one["seconds"] / two["seconds"])
            for name, result in (("one", one), ("two", two)):
                print(f"{name}: {result['seconds']:.1f} s an epoch, up to {result['memory'] / 2**20:.0f} MiB a process")
                for rank, work_done in enumerate(result["work"]):
                    print(f"  worker {rank}: " + ", ".join(f"{what} {count:.5g}" for what, count in work_done.items()))
            cost = sum(work_done["processor s"] for work_done in two["work"]) / one["work"][0]["processor s"]
            print(f"two beside one: {ratios[-1]:.2f} of the speed, {cost:.2f} of the processor time", flush=True)
        print(f"median of {args.rounds}: {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder per pose; copied twice")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of the one process; 0: as many as there are cores")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--arch", default="resnet34")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=32)
    return run_command("machines.py", measure, parser.parse_args())


if __name__ == "__main__":
    sys.exit(work(sys.argv[2:]) if sys.argv[1:2] == ["--worker"] else main())
