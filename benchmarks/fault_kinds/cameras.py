"""Cameras on the network that die, stall and lie, on this machine's loopback alone."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from fault_kinds import ffmpeg
from fault_kinds.bench import Bench
from fault_kinds.command_worker import list_command
from fault_kinds.outcome import Answer, Outcome, find_break, find_refusal_fault
from fault_kinds.pictures import serve

KIND = "cameras"
PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).parent.parent / "rtsp_server.py"
SECRET = "geheim"
AT_ONCE, LIMIT_S, WAIT_S = 4, 60.0, 25.0
TRICKLE_S = 40.0

Reply = Callable[[socket.socket], None]


def is_there() -> bool:
    """Whether GStreamer's RTSP server can be run."""
    test = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run([PYTHON, "-c", test], capture_output=True, timeout=20, check=False).returncode == 0
    return False


def run(bench: Bench) -> Iterator[Outcome]:
    """All of them, some at once: they mostly wait."""
    cases = [partial(try_outage, bench, name, how, stop) for name, how, stop in OUTAGES]
    cases += [partial(try_lie, bench, name, reply) for name, reply in list_lies().items()]
    cases += [partial(try_gone, bench), partial(try_ended, bench, "hls"), partial(try_ended, bench, "mjpeg")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda case: case(), bench.choose(cases))


class RtspServer:
    """GStreamer's server, which can be killed, frozen and started again."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.start("320x240")

    def start(self, size: str) -> None:
        """Start it in a size."""
        command = [PYTHON, str(SERVER), str(self.port), *size.split("x"), "15"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def kill(self) -> None:
        """Kill it, also a frozen one."""
        self.process.kill()
        self.process.wait()


class Watcher:
    """yoga-live on a camera, its stderr as it comes."""

    def __init__(self, bench: Bench, folder: Path, address: str) -> None:
        outputs = ["--save", folder / "o.mp4", "--timeline", folder / "o.csv", "--no-window"]
        model = ["--model", bench.model, "--device", "cpu"]
        command = list_command("yoga-live", "--camera", address, *outputs, *model)
        self._process = subprocess.Popen(command, env=bench.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.said, self._out, self._started_s = "", b"", time.monotonic()
        self._readers = [threading.Thread(target=self._read_err), threading.Thread(target=self._read_out)]
        for reader in self._readers:
            reader.start()

    def _read_err(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said += line.decode(errors="replace")

    def _read_out(self) -> None:
        assert self._process.stdout is not None
        self._out = self._process.stdout.read()

    def hears(self, *words: str, within_s: float = WAIT_S) -> bool:
        """Wait until it says one of these, or ends."""
        until_s = time.monotonic() + within_s
        while not (is_said := any(each in self.said for each in words)) and time.monotonic() < until_s:
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        return is_said

    def finish(self, kind: signal.Signals | None = None, limit_s: float = LIMIT_S) -> Answer:
        """Stop it, if it does not end by itself; wait for its end."""
        if kind is not None:
            self._process.send_signal(kind)
        try:
            code: int | None = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = None
        for reader in self._readers:
            reader.join()
        return Answer(code, self._out.decode(errors="replace"), self.said, time.monotonic() - self._started_s)


OUTAGES = (
    ("dies and comes back", "kill", signal.SIGINT),
    ("dies and comes back in another size", "resize", signal.SIGTERM),
    ("stalls and goes on", "freeze", signal.SIGINT),
    ("stalls and is replaced", "replace", signal.SIGTERM),
    ("dies and never comes back", "end", signal.SIGINT),
    ("dies and never comes back, the terminal is closed", "end", signal.SIGHUP),
)


def try_outage(bench: Bench, name: str, how: str, stop: signal.Signals) -> Outcome:
    """Watch a camera, take it away, bring it back, stop watching: a normal end, with whole outputs."""
    folder, server = bench.make_folder(f"outage_{how}_{stop.name}"), RtspServer()
    faults = []
    try:
        watcher = Watcher(bench, folder, f"rtsp://viewer:{SECRET}@127.0.0.1:{server.port}/camera")
        if not watcher.hears("engine on"):
            faults.append("it does not begin")
        time.sleep(2)
        if how in ("freeze", "replace"):
            server.process.send_signal(signal.SIGSTOP)
        else:
            server.kill()
        if not watcher.hears("no picture", "is lost"):
            faults.append("not a word of the outage")
        if how == "freeze":
            server.process.send_signal(signal.SIGCONT)
        elif how != "end":
            server.kill()
            server.start("640x360" if how == "resize" else "320x240")
        if how != "end" and not watcher.hears("is back"):
            faults.append(f"not seen again within {WAIT_S:.0f} s")
        time.sleep(1)
        answer = watcher.finish(stop)
    finally:
        server.kill()
    faults += list_faults(answer, folder)
    right = "it says so, waits, goes on; stopping it is exit code 0 with o.mp4 and o.csv whole" if faults else ""
    return Outcome(KIND, f"RTSP {name}", "wrong" if faults else "handled", "; ".join(faults), right)


def list_faults(answer: Answer, folder: Path) -> list[str]:
    """What is wrong with the end of watching a camera."""
    faults = [trouble] if (trouble := find_break(answer)) else []
    if answer.code != 0 and not faults:
        faults.append(f"exit code {answer.code}: {answer.last_line}")
    if SECRET in answer.err + answer.out:
        faults.append("the password is printed")
    if not (folder / "o.csv").exists() or not (folder / "o.mp4").exists():
        faults.append("no o.mp4 or no o.csv")
    elif ffmpeg.is_there() and not ffmpeg.measure(folder / "o.mp4").frames:
        faults.append("o.mp4 does not play")
    return faults


def list_lies() -> dict[str, tuple[str, Reply]]:
    """What a server may say instead: name -> scheme and reply."""
    ok = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n"
    sdp = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n"
    sound = sdp + b"m=audio 0 RTP/AVP 0\r\na=control:a\r\n"
    page = b"<!DOCTYPE html><html>no camera</html>"
    plain = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
    parts = b"Content-Type: multipart/x-mixed-replace; boundary=b"
    told = {
        "rtsp, garbage": bytes(range(256)) * 40,
        "rtsp, nothing": b"",
        "rtsp, an HTTP page": plain + b"\r\n" + page,
        "rtsp, 401": b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n" * 4,
        "rtsp, 404": b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n" * 3,
        "rtsp, no streams": ok + b"Public: DESCRIBE\r\n\r\n" + _describe(sdp),
        "rtsp, sound alone, then silence": ok + b"Public: DESCRIBE\r\n\r\n" + _describe(sound),
        "rtsp, a body of a gigabyte": ok + b"\r\nRTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 1000000000\r\n\r\n",
        "rtsp, a negative length": ok + b"\r\nRTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: -5\r\n\r\n",
        "rtsp, elsewhere": b"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: file:///etc/passwd\r\n\r\n",
        "http, a page": plain + b"Content-Type: text/html\r\n\r\n" + page,
        "http, garbage": bytes(range(255, -1, -1)) * 40,
        "http, 500": b"HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n",
        "http, to a file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nConnection: close\r\n\r\n",
        "http, half a JPEG": plain + b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0" + bytes(500),
        "http, parts of nothing": plain + parts + b"\r\n\r\n--b\r\n\r\n--b--",
    }  # fmt: skip
    lies: dict[str, tuple[str, Reply]] = {
        name: (name.partition(",")[0], partial(_tell, content)) for name, content in told.items()
    }
    lies["rtsp, silence"] = ("rtsp", lambda connection: time.sleep(TRICKLE_S))
    lies["http, silence"] = ("http", lambda connection: time.sleep(TRICKLE_S))
    lies["rtsp, a byte a second"] = ("rtsp", _trickle)
    lies["rtsp, a head without an end"] = ("rtsp", _flood)
    return lies


def _describe(sdp: bytes) -> bytes:
    head = f"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n"
    return head.encode() + sdp


def _tell(content: bytes, connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(content)
    time.sleep(0.5)


def _trickle(connection: socket.socket) -> None:
    for byte in (b"RTSP/1.0 200 OK\r\nX: " + b"a" * 100)[: round(TRICKLE_S)]:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def _flood(connection: socket.socket) -> None:
    until_s = time.monotonic() + TRICKLE_S
    connection.sendall(b"RTSP/1.0 200 OK\r\n")
    while time.monotonic() < until_s:
        connection.sendall(b"X-Spam: " + b"a" * 4000 + b"\r\n")
        time.sleep(0.01)


@contextmanager
def serve_raw(reply: Reply) -> Iterator[int]:
    """Answer every connection so, on this machine alone.  Yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(TRICKLE_S)
            reply(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def try_lie(bench: Bench, name: str, lie: tuple[str, Reply]) -> Outcome:
    """What is no camera is refused in one line, soon, without the password."""
    scheme, reply = lie
    with serve_raw(reply) as port:
        folder = bench.make_folder(f"lie_{port}")
        answer = Watcher(bench, folder, f"{scheme}://viewer:{SECRET}@127.0.0.1:{port}/camera").finish()
    return judge_lie(f"a server that lies: {name}", answer)


def try_gone(bench: Bench) -> Outcome:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"rtsp://viewer:{SECRET}@127.0.0.1:{port}/camera"
    return judge_lie("no server", Watcher(bench, bench.make_folder("gone"), address).finish())


def judge_lie(name: str, answer: Answer) -> Outcome:
    """One line within the limit."""
    fault = find_refusal_fault(answer) or ("the password is printed" if SECRET in answer.err else "")
    right = f"one line within {LIMIT_S:.0f} s, without the password" if fault else ""
    return Outcome(KIND, name, "wrong" if fault else "refused", fault, right)


def try_ended(bench: Bench, kind: str) -> Outcome:
    """A recording behind an address of a camera is played once, and it is said that files belong to --video."""
    folder = bench.make_folder(kind)
    encode = ("-c:v", "libx264", "-preset", "ultrafast") if kind == "hls" else ("-c:v", "mjpeg", "-f", "mjpeg")
    more = ("-f", "hls", "-hls_playlist_type", "vod") if kind == "hls" else ()
    name = "clip.m3u8" if kind == "hls" else "clip.mjpeg"
    ffmpeg.draw_moving(folder / name, *encode, *more, seconds=3, tone=0)
    contents = {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}
    with serve(contents) as port:
        answer = Watcher(bench, bench.make_folder(f"{kind}_out"), f"http://127.0.0.1:{port}/{name}").finish(limit_s=40)
    fault = find_break(answer) or ("" if "--video" in answer.err else f"not a word of --video: {answer.last_line}")
    right = "played once; one line says that files belong to --video" if fault else ""
    return Outcome(KIND, f"a recording as a camera: {kind}", "wrong" if fault else "handled", fault, right)
