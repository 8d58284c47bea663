"""`--people`: several people in one video, each with a row of their own in every output."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime import PoseTracker, annotate_video
from yoga_live.runtime.classifier import DEFAULT_MODEL, PoseClassifier
from yoga_live.runtime.core.types import Floats, Frame
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.pipelines.annotate import AnnotateConfig, Outputs
from yoga_live.runtime.pipelines.benchmark import run_benchmark
from yoga_live.runtime.sources.drawn_figure import POSES, Appearance, blend_poses, draw_figure
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.tracking.observer import open_cropper

from ..conftest import assert_refused

pytest.importorskip("onnxruntime")
Live = Callable[..., tuple[int, str, str]]
RATE, PART_WH = 8, (480, 360)
REST = POSES["standing"]


def draw_class() -> Iterator[Frame]:
    """Nine seconds: on the left a tree from 1 to 6 s, on the right a warrior 2 from 2 to 9 s."""
    for count in range(9 * RATE):
        time_s = count / RATE
        left = min(max(time_s - 0.5, 0), 1) * min(max(6.5 - time_s, 0), 1)
        right = min(max(time_s - 1.5, 0), 1)
        figures = [
            draw_figure(blend_poses(REST, POSES[pose], fraction), PART_WH, Appearance(window_x=None))
            for pose, fraction in (("tree", left), ("warrior_2", right))
        ]
        yield np.hstack(figures)


@pytest.fixture(scope="module")
def two(write_clip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("two") / "two.mp4", list(draw_class()), rate=Fraction(RATE))


LAST_KEYS = ("person", "side", "switch", "angles", "version")
"""Of events, behind those that every event has had before."""


def list_holds(rows: list[dict[str, str]], person: int) -> list[str]:
    return [row["pose"] for row in rows if row["person"] == str(person) and row["pose"] != "none"]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_each_of_two_people_has_rows_events_and_a_strip(live: Live, two: Path, tmp_path: Path) -> None:
    outputs = ["--timeline", tmp_path / "two.csv", "--summary", tmp_path / "two.png", "--save", tmp_path / "two.mp4"]
    code, out, err = live("--video", two, *outputs, "--people", "all", "--events", model=DEFAULT_MODEL)
    assert code == 0, err
    header = (tmp_path / "two.csv").read_text().splitlines()[0]
    assert header == "start_s,end_s,pose,confidence,person,side"
    rows = read_rows(tmp_path / "two.csv")
    people = {list_holds(rows, person)[0]: person for person in (1, 2)}
    assert people.keys() == {"tree", "warrior_2"}
    assert [list_holds(rows, person) for person in (people["tree"], people["warrior_2"])] == [["tree"], ["warrior_2"]]
    for person in (1, 2):
        own = [row for row in rows if row["person"] == str(person)]
        assert all(a["end_s"] == b["start_s"] for a, b in pairwise(own))
    events = [json.loads(line) for line in out.splitlines()]
    assert {(event["event"], event["pose"], event["person"]) for event in events} == {
        (event, pose, person) for pose, person in people.items() for event in ("begin", "end")
    }
    assert all(set(list(event)[list(event).index("person") :]) <= set(LAST_KEYS) for event in events)
    assert "person" in err and "Warrior 2" in err
    assert live("--video", two, "--summary", tmp_path / "main.png", model=DEFAULT_MODEL)[0] == 0
    one, both = (decode_photo((tmp_path / name).read_bytes()).shape[0] for name in ("main.png", "two.png"))
    assert both > one + 150
    with VideoSource(tmp_path / "two.mp4") as video:
        drawn = list(video.frames())[4 * RATE].image_bgr.astype(int)
    with VideoSource(two) as video:
        plain = list(video.frames())[4 * RATE].image_bgr.astype(int)
    changed = np.abs(drawn - plain).max(axis=2) > 60
    assert changed[:, :480].any() and changed[:, 480:].any()


@pytest.mark.parametrize(("people", "last"), [("main", ",side"), ("off", "")])
def test_the_main_person_alone_leaves_the_columns_as_they_were(
    live: Live, two: Path, tmp_path: Path, people: str, last: str
) -> None:
    assert live("--video", two, "--timeline", tmp_path / "a.csv", "--people", people, model=DEFAULT_MODEL)[0] == 0
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == f"start_s,end_s,pose,confidence{last}"


def test_the_columns_do_not_depend_on_what_is_seen(live: Live, write_clip: Callable[..., Path], tmp_path: Path) -> None:
    room = write_clip(tmp_path / "room.mp4", [(90, 90, 90)] * 20, rate=Fraction(10), size_wh=(320, 180))
    expected = {"all": ",person,side", "main": ",side", "off": ""}
    for people, more in expected.items():
        timeline = tmp_path / f"{people}.csv"
        assert live("--video", room, "--timeline", timeline, "--people", people, model=DEFAULT_MODEL)[0] == 0
        assert timeline.read_text().splitlines()[0] == f"start_s,end_s,pose,confidence{more}"


def test_goals_of_sides_that_cannot_be_are_refused(live: Live, two: Path, tmp_path: Path) -> None:
    asked = "--video", two, "--timeline", tmp_path / "a.csv"
    for more in (("--people", "off"), ("--zoom", "off")):
        refused = live(*asked, "--goal", "tree=4/side", *more, model=DEFAULT_MODEL)
        assert_refused(refused, "tree=4/side", "leave out " + " ".join(more))
    refused = live(*asked, "--goal", "goddess=5/side", model=DEFAULT_MODEL)
    assert_refused(refused, "goddess has no sides", "give goddess=5")
    assert_refused(live(*asked, "--people", "2", "--zoom", "off"), "--zoom off", "--people 2")


def test_a_number_follows_so_many(live: Live, two: Path, tmp_path: Path) -> None:
    assert live("--video", two, "--timeline", tmp_path / "a.json", "--people", "1", model=DEFAULT_MODEL)[0] == 0
    rows = json.loads((tmp_path / "a.json").read_text())
    assert {row["person"] for row in rows} == {1} and list(rows[0])[-1] == "person"


def test_mats_number_people_by_their_places(live: Live, two: Path, tmp_path: Path) -> None:
    timeline = tmp_path / "a.csv"
    assert live("--video", two, "--timeline", timeline, "--people", "all", "--mats", model=DEFAULT_MODEL)[0] == 0
    rows = read_rows(timeline)
    starts = {person: min(float(row["start_s"]) for row in rows if row["person"] == person) for person in "12"}
    assert {row["person"] for row in rows} == {"1", "2"} and starts == {"1": 0, "2": 0}  # from the first look on


def test_what_does_not_go_together_is_refused(live: Live, two: Path, tmp_path: Path) -> None:
    asked = "--video", two, "--timeline", tmp_path / "a.csv"
    assert_refused(live(*asked, "--mats"), "--mats", "--people all")
    assert_refused(live(*asked, "--people", "all", "--explain"), "--explain", "--people all")
    assert_refused(live(*asked, "--people", "0"), "--people 0", "up to 8")


def test_the_benchmark_follows_each_of_them(two: Path) -> None:
    """What is measured is what runs: two pictures a frame, not one."""
    batches: dict[str, set[int]] = {}
    for people in ("main", "all"):
        classifier = PoseClassifier(device="cpu", threads=1)
        sizes, infer = batches.setdefault(people, set()), classifier.engine.infer

        def note(frames: Frame, sizes: set[int] = sizes, infer: Callable[[Frame], Floats] = infer) -> Floats:
            sizes.add(len(frames))
            return infer(frames)

        classifier.engine.infer = note  # type: ignore[method-assign]
        cropper = open_cropper(classifier, None, True, (960, 360), "all" if people == "all" else "main")
        assert "view" in run_benchmark(classifier, two, 20, cropper=cropper).milliseconds
    assert batches["main"] == {1} and 2 in batches["all"]


def test_a_program_gets_everybodys_holds(two: Path, tmp_path: Path) -> None:
    result = annotate_video(two, Outputs(timeline=tmp_path / "a.vtt"), AnnotateConfig(people="all"))
    assert {segment.person for segment in result.segments} == {1, 2}
    cues = (tmp_path / "a.vtt").read_text()
    assert ": Tree" in cues and ": Warrior 2" in cues
    tracker = PoseTracker(people="all")
    for count, frame in enumerate(draw_class()):
        hold = tracker.update(frame, count / RATE)
        if count == 5 * RATE:
            assert {held.pose for held in tracker.holds.values()} == {"tree", "warrior_2"}
            assert hold in tracker.holds.values()
    poses = {pose: {s.person for s in tracker.segments if s.pose == pose} for pose in ("tree", "warrior_2")}
    assert len(poses["tree"]) == len(poses["warrior_2"]) == 1 and poses["tree"] != poses["warrior_2"]


def test_roi_and_zoom_together_are_refused_without_people(live: Live, two: Path, tmp_path: Path) -> None:
    both = "--timeline", tmp_path / "a.csv", "--roi", "0,0,1,1", "--zoom", "auto"
    assert_refused(live("--video", two, *both, "--people", "off"), "--roi", "--zoom")
    assert live("--video", two, *both)[0] == 0
    assert_refused(live("--video", two, "--people", "nobody"), "--people nobody", "main, all, off")
