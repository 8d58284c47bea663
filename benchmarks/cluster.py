"""What a cluster costs and gives: in turns with a plain loop, with a machine killed, and the stages of one core.

    python benchmarks/cluster.py turns CLIPS_FOLDER [--videos 20] [--rounds 3]
    python benchmarks/cluster.py kill CLIPS_FOLDER [--videos 20]
    python benchmarks/cluster.py stages CLIPS_FOLDER [--seconds 15]

`turns`: one-minute videos, cut from the clips by copying packets; a plain loop in this process (one decoder and one
network thread), one worker and two workers of a local Ray cluster (one thread each), round by round.  Times are from
the moment that model and workers are ready, to the last written result; starting Ray is told apart.  Ratios are of one
round, the median over the rounds is told.

`kill`: the command itself on a Ray cluster of two machines (processes of this one, one CPU each), all processes of one
killed in the middle; the timelines are compared with those of `yoga-live --video FOLDER --timeline OUT`, byte for byte.

`stages`: CPU seconds of one thread for a second of video, per stage and size; what a thousand hours cost follows.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av

from yoga_live.runtime.archive.inputs import Recorded, list_archive
from yoga_live.runtime.archive.ray_pool import Crew, connect, run_schedule, share_out
from yoga_live.runtime.archive.records import ArchiveConfig, store_result
from yoga_live.runtime.archive.scheduler import OpenTask, Outcome, Schedule
from yoga_live.runtime.archive.shards import Shard, ShardResult, finish_video, join_shards, observe_shard
from yoga_live.runtime.archive.store import Store, open_store
from yoga_live.runtime.archive.worker import ArchiveWorker, WorkerConfig
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.model_metadata import DEFAULT_MODEL
from yoga_live.runtime.cropping.croppers import ZoomCropper
from yoga_live.runtime.pipelines.annotate import AnnotateConfig
from yoga_live.runtime.sources.inputs import VIDEO_SUFFIXES
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.runtime.system.progress import track
from yoga_live.runtime.tracking.adaptive_sampling import AdaptiveObserver
from yoga_live.runtime.tracking.observer import Observation, Observer, PreparedFrame
from yoga_live.runtime.tracking.sampling_observer import OBSERVATIONS_PER_S

MINUTE_S = 60.0
HEIGHTS = (1080, 720, 360)
RECIPE = ArchiveConfig("0" * 64)


def find_clips(folder: Path) -> list[Path]:
    """The videos that lie in a folder itself, no GIFs."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES - {".gif", ".webp"})
    if not found:
        sys.exit(f"{folder} holds no video")
    return found


def write_minute(clip: Path, turn: int, to: Path) -> None:
    """Copy a clip's packets again and again until a minute is full, beginning at another group of pictures."""
    with av.open(str(clip)) as source, av.open(str(to), "w") as target:
        stream: Any = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.pts is not None and packet.dts is not None]
        keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        first = keys[turn % len(keys)]
        packets = packets[first:] + packets[:first]
        step = round(1 / stream.average_rate / stream.time_base)
        copy: Any = target.add_stream_from_template(stream)
        count = round(MINUTE_S * stream.average_rate)
        shifts = [packet.pts - packet.dts for packet in packets]
        for number in range(count):
            packet, shift = packets[number % len(packets)], shifts[number % len(packets)]
            again = av.Packet(bytes(packet))
            again.stream, again.time_base, again.is_keyframe = copy, stream.time_base, packet.is_keyframe
            again.dts, again.pts = number * step, number * step + shift
            target.mux(again)


def make_archive(clips: list[Path], count: int, folder: Path) -> Path:
    """So many one-minute videos."""
    folder.mkdir()
    for number in track(range(count), "cutting", count, "videos"):
        write_minute(clips[number % len(clips)], number // len(clips), folder / f"{number:02d}.mp4")
    return folder


def make_order(threads: int) -> WorkerConfig:
    """What workers are told."""
    return WorkerConfig("cpu", threads, AnnotateConfig(), False, version("yoga-live"))


def write(outcome: Outcome, store: Store) -> None:
    """Write a result as the command does."""
    if not hasattr(outcome.result, "segments"):
        sys.exit(f"{outcome.video.path}: {outcome.result}")
    store_result(outcome.video, outcome.result, store, None, RECIPE, "benchmark", frozenset())  # pyright: ignore[reportArgumentType]


def time_plain(videos: list[Recorded], model: bytes, store: Store) -> tuple[float, float]:
    """One after the other in this process.  Returns seconds, and those until the model was there."""
    started_s = time.monotonic()
    worker = ArchiveWorker()
    worker.start(model, make_order(1))
    ready_s = time.monotonic()
    for video in videos:
        write(Outcome(video, worker.work(OpenTask(video))), store)  # pyright: ignore[reportArgumentType]
    return time.monotonic() - ready_s, ready_s - started_s


def time_cluster(videos: list[Recorded], model: bytes, store: Store, workers: int) -> tuple[float, float]:
    """With so many workers of one thread each.  Returns seconds, and those until all workers were there."""
    started_s = time.monotonic()
    with connect("local") as nodes:
        share = replace(share_out(nodes, workers), cpus=1)
        crew = Crew(share, model, make_order(1), print)
        while crew.starting:
            crew.wait(1.0)
        ready_s = time.monotonic()
        run_schedule(Schedule(videos), crew, lambda *_: None, lambda outcome: write(outcome, store))
        return time.monotonic() - ready_s, ready_s - started_s


def run_turns(clips: list[Path], count: int, rounds: int, model: Path) -> None:
    """Print the table of the turns."""
    content = model.read_bytes()
    with tempfile.TemporaryDirectory() as name:
        videos = list_archive([make_archive(clips, count, Path(name) / "classes")])
        seconds: dict[str, list[float]] = {"plain loop": [], "one worker": [], "two workers": []}
        starts: dict[str, list[float]] = {key: [] for key in seconds}
        told: dict[str, list[bytes]] = {}
        for number in range(rounds):
            names = list(seconds) if number % 2 == 0 else list(seconds)[::-1]
            for key in names:
                store = open_store(Path(name) / f"{key}-{number}")
                if key == "plain loop":
                    wall_s, start_s = time_plain(videos, content, store)
                else:
                    wall_s, start_s = time_cluster(videos, content, store, 1 if key == "one worker" else 2)
                seconds[key].append(wall_s)
                starts[key].append(start_s)
                timelines = [file or b"" for file in store.read_many(store.find(".poses.csv"))]
                told.setdefault("first", timelines)
                assert timelines == told["first"] and len(timelines) == count, "timelines differ"
                print(f"round {number + 1}: {key}: {wall_s:.1f} s after {start_s:.1f} s to start", flush=True)
    print(f"\n{count} videos of a minute, {rounds} rounds; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for key, walls in seconds.items():
        ratios = [wall_s / plain_s for wall_s, plain_s in zip(walls, seconds["plain loop"], strict=True)]
        print(
            f"{key:12} {statistics.median(walls):7.1f} s  {statistics.median(ratios):5.2f} of the plain loop "
            f"({min(ratios):.2f} to {max(ratios):.2f})  start {statistics.median(starts[key]):.1f} s"
        )


def run_kill(clips: list[Path], count: int, model: Path) -> None:
    """Kill one machine of two in the middle, compare."""
    os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0", RAY_worker_niceness="0")
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as name:
        archive, out, plain = (Path(name) / part for part in ("classes", "out", "plain"))
        make_archive(clips, count, archive)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100_000_000})
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=100_000_000) for _ in range(2)]
        command = [sys.executable, "-m", "yoga_live.runtime", "--model", str(model), "--video", str(archive)]
        started_s = time.monotonic()
        process = subprocess.Popen([*command, "--to", str(out), "--cluster", str(cluster.address)])
        while len(list(out.rglob("*.poses.csv"))) < count // 3 and process.poll() is None:
            time.sleep(0.1)
        kill_machine(cluster, nodes[-1])
        print(f"\nkilled one of two machines after {time.monotonic() - started_s:.1f} s", flush=True)
        code = process.wait()
        print(f"exit code {code} after {time.monotonic() - started_s:.1f} s")
        subprocess.run([*command, "--timeline", str(plain)], check=True)
        cluster.shutdown()
        mine = {p.name.replace(".mp4.", "."): p.read_bytes() for p in out.rglob("*.poses.csv")}
        theirs = {p.name: p.read_bytes() for p in plain.rglob("*.poses.csv")}
        equal = sum(mine.get(key) == content for key, content in theirs.items())
        print(f"{equal} of {len(theirs)} timelines are those of the single process, byte for byte")


def kill_machine(cluster: Any, node: Any) -> None:
    """Kill all its processes at once."""
    raylets = {entry.process.pid for entry in node.all_processes["raylet"]}
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    for pid, parent in (map(int, line.split()) for line in listed.splitlines()):
        if parent in raylets:
            os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def resize(clip: Path, height: int, seconds: float, to: Path) -> Path:
    """The beginning of a clip in another size, H.264 as a camera or a site would have it (medium, CRF 23)."""
    with av.open(str(clip)) as source, av.open(str(to), "w") as target:
        stream: Any = source.streams.video[0]
        coded: Any = target.add_stream("libx264", rate=Fraction(stream.average_rate), options={"preset": "medium"})
        width = round(stream.width * height / stream.height / 2) * 2
        coded.width, coded.height, coded.pix_fmt = width, height, "yuv420p"
        for frame in source.decode(video=0):
            if frame.time is not None and frame.time >= seconds:
                break
            picture = frame.reformat(width, height, "yuv420p")
            picture.pict_type = 0  # the encoder's own choice
            target.mux(coded.encode(picture))
        target.mux(coded.encode(None))
    return to


class TimedLooker(Observer):
    """A looker with the CPU seconds of its two halves."""

    def __init__(self, classifier: PoseClassifier) -> None:
        super().__init__(classifier, ZoomCropper())
        self.zoom_s = self.network_s = 0.0

    def prepare(self, frame: TimedFrame, *, warms: bool = False) -> PreparedFrame:
        """Convert, find the person, letterbox."""
        at = time.process_time()
        prepared = super().prepare(frame, warms=warms)
        self.zoom_s += time.process_time() - at
        return prepared

    def observe_prepared(self, prepared: PreparedFrame) -> Observation:
        """Run the network."""
        at = time.process_time()
        look = super().observe_prepared(prepared)
        self.network_s += time.process_time() - at
        return look


def measure_stages(clip: Path, classifier: PoseClassifier) -> dict[str, float]:
    """CPU seconds for a second of video, one thread: decoding, conversion and zoom, network, smoothing."""
    looker, decode_s = TimedLooker(classifier), 0.0
    sparse = AdaptiveObserver(looker)
    with VideoSource(clip, OBSERVATIONS_PER_S, threads=1) as source:
        length_s, frames = source.info.duration_s or 0.0, source.frames()
        while True:
            at = time.process_time()
            frame = next(frames, None)
            decode_s += time.process_time() - at
            if frame is None:
                break
            sparse.observe(frame)
        sparse.finish()
    stages = {"decode": decode_s, "zoom": looker.zoom_s, "network": looker.network_s}
    looks = observe_shard(classifier, clip, AnnotateConfig(), Shard(0.0, None), threads=1)
    hour = join_shards([shift_looks(looks, number * length_s) for number in range(max(1, round(3600 / length_s)))])
    at = time.process_time()
    finish_video(hour, classifier.info)
    stages["smoothing"] = (time.process_time() - at) / hour.end_s * length_s
    return {name: seconds / length_s for name, seconds in stages.items()}


def shift_looks(looks: ShardResult, by_s: float) -> ShardResult:
    """The same looks later."""
    return replace(looks, times_s=looks.times_s + by_s, end_s=looks.end_s + by_s)


def run_stages(clips: list[Path], model: Path, seconds: float) -> None:
    """Print the table of the stages."""
    import cv2

    cv2.setNumThreads(1)
    classifier = PoseClassifier(model, "cpu", threads=1)
    print("CPU ms of one thread for a second of video; x real time of one core; core hours for 1,000 hours of video")
    print(f"{'':6} {'decode':>8} {'zoom':>8} {'network':>8} {'smooth':>8} {'all':>8} {'x':>7} {'hours':>7}")
    with tempfile.TemporaryDirectory() as name:
        for height in HEIGHTS:
            rows = []
            for clip in _larger(clips, height):
                path = resize(clip, height, seconds, Path(name) / f"{clip.stem}.mp4")
                rows += [measure_stages(path, classifier) for _ in range(2)]
            ms = {stage: 1000 * statistics.median(row[stage] for row in rows) for stage in rows[0]}
            total = sum(ms.values())
            cells = " ".join(f"{value:8.2f}" for value in (*ms.values(), total))
            print(f"{height:5}p {cells} {1000 / total:7.1f} {total:7.1f}", flush=True)


def _larger(clips: list[Path], height: int) -> Iterator[Path]:
    """Clips that have as many rows; they are never enlarged."""
    for clip in clips:
        with av.open(str(clip)) as source:
            if source.streams.video[0].height >= height:
                yield clip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("turns", "kill", "stages"))
    parser.add_argument("clips", type=Path, help="folder of a few clips")
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each clip that `stages` measures")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    args = parser.parse_args()
    clips = find_clips(args.clips)
    if args.what == "turns":
        run_turns(clips, args.videos, args.rounds, args.model)
    elif args.what == "kill":
        run_kill(clips, args.videos, args.model)
    else:
        run_stages(clips, args.model, args.seconds)


if __name__ == "__main__":
    main()
