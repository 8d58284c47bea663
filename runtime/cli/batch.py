"""`yoga-live` with several videos or a folder: one after the other, the model loaded once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError, OutputError, SourceError, TakenError, YogaLiveError, as_run_error
from ..system.item_failures import explain
from ..system.plain_text import print
from .options import list_given, read_mounting, read_roi

if TYPE_CHECKING:
    from ..classifier import PoseClassifier
    from ..core.frames import TimedFrame
    from ..core.types import Hold, Segment
    from ..pipelines.annotate import AnnotateConfig, Outputs
    from ..pipelines.loop import RunResult
    from ..sinks.events import Events
    from ..sources.inputs import Listed
    from ..sources.time_range import TimeRange
    from ..system.progress import Progress

USELESS = ("--serve", "--window", "--mirror", "--record", "--table", "--frames")


@dataclass(frozen=True)
class Job:
    """One video of several.  name: as it is told to the user; length_s: 0 where it is not known."""

    path: Path
    name: str
    outputs: Outputs
    length_s: float


@dataclass(frozen=True)
class Done:
    """What came of a job.  error: why it has no result, or not the whole of it."""

    job: Job
    watched: RunResult | None
    error: YogaLiveError | None


def annotate_many(args: argparse.Namespace) -> None:
    """Annotate every video; one that can't be read is a line, the others go on.  Raises SourceError at the end then."""
    from ..classifier import PoseClassifier
    from ..pipelines.annotate import AnnotateConfig
    from ..sinks.events import parse_goals
    from ..sources.time_range import parse_time_range
    from ..system.progress import Progress

    if given := list_given(args, USELESS):
        raise OptionError(f"{', '.join(given)} can't be used with several videos; leave it out, or give one FILE")
    time_range, roi = parse_time_range(args.from_, args.to), read_roi(args)
    jobs = plan_jobs(args)
    classifier = PoseClassifier(args.model, args.device)
    goals_s = parse_goals(args.goal, classifier.labels)
    config = AnnotateConfig(time_range, roi, args.zoom != "off", goals_s, args.explain, args.force, read_mounting(args))
    print(f"yoga-live: {len(jobs)} videos, engine on {classifier.engine.device}", file=sys.stderr)
    done: list[Done] = []
    with Progress("annotating", sum(job.length_s for job in jobs) or None, "video s") as progress:
        stopped = _run_jobs(jobs, partial(_annotate_job, classifier, config, args.events), progress, done)
    _report(args, done, len(jobs))
    if stopped:
        raise KeyboardInterrupt(_describe_stop(done, jobs, time_range))
    if done and (cause := _find_end(done[-1])):
        raise cause
    if taken := next((row.error for row in done if isinstance(row.error, TakenError)), None):
        raise taken
    if failed := [row for row in done if row.error]:
        names = ", ".join(row.job.name for row in failed[:3]) + (", ..." if len(failed) > 3 else "")
        raise SourceError(f"{len(failed)} of {len(jobs)} videos could not be read to their end: {names}")


def plan_jobs(args: argparse.Namespace) -> list[Job]:
    """List the videos and what is made of each; refuse what can't be, before any work.

    Raises OptionError, OutputError, SourceError.
    """
    from ..pipelines.annotate import is_video, read_length_s
    from ..sources.inputs import check_new, is_annotated, list_files, make_folder, read_lists
    from ..sources.time_range import parse_time_range

    is_beside = _is_beside(args)
    if args.timeline_format and not (args.timeline or is_beside):
        raise OptionError("--timeline-format goes with --timeline FOLDER; add it, or leave it out")
    folders = {"--save": args.save, "--timeline": args.timeline, "--summary": args.summary}
    folders = {option: folder for option, folder in folders.items() if folder}
    for option, folder in folders.items():
        if folder.suffix.lower() in {".mp4", ".csv", ".json", ".vtt", ".png"} and not folder.is_dir():
            raise OptionError(f"{option} {folder} names one file for several videos; give a folder")

    def is_wanted(path: Path) -> bool:
        return is_video(path) and not (is_beside and is_annotated(path))

    files = list_files(read_lists(args.videos), is_wanted, "video", leave_out=folders.values())
    outputs = _name_outputs(args, files)
    check_new([path for each in outputs for path in each.paths()], [file.path for file in files], force=args.force)
    for option, folder in folders.items():
        make_folder(option, folder)
    time_range = parse_time_range(args.from_, args.to)
    return [
        Job(file.path, file.name, each, read_length_s(file.path, time_range))
        for file, each in zip(files, outputs, strict=True)
    ]


def _name_outputs(args: argparse.Namespace, files: list[Listed]) -> list[Outputs]:
    """What is made of each video: in the folders that were given, or beside it."""
    from ..pipelines.annotate import Outputs
    from ..sources.inputs import add_suffix, name_beside, name_outputs

    suffixes = {"save": ".mp4", "timeline": f".poses.{args.timeline_format or 'csv'}", "summary": ".png"}
    names: list[dict[str, Path]] = [{} for _ in files]
    stems = name_outputs(files) if any(getattr(args, option) for option in suffixes) else []
    beside = name_beside([file.path for file in files]) if _is_beside(args) else []
    for option, suffix in suffixes.items():
        if folder := getattr(args, option):
            paths = [folder / f"{stem}{suffix}" for stem in stems]
        else:
            paths = [add_suffix(stem, suffix) for stem in beside] if option != "summary" else []
        for name, path in zip(names, paths, strict=False):
            name[option] = path
    return [Outputs(**name) for name in names]


def _is_beside(args: argparse.Namespace) -> bool:
    """Whether outputs for which no folder is named lie beside their video."""
    return getattr(args, "beside", False)


def _run_jobs(jobs: list[Job], annotate: Callable[[Job, Progress], Done], progress: Progress, done: list[Done]) -> bool:
    """Do one after the other, until somebody stops it (True is returned) or an output can't be written."""
    for job in jobs:
        try:
            row = annotate(job, progress)
        except KeyboardInterrupt:
            return True
        done.append(row)
        if row.error:
            progress.say(f"yoga-live: {row.error}")
        if row.watched and row.watched.stopped:
            return True
        if _find_end(row):
            return False
    return False


def _find_end(row: Done) -> OutputError | None:
    """What ends all: a full disk is full for the next one too, while a name that is taken concerns one video."""
    return row.error if isinstance(row.error, OutputError) and not isinstance(row.error, TakenError) else None


def _describe_stop(done: list[Done], jobs: list[Job], time_range: TimeRange | None) -> str:
    """Say where it was stopped, and how many were not begun."""
    from ..pipelines.loop import describe_stop

    words, left = "stopped", len(jobs) - len(done)
    if done and (watched := done[-1].watched) and watched.stopped:
        job = done[-1].job
        words = f"{describe_stop(watched, time_range.start_s if time_range else 0.0, job.length_s)} of {job.name}"
    return f"{words}; {left} of {len(jobs)} videos were not begun" if left else words


def _annotate_job(
    classifier: PoseClassifier, config: AnnotateConfig, tells: bool, job: Job, progress: Progress
) -> Done:
    from ..pipelines.annotate import annotate_video
    from ..sinks.events import Events

    events = Events(partial(print, flush=True), config.goals_s, job.name) if tells else None
    seen_s = start_s = config.time_range.start_s if config.time_range else 0.0

    def show(frame: TimedFrame, hold: Hold) -> None:
        nonlocal seen_s
        progress.advance(frame.time_s - seen_s, f"{job.name}: {hold.pose}")
        seen_s = frame.time_s
        if events:
            events.update(frame.time_s, hold)

    try:
        for path in job.outputs.paths():
            path.parent.mkdir(parents=True, exist_ok=True)
        watched = annotate_video(classifier, job.path, job.outputs, config, show)
        return Done(job, watched, watched.error)
    except (YogaLiveError, OSError) as error:
        return Done(job, None, as_run_error(error))
    except Exception as error:  # noqa: BLE001 - whatever one video does is a line, the others go on
        return Done(job, None, SourceError(f"{job.path}: {explain(error, job.path).reason}"))
    finally:
        progress.advance(max(job.length_s - (seen_s - start_s), 0.0))
        _close(events, seen_s)


def _close(events: Events | None, time_s: float) -> None:
    if events:
        events.close(time_s)


def _report(args: argparse.Namespace, done: list[Done], count: int) -> None:
    """A line for each video, the poses of all of them, where the outputs lie."""
    from ..core.labels import display_name
    from ..drawing.summary import add_up
    from ..system.files import find_result
    from ..system.progress import format_duration

    say = partial(print, file=sys.stderr if args.events else sys.stdout)
    width = max((len(row.job.name) for row in done), default=0)
    everything: list[Segment] = []
    for row in done:
        segments = row.watched.segments if row.watched else ()
        everything += segments
        totals = [f"{display_name(total.pose)} {format_duration(total.total_s)}" for total in add_up(segments)]
        lasted = format_duration(segments[-1].end_s - segments[0].start_s) if segments else "-"
        said = ", ".join(totals) or ("no pose was seen" if row.watched else "not read")
        if row.watched and (row.error or not row.watched.whole):
            said += " (stopped)" if row.watched.stopped else " (broken off)"
        say(f"  {row.job.name:{width}}  {lasted:>7}  {said}")
    for total in add_up(tuple(everything)):
        times = "once" if total.holds == 1 else f"{total.holds} times"
        say(f"{display_name(total.pose)}: {times}, {total.total_s:.1f} s, at best {total.best_s:.1f} s")
    frames, wall_s = sum(r.watched.frames for r in done if r.watched), sum(r.watched.wall_s for r in done if r.watched)
    whole = sum(row.error is None and row.watched is not None and row.watched.whole for row in done)
    say(f"{whole} of {count} videos, {frames} frames in {wall_s:.1f} s ({frames / max(wall_s, 1e-9):.0f} a second)")
    for option, folder in (("save", args.save), ("timeline", args.timeline), ("summary", args.summary)):
        named = [path for row in done if row.watched and (path := getattr(row.job.outputs, option))]
        results = [result for path in named if (result := find_result(path))]
        parts = [result for result in results if result not in named]
        if folder or named:
            say(f"written: {len(results) - len(parts)} files {f'in {folder}' if folder else 'beside their videos'}")
        for part in parts:
            say(f"not whole: {part}")
