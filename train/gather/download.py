"""Downloads the photos of URL lists: many requests at once, a row for every URL, nothing half-written.

Repeating the command fetches what is missing: URLs without a row, photos whose file is missing, and temporary failures
(status `failed`: time-outs, connections and names, 429, 5xx).  `refused` URLs (404 and the like, not a picture, too
large, TLS) are not requested again; nor are `forbidden` ones, unless private addresses are now allowed.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import aiohttp

from ...runtime.core.types import NO_POSE
from ...runtime.errors import OptionError, OutputError, RunError
from ...runtime.system.item_failures import Failure, attempt, explain
from ...runtime.system.plain_text import format_count
from ...runtime.system.progress import Progress
from ..photos.identify import PhotoFacts, identify_photo
from ..photos.manifest import DUPLICATE, FAILED, FORBIDDEN, MOVED, OK, REFUSED, REMOVED, Manifest, ManifestRow
from .config import DownloadConfig
from .host_queue import HostQueue, Job
from .http_fetch import Body, FetchError, fetch
from .ssrf_guard import make_connector
from .url_columns import Taken
from .url_import import explain_nothing
from .url_lists import UrlList, find_lists, fingerprint, name_pose, read_labelled

PARTS = ".download"
MOST_REDIRECTS = 5
READ_AHEAD = 64  # times the number of simultaneous requests: how far to look for hosts with a free place
TOTAL_TIMEOUTS = 8  # a whole transfer may take this many time-outs
DNS_THREADS = 32
LONGEST_BACKOFF_S = 30.0


@dataclass
class DownloadSummary:
    """What a run did.

    outcomes: URLs by (status, kind of reason); refused_lines: lines without a URL, by reason; taken: the lists whose
    URLs were chosen among columns or keys, by what was taken.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    settled_before: int = 0
    refused_lines: Counter[str] = field(default_factory=Counter)
    taken: dict[str, list[Path]] = field(default_factory=dict)

    def describe(self) -> str:
        """Describe the outcomes for the progress line."""
        others = Counter({kind: count for (status, kind), count in self.outcomes.items() if status != OK})
        listed = [f"{count} x {kind}" for kind, count in others.most_common(3)]
        return ", ".join([format_count(self.outcomes[OK, ""], "photo"), *listed])


def download(lists: Path, photos: Path, config: DownloadConfig) -> DownloadSummary:
    """Fetch every URL of the lists without a final row.  Raises YogaLiveError."""
    summary = DownloadSummary()
    files = find_lists(lists)
    with Manifest(photos) as manifest, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # about odd EXIF; set once, because threads decode
        settled, contents = _read_settled(manifest, photos, allow_private=config.allow_private)
        total = sum(1 for _ in _list_jobs(files, settled, summary))
        if not total and not summary.settled_before:
            raise RunError(_explain_nothing(lists, files))
        jobs = _list_jobs(files, settled, DownloadSummary())
        parts = photos / PARTS
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        try:
            with Progress("downloading", total, "URLs") as progress:
                asyncio.run(_Downloader(photos, config, manifest, contents, summary, progress).run(jobs))
        except OSError as error:
            raise OutputError(f"cannot write to {photos}: {error.strerror or error}; choose another place") from error
        finally:
            shutil.rmtree(parts, ignore_errors=True)
    return summary


def _read_settled(manifest: Manifest, photos: Path, *, allow_private: bool) -> tuple[set[int], set[int]]:
    """Read the fingerprints of the URLs that need no fetching, and of the contents that each pose has or had.

    A photo that was removed or moved by cleaning settles every URL that leads to it.
    """
    settled: set[int] = set()
    contents: set[int] = set()
    cleaned = {
        fingerprint(row.pose, row.sha256) for row in manifest.read() if row.status in {REMOVED, MOVED} and row.sha256
    }
    for row in manifest.read():
        if row.status == FAILED or (row.status == FORBIDDEN and allow_private):
            continue
        is_photo = row.status in {OK, DUPLICATE} and fingerprint(row.pose, row.sha256) not in cleaned
        if is_photo and not _is_file_with_content(photos / row.path):
            continue
        settled.add(fingerprint(row.pose, row.url))
        if row.sha256:
            contents.add(fingerprint(row.pose, row.sha256))
    return settled, contents


def _is_file_with_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _list_jobs(files: list[UrlList], settled: set[int], summary: DownloadSummary) -> Iterator[Job]:
    seen: set[int] = set()
    for file in files:
        taken = Taken()
        for url, label in read_labelled(file.path, summary.refused_lines, taken):
            try:
                pose = name_pose(label) if label and file.is_alone else file.pose
            except OptionError:
                summary.refused_lines["no label"] += 1
                continue
            key = fingerprint(pose, url)
            if key in settled:
                summary.settled_before += 1
            elif key not in seen:
                seen.add(key)
                yield Job(pose, url, url)
        if taken.is_choice:
            summary.taken.setdefault(taken.describe(is_by_label=file.is_alone), []).append(file.path)


def _explain_nothing(lists: Path, files: list[UrlList]) -> str:
    refused, taken = Counter[str](), Taken()
    for _ in read_labelled(files[0].path, refused, taken):
        pass
    reason = explain_nothing(files[0].path, refused, taken)
    return reason if len(files) == 1 else f"none of the {len(files)} lists in {lists} holds a URL: {reason}"


def user_agent() -> str:
    """Return the user agent for servers."""
    try:
        version = metadata.version("yoga-live")
    except metadata.PackageNotFoundError:
        version = "source"
    return f"yoga-live/{version} (photo downloader)"


def _save_and_identify(body: Body, pose: str) -> PhotoFacts:
    body.save()
    return identify_photo(body.part, blank_is_fine=pose == NO_POSE)


def _forget_interrupt(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keep quiet about tasks that Ctrl-C ended: it is raised where the downloads were started, too."""
    if not isinstance(context.get("exception"), KeyboardInterrupt):
        loop.default_exception_handler(context)


class _Downloader:
    """A fixed number of workers, each with one request and one temporary file at a time."""

    def __init__(
        self,
        photos: Path,
        config: DownloadConfig,
        manifest: Manifest,
        contents: set[int],
        summary: DownloadSummary,
        progress: Progress,
    ) -> None:
        self._photos, self._config, self._manifest = photos, config, manifest
        self._contents, self._summary, self._progress = contents, summary, progress

    async def run(self, jobs: Iterator[Job]) -> None:
        """Work until every job has its row."""
        config = self._config
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(DNS_THREADS, "dns"))
        timeout = aiohttp.ClientTimeout(
            total=config.timeout_s * TOTAL_TIMEOUTS, sock_connect=config.timeout_s, sock_read=config.timeout_s
        )
        headers = {"User-Agent": user_agent(), "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
        asyncio.get_running_loop().set_exception_handler(_forget_interrupt)
        self._queue = HostQueue(jobs, config.per_host, config.total * READ_AHEAD)
        connector = make_connector(config.total, allow_private=config.allow_private)
        with ThreadPoolExecutor(os.cpu_count(), "decode") as self._decoders:
            async with aiohttp.ClientSession(
                connector=connector, timeout=timeout, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
            ) as self._session:
                parts = [self._photos / PARTS / str(number) for number in range(config.total)]
                workers = [asyncio.create_task(self._work(part)) for part in parts]
                try:
                    await asyncio.gather(*workers)
                finally:
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, part: Path) -> None:
        while (job := await self._queue.take()) is not None:
            try:
                answer = await fetch(self._session, job.target, part, self._config.max_bytes)
            except FetchError as error:
                self._retry_or_record(job, error)
                continue
            except Exception as error:  # noqa: BLE001 - whatever happens with one URL becomes its row
                self._queue.finish(job)
                self._record(ManifestRow(job.pose, job.url, status=FAILED, reason=explain(error, job.url).reason))
                continue
            if isinstance(answer, str):
                self._follow(job, answer)
                continue
            self._queue.finish(job)
            work = partial(attempt, job.url, partial(_save_and_identify, answer, job.pose))
            facts = await asyncio.get_running_loop().run_in_executor(self._decoders, work)
            if isinstance(facts, Failure):  # an unexpected failure may vanish next time, or in a later version
                status = REFUSED if facts.is_foreseen else FAILED
                self._record(ManifestRow(job.pose, job.url, status=status, reason=facts.reason))
                continue
            self._keep(job, part, facts)

    def _retry_or_record(self, job: Job, error: FetchError) -> None:
        if error.wait_s:
            self._queue.pause(job.host, error.wait_s)
        if job.attempt < error.attempts:
            # Full jitter (Brooker 2015): retries of many URLs spread out instead of arriving together.
            ceiling_s = min(LONGEST_BACKOFF_S, self._config.backoff_s * 2 ** (job.attempt - 1))
            delay_s = error.wait_s + random.uniform(0.0, ceiling_s)
            self._queue.finish(job, replace(job, attempt=job.attempt + 1), delay_s)
            return
        self._queue.finish(job)
        self._record(ManifestRow(job.pose, job.url, status=error.status, reason=error.reason))

    def _follow(self, job: Job, target: str) -> None:
        if job.redirects < MOST_REDIRECTS:
            self._queue.finish(job, replace(job, target=target, redirects=job.redirects + 1))
            return
        self._queue.finish(job)
        self._record(ManifestRow(job.pose, job.url, status=REFUSED, reason="too many redirects"))

    def _keep(self, job: Job, part: Path, facts: PhotoFacts) -> None:
        """Rename a photo, then add its row; after an interruption in between it is simply fetched again."""
        key = fingerprint(job.pose, facts.sha256)
        is_new = key not in self._contents
        if is_new:
            self._contents.add(key)
            (self._photos / job.pose).mkdir(exist_ok=True)
            part.replace(self._photos / facts.path_under(job.pose))
        self._record(facts.to_row(job.pose, job.url, is_new=is_new))

    def _record(self, row: ManifestRow) -> None:
        self._manifest.add(row)
        self._summary.outcomes[row.status, row.kind] += 1
        self._progress.advance(1, self._summary.describe())
