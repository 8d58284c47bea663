"""`yoga-live archive ... --to OUT`: timelines of many videos, made by many workers at once."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import re
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MissingPackageError, OptionError, OutputError, SourceError, TakenError
from ..sources.inputs import name_input
from ..system.files import make_csv_writer
from ..system.plain_text import format_count, print, show_name
from .options import list_given, read_mounting, read_people, read_roi
from .report import TOGETHER

if TYPE_CHECKING:
    from ..archive.inputs import Recorded
    from ..archive.ray_pool import Lost
    from ..archive.records import ArchiveConfig, Plan
    from ..archive.scheduler import Answer, Outcome, Task
    from ..archive.shards import VideoResult
    from ..archive.store import Store
    from ..archive.worker import WorkerConfig
    from ..sources.remote import RemoteFile
    from ..system.progress import Progress

PACKAGES = ("ray", "pyarrow")
WRITE_S = 5.0
"""Seconds between two writes of the growing list of failures."""
FAILED_NAME, FAILED_HEADER = "failed.csv", ("input", "reason")
USELESS = (
    *("--save", "--timeline", "--table", "--record", "--events", "--goal", "--explain", "--serve", "--window"),
    *("--mirror", "--frames", "--blur-faces", "--reference", "--pose"),
)


def annotate_archive(args: argparse.Namespace) -> None:
    """Annotate every video that has no result yet; one that fails becomes a row of failed.csv.

    Raises SourceError at the end if a video failed, and another YogaLiveError before any work for wrong options.
    """
    from ..archive.store import open_store
    from ..engines.onnx_guard import read_bytes, read_info

    place = _check(args)
    path = _find_model(args)
    model = read_bytes(path)
    info = read_info(model, path)
    order, archive_config = _read_order(args, model, info.labels)
    store = open_store(place)
    with store.claim():
        _watch_claimed(args, place, store, model, order, archive_config)


def _watch_claimed(
    args: argparse.Namespace,
    place: Path | RemoteFile,
    store: Store,
    model: bytes,
    order: WorkerConfig,
    archive_config: ArchiveConfig,
) -> None:
    """Annotate, while no other command writes to the same place."""
    from ..archive.inputs import list_archive
    from ..archive.records import plan_work
    from ..archive.store import open_store
    from ..system.progress import Progress

    videos = list_archive(args.videos, [place] if isinstance(place, Path) else [])
    plan = plan_work(videos, store, archive_config, force=args.force)
    _check_own(store, args.force)
    pictures = open_store(args.summary) if args.summary else None
    tally = Tally(store, pictures, archive_config, order.yoga_live, len(videos), plan)
    count = format_count(len(videos), "video")
    print(f"yoga-live: {count}, {plan.done} done already", file=sys.stderr, flush=True)
    if plan.todo:
        total = sum(max(video.size_bytes, 1) for video in plan.todo) / 1e6
        with Progress("annotating", total) as progress:
            tally.progress = progress
            try:
                _run(args, plan.todo, model, order, tally)
            except KeyboardInterrupt:
                progress.say(f"yoga-live: {tally.done} of {count} done; repeat the command to continue")
                raise
            finally:
                tally.write_failed()
    else:
        tally.write_failed()
    _report(tally, store)


def _run(args: argparse.Namespace, todo: tuple[Recorded, ...], model: bytes, order: WorkerConfig, tally: Tally) -> None:
    from ..archive.ray_pool import Crew, connect, run_schedule, share_out
    from ..archive.scheduler import Schedule

    with connect(args.cluster) as nodes:
        share = share_out(nodes, args.workers, args.gpus_per_worker or 0.0)
        tally.say(f"yoga-live: {format_count(len(nodes), 'machine')}, {share}")
        crew = Crew(share, model, replace(order, threads=share.cpus), tally.say, first=len(todo))
        run_schedule(Schedule(todo), crew, tally.count, tally.keep)


class Tally:
    """Stores results as they arrive, and counts them."""

    def __init__(
        self,
        store: Store,
        pictures: Store | None,
        archive_config: ArchiveConfig,
        yoga_live: str,
        videos: int,
        plan: Plan,
    ) -> None:
        self.progress: Progress | None = None
        self._store, self._pictures = store, pictures
        self._archive_config, self._yoga_live = archive_config, yoga_live
        self._stale = plan.stale
        self.videos, self.done, self.watched = videos, plan.done, 0
        self.failed: list[tuple[str, str]] = []
        self.held_s: Counter[str] = Counter()
        self.has_people = False
        self.seen_s, self._started_s = 0.0, time.monotonic()
        self._shards: dict[str, int] = {}
        self._counted: defaultdict[str, float] = defaultdict(float)
        self._written_s = 0.0

    def say(self, line: str) -> None:
        """Print a line above the progress bar."""
        if self.progress:
            self.progress.say(line)

    @property
    def pace(self) -> float:
        """Seconds of video annotated per second."""
        return self.seen_s / max(time.monotonic() - self._started_s, 1e-9)

    def count(self, task: Task, answer: Answer | Lost) -> None:
        """Count a shard, or report a worker that died."""
        from ..archive.ray_pool import Lost
        from ..archive.scheduler import SmoothTask
        from ..archive.shards import ShardResult, VideoResult

        name = str(task.video.path)
        if isinstance(answer, Lost):
            self.say(f"yoga-live: {name}: a worker died, its part of the video is done again: {answer.reason}")
        elif isinstance(answer, list):
            self._shards[name] = len(answer)
        elif isinstance(answer, ShardResult):
            self._see(len(answer.times_s))
            self._advance(task.video, 1 / self._shards.get(name, 1))
        elif isinstance(answer, VideoResult) and not isinstance(task, SmoothTask):
            self._see(answer.observations)

    def _store_result(self, video: Recorded, told: VideoResult) -> VideoResult:
        """Write a video's results; if another program has written a timeline there, the returned result says so."""
        from ..archive.records import store_result

        try:
            store_result(video, told, self._store, self._pictures, self._archive_config, self._yoga_live, self._stale)
        except TakenError as error:
            return replace(told, reason=str(error))
        return told

    def keep(self, outcome: Outcome) -> None:
        """Write a video's results, or record why there are none.  Raises OutputError."""
        from ..archive.scheduler import Failed
        from ..archive.shards import VideoResult
        from ..drawing.summary import add_up
        from ..sinks.timeline import has_people
        from ..system.item_failures import Failure, attempt

        result, name = outcome.result, str(outcome.video.path)
        if isinstance(told := result, VideoResult):
            stored = attempt(name, lambda: self._store_result(outcome.video, told))
            result = Failed(f"cannot write its results: {stored.reason}") if isinstance(stored, Failure) else stored
        if isinstance(result, Failed):
            self._fail(outcome.video, result.reason)
        else:
            self.held_s.update({total.pose: total.total_s for total in add_up(result.segments)})
            self.has_people |= has_people(result.segments)
            if result.damage:
                self.say(f"yoga-live: {result.damage}")
            if result.reason:
                self._fail(outcome.video, result.reason)
            else:
                self.done, self.watched = self.done + 1, self.watched + 1
        self._shards.pop(name, None)
        self._advance(outcome.video, 1.0 - self._counted.pop(name, 0.0))
        self._counted.pop(name, None)

    def write_failed(self) -> None:
        """Write the list of videos that failed; if none did, remove the list of an earlier command."""
        if not self.failed:
            self._store.remove(FAILED_NAME)
            return
        buffer = io.StringIO()
        writer = make_csv_writer(buffer)
        writer.writerows([FAILED_HEADER, *self.failed])
        self._store.write(FAILED_NAME, buffer.getvalue().encode())
        self._written_s = time.monotonic()

    def _fail(self, video: Recorded, reason: str) -> None:
        name = str(video.path)
        self.failed.append((name_input(video.path), show_name(reason)))
        self.say(f"yoga-live: {reason if name in reason else f'{name}: {reason}'}")
        if time.monotonic() - self._written_s > WRITE_S:
            self.write_failed()

    def _see(self, observations: int) -> None:
        from ..tracking.sampling_observer import OBSERVATIONS_PER_S

        self.seen_s += observations / OBSERVATIONS_PER_S

    def _advance(self, video: Recorded, fraction: float) -> None:
        """Count a fraction of a video, by its bytes: its length is unknown until it is opened."""
        self._counted[str(video.path)] += fraction
        if self.progress:
            failed = f", {len(self.failed)} failed" if self.failed else ""
            pace = f"{self.seen_s / 3600:.2f} h at {self.pace:.1f} x real time"
            note = f"{self.done} of {format_count(self.videos, 'video')}, {pace}{failed}"
            self.progress.advance(fraction * max(video.size_bytes, 1) / 1e6, note)


def _check(args: argparse.Namespace) -> Path | RemoteFile:
    """Refuse options that do not apply to an archive.  Returns where the results go."""
    from ..sources.inputs import parse_input

    if not hasattr(args, "videos"):
        raise OptionError(
            "yoga-live archive (--cluster) annotates recorded videos; give videos, folders, lists or URLs"
        )
    if given := list_given(args, USELESS):
        raise OptionError(
            f"{', '.join(given)} cannot be used with yoga-live archive (--cluster), which only writes timelines; "
            "leave it out"
        )
    if args.to is None:
        raise OptionError("yoga-live archive (--cluster) needs --to OUT, the folder or URL of the timelines")
    if re.fullmatch(r"[\d.:]+", args.to) and not Path(args.to).is_dir():
        raise OptionError(f"--to is the folder of the timelines; {args.to} looks like a time: give ./{args.to}")
    if args.summary and args.summary.suffix and not args.summary.is_dir():
        raise OptionError(f"--summary {args.summary} is one file, but there are many videos; give a folder")
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(
                f"yoga-live archive needs the package {package}, which is not installed; run: "
                'pip install "yoga-live[cluster]"'
            )
    return parse_input(args.to)


def _find_model(args: argparse.Namespace) -> Path:
    from ..classifier import DEFAULT_MODEL

    path = args.model or DEFAULT_MODEL
    if path.suffix == ".engine":
        raise OptionError(
            f"{path} is built for one kind of GPU, and workers may have another; give the ONNX file, with --device "
            "tensorrt"
        )
    return path


def _read_order(args: argparse.Namespace, model: bytes, labels: tuple[str, ...]) -> tuple[WorkerConfig, ArchiveConfig]:
    """Read the workers' configuration, and the part of it that is saved beside each result."""
    from ..archive.records import ArchiveConfig
    from ..archive.worker import WorkerConfig
    from ..core.allowed_poses import allow_poses, split_poses
    from ..pipelines.annotate import AnnotateConfig
    from ..sources.time_range import parse_time_range

    time_range, roi, zoom = parse_time_range(args.from_, None), read_roi(args), args.zoom != "off"
    people = read_people(args, "off")  # an archive that is half done goes on as it began
    config = AnnotateConfig(time_range, roi, zoom, mounting=read_mounting(args), people=people, mats=args.mats)
    summary, named = args.summary is not None, split_poses(args.poses)
    allowed = allow_poses(named, labels) if named is not None else None
    poses = allowed.poses if allowed else None
    archive_config = ArchiveConfig(
        hashlib.sha256(model).hexdigest(),
        args.timeline_format or "csv",
        time_range.start_s if time_range else 0.0,
        str(roi) if roi else None,
        zoom,
        summary,
        config.mounting.rotate,
        config.mounting.flip,
        str(people),
        config.mats,
        ",".join(poses) if poses else None,
    )
    return WorkerConfig(args.device, 1, config, summary, version("yoga-live"), poses), archive_config


def _check_own(store: Store, force: bool) -> None:
    """Refuse to replace a table or list of failures that this command did not write.  Raises OutputError."""
    from ..archive.parquet import TABLE_NAME
    from ..archive.records import RECORD_SUFFIX

    names = store.find("")
    taken = [name for name in (TABLE_NAME, FAILED_NAME) if name in names]
    if taken == [TABLE_NAME] and not any(name.endswith(RECORD_SUFFIX) for name in names) and not force:
        raise OutputError(
            f"{store}/{taken[0]} exists and was not written by this command; give another --to, or --force"
        )


def _report(tally: Tally, store: Store) -> None:
    """Write the table; print the totals and the place of the results.  Raises SourceError if a video failed."""
    from ..archive.parquet import TABLE_NAME, write_table
    from ..archive.records import read_records
    from ..core.labels import display_name
    from ..system.progress import format_duration

    together = TOGETHER if tally.has_people else ""
    for pose, held_s in tally.held_s.most_common():
        print(f"{display_name(pose)}: {format_duration(held_s)}{together}")
    rows = write_table(read_records(store), store)
    print(
        f"{tally.done} of {format_count(tally.videos, 'video')} done, {tally.watched} of them now: "
        f"{format_duration(tally.seen_s)} of video at {tally.pace:.1f} x real time"
    )
    print(f"written: timelines and {TABLE_NAME} ({format_count(rows, 'row')}) in {store}")
    if tally.failed:
        names = ", ".join(name for name, _ in tally.failed[:3]) + (", ..." if len(tally.failed) > 3 else "")
        raise SourceError(
            f"{len(tally.failed)} of {format_count(tally.videos, 'video')} could not be annotated to the end: {names}; "
            f"see {store}/{FAILED_NAME}"
        )
