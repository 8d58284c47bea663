"""Our downloader against fastai's `download_images` on one local server: `python benchmarks/download.py [FOLDER]`.

50 ms latency; two in a hundred URLs each are missing, stall, end in the middle, are an HTML page, sit behind
redirects.  fastai runs with its defaults (8 threads, 4 s time-out) and only downloads; ours also decodes, hashes and
deduplicates every photo and tries time-outs twice, cut bodies three times.  They take turns; where fastai isn't
installed, ours runs alone.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from photo_server import find_fault, find_outcome, list_urls, run_server
from PIL import Image

from yoga_live.train.gather.config import DownloadConfig
from yoga_live.train.gather.download import DownloadSummary, download
from yoga_live.train.photos.manifest import DUPLICATE, OK, read_manifest


def run_ours(urls: list[str], place: Path, config: DownloadConfig) -> tuple[float, DownloadSummary]:
    """Download with yoga-live.  Returns seconds and the outcomes."""
    lists = place / "lists"
    lists.mkdir()
    (lists / "tree.csv").write_text("\n".join(["url", *urls]) + "\n")
    started_s = time.perf_counter()
    summary = download(lists, place / "photos", config)
    return time.perf_counter() - started_s, summary


def check_ours(urls: list[str], photos: Path) -> list[str]:
    """Hold every row of the manifest against what the server did.  Returns what is wrong."""
    rows = {row.url: row for row in read_manifest(photos)}
    wrong = [f"{url}: no row" for url in urls if url not in rows]
    for number, url in enumerate(urls):
        row = rows.get(url)
        if row is None:
            continue
        outcome = (OK, "") if row.status == DUPLICATE else (row.status, row.kind)
        if outcome != find_outcome(number):
            wrong.append(f"{url}: {outcome}, expected {find_outcome(number)}")
        if outcome[0] == OK and not is_whole(photos / row.path):
            wrong.append(f"{url}: {row.path} is not readable")
    files = {path for path in (photos / "tree").iterdir()}
    listed = {photos / row.path for row in rows.values() if row.path}
    return wrong + [f"{path}: in the folder without a row" for path in files - listed]


def is_whole(path: Path) -> bool:
    """Say whether a file can be decoded to its end."""
    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True


def run_fastai(urls: list[str], place: Path) -> tuple[float, Path]:
    """Download with fastai's defaults.  Returns seconds and the folder."""
    download_images: Callable[..., None] = importlib.import_module("fastai.vision.utils").download_images
    folder = place / "fastai"
    started_s = time.perf_counter()
    download_images(folder, urls=urls)
    return time.perf_counter() - started_s, folder


def main() -> int:
    """Print both throughputs, their ratio, and whether every URL is accounted for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="photos to serve; drawn if not given")
    parser.add_argument("--urls", type=int, default=5000)
    parser.add_argument("--latency-ms", type=int, default=50)
    parser.add_argument("--hosts", type=int, default=1, help="spread the URLs over so many addresses of this machine")
    parser.add_argument("--per-host", type=int, default=64, help="ours: requests at once to one host")
    parser.add_argument("--timeout", type=float, default=4.0, help="ours, in seconds; fastai's default is 4")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    config = DownloadConfig(per_host=args.per_host, timeout_s=args.timeout, allow_private=True)
    has_fastai = importlib.util.find_spec("fastai") is not None
    faults = Counter(find_fault(number) or "photo" for number in range(args.urls))
    print(
        f"{args.urls} URLs on {args.hosts} hosts, {args.latency_ms} ms: {dict(faults)}; load {os.getloadavg()[0]:.1f}"
    )
    wrong: list[str] = []
    with run_server(args.folder, args.latency_ms, args.hosts) as port:
        urls = list_urls(args.urls, port, args.hosts)
        for _ in range(args.rounds):
            with tempfile.TemporaryDirectory() as name:
                place = Path(name)
                our_s, summary = run_ours(urls, place, config)
                print(f"yoga-live  {our_s:7.1f} s  {args.urls / our_s:6.1f} URLs/s  {dict(summary.outcomes)}")
                wrong += check_ours(urls, place / "photos")
                if has_fastai:
                    their_s, folder = run_fastai(urls, place)
                    files = [path for path in folder.iterdir() if path.suffix != ".part"]
                    broken = sum(not is_whole(path) for path in files)
                    print(
                        f"fastai     {their_s:7.1f} s  {args.urls / their_s:6.1f} URLs/s  {len(files)} files, {broken} "
                        f"of them unreadable; {args.urls - len(files)} URLs without a file or a word about why"
                    )
                    print(f"ratio      {their_s / our_s:7.2f}")
    print("every URL accounted for" if not wrong else f"{len(wrong)} WRONG: {wrong[:5]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
