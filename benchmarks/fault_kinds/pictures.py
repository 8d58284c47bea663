"""The hostile pictures through `--images`, `add`, `download` and `stats`; the truth is what was drawn into them."""

from __future__ import annotations

import csv
import math
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fault_kinds.bench import Bench
from fault_kinds.outcome import Answer, Outcome, Verdict, find_break
from fault_kinds.picture_corpus import Picture, list_pictures

KIND = "pictures"
BATCH = 50
"""Pictures in one command: what ends one of them early costs the others their rows, which is seen."""
MOST_MB = 500.0
"""What one small file may cost of memory."""


def run(bench: Bench) -> Iterator[Outcome]:
    """Batches through each command, bombs one by one."""
    pictures = bench.choose(list_pictures(bench.seed))
    bombs, others = [each for each in pictures if each.is_bomb], [each for each in pictures if not each.is_bomb]
    batches = [others[start : start + BATCH] for start in range(0, len(others), BATCH)] + [[bomb] for bomb in bombs]
    for number, batch in enumerate(batches):
        folder = bench.make_folder(f"batch_{number}")
        for picture in batch:
            (folder / picture.name).write_bytes(picture.content)
        yield from try_images(bench, folder, batch)
        yield from try_add(bench, folder, batch)
        yield from try_download(bench, batch, bench.folder / f"downloaded_{number}")
        yield try_stats(bench, folder, batch, f"{KIND}, stats")


def try_images(bench: Bench, folder: Path, batch: list[Picture]) -> Iterator[Outcome]:
    """Classify them; each must have its row."""
    table = folder.with_suffix(".csv")
    options = ["--table", table, "--model", bench.model, "--device", "cpu"]
    answer = bench.worker.run("yoga-live", "--images", folder, *options)
    rows = {row["file"]: row for row in _read_csv(table)}
    for picture in batch:
        row = rows.get(picture.name, {})
        yield judge_row(
            f"{KIND}, --images", picture, answer, bool(row.get("pose")), row.get("reason", ""), _check(picture, row)
        )


def _check(picture: Picture, row: Mapping[str, str]) -> str:
    """What is wrong with an answer; empty: nothing."""
    if not row.get("pose"):
        return ""
    if not math.isfinite(float(row["confidence"])) or not 0 <= float(row["confidence"]) <= 1:
        return f"a confidence of {row['confidence']}"
    if picture.shapes and row["pose"] not in picture.shapes:
        return f"the network saw {row['pose']}, not {picture.shapes[0]}"
    return ""


def try_add(bench: Bench, folder: Path, batch: list[Picture]) -> Iterator[Outcome]:
    """Add them to a photo folder; each must have its row."""
    photos = folder.with_name(f"{folder.name}_added")
    answer = bench.worker.run("yoga-train", "add", folder, "--pose", "tree", "--to", photos)
    rows = {row["url"]: row for row in _read_csv(photos / "manifest.csv")}
    for picture in batch:
        row = rows.get((folder / picture.name).resolve().as_uri(), {})
        yield judge_manifest(f"{KIND}, add", picture, answer, row)


def try_download(bench: Bench, batch: list[Picture], photos: Path) -> Iterator[Outcome]:
    """Download them; each URL must have its row, and a second run must have nothing to do."""
    lists = photos.with_name(f"{photos.name}_lists")
    lists.mkdir()
    with serve({f"/{number}": picture.content for number, picture in enumerate(batch)}) as port:
        urls = [f"http://127.0.0.1:{port}/{number}" for number in range(len(batch))]
        (lists / "tree.csv").write_text("\n".join(["url", *urls]) + "\n")
        options = ["--to", photos, "--allow-private", "--timeout", "5"]
        answer = bench.worker.run("yoga-train", "download", lists, *options)
        rows = {row["url"]: row for row in _read_csv(photos / "manifest.csv")}
        for picture, url in zip(batch, urls, strict=True):
            yield judge_manifest(f"{KIND}, download", picture, answer, rows.get(url, {}))


def judge_manifest(kind: str, picture: Picture, answer: Answer, row: Mapping[str, str]) -> Outcome:
    """Judge a row of a manifest."""
    is_photo, fault = row.get("status") in {"ok", "duplicate"}, ""
    if is_photo and picture.size_wh and (row["width"], row["height"]) != tuple(map(str, picture.size_wh)):
        fault = f"the manifest says {row['width']} x {row['height']}, not {picture.size_wh[0]} x {picture.size_wh[1]}"
    return judge_row(kind, picture, answer, is_photo, row.get("reason", ""), fault)


def judge_row(kind: str, picture: Picture, answer: Answer, is_photo: bool, reason: str, fault: str) -> Outcome:
    """Judge what a table says of a picture.  reason: why it was refused, empty if nothing is said of it."""
    right = {"photo": "taken as a photo", "refused": "a row with its reason", "either": "a row"}[picture.wanted]
    trouble = find_break(answer)
    if not (is_photo or reason):
        fault = f"no row; {trouble or answer.last_line}"
    elif picture.is_bomb and answer.peak_mb > MOST_MB:
        fault, right = f"{round(answer.peak_mb, -2):.0f} MB of memory", f"less than {MOST_MB:.0f} MB"
    elif trouble:
        fault = trouble
    elif picture.wanted == "refused" and is_photo:
        fault = "accepted as a photo"
    elif picture.wanted == "photo" and not is_photo:
        fault = f"refused: {reason}"
    verdict: Verdict = "wrong" if fault else "handled" if is_photo else "refused"
    return Outcome(kind, picture.name, verdict, fault, right if fault else "")


def try_stats(bench: Bench, folder: Path, batch: list[Picture], kind: str) -> Outcome:
    """Count the same files where a user copied them by hand."""
    photos = folder.with_name(f"{folder.name}_copied")
    (photos / "tree").mkdir(parents=True)
    for picture in batch:
        (photos / "tree" / picture.name).write_bytes(picture.content)
    answer = bench.worker.run("yoga-train", "stats", photos)
    least = sum(picture.wanted == "refused" for picture in batch)
    most = least + sum(picture.wanted == "either" for picture in batch)
    found = re.search(r"(\d+) files are no readable photos", answer.out)
    broken, what = int(found[1]) if found else 0, f"{len(batch)} files, {batch[0].name} first"
    fault = find_break(answer) or (f"exit code {answer.code}: {answer.last_line}" if answer.code else "")
    if not fault and not least <= broken <= most:
        fault = f"{broken} are said to be no readable photos"
    if not fault and len(batch) == 1 and answer.peak_mb > MOST_MB:
        fault = f"{round(answer.peak_mb, -2):.0f} MB of memory"
    right = f"a table, {least} to {most} files that are no readable photos, little memory" if fault else ""
    return Outcome(kind, what, "wrong" if fault else "handled", fault, right)


def _read_csv(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


@contextmanager
def serve(contents: Mapping[str, bytes]) -> Iterator[int]:
    """Serve bytes by their path on this machine alone.  Yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = contents.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
