"""Nobody is told anything: what every command, engine and extra connects to and leaves below the home folder.

Each runs in a process of its own under strace, in an empty home folder, with an environment that holds nothing but what
is named here: ONNX Runtime's and OpenVINO's telemetry switch themselves off where CI or a test seems to run, and these
tests could then not fail.  The commands of a room are forked from one process, which has imported what most of them
need and has no telemetry of its own, torch above all; no command sees what another one imported.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from importlib.util import find_spec
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

import numpy as np
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
TRAINS = ("show", "fit", "lr-find", "report", "onnx")  # with torch, which takes others half a second to leave


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


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def check_silent(trace: Trace, outputs: Sequence[str], *ports: int, code: int | None = 0) -> None:
    """Nothing but loopback was reached, nothing but the outputs and our own cache was written."""
    assert code is None or trace.code == code, trace.said
    assert not trace.strangers(*ports), trace.said
    assert not trace.resolver
    assert not {name for name in trace.left if not fnmatch(name, OWN_CACHE)}
    assert not {name for name in trace.work if not any(fnmatch(name, output) for output in outputs)}
    assert all(any(fnmatch(name, output) for name in trace.work) for output in outputs), (trace.work, trace.said)


@pytest.fixture(scope="session")
def traced_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of video, drawn."""
    import av

    path = tmp_path_factory.mktemp("clip") / "class.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(24):
            picture = np.full((120, 160, 3), 9 * number, np.uint8)
            picture[30:90, 40 + number : 100 + number] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@dataclass(frozen=True)
class Inputs:
    """What commands are given: all made before, outside the home folder."""

    clip: Path
    photos: Path
    weights: Path
    run: Path
    model: Path


@pytest.fixture
def inputs(
    traced_clip: Path, drawn_photos: Path, start_weights: Path, trained_run: Path, exported_model: Path
) -> Inputs:
    return Inputs(traced_clip, drawn_photos, start_weights, trained_run, exported_model)


Arguments = Callable[[Inputs], Sequence[object]]
WATCHING: dict[str, tuple[Arguments, Sequence[str]]] = {
    "a video": (
        lambda i: ("--video", i.clip, "--save", "o.mp4", "--timeline", "o.csv", "--summary", "o.png"),
        ("o.mp4", "o.csv", "o.png"),
    ),
    "photos": (lambda i: ("--images", i.photos / "tree", "--table", "t.csv"), ("t.csv",)),
    "benchmark": (lambda i: ("--benchmark", "--video", i.clip, "--frames", "5"), ()),
}
WITH_EXTRAS: dict[str, tuple[str, Arguments, Sequence[str]]] = {
    "openvino": (
        "openvino",
        lambda i: ("--video", i.clip, "--timeline", "o.csv", "--device", "openvino"),
        ("o.csv",),
    ),
    "cluster": ("ray", lambda i: ("--video", i.clip, "--to", "out", "--cluster", "local"), ("out/*",)),
}
TRAINING: dict[str, tuple[Arguments, Sequence[str]]] = {
    "collect --urls": (lambda i: ("collect", "--urls", "urls.txt", "--pose", "tree", "--to", "lists"), ("lists/*",)),
    "add": (lambda i: ("add", i.photos / "tree", "--pose", "tree", "--to", "mine"), ("mine/*",)),
    "capture": (
        lambda i: ("capture", "--video", i.clip, "--pose", "tree", "--to", "mine", "--count", "2", "--every", "0.2"),
        ("mine/*",),
    ),
    "stats": (lambda i: ("stats", "photos"), ("photos/stats.html",)),
    "show": (lambda i: ("show", i.photos, "--to", "s.png", "--size", "32"), ("s.png",)),
    "fit": (
        lambda i: (
            *("fit", i.photos, "--to", "run", "--weights", "none", "--epochs", "1", "--epochs-frozen", "1"),
            *("--device", "cpu", *TINY),
        ),
        ("run/*",),
    ),
    "lr-find": (
        lambda i: ("lr-find", i.photos, "--to", "lr.png", "--weights", "none", "--steps", "20", *TINY),
        ("lr.png", "lr.csv"),
    ),
    "report": (lambda i: ("report", "given"), ("given/report/*",)),
    "clean --auto": (lambda i: ("clean", "photos", "given", "--auto", "--dry-run"), ("photos/*",)),
}
CALIBRATING: dict[str, tuple[Arguments, Sequence[str]]] = {
    "confidence": (
        lambda i: ("confidence", i.model, "--run", i.run, "--to", "c.onnx"),
        ("c.onnx", "c.reliability.png"),
    ),
    "int8": (lambda i: ("int8", i.model, "--run", i.run, "--to", "m8.onnx"), ("m8.onnx", "m8.reliability.png")),
    "check": (lambda i: ("check", i.model, i.model, "--run", i.run), ()),
}
EXPORTING: dict[str, tuple[Arguments, Sequence[str]]] = {
    "onnx": (lambda i: ("onnx", i.run, "--to", "m.onnx"), ("m.onnx",)),
    "fp16": (
        lambda i: ("fp16", i.model, "--run", i.run, "--to", "m16.onnx"),
        ("m16.onnx", "m16.reliability.png"),
    ),
    "info": (lambda i: ("info", i.model), ()),
}
ROOMS = {"runtime": WATCHING, "train": TRAINING, "calibration": CALIBRATING, "export": EXPORTING}


def set_up(room: str, home: Home, inputs: Inputs) -> None:
    if room == "train":
        (home.work / "urls.txt").write_text("https://photos.example/a.jpg\n")
        shutil.copytree(inputs.photos, home.work / "photos")
        shutil.copytree(inputs.run, home.work / "given")
        shutil.rmtree(home.work / "given" / "report", ignore_errors=True)


@pytest.mark.parametrize("room", ROOMS)
def test_commands_reach_nobody_and_leave_their_outputs_alone(room: str, tmp_path: Path, inputs: Inputs) -> None:
    model = ("--model", inputs.model) if room == "runtime" else ()
    jobs: dict[str, tuple[Home, Sequence[object]]] = {
        name: (Home(tmp_path / str(number)), (*arguments(inputs), *model))
        for number, (name, (arguments, _)) in enumerate(sorted(ROOMS[room].items(), key=lambda case: case[0] in TRAINS))
    }
    for home, _ in jobs.values():
        set_up(room, home, inputs)
    for name, trace in trace_each(room, tmp_path, jobs).items():
        check_silent(trace, ROOMS[room][name][1])


@pytest.mark.parametrize("name", WITH_EXTRAS)
def test_a_command_of_an_extra_reaches_nobody(name: str, home: Home, inputs: Inputs) -> None:
    extra, arguments, outputs = WITH_EXTRAS[name]
    pytest.importorskip(extra, reason=f"the extra with {extra} is not installed")
    check_silent(home.trace("-m", "yoga_live.runtime", *arguments(inputs), "--model", inputs.model), outputs)


def test_a_refused_engine_reaches_nobody(home: Home, inputs: Inputs) -> None:
    """TensorRT itself runs on NVIDIA's GPUs alone; what comes before it runs here."""
    if find_spec("tensorrt"):
        pytest.skip("TensorRT is installed: the engine would be built")
    check_silent(home.trace("-m", "yoga_live.export", "engine", inputs.model, "--to", "m.engine"), (), code=2)


CLASSIFY = """
import sys
import numpy as np
from yoga_live.runtime import PoseClassifier
print(PoseClassifier(sys.argv[1], device=sys.argv[2]).classify(np.zeros((64, 64, 3), np.uint8)).pose)
"""


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_a_classifier_in_a_users_program_reaches_nobody(device: str, home: Home, inputs: Inputs) -> None:
    if device == "openvino":
        pytest.importorskip("openvino", reason="the extra with openvino is not installed")
    check_silent(home.trace("-c", CLASSIFY, inputs.model, device), ())


def test_a_user_who_wants_onnxruntimes_telemetry_has_it(home: Home, inputs: Inputs) -> None:
    """And so these tests do see what it leaves."""
    trace = home.trace("-c", CLASSIFY, inputs.model, "cpu", ORT_DISABLE_TELEMETRY="0")
    assert any(name.startswith(".cache/Microsoft/") for name in trace.left)
    assert "telemetry" not in trace.said


def test_a_program_that_imported_onnxruntime_first_is_told_so(home: Home, inputs: Inputs) -> None:
    trace = home.trace("-c", "import onnxruntime\n" + CLASSIFY, inputs.model, "cpu")
    assert trace.code == 0 and trace.said.count("set ORT_DISABLE_TELEMETRY=1 before importing onnxruntime") == 1


UNTIL_STOPPED = """
import importlib, os, signal, sys, threading, time, urllib.error, urllib.request
def stop():
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=5).read(100)
            break
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.1)
    time.sleep(float(sys.argv[2]))
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=stop, daemon=True).start()
sys.exit(importlib.import_module("yoga_live." + sys.argv[3]).main(sys.argv[4:]))
"""


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_live_page_is_served_without_reaching_anybody(host: str, home: Home, inputs: Inputs) -> None:
    port = find_free_port()
    served = ("--video", inputs.clip, "--model", inputs.model, "--serve", f"{host}:{port}", "--no-window")
    trace = home.trace("-c", UNTIL_STOPPED, f"http://127.0.0.1:{port}/favicon.ico", 1, "runtime.cli.main", *served)
    assert f":{port}" in trace.said
    check_silent(trace, (), port, code=None)


def test_the_page_for_cleaning_reaches_nobody(home: Home, inputs: Inputs) -> None:
    port = find_free_port()
    shutil.copytree(inputs.photos, home.work / "photos")
    page = ("clean", "photos", inputs.run, "--port", port, "--no-browser")
    trace = home.trace("-c", UNTIL_STOPPED, f"http://127.0.0.1:{port}/favicon.ico", 0.5, "train.cli.main", *page)
    assert f":{port}" in trace.said
    assert not trace.strangers(port) and not trace.resolver
    assert all(fnmatch(name, OWN_CACHE) for name in trace.left)
    assert all(name.startswith("photos/") for name in trace.work)


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


@pytest.fixture
def server(drawn_photos: Path) -> Iterator[LoopbackServer]:
    with serve((drawn_photos / "tree" / "01.jpg").read_bytes()) as running:
        yield running


def test_a_network_camera_is_all_that_watching_it_reaches(home: Home, inputs: Inputs, server: LoopbackServer) -> None:
    port = server.server_port
    watch = ("--camera", f"http://127.0.0.1:{port}/c.mjpg", "--model", inputs.model, "--timeline", "o.csv")
    trace = home.trace(
        *("-c", UNTIL_STOPPED, f"http://127.0.0.1:{port}/ready.jpg", 3, "runtime.cli.main", *watch, "--no-window")
    )
    assert "/c.mjpg" in server.asked
    check_silent(trace, ("o.csv",), port, code=None)


def test_a_download_reaches_only_the_hosts_of_its_list(home: Home, server: LoopbackServer) -> None:
    (home.work / "lists").mkdir()
    (home.work / "lists" / "tree.csv").write_text(f"url\nhttp://127.0.0.1:{server.server_port}/a.jpg\n")
    trace = home.trace("-m", "yoga_live.train", "download", "lists", "--to", "mine", "--allow-private")
    check_silent(trace, ("mine/manifest.csv", "mine/tree/*.jpg", "mine/.lock"), server.server_port)
    assert server.asked == ["/a.jpg"]


def test_imagenets_weights_come_from_torchvisions_own_host(home: Home, inputs: Inputs, server: LoopbackServer) -> None:
    proxy = f"http://127.0.0.1:{server.server_port}"
    fit = ("fit", inputs.photos, "--to", "run", "--epochs", "1", "--device", "cpu", *TINY)
    trace = home.trace("-m", "yoga_live.train", *fit, https_proxy=proxy, http_proxy=proxy)
    assert set(server.asked) == {"download.pytorch.org:443"}, trace.said
    assert not trace.strangers(server.server_port) and not trace.resolver
    assert trace.code == 2 and "Traceback" not in trace.said


@pytest.mark.parametrize(
    ("log", "strangers"),
    [
        ('connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0', 0),
        ('connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0', 1),
        ('connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("20.1.2.3")}, 16 <unfinished', 1),
        ('7 sendto(3, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("8.8.8.8")}, 16) = 1', 1),
        (
            "connect(3, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), "
            'inet_pton(AF_INET6, "2600::1", &sin6_addr), sin6_scope_id=0}, 28) = -1',
            1,
        ),
        (
            "connect(3, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), "
            'inet_pton(AF_INET6, "::ffff:127.0.0.1", &sin6_addr), sin6_scope_id=0}, 28) = -1',
            0,
        ),
        ('connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT', 0),
    ],
)
def test_a_trace_tells_strangers_from_this_machine(log: str, strangers: int) -> None:
    reached, resolver = read_trace(log)
    trace = Trace(0, "", frozenset(reached), resolver, frozenset(), frozenset())
    assert len(trace.strangers()) == strangers and not trace.resolver
