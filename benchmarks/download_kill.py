"""Kill a download at random moments, resume it, compare: `python benchmarks/download_kill.py [FOLDER]`.

Each round kills the command with SIGKILL again and again until it gets through, then compares every photo and the
manifest, byte for byte, with those of an undisturbed run.  The server serves copies, failures and redirects too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from photo_server import find_fault, list_urls, run_server

KILLS_PER_ROUND = 3
HOSTS = 8
PHOTOS_PER_POSE = 3  # of four URLs: the fourth is a copy of another photo under a new address


def write_lists(folder: Path, urls: list[str]) -> None:
    """Two poses; every fourth URL of each is another address of the photo before it."""
    for pose, own in (("tree", urls[::2]), ("plank", urls[1::2])):
        lines = ["url"]
        for number, url in enumerate(own):
            lines.append(url)
            if number % PHOTOS_PER_POSE == 0:
                lines.append(f"{url}?copy")
        folder.mkdir(exist_ok=True)
        (folder / f"{pose}.csv").write_text("\n".join(lines) + "\n")


def read_result(photos: Path) -> dict[str, bytes]:
    """Every file of a photo folder but for the lock."""
    files = [path for path in photos.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(photos).as_posix(): path.read_bytes() for path in files}


def start_download(lists: Path, photos: Path) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    command = [sys.executable, "-m", "yoga_live.train", "download", str(lists), "--to", str(photos)]
    command += ["--allow-private", "--timeout", "2"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_transfer(process: subprocess.Popen[bytes], photos: Path, started_ns: int) -> float:
    """Wait until the command has begun to ask for photos.  Returns the time, in seconds."""
    parts = photos / ".download"
    while process.poll() is None:
        with suppress(OSError):
            if parts.stat().st_mtime_ns >= started_ns:
                break
        time.sleep(0.005)
    return time.monotonic()


def run_undisturbed(lists: Path, photos: Path) -> float:
    """Run the download to its end.  Returns how long it took from the first request on, in seconds."""
    process = start_download(lists, photos)
    started_s = wait_for_transfer(process, photos, 0)
    if process.wait() != 0:
        raise SystemExit("the download failed")
    return time.monotonic() - started_s


def run_killed(lists: Path, photos: Path, seconds: float, rng: random.Random) -> list[int]:
    """Kill the download at random moments, then let it end.  Returns the number of rows at each kill."""
    rows: list[int] = []
    for _ in range(KILLS_PER_ROUND):
        started_ns = time.time_ns()
        process = start_download(lists, photos)
        wait_for_transfer(process, photos, started_ns)
        time.sleep(seconds * rng.random() ** 2)  # most URLs are done early, time-outs and retries come last
        process.kill()
        process.wait()
        rows.append(max(0, (photos / "manifest.csv").read_bytes().count(b"\n") - 1))
    run_undisturbed(lists, photos)
    return rows


def main() -> int:
    """Run the rounds.  Returns 1 if any result differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="photos to serve; drawn if not given")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--urls", type=int, default=400)
    parser.add_argument("--no-stalls", action="store_true", help="leave out the URLs that never answer: much quicker")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    place = Path(tempfile.mkdtemp())
    differing = 0
    with run_server(args.folder, 20, HOSTS) as port:
        numbers = [n for n in range(args.urls) if not (args.no_stalls and find_fault(n) == "stall")]
        urls = list_urls(args.urls, port, HOSTS)
        write_lists(place / "lists", [urls[number] for number in numbers])
        seconds = run_undisturbed(place / "lists", place / "undisturbed")
        expected = read_result(place / "undisturbed")
        for number in range(args.rounds):
            photos = place / f"round_{number}"
            rows = run_killed(place / "lists", photos, seconds, rng)
            result = read_result(photos)
            names = sorted(name for name in {*expected, *result} if expected.get(name) != result.get(name))
            differing += bool(names)
            print(
                f"round {number + 1}: killed at {rows} rows: {'DIFFERS: ' + ', '.join(names) if names else 'the same'}"
            )
            if "manifest.csv" in names:
                lines = {*expected["manifest.csv"].splitlines()} ^ {*result["manifest.csv"].splitlines()}
                print("\n".join(sorted(line.decode() for line in lines)))
            shutil.rmtree(photos)
    print(f"{args.rounds} rounds, {len(expected) - 1} photos, undisturbed in {seconds:.1f} s: {differing} differ")
    shutil.rmtree(place)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
