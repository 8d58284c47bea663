"""A network camera that is killed and restarted again and again: `python benchmarks/rtsp_soak.py --minutes 30`.

GStreamer's RTSP server (rtsp_server.py says what to install) is killed (SIGKILL) `--restarts` times, stays down for
one to twenty seconds, and comes back in another size every time; every fifth time it freezes instead (SIGSTOP), its
connections open and silent, and is killed in the end.  yoga-live's loop watches it all the while.  Printed: gaps
between pictures, and how much longer each is than the server was down (until the next try, and connecting); memory
(which the size of the pictures moves), threads and open files.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.pipelines.live_loop import run_live
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.sinks.base import StopWatching
from yoga_live.runtime.sources.cameras import open_camera

SIZES = ((640, 360), (1280, 720), (320, 240))
DOWN_S = (3.0, 1.0, 8.0, 3.0, 20.0)
FREEZES_EVERY = 5
GAP_S = 1.0
"""Without a picture for longer is a gap."""
CONNECT_S = 4.0
"""Beside the wait between tries, a quarter of the time that it was down, what connecting to a new server may take."""


class Server:
    """GStreamer's server, started and killed."""

    def __init__(self, port: int, rate: int) -> None:
        self._port, self._rate, self._starts = port, rate, 0
        self.down: list[tuple[float, float]] = []
        self.start()

    def start(self) -> None:
        """Start it in the next size."""
        width, height = SIZES[self._starts % len(SIZES)]
        self._starts += 1
        script = str(Path(__file__).with_name("rtsp_server.py"))
        arguments = ["/usr/bin/python3", script, *map(str, (self._port, width, height, self._rate))]
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise SystemExit("the RTSP server can't be started; is the port free? rtsp_server.py says what it needs")

    def restart(self) -> None:
        """Kill or freeze it, wait, start it."""
        began_s, number = time.monotonic(), len(self.down)
        freezes = number % FREEZES_EVERY == FREEZES_EVERY - 1
        if freezes:
            self._process.send_signal(signal.SIGSTOP)
        else:
            self.stop()
        time.sleep(DOWN_S[number % len(DOWN_S)])
        if freezes:
            self.stop()
        self.start()
        self.down.append((began_s, time.monotonic()))

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()


def measure_process() -> dict[str, float]:
    """Memory in MB, threads, open files of this process (Linux)."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {
        "memory_mb": int(fields["VmRSS"].split()[0]) / 1024,
        "threads": int(fields["Threads"]),
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - PathLib has no cheaper way
    }


def main() -> int:
    """Run the soak.  Returns 1 if a picture was missed while the server was up, or it was killed too seldom."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--rate", type=int, default=15)
    parser.add_argument("--port", type=int, default=8564)
    args = parser.parse_args()
    server = Server(args.port, args.rate)
    end_s = time.monotonic() + 60 * args.minutes
    seen_s: list[float] = []
    states: list[tuple[float, dict[str, float]]] = []

    def note(frame: TimedFrame, hold: Hold) -> None:
        now_s = time.monotonic()
        if now_s > end_s:
            raise StopWatching
        if frame.lost_s is not None:
            return
        seen_s.append(now_s)
        if not states or now_s - states[-1][0] > 10:
            states.append((now_s, measure_process()))

    def kill_often() -> None:
        for _ in range(args.restarts):
            time.sleep(60 * args.minutes / (args.restarts + 1) - sum(DOWN_S) / len(DOWN_S))
            server.restart()
            memory_mb = measure_process()["memory_mb"]
            print(f"restarted, {len(seen_s)} pictures so far, {memory_mb:.1f} MB", flush=True)

    try:
        with open_camera(f"rtsp://anna:secret@127.0.0.1:{args.port}/camera") as source:
            threading.Thread(target=kill_often, daemon=True).start()
            run_live(RunPlan(source, PoseClassifier(), [], on_frame=note))
            reconnected = source.reconnected
    finally:
        server.stop()
    gaps = [(before, after) for before, after in pairwise(seen_s) if after - before > GAP_S]
    unexplained = [
        (before, after)
        for before, after in gaps
        if not any(
            before >= start - GAP_S and after <= end + (end - start) / 4 + CONNECT_S for start, end in server.down
        )
    ]
    missing_s = sum(after - before for before, after in gaps)
    watched_s = seen_s[-1] - seen_s[0]
    print(f"{len(seen_s)} pictures in {watched_s:.0f} s; connected again {reconnected} times")
    print(f"while it was up: {len(seen_s) / (watched_s - missing_s):.1f} pictures a second of {args.rate}")
    for (before, after), (start, end) in zip(gaps, server.down, strict=False):
        print(f"gap {after - before:5.1f} s: the server was down {end - start:4.1f} s, and {after - end:3.1f} s longer")
    print(f"gaps while the server was up: {len(unexplained)}")
    thirds = np.array_split([state["memory_mb"] for _, state in states], 3)
    print(f"memory, medians of the thirds: {', '.join(f'{np.median(third):.0f}' for third in thirds)} MB")
    warm = states[min(3, len(states) - 1)][1]
    for name, value in states[-1][1].items():
        print(f"{name}: {warm[name]:.0f} after half a minute, {value:.0f} at the end")
    return 1 if unexplained or len(server.down) < args.restarts or reconnected < args.restarts else 0


if __name__ == "__main__":
    sys.exit(main())
