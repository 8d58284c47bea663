"""Run a command under strace in an empty home folder, and tell what it connects to and leaves behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest

STRACE = shutil.which("strace")
CALLS = "connect,sendto,sendmsg,sendmmsg,openat"
ADDRESSES = re.compile(
    r"sa_family=AF_INET, sin_port=htons\((\d+)\), sin_addr=inet_addr\(\"([^\"]+)\"\)"
    r"|sa_family=AF_INET6, sin6_port=htons\((\d+)\).*?inet_pton\(AF_INET6, \"([^\"]+)\""
)
OUTWARD = {("192.0.2.1", 9), ("2001:db8::1", 9)}
"""`--serve 0.0.0.0:PORT` connects datagram sockets to these to learn its own address; that sends nothing."""
OWN_CACHE = ".cache/yoga-live/*"
LONGEST_S = 240.0
TINY = ("--size", "32", "--arch", "resnet18", "--batch", "16")


def _read_onnxruntime() -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in metadata.version("onnxruntime").split(".")[:2])
    except metadata.PackageNotFoundError:
        return (0,)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(STRACE is None, reason="strace is not installed: apt-get install strace"),
    pytest.mark.skipif(
        _read_onnxruntime() < (1, 29), reason="onnxruntime 1.29 or newer is not installed; older ones report nothing"
    ),
]


@dataclass(frozen=True)
class Trace:
    """What a command did.  reached: (address, port) of every internet socket; left: files below home, relative."""

    code: int
    said: str
    reached: frozenset[tuple[str, int]]
    resolver: bool
    left: frozenset[str]
    work: frozenset[str]

    def strangers(self, *known: int) -> set[tuple[str, int]]:
        """Addresses that are not this machine's own loopback; ports of `known` alone where they are given."""
        return {
            (address, port)
            for address, port in self.reached
            if (address, port) not in OUTWARD
            and (not _is_loopback(address) or port == 53 or (known and port not in known))
        }


def _is_loopback(address: str) -> bool:
    number = ip_address(address)
    mapped = number.ipv4_mapped if isinstance(number, IPv6Address) else None
    return (mapped or number).is_loopback


def read_trace(log: str) -> tuple[set[tuple[str, int]], bool]:
    """Internet addresses with their ports, and whether a system's resolver was asked over its own socket."""
    found = {(v4 or v6, int(port4 or port6)) for port4, v4, port6, v6 in ADDRESSES.findall(log)}
    return found, "systemd/resolve" in log


class Home:
    """An empty home folder, with a folder `work` in it where commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder / "home", folder / "home" / "work"
        self.work.mkdir(parents=True)
        self._log, self.answer = folder / "strace.log", folder / "answer.txt"

    def trace(self, *command: object, **environment: str) -> Trace:
        """Run a command of Python (what stands after `python`) to its end."""
        before = self.list()
        answer = run_traced(self._log, self.work, *command, HOME=str(self.folder), **environment)
        return self.judge(before, self._log.read_text(errors="replace"), answer.returncode, answer.stdout)

    def judge(self, before: set[str], log: str, code: int, said: str) -> Trace:
        """Tell what a command did that found these files."""
        reached, resolver = read_trace(log)
        new = self.list() - before
        work = frozenset(name.removeprefix("work/") for name in new if name.startswith("work/"))
        left = frozenset(name for name in new if not name.startswith("work/"))
        return Trace(code, said, frozenset(reached), resolver, left, work)

    def list(self) -> set[str]:
        return {p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if not p.is_dir()}


def run_traced(log: Path, cwd: Path, *command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    strace = (str(STRACE), "-f", "--seccomp-bpf", "-qq", "-s", "64", "-e", f"trace={CALLS}", "-o", str(log))
    return subprocess.run(
        [*strace, sys.executable, *map(str, command)],
        cwd=cwd,
        env={**kept, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LONGEST_S,
        check=False,
    )


FORK_EACH = """
import gc, importlib, json, os, runpy, sys
room, *jobs = json.loads(sys.argv[1])
for preloaded, home, work, answer, words in jobs:
    for name in preloaded:
        importlib.import_module(name)
    gc.freeze()  # else each command would copy all of it at its end
    said = os.open(answer, os.O_CREAT | os.O_WRONLY)  # in the trace: from here on it is this command's
    if child := os.fork():
        os.write(said, b"\\nexit code %d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    else:
        os.chdir(work)
        os.environ["HOME"] = home
        os.dup2(said, 1), os.dup2(said, 2)
        sys.argv[1:] = words
        runpy.run_module("yoga_live." + room, run_name="__main__", alter_sys=True)
        sys.exit()
    os.close(said)
"""
TRAINS = (
    "show",
    "fit",
    "lr-find",
    "report",
    "predict",
    "onnx",
)  # with torch, which takes others half a second to leave


def trace_each(room: str, folder: Path, jobs: dict[str, tuple[Home, Sequence[object]]]) -> dict[str, Trace]:
    """Run commands of a room one after another, each in its home."""
    before = {name: home.list() for name, (home, _) in jobs.items()}
    listed = [
        (("cv2", "torch", "torchvision") if name in TRAINS else ("cv2",), *map(str, (h.folder, h.work, h.answer)),
         [*map(str, words)])
        for name, (h, words) in jobs.items()
    ]  # fmt: skip
    answer = run_traced(folder / "strace.log", folder, "-c", FORK_EACH, json.dumps([room, *listed]), HOME=str(folder))
    assert answer.returncode == 0 and not answer.stdout, answer.stdout
    shared, *logs = re.split(
        r"openat\(AT_FDCWD, \"[^\"]*answer\.txt", (folder / "strace.log").read_text(errors="replace")
    )
    assert len(logs) == len(jobs) and read_trace(shared) == (set(), False)
    traces = {}
    for (name, (home, _)), log in zip(jobs.items(), logs, strict=True):
        said, code = home.answer.read_text(errors="replace").rsplit("exit code ", 1)
        traces[name] = home.judge(before[name], log, int(code), f"{name}: {said}")
    return traces


def check_silent(trace: Trace, outputs: Sequence[str], *ports: int, code: int | None = 0) -> None:
    """Nothing but loopback was reached, nothing but the outputs and our own cache was written."""
    assert code is None or trace.code == code, trace.said
    assert not trace.strangers(*ports), trace.said
    assert not trace.resolver
    assert not {name for name in trace.left if not fnmatch(name, OWN_CACHE)}
    assert not {name for name in trace.work if not any(fnmatch(name, output) for output in outputs)}
    assert all(any(fnmatch(name, output) for name in trace.work) for output in outputs), (trace.work, trace.said)


class Listener(BaseHTTPRequestHandler):
    """Gives a picture, an MJPEG stream, or (as a proxy) nothing but a note of who was asked for."""

    protocol_version = "HTTP/1.0"
    server: LoopbackServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        if self.path.endswith(".mjpg"):
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            for _ in range(100):
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(self.server.picture)}\r\n\r\n"
                self.wfile.write(head.encode() + self.server.picture + b"\r\n")
                self.server.pause.wait(0.05)
        else:
            self.send_header("Content-Type", "image/jpeg")
            self.end_headers()
            self.wfile.write(self.server.picture)

    def do_CONNECT(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        pass


class LoopbackServer(ThreadingHTTPServer):
    """A server, a camera or a proxy on 127.0.0.1.  asked: paths, or as a proxy host and port."""

    daemon_threads = True

    def __init__(self, picture: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Listener)
        self.picture, self.asked, self.pause = picture, list[str](), threading.Event()

    def server_bind(self) -> None:
        """Without the look-up of its own name that http.server does."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, *_: object) -> None:
        """Who hangs up is none."""


@contextmanager
def serve(picture: bytes) -> Iterator[LoopbackServer]:
    with LoopbackServer(picture) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.pause.set()
        server.shutdown()
        thread.join(10)
