"""Nobody is told anything: what every command, engine and extra connects to and leaves below the home folder.

Each runs in a process of its own under strace, in an empty home folder, with an environment that holds nothing but what
is named here: ONNX Runtime's and OpenVINO's telemetry switch themselves off where CI or a test seems to run, and these
tests could then not fail.  The commands of a room are forked from one process, which has imported what most of them
need and has no telemetry of its own, torch above all; no command sees what another one imported.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .network_traces import (
    OWN_CACHE,
    TINY,
    TRAINS,
    Home,
    LoopbackServer,
    Trace,
    check_silent,
    read_trace,
    serve,
    trace_each,
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


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
    "predict": (lambda i: ("predict", i.photos, "given", "--table", "t.csv"), ("t.csv",)),
    "clean --auto": (lambda i: ("clean", "photos", "given", "--auto", "--dry-run"), ()),
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
