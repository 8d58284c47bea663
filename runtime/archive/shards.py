"""Recordings watched in shards, on whatever machine: what is seen of the shards, joined, is what one run sees.

A shard is one or more chunks (sources/frame_sampling.py) of a recording.  Its decoding begins at a key frame before
the warm-up that its first chunk needs, its observations at its own beginning; smoothing runs over the observations of
all shards in a row.  Where each of several people is followed, a recording is one shard: their numbers hold to its end.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..core.model_metadata import ModelInfo
from ..errors import NoFrameError, SourceError
from ..people.cropper import choose_cropper, count_followed
from ..pipelines.annotate import AnnotateConfig, find_columns, open_recording
from ..sources.base import Seen
from ..sources.frame_sampling import CHUNK_S, SAME_S, WARM_UP_S
from ..sources.time_range import TimeRange
from ..sources.video import VideoSource
from ..system.plain_text import format_count
from ..tracking.bodies import BodyHistory, BodyLook
from ..tracking.fixed_lag import GroupSmoother, PersonSmoother
from ..tracking.observer import Observer, find_info, follows_group, open_cropper
from ..tracking.sampling_observer import OBSERVATIONS_PER_S, SamplingObserver
from ..tracking.sight import Look

if TYPE_CHECKING:
    from pathlib import Path

    from ..classifier import PoseClassifier
    from ..core.frames import TimedFrame
    from ..core.types import Segment
    from ..sources.remote import RemoteFile

SHORTEST_LAST = 0.5
"""A last shard shorter than this share of a chunk goes with the one before it: its warm-up would cost as much."""


@dataclass(frozen=True)
class Shard:
    """Observations from `start_s` on and before `end_s` (None: to the end); seconds of the recording's own time."""

    start_s: float
    end_s: float | None


@dataclass(frozen=True)
class ShardResult:
    """What was seen in a shard.

    times_s: float64 (N,); rows: calibrated probabilities, float32 (N, C); end_s: when the last frame ends that was
    read, observed or not; reason: why it ended early, if it broke; damage: what was left out, if anything; looks: at
    the body of the main person, where people are looked for; columns: of person and side, which its timeline has;
    group: what each of several people holds, where they are followed; whole: whether a whole person was seen, bool
    (N,), True where people are not looked for.
    """

    times_s: npt.NDArray[np.float64]
    rows: npt.NDArray[np.float32]
    end_s: float
    reason: str | None = None
    damage: str = ""
    looks: tuple[BodyLook, ...] = ()
    columns: tuple[str, ...] = ()
    group: GroupSmoother | None = None
    whole: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class VideoResult:
    """What is known of a whole recording.  observations: how many; picture: its summary, PNG; reason: what broke it
    off; damage: what was left out of the picture; columns: of person and side, which its timeline has."""

    segments: tuple[Segment, ...]
    observations: int
    picture: bytes | None = None
    reason: str | None = None
    damage: str = ""
    columns: tuple[str, ...] = ()


def plan_shards(length_s: float | None, time_range: TimeRange | None = None) -> list[Shard]:
    """Cut a recording at whole chunks; one whose length is not known, or short, is one shard.

    length_s: from the recording's start to its end.
    """
    time_range = time_range or TimeRange()
    end_s = time_range.end_s if length_s is None else min(length_s, time_range.end_s or length_s)
    cuts = [time_range.start_s]
    while end_s and (cut := (int((cuts[-1] + SAME_S) // CHUNK_S) + 1) * CHUNK_S) < end_s:
        cuts.append(cut)
    if len(cuts) > 1 and end_s and end_s - cuts[-1] < SHORTEST_LAST * CHUNK_S:
        cuts.pop()
    return [Shard(start, end) for start, end in pairwise([*cuts, None]) if start is not None]


def plan_video(path: Path | RemoteFile, config: AnnotateConfig, threads: int | None = None) -> list[Shard]:
    """Open a recording and say in which shards it is watched.  Raises SourceError, OptionError.

    One whose times begin anew in the middle is one shard: when what lies there is, only reading up to it tells.  So is
    one in which each of several people is followed.
    """
    with open_recording(path, OBSERVATIONS_PER_S, config.time_range, threads, config.mounting) as source:
        choose_cropper(config.roi, config.zoom, source.info.size_wh)
        rest_s = source.info.duration_s
        start_s = config.time_range.start_s if config.time_range else 0.0
        planned = plan_shards(None if rest_s is None else start_s + rest_s, config.time_range)
        is_whole = len(planned) > 1 and (
            count_followed(config.people) is not None or (isinstance(source, VideoSource) and source.goes_back())
        )
    return [Shard(start_s, None)] if is_whole else planned


def observe_shard(
    classifier: PoseClassifier,
    path: Path | RemoteFile,
    config: AnnotateConfig,
    shard: Shard,
    threads: int | None = None,
) -> ShardResult:
    """Observe a shard.  Raises SourceError where the recording cannot be opened, OptionError for a region outside."""
    times_s: list[float] = []
    rows: list[npt.NDArray[np.floating]] = []
    whole: list[bool] = []
    seen, reason, damage, body = Seen(), None, "", BodyHistory()
    columns, group = tuple[str, ...](), None
    try:
        with open_recording(
            path, OBSERVATIONS_PER_S, _find_time_range(config, shard), threads, config.mounting
        ) as source:
            size_wh, seen = source.info.size_wh, source.info.seen
            cropper = open_cropper(classifier, config.roi, config.zoom, size_wh, config.people, mats=config.mats)
            columns = find_columns(cropper)
            group = GroupSmoother(find_info(classifier, cropper)) if follows_group(cropper) else None
            watcher = SamplingObserver(Observer(classifier, cropper), shard.start_s)
            try:
                for step in watcher.observe_through(_frames_before(source.frames(), shard.end_s)):
                    times_s += [observation.time_s for observation in step.observations]
                    rows += [observation.probabilities for observation in step.observations]
                    whole += [observation.look().is_whole for observation in step.observations]
                    for observation in step.observations:
                        if observation.crops and observation.crops.person:
                            body.add(observation.crops.person)
                        if group is not None:
                            group.add(observation)
            finally:
                damage = source.damage if isinstance(source, VideoSource) else ""
            if source.info.seen.jumps_s and not (
                shard.end_s is None and shard.start_s == (config.time_range or TimeRange()).start_s
            ):
                raise SourceError(f"{path} cannot be split: its times restart in the middle; use yoga-live --video")
    except NoFrameError as error:
        if shard.start_s == (config.time_range or TimeRange()).start_s:  # else the recording is shorter than it says
            raise SourceError(str(error)) from error
    except SourceError as error:
        if not times_s and shard.start_s == (config.time_range or TimeRange()).start_s:
            raise
        reason = str(error)
    seen_rows = np.array(rows, np.float32).reshape(len(rows), len(classifier.labels))
    looks, is_whole = body.looks, np.array(whole, bool)
    return ShardResult(np.array(times_s), seen_rows, seen.end_s, reason, damage, looks, columns, group, is_whole)


def join_shards(observations: Sequence[ShardResult]) -> ShardResult:
    """The observations of all shards of a recording, in order, as one run has them: it ends where the first of them
    broke."""
    broken = next((n for n, each in enumerate(observations) if each.reason), len(observations) - 1)
    kept = observations[: broken + 1]
    ends_s = [each.end_s for each in kept if len(each.times_s)]
    body = BodyHistory()
    for each in kept:
        body.extend(each.looks)
    return ShardResult(
        np.concatenate([each.times_s for each in kept]),
        np.concatenate([each.rows for each in kept]),
        ends_s[-1] if ends_s else 0.0,
        kept[-1].reason,
        _join_damage([each.damage for each in kept if each.damage]),
        body.looks,
        kept[0].columns,
        kept[0].group,  # that is a recording of one shard
        np.concatenate([find_whole(each) for each in kept]),
    )


def find_whole(observations: ShardResult) -> npt.NDArray[np.bool_]:
    """Whether a whole person was seen, bool (N,); True where that is not known."""
    return np.ones(len(observations.times_s), bool) if observations.whole is None else observations.whole


def _join_damage(damages: Sequence[str]) -> str:
    """What is said of several shards; no sum: near a cut the same packet is met by both sides."""
    others = len(damages) - 1
    return damages[0] + (f"; more in {format_count(others, 'other part')}" if others else "") if damages else ""


def finish_video(
    observations: ShardResult, info: ModelInfo, title: str | None = None, *, is_flipped: bool = False
) -> VideoResult:
    """Smooth what was seen of a whole recording.

    title: of a summary picture; None: none is drawn.  is_flipped: as `draw_summary` has it.
    """
    segments = _smooth_group(observations) or _smooth_main(observations, info)
    picture = None if title is None else _draw(segments, title, is_flipped=is_flipped)
    times_s, columns = observations.times_s, observations.columns
    return VideoResult(segments, len(times_s), picture, observations.reason, observations.damage, columns)


def _smooth_group(observations: ShardResult) -> tuple[Segment, ...]:
    """The timelines of several people; none where nobody was followed."""
    return observations.group.segments(observations.end_s) if observations.group else ()


def _smooth_main(observations: ShardResult, info: ModelInfo) -> tuple[Segment, ...]:
    """The timeline of the main person, or of the picture."""
    smoother, times_s = PersonSmoother(info), observations.times_s
    found = {int(np.searchsorted(times_s, look.time_s)): look for look in observations.looks}
    rows = zip(times_s.tolist(), observations.rows, find_whole(observations).tolist(), strict=True)
    for number, (time_s, row, is_whole) in enumerate(rows):
        smoother.add(Look(time_s, row, body=found.get(number), is_whole=is_whole))
    return smoother.segments(observations.end_s)


def _find_time_range(config: AnnotateConfig, shard: Shard) -> TimeRange | None:
    """What is read for a shard: from its warm-up on, where it needs one.  Its end is the observations' affair: frames
    keep their own lengths."""
    time_range = config.time_range or TimeRange()
    if shard.start_s == time_range.start_s:
        return config.time_range
    needs_s = WARM_UP_S if config.zoom and (config.people != "off" or not config.roi) else 0.0
    return replace(time_range, start_s=max(shard.start_s - needs_s, time_range.start_s))


def _frames_before(frames: Iterable[TimedFrame], end_s: float | None) -> Iterator[TimedFrame]:
    if end_s is None:
        return iter(frames)
    return takewhile(lambda frame: frame.time_s < end_s - SAME_S, frames)


def _draw(segments: tuple[Segment, ...], title: str, *, is_flipped: bool) -> bytes:
    from ..drawing.summary import draw_summary

    buffer = io.BytesIO()
    draw_summary(segments, title, is_flipped=is_flipped).save(buffer, format="PNG")
    return buffer.getvalue()
