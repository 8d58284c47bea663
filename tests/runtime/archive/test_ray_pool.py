"""An archive on a real Ray cluster of two machines, one of which is killed; and what needs no cluster to be decided."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
import pytest

from yoga_live.runtime.archive.inputs import Recorded
from yoga_live.runtime.archive.ray_pool import Crew, Lost, Node, Share, run_schedule, share_out
from yoga_live.runtime.archive.scheduler import Answer, ObserveShard, OpenTask, Outcome, Schedule, Task
from yoga_live.runtime.archive.shards import ShardResult, VideoResult, plan_shards
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.errors import ClusterError
from yoga_live.runtime.pipelines.annotate import AnnotateConfig, Outputs, annotate_video

pytest.importorskip("onnxruntime")

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # tree, warrior_2, none
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"}


@pytest.mark.parametrize(
    ("nodes", "workers", "gpus", "expected"),
    [
        ([Node(2)], None, 0.0, Share(2, 1)),
        ([Node(2)], 1, 0.0, Share(1, 2)),
        ([Node(8), Node(8)], 3, 0.0, Share(3, 4)),  # no worker spans two machines
        ([Node(0), Node(8), Node(3)], 4, 0.0, Share(4, 2)),
        ([Node(16, 1)], None, 0.25, Share(4, 1, 0.25)),
        ([Node(16, 1), Node(16)], 4, 0.25, Share(4, 4, 0.25)),
        ([Node(2, 3)], None, 1.0, Share(2, 1, 1.0)),
    ],
)
def test_machines_are_divided_among_workers(nodes: list[Node], workers: int, gpus: float, expected: Share) -> None:
    assert share_out(nodes, workers, gpus) == expected


@pytest.mark.parametrize(
    ("nodes", "workers", "gpus", "part"),
    [
        ([Node(2)], 3, 0.0, "enough for 2 workers"),
        ([Node(8)], None, 0.5, "0 GPUs"),
        ([Node(8, 1)], 3, 0.5, "enough for 2 workers with 0.5 GPUs and one CPU each, not for 3"),
        ([Node(0)], None, 0.0, "0 CPUs"),
    ],
)
def test_more_workers_than_places_are_refused(nodes: list[Node], workers: int, gpus: float, part: str) -> None:
    with pytest.raises(ClusterError, match=part):
        share_out(nodes, workers, gpus)


class ListCrew:
    """Workers that answer at once, and die when they are told to."""

    def __init__(self, first: int, most: int, deaths: int = 0) -> None:
        self.idle, self.most, self.deaths = first, most, deaths
        self.running: list[Task] = []
        self.workers = first
        self.most_running = 0

    @property
    def has_idle(self) -> bool:
        return self.idle > 0

    @property
    def is_working(self) -> bool:
        return bool(self.running)

    def grow(self, wanted: int) -> None:
        more = max(0, min(wanted, self.most - self.workers))
        self.idle, self.workers = self.idle + more, self.workers + more

    def give(self, task: Task) -> None:
        self.idle -= 1
        self.running.append(task)
        self.most_running = max(self.most_running, len(self.running))

    def wait(self, longest_s: float) -> list[tuple[Task, Answer | Lost]]:
        task = self.running.pop(0)
        self.idle += 1
        if self.deaths:
            self.deaths -= 1
            return [(task, Lost("gone"))]
        if isinstance(task, ObserveShard):
            return [(task, ShardResult(np.array([task.shard.start_s]), np.zeros((1, 3), np.float32), 0.0))]
        is_long = isinstance(task, OpenTask) and "long" in task.video.path.name
        return [(task, plan_shards(3600.0) if is_long else VideoResult((), 1))]


def run_list(names: Iterable[str], crew: ListCrew) -> list[Outcome]:
    videos = (Recorded(Path(name), PurePosixPath(name)) for name in names)
    outcomes: list[Outcome] = []
    run_schedule(Schedule(videos), cast(Crew, crew), lambda *_: None, outcomes.append)
    return outcomes


def test_no_more_is_on_its_way_than_there_are_workers_and_the_list_is_read_as_they_come_free() -> None:
    crew, ahead, read = ListCrew(3, 3), [0], [0]

    def name_all() -> Iterator[str]:
        for number in range(10_000):
            read[0] += 1
            ahead[0] = max(ahead[0], read[0] - number)
            assert len(crew.running) < 3
            yield f"{number}.mp4"

    outcomes = run_list(name_all(), crew)
    assert len({outcome.video.path for outcome in outcomes}) == 10_000
    assert crew.most_running == 3 and ahead[0] == 1


def test_workers_are_added_for_the_pieces_of_a_long_video_up_to_the_places() -> None:
    crew = ListCrew(1, 4)
    [outcome] = run_list(["long.mp4"], crew)
    assert crew.workers == 4 and crew.most_running == 4 and outcome.result == VideoResult((), 1)
    crew = ListCrew(1, 4)
    run_list(["short.mp4"], crew)
    assert crew.workers == 1


def test_tasks_of_workers_that_die_are_done_by_others() -> None:
    outcomes = run_list(["a.mp4", "long.mp4", "b.mp4"], ListCrew(2, 2, deaths=2))
    assert [type(outcome.result) for outcome in outcomes] == [VideoResult] * 3


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs, two machines with one each: all of them processes of this one."""
    pytest.importorskip("ray", reason='the cluster needs Ray: pip install "yoga-live[cluster]"')
    pytest.importorskip("pyarrow", reason='the table needs pyarrow: pip install "yoga-live[cluster]"')
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        for name, value in QUIET.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        checks = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000}
        head = {"num_cpus": 0, "object_store_memory": 80_000_000, "_system_config": checks}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=80_000_000) for _ in range(2)]
        cluster.wait_for_nodes()
        yield cluster, nodes
        cluster.shutdown()


@pytest.fixture(scope="module")
def archive(write_clip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty classes, one of half an hour, and a file that is none."""
    folder = tmp_path_factory.mktemp("archive") / "classes"
    rng = np.random.default_rng(0)
    for number in range(20):
        day = folder / ("mon", "tue")[number % 2]
        day.mkdir(parents=True, exist_ok=True)
        colours = [(BLUE, GREEN, RED)[n] for n in rng.integers(0, 3, 12)]
        length = 900 if number == 3 else 10
        frames = [colour for colour in colours for _ in range(length * 2 // 12)]
        frames = [frame for frame in frames for _ in range(1 if number == 3 else 12)]
        size_wh = (64, 48) if number == 3 else (320, 240)
        write_clip(day / f"{number:02d}.mp4", frames, rate=Fraction(1 if number == 3 else 24), size_wh=size_wh)
    (folder / "notes.mp4").write_text("buy a mat")
    return folder


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "yoga_live.runtime", *map(str, arguments)]
    settings = {**os.environ, **QUIET, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings)


def kill_machine_at_work(cluster: Any, node: Any) -> None:
    """Kill all processes of a machine at once, while it works; workers would outlive their raylet by seconds."""
    raylets = {entry.process.pid for entry in node.all_processes["raylet"]}
    deadline_s = time.monotonic() + 60
    children: dict[int, str] = {}
    while not any("ArchiveWorker.work" in title for title in children.values()) and time.monotonic() < deadline_s:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        children = {int(row[0]): row[2] for row in rows if len(row) == 3 and int(row[1]) in raylets}
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def read_timelines(folder: Path, suffix: str) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.poses.csv")}
    return {name.removesuffix(f"{suffix}.poses.csv"): content for name, content in found.items()}


@pytest.mark.slow
def test_a_machine_that_dies_costs_a_piece_and_the_timelines_are_those_of_one_process(
    cluster: Any, archive: Path, model_path: Path, tmp_path: Path
) -> None:
    ray_cluster, nodes = cluster
    out = tmp_path / "out"
    watching = "--video", archive, "--to", out, "--model", model_path, "--cluster", ray_cluster.address
    process = start(*watching)
    deadline_s = time.monotonic() + 90
    while not list(out.rglob("*.poses.csv")) and time.monotonic() < deadline_s and process.poll() is None:
        time.sleep(0.02)
    kill_machine_at_work(ray_cluster, nodes.pop())
    said, err = process.communicate(timeout=120)
    assert process.returncode == 2 and "Traceback" not in err, err
    assert err.splitlines()[-1].startswith("yoga-live: error: 1 of 21 videos could not be annotated to the end: ")
    assert err.count("a worker died") == 1, err
    assert "20 of 21 videos done, 20 of them now" in said
    [header, row] = csv.reader((out / "failed.csv").read_text().splitlines())
    assert header == ["input", "reason"] and row[0].endswith("notes.mp4") and "cannot open" in row[1]

    plain = tmp_path / "plain"
    alone = start("--video", archive, "--timeline", plain, "--model", model_path, "--people", "off")
    alone.communicate(timeout=120)
    mine, theirs = read_timelines(out / "classes", ".mp4"), read_timelines(plain, "")
    assert len(theirs) == 20 and mine == theirs
    assert len({content for content in theirs.values()}) > 15

    check_table(out, mine)
    check_resumed(watching, out)


def check_table(out: Path, timelines: dict[str, bytes]) -> None:
    import pyarrow.parquet as pq

    rows = pq.read_table(out / "timelines.parquet").to_pylist()
    assert len(rows) == sum(len(content.splitlines()) - 1 for content in timelines.values())
    of_one = [row for row in rows if row["video"].endswith("mon/00.mp4")]
    told = list(csv.DictReader(timelines["mon/00"].decode().splitlines()))
    assert [(f"{r['start_s']:.3f}", f"{r['end_s']:.3f}", r["pose"]) for r in of_one] == [
        (row["start_s"], row["end_s"], row["pose"]) for row in told
    ]
    assert all(row["complete"] and len(row["model"]) == 64 for row in rows)


def check_resumed(watching: tuple[object, ...], out: Path) -> None:
    """The same command tries the one that failed, and nothing else."""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.poses.csv")}
    said, err = start(*watching).communicate(timeout=120)
    assert "21 videos, 20 done already" in err and "20 of 21 videos done, 0 of them now" in said
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.poses.csv")} == before


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    cluster: Any, archive: Path, model_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    watching = "--video", archive / "mon", "--to", out, "--model", model_path, "--cluster", cluster[0].address
    process = start(*watching)
    deadline_s = time.monotonic() + 90
    while not list(out.rglob("*.poses.csv")) and time.monotonic() < deadline_s and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143 and "Traceback" not in err and "repeat the command to continue" in err, err
    done = len(list(out.rglob("*.poses.csv")))
    assert 1 <= done < 10
    said, err = start(*watching).communicate(timeout=120)
    assert f"10 videos, {done} done already" in err and "10 of 10 videos done" in said
    assert not list(out.rglob("*.part*"))


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_local_is_a_cluster_of_its_own_beside_one_that_runs(two_people: Path, model_path: Path, tmp_path: Path) -> None:
    """It follows several people as one process does."""
    few, out = tmp_path / "few.txt", tmp_path / "out"
    few.write_text(f"{two_people}\n")
    watching = "--video", few, "--to", out, "--model", model_path, "--cluster", "local", "--workers", "1"
    said, err = start(*watching, "--people", "all", "--mats").communicate(timeout=120)
    assert "1 of 1 video done" in said and "1 machine, 1 worker " in err
    [told] = read_timelines(out, ".mp4").values()
    config = AnnotateConfig(people="all", mats=True)
    annotate_video(two_people, Outputs(timeline=tmp_path / "a.csv"), config, classifier=PoseClassifier(model_path))
    assert told == (tmp_path / "a.csv").read_bytes() and b",2,\n" in told
    import pyarrow.parquet as pq

    table = pq.read_table(out / "timelines.parquet").to_pydict()
    rows = csv.DictReader(told.decode().splitlines())
    assert [(row["pose"], int(row["person"]), row["side"] or None) for row in rows] == list(
        zip(table["pose"], table["person"], table["side"], strict=True)
    )
    said, err = start(*watching, "--people", "all").communicate(timeout=120)
    assert err.splitlines()[-1].endswith("--mats was given; give another --to, or --force to replace them")
    said, err = start(*watching, "--people", "all", "--mats").communicate(timeout=120)
    assert "1 video, 1 done already" in err and "1 of 1 video done, 0 of them now" in said
