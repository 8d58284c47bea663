"""`yoga-live` with several videos or a folder: annotates them one after the other with one loaded model."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError, OutputError, SourceError, TakenError, YogaLiveError, as_run_error
from ..system.item_failures import explain
from ..system.plain_text import format_count, print, print_json
from .options import DEFAULT_PLACE, NOTHING_TO_BLUR, list_given, read_mounting, read_people, read_roi

if TYPE_CHECKING:
    from ..classifier import PoseClassifier
    from ..core.frames import TimedFrame
    from ..core.types import Segment
    from ..pipelines.annotate import AnnotateConfig, Outputs
    from ..pipelines.loop import RunResult
    from ..sinks.events import ClassEvents
    from ..sources.inputs import Listed
    from ..sources.time_range import TimeRange
    from ..system.progress import Progress
    from ..tracking.observer import Tracked

USELESS = ("--serve", "--window", "--mirror", "--record", "--table", "--frames", "--reference", "--pose")


@dataclass(frozen=True)
class Job:
    """One video of several.  name: as shown to the user; length_s: seconds, 0 if unknown."""

    path: Path
    name: str
    outputs: Outputs
    length_s: float


@dataclass(frozen=True)
class Done:
    """The outcome of a job.  error: why it has no result, or only a partial one."""

    job: Job
    watched: RunResult | None
    error: YogaLiveError | None


def annotate_many(args: argparse.Namespace) -> None:
    """Annotate every video.  One that cannot be read is reported in a line; SourceError is raised at the end."""
    from ..classifier import PoseClassifier
    from ..core.allowed_poses import split_poses
    from ..pipelines.annotate import AnnotateConfig
    from ..sinks.events import parse_goals
    from ..sources.inputs import describe_unreadable
    from ..sources.time_range import parse_time_range
    from ..system.progress import VIDEO_SECONDS, Progress

    if given := list_given(args, USELESS):
        raise OptionError(f"{', '.join(given)} cannot be used with several videos; leave it out, or give one file")
    if args.blur_faces and not (args.save or _is_beside(args)):
        raise OptionError(NOTHING_TO_BLUR)
    time_range, roi = parse_time_range(args.from_, args.to), read_roi(args)
    unreadable: dict[Path, str] = {}
    jobs = plan_jobs(args, unreadable)
    classifier = PoseClassifier(args.model, args.device, poses=split_poses(args.poses))
    goals_s = parse_goals(args.goal, classifier.labels, classifier.excluded_poses)
    config = AnnotateConfig(
        time_range,
        roi,
        args.zoom != "off",
        goals_s,
        args.explain,
        args.force,
        read_mounting(args),
        overlay=args.overlay or DEFAULT_PLACE,
        people=read_people(args),
        mats=args.mats,
        blur_faces=args.blur_faces,
    )
    print(f"yoga-live: {format_count(len(jobs), 'video')}, engine on {classifier.engine.device}", file=sys.stderr)
    for path, reason in unreadable.items():
        print(f"yoga-live: the folder {path} cannot be read: {reason}", file=sys.stderr)
    done: list[Done] = []
    with Progress("annotating", sum(job.length_s for job in jobs) or None, VIDEO_SECONDS) as progress:
        stopped = _run_jobs(jobs, partial(_annotate_job, classifier, config, args.events), progress, done)
    _report(args, done, len(jobs), goals_s)
    if stopped and not _is_all_done(done, jobs):
        raise KeyboardInterrupt(_describe_stop(done, jobs, time_range))
    if done and (cause := _find_end(done[-1])):
        raise cause
    if taken := next((row.error for row in done if isinstance(row.error, TakenError)), None):
        raise taken
    problems = [describe_unreadable(unreadable)] if unreadable else []
    if failed := [row for row in done if row.error]:
        names = ", ".join(row.job.name for row in failed[:3]) + (", ..." if len(failed) > 3 else "")
        problems.append(f"{len(failed)} of {format_count(len(jobs), 'video')} could not be read to the end: {names}")
    if problems:
        raise SourceError("; ".join(problems))


def plan_jobs(args: argparse.Namespace, unreadable: dict[Path, str]) -> list[Job]:
    """List the videos and their outputs; refuse what cannot be read or written, before any work.

    unreadable: is given each folder that cannot be read, and why.  Raises OptionError, OutputError, SourceError.
    """
    from ..pipelines.annotate import is_video, read_length_s
    from ..sources.inputs import check_new, is_annotated, list_files, make_folder, read_lists
    from ..sources.time_range import parse_time_range

    is_beside = _is_beside(args)
    if args.timeline_format and not (args.timeline or is_beside):
        raise OptionError("--timeline-format needs --timeline FOLDER; add it, or leave --timeline-format out")
    folders = {"--save": args.save, "--timeline": args.timeline, "--summary": args.summary}
    folders = {option: folder for option, folder in folders.items() if folder}
    for option, folder in folders.items():
        if folder.suffix.lower() in {".mp4", ".csv", ".json", ".vtt", ".png"} and not folder.is_dir():
            raise OptionError(f"{option} {folder} is one file, but there are several videos; give a folder")

    def is_wanted(path: Path) -> bool:
        return is_video(path) and not (is_beside and is_annotated(path))

    given = read_lists(args.videos)
    files = list_files(given, is_wanted, "video", folders.values(), unreadable, keep_missing=True)
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
    """Name the outputs of each video: in the folders given, or beside the video."""
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
    """Whether outputs without a folder of their own go beside their video."""
    return getattr(args, "beside", False)


def _run_jobs(jobs: list[Job], annotate: Callable[[Job, Progress], Done], progress: Progress, done: list[Done]) -> bool:
    """Do the jobs one after the other until an output cannot be written.  Returns whether the user stopped it."""
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


def _is_all_done(done: list[Done], jobs: list[Job]) -> bool:
    """Whether the user stopped it when nothing was left to do."""
    from .report import is_complete

    return len(done) == len(jobs) and bool(
        done and (watched := done[-1].watched) and is_complete(watched, done[-1].job.outputs.paths())
    )


def _find_end(row: Done) -> OutputError | None:
    """The error that ends the batch: a full disk stops the next video too, a name that is taken concerns only one."""
    return row.error if isinstance(row.error, OutputError) and not isinstance(row.error, TakenError) else None


def _describe_stop(done: list[Done], jobs: list[Job], time_range: TimeRange | None) -> str:
    """Describe where the batch was stopped, and how many videos were not started."""
    from ..pipelines.loop import describe_stop

    words, left = "stopped", len(jobs) - len(done)
    if done and (watched := done[-1].watched) and watched.stopped:
        job = done[-1].job
        words = f"{describe_stop(watched, time_range.start_s if time_range else 0.0, job.length_s)} of {job.name}"
    return f"{words}; {left} of {format_count(len(jobs), 'video')} not started" if left else words


def _annotate_job(
    classifier: PoseClassifier, config: AnnotateConfig, tells: bool, job: Job, progress: Progress
) -> Done:
    from ..people.cropper import count_followed
    from ..pipelines.annotate import Display, annotate_video
    from ..sinks.events import ClassEvents
    from ..sources.inputs import name_missing

    is_group = count_followed(config.people) is not None
    events = ClassEvents(print_json, config.goals_s, job.name, is_group=is_group) if tells else None
    seen_s = start_s = config.time_range.start_s if config.time_range else 0.0

    def show(frame: TimedFrame, tracked: Tracked) -> None:
        nonlocal seen_s
        progress.advance(frame.time_s - seen_s, f"{job.name}: {tracked.hold.pose}")
        seen_s = frame.time_s
        if events:
            events.update(frame.time_s, tracked.hold, tracked.holds)

    try:
        if not job.path.exists():  # before its outputs' folders, which may lie beside it
            raise name_missing(job.path)
        for path in job.outputs.paths():
            path.parent.mkdir(parents=True, exist_ok=True)
        display = Display(on_tracked=show)
        watched = annotate_video(classifier, job.path, job.outputs, config, show=lambda _: display)
        return Done(job, watched, watched.error)
    except (YogaLiveError, OSError) as error:
        return Done(job, None, as_run_error(error))
    except Exception as error:  # noqa: BLE001 - whatever happens with one video, the others are still annotated
        return Done(job, None, SourceError(f"{job.path}: {explain(error, job.path).reason}"))
    finally:
        progress.advance(max(job.length_s - (seen_s - start_s), 0.0))
        _close(events, seen_s)


def _close(events: ClassEvents | None, time_s: float) -> None:
    if events:
        events.close(time_s)


def _report(args: argparse.Namespace, done: list[Done], count: int, goals_s: Mapping[str, float]) -> None:
    """Print a line for each video, the totals over all of them, and the files written."""
    from ..core.goals import describe_unclear
    from ..system.progress import format_duration
    from .report import TOGETHER, describe_totals

    say = partial(print, file=sys.stderr if args.events else sys.stdout)
    width = max((len(row.job.name) for row in done), default=0)
    everything: list[Segment] = []
    for row in done:
        segments = row.watched.segments if row.watched else ()
        everything += segments
        lasted = format_duration(segments[-1].end_s - segments[0].start_s) if segments else "-"
        said = _describe_people(segments) or ("no pose was held" if row.watched else "not read")
        if row.watched and (row.error or not row.watched.whole):
            said += " (stopped)" if row.watched.stopped else " (incomplete)"
        say(f"  {row.job.name:{width}}  {lasted:>7}  {said}")
    together = TOGETHER if any(segment.person for segment in everything) else ""
    for line in describe_totals(tuple(everything), together):
        say(line)
    if words := describe_unclear(everything, goals_s):
        say(words)
    frames, wall_s = sum(r.watched.frames for r in done if r.watched), sum(r.watched.wall_s for r in done if r.watched)
    whole = sum(row.error is None and row.watched is not None and row.watched.whole for row in done)
    say(
        f"{whole} of {format_count(count, 'video')}, {format_count(frames, 'frame')} in {wall_s:.1f} s "
        f"({frames / max(wall_s, 1e-9):.0f} frames per second)"
    )
    for line in _list_written(args, [row.job.outputs for row in done if row.watched]):
        say(line)


def _describe_people(segments: Sequence[Segment]) -> str:
    """What was held for how long altogether, by each person where several are followed; empty if nothing was."""
    from ..core.labels import display_name
    from ..drawing.summary import add_up
    from ..system.progress import format_hold
    from .report import divide_people

    said = []
    for person, own in divide_people(segments):
        totals = ", ".join(f"{display_name(total.pose)} {format_hold(total.total_s)}" for total in add_up(own))
        said += [f"person {person}: {totals}" if person else totals] if totals else []
    return "; ".join(said)


def _list_written(args: argparse.Namespace, outputs: Sequence[Outputs]) -> list[str]:
    """One line on the files of all videos, by where they lie; one on each that is not whole."""
    from ..system.files import find_result
    from .report import list_results

    whole: Counter[str] = Counter()
    parts: list[str] = []
    for option, folder in (("save", args.save), ("timeline", args.timeline), ("summary", args.summary)):
        place = f"in {folder}" if folder else "beside the videos"
        for path in [path for each in outputs if (path := getattr(each, option))]:
            result = find_result(path)
            whole[place] += result == path
            parts += [f"incomplete: {result}"] if result and result != path else []
    written = [f"{format_count(number, 'file')} {place}" for place, number in whole.items()]
    return list_results([], written) + parts
