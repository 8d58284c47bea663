"""What is done is not done again; what would be replaced is refused; in a folder as in an object store."""

from __future__ import annotations

import json
import os
import socket
import uuid
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from yoga_live.runtime.archive import records, store_lease
from yoga_live.runtime.archive.inputs import Recorded
from yoga_live.runtime.archive.parquet import TABLE_NAME, write_table
from yoga_live.runtime.archive.records import ArchiveConfig, plan_work, read_records
from yoga_live.runtime.archive.shards import VideoResult
from yoga_live.runtime.archive.store import Store, open_store
from yoga_live.runtime.core.types import Segment
from yoga_live.runtime.errors import OutputError, TakenError
from yoga_live.runtime.sources.remote import RemoteFile

RECIPE = ArchiveConfig("a" * 64)
VIDEOS = [Recorded(Path(f"/v/{name}.mp4"), PurePosixPath(f"v/{name}.mp4"), 10, "mtime_ns 1") for name in "abc"]
TOLD = VideoResult((Segment(0.0, 2.0, "none", 0.9), Segment(2.0, 61.23456789, "tree", 0.8)), 367)


@pytest.fixture(params=["folder", "object store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(tmp_path / "out")
    pytest.importorskip("fsspec")
    return open_store(RemoteFile(f"memory://archive-{uuid.uuid4().hex}/out"))


def keep(
    video: Recorded, told: VideoResult, store: Store, pictures: Store | None = None, recipe: ArchiveConfig = RECIPE
) -> None:
    records.store_result(video, told, store, pictures, recipe, "1.0", frozenset(store.find("")))


def read(store: Store, name: str) -> bytes | None:
    [content] = store.read_many([name])
    return content


def test_what_is_done_is_left_out_and_new_videos_are_not(store: Store) -> None:
    assert plan_work(VIDEOS, store, RECIPE).todo == tuple(VIDEOS)
    keep(VIDEOS[1], TOLD, store)
    plan = plan_work(VIDEOS, store, RECIPE)
    assert plan.todo == (VIDEOS[0], VIDEOS[2]) and plan.done == 1
    assert read(store, "v/b.mp4.poses.csv") == (
        b"start_s,end_s,pose,confidence\n0.000,2.000,none,0.900\n2.000,61.235,tree,0.800\n"
    )


CHANGES = {
    "another model": (VIDEOS[0], replace(RECIPE, model_sha256="b" * 64)),
    "--roi was not given": (VIDEOS[0], replace(RECIPE, roi="0,0,0.5,1")),
    "--timeline-format was csv": (VIDEOS[0], replace(RECIPE, timeline_format="vtt")),
    "--zoom was auto, --summary was not given": (VIDEOS[0], replace(RECIPE, zoom=False, summary=True)),
    "--from was not given, --people was off, --mats was not given": (
        VIDEOS[0],
        replace(RECIPE, from_s=3.0, people="all", mats=True),
    ),
    "--poses was not given": (VIDEOS[0], replace(RECIPE, poses="tree,warrior_2")),
    "was another file": (replace(VIDEOS[0], size_bytes=11), RECIPE),
    "when /v/a.mp4": (replace(VIDEOS[0], version="mtime_ns 2"), RECIPE),
}


@pytest.mark.parametrize("part", CHANGES)
def test_results_of_another_recipe_or_file_are_replaced_only_by_force(store: Store, part: str) -> None:
    video, recipe = CHANGES[part]
    for each in VIDEOS[:2]:
        keep(each, TOLD, store)
    with pytest.raises(OutputError, match=part) as error:
        plan_work([video, *VIDEOS[1:]], store, recipe)
    assert "--force" in str(error.value)
    plan = plan_work([video, *VIDEOS[1:]], store, recipe, force=True)
    assert "v/a.mp4.poses.csv" in plan.stale
    assert video in plan.todo and VIDEOS[2] in plan.todo
    keep(video, TOLD, store, recipe=recipe)  # a forced run that was stopped goes on where it was
    again = plan_work([video, *VIDEOS[1:]], store, recipe, force=True)
    assert len(again.todo) == len(plan.todo) - 1
    assert len([name for name in store.find("") if "a.mp4.poses" in name]) == 1


def test_what_was_given_before_is_said_as_it_was_given(store: Store) -> None:
    was = replace(RECIPE, from_s=12.5, rotate=90, people="4", mats=True)
    keep(VIDEOS[0], TOLD, store, recipe=was)
    with pytest.raises(
        OutputError, match=r"--from was 12\.5 s, --rotate was 90, --people was 4, --mats was given; give"
    ):
        plan_work(VIDEOS, store, RECIPE)


def test_a_timeline_of_somebody_else_is_refused(store: Store) -> None:
    store.write("v/c.mp4.poses.csv", b"mine")
    with pytest.raises(OutputError, match=r"c\.mp4\.poses\.csv was not made by yoga-live archive"):
        plan_work(VIDEOS, store, RECIPE)
    assert len(plan_work(VIDEOS, store, RECIPE, force=True).todo) == 3


def test_what_broke_off_or_lost_its_timeline_is_done_again(store: Store) -> None:
    keep(VIDEOS[0], replace(TOLD, reason="damaged after 60 s"), store)
    keep(VIDEOS[1], TOLD, store)
    store.remove("v/b.mp4.poses.csv")
    keep(VIDEOS[2], TOLD, store)
    store.write("v/c.mp4.video.json", b"{ half")
    with pytest.raises(OutputError, match=r"v/c\.mp4"):
        plan_work(VIDEOS, store, RECIPE)
    assert plan_work(VIDEOS[:2], store, RECIPE).todo == tuple(VIDEOS[:2])


def test_pictures_lie_where_they_were_wanted(store: Store, tmp_path: Path) -> None:
    pictures = open_store(tmp_path / "pictures")
    keep(VIDEOS[0], replace(TOLD, picture=b"png"), store, pictures)
    assert (tmp_path / "pictures" / "v" / "a.mp4.png").read_bytes() == b"png"


def test_the_table_holds_all_that_is_known(store: Store, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason='the table needs pyarrow: pip install "yoga-live[cluster]"')
    keep(VIDEOS[0], TOLD, store)
    keep(VIDEOS[1], replace(TOLD, reason="damaged"), store, recipe=replace(RECIPE, model_sha256="b" * 64))
    store.write("v/other.video.json", b"[]")
    assert write_table(read_records(store), store) == 4
    (tmp_path / "table.parquet").write_bytes(read(store, TABLE_NAME) or b"")
    rows = pq.read_table(tmp_path / "table.parquet").to_pylist()
    assert rows[1] == {
        "video": "/v/a.mp4", "start_s": 2.0, "end_s": 61.23456789, "pose": "tree", "confidence": 0.8,
        "complete": True, "model": "a" * 64, "person": None, "side": None,
    }  # fmt: skip
    assert [row["complete"] for row in rows] == [True, True, False, False] and rows[3]["model"] == "b" * 64


def test_sides_and_angles_are_kept(store: Store, tmp_path: Path) -> None:
    sided = Segment(2.0, 61.0, "tree", 0.8, side="left", angles={"left_knee": 178})
    seen = VideoResult((Segment(0.0, 2.0, "none", 0.9), sided), 367, columns=("side",))
    keep(VIDEOS[0], seen, store, recipe=replace(RECIPE, people="main"))
    (record,) = read_records(store)
    assert record.segments[1] == sided and record.segments[1].angles == {"left_knee": 178}
    assert (read(store, "v/a.mp4.poses.csv") or b"").splitlines()[2] == b"2.000,61.000,tree,0.800,left"
    pq = pytest.importorskip("pyarrow.parquet", reason='the table needs pyarrow: pip install "yoga-live[cluster]"')
    write_table(read_records(store), store)
    (tmp_path / "table.parquet").write_bytes(read(store, TABLE_NAME) or b"")
    table = pq.read_table(tmp_path / "table.parquet")
    assert table.column_names[-1] == "side" and table.column("side").to_pylist() == [None, "left"]


def test_each_of_several_people_is_kept(store: Store, tmp_path: Path) -> None:
    people = (
        Segment(0.0, 9.0, "tree", 0.8, person=1),
        Segment(0.0, 9.0, "lunge", 0.7, person=12, side="right", angles={"left_knee": 92}),
    )
    recipe = replace(RECIPE, people="all", mats=True)
    keep(VIDEOS[0], VideoResult(people, 54, columns=("person", "side")), store, recipe=recipe)
    (record,) = read_records(store)
    assert record.segments == people and record.recipe == recipe
    assert (read(store, "v/a.mp4.poses.csv") or b"").decode().splitlines() == [
        "start_s,end_s,pose,confidence,person,side", "0.000,9.000,tree,0.800,1,", "0.000,9.000,lunge,0.700,12,right"
    ]  # fmt: skip
    pq = pytest.importorskip("pyarrow.parquet", reason='the table needs pyarrow: pip install "yoga-live[cluster]"')
    write_table(read_records(store), store)
    (tmp_path / "table.parquet").write_bytes(read(store, TABLE_NAME) or b"")
    table = pq.read_table(tmp_path / "table.parquet").to_pydict()
    assert table["person"] == [1, 12] and table["side"] == [None, "right"]


@pytest.mark.parametrize(
    ("now", "was"),
    [
        ({"people": "off", "mats": False}, "--people was all, --mats was given"),
        ({"people": "3"}, "--people was all"),
    ],
    ids=["off", "3"],
)
def test_an_archive_of_several_people_goes_on_with_the_same_options_alone(
    store: Store, now: dict[str, object], was: str
) -> None:
    recipe = replace(RECIPE, people="all", mats=True)
    keep(VIDEOS[0], TOLD, store, recipe=recipe)
    assert plan_work(VIDEOS, store, recipe).todo == tuple(VIDEOS[1:])
    with pytest.raises(OutputError, match=f"other options: {was}; give another --to, or --force"):
        plan_work(VIDEOS, store, replace(recipe, **now))
    assert plan_work(VIDEOS, store, replace(recipe, **now), force=True).todo == tuple(VIDEOS)


def test_an_archive_that_was_begun_before_there_were_people_goes_on(store: Store) -> None:
    keep(VIDEOS[0], TOLD, store)
    content = json.loads(read(store, "v/a.mp4.video.json") or b"")
    content["recipe"] = {name: value for name, value in content["recipe"].items() if name not in ("people", "mats")}
    store.write("v/a.mp4.video.json", json.dumps(content).encode())
    assert plan_work(VIDEOS, store, RECIPE).done == 1


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "true", '"1"', "2147483648"])
def test_a_record_of_a_person_without_a_number_is_no_record(store: Store, wrong: str) -> None:
    keep(VIDEOS[0], VideoResult((Segment(0.0, 9.0, "tree", 0.8, person=77),), 54), store)
    text = (read(store, "v/a.mp4.video.json") or b"").decode()
    assert text.count("77") == 1
    store.write("v/a.mp4.video.json", text.replace("77", wrong).encode())
    assert list(read_records(store)) == []


@pytest.mark.parametrize("wrong", ['"middle", {}', '"left", {"tail": 3}', '"left", {"left_knee": "bent"}', '"left", 5'])
def test_a_record_with_a_side_that_nobody_has_is_no_record(store: Store, wrong: str) -> None:
    sided = Segment(2.0, 61.0, "tree", 0.8, side="left", angles={"left_knee": 178})
    keep(VIDEOS[0], VideoResult((sided,), 367), store)
    text = (read(store, "v/a.mp4.video.json") or b"").decode()
    store.write("v/a.mp4.video.json", text.replace('"left", {"left_knee": 178}', wrong).encode())
    assert list(read_records(store)) == []


def test_an_archive_without_results_has_an_empty_table(store: Store) -> None:
    pytest.importorskip("pyarrow", reason='the table needs pyarrow: pip install "yoga-live[cluster]"')
    assert write_table(read_records(store), store) == 0 and read(store, TABLE_NAME)


def test_a_store_that_can_not_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    root = RemoteFile(f"memory://archive-{uuid.uuid4().hex}/out")
    store = open_store(root)
    store.write("v/a.mp4.video.json", b"{}")

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nto the store")

    file_system = type(fsspec.core.url_to_fs(root.url)[0])
    for name in ("find", "pipe_file", "cat_file", "rm_file"):
        monkeypatch.setattr(file_system, name, refuse)
    works = (
        lambda: store.find(""),
        lambda: store.write("a", b"1"),
        lambda: list(store.read_many(["v/a.mp4.video.json"])),
        lambda: store.remove("v/a.mp4.video.json"),
    )
    for work in works:
        with pytest.raises(OutputError, match="ConnectionError: no route") as error:
            work()
        assert "\n" not in str(error.value)


def test_a_place_belongs_to_one_run_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_lease, "SETTLE_S", 0.01)
    with store.claim():
        store.write("v/a.mp4.poses.csv", b"1")
        expected = rf"another command \(process {os.getpid()} on {socket.gethostname()}, since 20.*\) is writing "
        with pytest.raises(TakenError, match=expected), store.claim():
            pytest.fail("it was taken twice")
        assert store.find(".csv") == ["v/a.mp4.poses.csv"] and not store.find(".lock")  # the lock is no result
    with store.claim():
        pass
    assert not store.exists(".yoga-live.lock")


def test_a_timeline_that_appears_meanwhile_is_left_alone_and_has_no_record(store: Store) -> None:
    plan = plan_work(VIDEOS, store, RECIPE)
    store.write("v/a.mp4.poses.csv", b"another's")
    with pytest.raises(TakenError, match=r"poses\.csv was created by another program.*a\.mp4\.poses\.part\.csv"):
        records.store_result(VIDEOS[0], TOLD, store, None, RECIPE, "1.0", plan.stale)
    assert store.find(".csv") == ["v/a.mp4.poses.csv", "v/a.mp4.poses.part.csv"] and not store.find(".json")
    assert read(store, "v/a.mp4.poses.csv") == b"another's"
    assert (read(store, "v/a.mp4.poses.part.csv") or b"").startswith(b"start_s")


def rewrite(store: Store, name: str, **values: object) -> None:
    content = json.loads(read(store, name) or b"")
    store.write(name, json.dumps(content | values).encode())


@pytest.mark.parametrize(
    "values", [{"input": "\ud800"}, {"input": "\udcff"}, {"segments": [[0.0, 1.0, "\udcff", 0.5]]}], ids=ascii
)
def test_a_record_with_half_a_character_is_left_out_with_a_line(
    store: Store, values: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pyarrow")
    for video in VIDEOS:
        keep(video, TOLD, store)
    rewrite(store, "v/b.mp4.video.json", **values)
    assert write_table(read_records(store), store) == 4
    assert "ignored 1 file without a video's record: v/b.mp4.video.json" in caplog.text


def test_a_record_without_end_is_not_read_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(tmp_path)
    with (tmp_path / "a.video.json").open("wb") as file:
        file.truncate(40_000_000_000)
    assert list(read_records(store)) == [] and "a.video.json" in caplog.text
