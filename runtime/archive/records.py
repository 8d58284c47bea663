"""What is done of an archive: a record beside each timeline says of what, by which model and how it was made."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from ..core.types import Segment
from ..errors import OutputError, TakenError
from ..people.angles import JOINTS
from ..sinks.timeline import FORMATS, format_timeline, shift_segments
from ..sources.inputs import name_input
from ..system.foreign_files import check_number, check_whole, parse_json, show
from ..system.plain_text import escape_json, format_count, is_utf8
from .inputs import Recorded
from .shards import VideoResult
from .store import Store

log = logging.getLogger(__name__)

RECORD_SUFFIX = ".video.json"
FORMAT = 1
JOINT_SET = frozenset(JOINTS)


@dataclass(frozen=True)
class ArchiveConfig:
    """How timelines are made: another recipe makes others.  model_sha256: of the whole model file, calibration too.

    poses: those that may be answered, with commas, in the model's order; None for all.
    """

    model_sha256: str
    timeline_format: str = "csv"
    from_s: float = 0.0
    roi: str | None = None
    zoom: bool = True
    summary: bool = False
    rotate: int = 0
    flip: bool = False
    people: str = "off"
    mats: bool = False
    poses: str | None = None


@dataclass(frozen=True)
class Record:
    """What is kept of a video, under the names that its file has.

    looks: how many observations; recipe: how it was made; trouble: what broke it off; yoga_live: the version that made
    it.
    """

    input: str
    size_bytes: int
    version: str
    recipe: ArchiveConfig
    yoga_live: str
    looks: int
    segments: tuple[Segment, ...]
    trouble: str | None = None

    def to_json(self) -> str:
        content = {"format": FORMAT, **asdict(self)}
        content["segments"] = [_to_row(segment) for segment in self.segments]
        return escape_json(json.dumps(content, ensure_ascii=False)) + "\n"

    @classmethod
    def from_json(cls, text: bytes) -> Record:
        """Raises ValueError, KeyError or TypeError for anything that `to_json` did not write."""
        content = parse_json(text)
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        content["recipe"] = ArchiveConfig(**content["recipe"])
        content["segments"] = tuple(Segment(*row) for row in content["segments"])
        record = cls(**content)
        record.check()
        return record

    def check(self) -> None:
        """Raises ValueError where a value is of another kind."""
        texts = (self.input, self.version, self.yoga_live, self.trouble or "", self.recipe.model_sha256)
        if not all(isinstance(text, str) for text in texts) or f".{self.recipe.timeline_format}" not in FORMATS:
            raise ValueError("something else than text, or than the name of a format")
        if not all(is_utf8(text) for text in (self.input, self.recipe.model_sha256)):
            raise ValueError("text that is not UTF-8")  # `name_input` writes none
        check_whole(self.size_bytes, "size_bytes", 0, 2**63)
        check_whole(self.looks, "looks", 0, 2**63)
        for segment in self.segments:
            if not (isinstance(segment.pose, str) and is_utf8(segment.pose)):
                raise ValueError(f"the pose {show(segment.pose)}")
            angles = segment.angles
            if segment.person is not None:
                check_whole(segment.person, "the number of a person", 1, 2**31 - 1)
            if (
                segment.side not in (None, "left", "right")
                or not isinstance(angles, dict)
                or not angles.keys() <= JOINT_SET
            ):
                raise ValueError(f"the side {show(segment.side)}, or the angles {show(angles)}")
            for number in (segment.start_s, segment.end_s, segment.confidence, *angles.values()):
                check_number(number, "a number of a segment", -1e12, 1e12)


def _to_row(segment: Segment) -> list[object]:
    """The fields of a segment, in order; those of people only where they are known."""
    row: list[object] = [segment.start_s, segment.end_s, segment.pose, segment.confidence]
    is_plain = segment.person is None and not (segment.side or segment.angles)
    return row if is_plain else [*row, segment.person, segment.side, dict(segment.angles)]


@dataclass(frozen=True)
class Plan:
    """todo: what is yet to be watched; done: how many have their results; stale: timelines that are replaced."""

    todo: tuple[Recorded, ...]
    done: int
    stale: frozenset[str] = frozenset()


def plan_work(videos: Sequence[Recorded], store: Store, recipe: ArchiveConfig, *, force: bool = False) -> Plan:
    """Leave out what is done already, by the same recipe, of the same file; no video is opened.

    What broke off is tried again.  Raises OutputError where results of another recipe or file would be replaced and
    `force` does not allow it.
    """
    todo, refused, done = [], [], 0
    there = set(store.find(""))
    known = [name for video in videos if (name := f"{video.place}{RECORD_SUFFIX}") in there]
    records = dict(zip(known, map(_read, store.read_many(known)), strict=True))
    for video in videos:
        record = records.get(f"{video.place}{RECORD_SUFFIX}")
        is_whole = record is None or record.trouble is None
        is_there = name_timeline(video, record.recipe if record else recipe) in there
        differs = _differ(record, video, recipe) if record else "was not made by yoga-live archive"
        if is_there and is_whole and not differs:
            done += 1
            continue
        if is_there and is_whole:
            refused.append((video, differs))
        todo.append(video)
    if refused and not force:
        video, reason = refused[0]
        more = f" ({len(refused) - 1} more)" if len(refused) > 1 else ""
        raise OutputError(
            f"{store}/{name_timeline(video, recipe)} {reason}{more}; give another --to, or --force to replace them"
        )
    timelines = {f"{video.place}.poses{suffix}" for video in todo for suffix in FORMATS}
    return Plan(tuple(todo), done, frozenset(timelines & there))


def store_result(
    video: Recorded,
    told: VideoResult,
    store: Store,
    pictures: Store | None,
    recipe: ArchiveConfig,
    yoga_live: str,
    stale: frozenset[str],
) -> None:
    """Write a video's record and results.  stale: timelines that are there.

    An old timeline goes first, the new one comes last: it is never of another recipe than the record says.  Raises
    TakenError where another program has put one there meanwhile.
    """
    for name in stale & {f"{video.place}.poses{suffix}" for suffix in FORMATS}:
        store.remove(name)
    record = Record(
        *(name_input(video.path), video.size_bytes, video.version, recipe, yoga_live),
        *(told.observations, told.segments, told.reason),
    )
    store.write(f"{video.place}{RECORD_SUFFIX}", record.to_json().encode())
    if told.picture and pictures:
        pictures.write(f"{video.place}.png", told.picture)
    text = format_timeline(f".{recipe.timeline_format}", shift_segments(told.segments, 0.0), told.columns)
    try:
        store.write(name_timeline(video, recipe), text.encode(), replace=False)
    except TakenError:  # nobody is to take another's timeline for the one of this record
        store.remove(f"{video.place}{RECORD_SUFFIX}")
        raise


def name_timeline(video: Recorded, recipe: ArchiveConfig) -> str:
    """Where a video's timeline lies."""
    return f"{video.place}.poses.{recipe.timeline_format}"


def read_records(store: Store) -> Iterator[Record]:
    """All that is known of the archive, also from earlier runs; what is no record is left out, which is logged."""
    names, odd = store.find(RECORD_SUFFIX), []
    for name, content in zip(names, store.read_many(names), strict=True):
        if record := _read(content):
            yield record
        else:
            odd.append(name)
    if odd:
        told = ", ".join(odd[:3]) + (", ..." if len(odd) > 3 else "")
        log.warning("%s: ignored %s without a video's record: %s", store, format_count(len(odd), "file"), told)


def _read(content: bytes | None) -> Record | None:
    if content is None:
        return None
    try:
        return Record.from_json(content)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _differ(record: Record, video: Recorded, recipe: ArchiveConfig) -> str | None:
    """In which way a result is not what would be made now; None: in none."""
    if record.recipe.model_sha256 != recipe.model_sha256:
        return "was made with another model"
    if record.recipe != recipe:
        before, now = asdict(record.recipe), asdict(recipe)
        names = [name for name in now if before[name] != now[name]]
        return "was made with other options: " + ", ".join(_describe_option(name, before[name]) for name in names)
    if (record.size_bytes, record.version) != (video.size_bytes, video.version):
        return f"was made when {video.path} was another file"
    return None


def _describe_option(name: str, value: object) -> str:
    """Say what an option of `yoga-live archive` was, by its field in ArchiveConfig."""
    option = "--from" if name == "from_s" else f"--{name.replace('_', '-')}"
    if name == "zoom":
        return f"{option} was {'auto' if value else 'off'}"
    if not value:  # None, False, or a time or an angle of 0
        return f"{option} was not given"
    return f"{option} was {'given' if value is True else f'{value} s' if name == 'from_s' else value}"
