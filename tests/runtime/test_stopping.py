"""Whole runs as processes: stopped, killed, two at once, on a full disk.  The final name is for what is whole."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")

SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
BLUE = (255, 0, 0)  # BGR; tree
FRAMES = 750
Run = Callable[..., "subprocess.Popen[str]"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of these signals")


@pytest.fixture(scope="module")
def long_clip(write_clip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute, which takes seconds to annotate."""
    return write_clip(tmp_path_factory.mktemp("clip") / "class.mp4", [BLUE] * FRAMES, size_wh=(640, 480), sound="aac")


@pytest.fixture
def start(model_path: Path, tmp_path: Path) -> Run:
    """Start `yoga-live` as a process that signals reach; limit_bytes: no file of it grows larger."""

    def run(*arguments: object, limit_bytes: int | None = None) -> "subprocess.Popen[str]":
        def prepare() -> None:
            import resource

            for name in SIGNALS:  # the tests may run in the background, or under nohup
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            if limit_bytes:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

        code = "import sys\nfrom yoga_live.runtime.sinks import timeline\nfrom yoga_live.runtime.cli.main import main\n"
        code += "timeline.EVERY_S = 0.1\nsys.exit(main(sys.argv[1:]))"
        environment = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
        return subprocess.Popen(
            [sys.executable, "-c", code, "--model", str(model_path), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
            preexec_fn=prepare,
        )

    return run


def wait_for(process: "subprocess.Popen[str]", *paths: Path, size: int = 1) -> None:
    deadline_s = time.monotonic() + 60
    while not all(path.exists() and path.stat().st_size >= size for path in paths):
        assert process.poll() is None and time.monotonic() < deadline_s, process.communicate()
        time.sleep(0.01)


def end(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("name", SIGNALS)
def test_a_file_that_is_stopped_is_kept_under_part_names_whole_up_to_there(
    start: Run, long_clip: Path, tmp_path: Path, name: str
) -> None:
    wanted = "--save", "o.mp4", "--timeline", "o.csv", "--summary", "o.png"
    process = start("--video", long_clip, *wanted)
    wait_for(process, tmp_path / "o.part.mp4", size=1000)
    process.send_signal(getattr(signal, name))
    code, out, err = end(process)
    assert code == SIGNALS[name]
    stop = re.search(r"^yoga-live: stopped at (\d+\.\d) of 30\.0 s$", err, re.MULTILINE)
    assert stop and "written" not in out, (out, err)
    assert [line for line in out.splitlines() if line.startswith("incomplete: ")] == [
        f"incomplete: o.part{suffix}" for suffix in (".mp4", ".csv", ".png")
    ]
    assert list_names(tmp_path) == ["o.part.csv", "o.part.mp4", "o.part.png"]
    frames = count_frames(tmp_path / "o.part.mp4")
    assert 0 < frames < FRAMES and float(stop[1]) == pytest.approx(frames / 25, abs=0.06)
    with av.open(str(tmp_path / "o.part.mp4")) as container:
        assert container.duration / 1e6 == pytest.approx(frames / 25, abs=0.1)
        assert sum(1 for _ in container.decode(audio=0)) > 0
    with (tmp_path / "o.part.csv").open(newline="") as file:
        assert float([*csv.DictReader(file)][-1]["end_s"]) == pytest.approx(frames / 25, abs=0.002)
    with Image.open(tmp_path / "o.part.png") as picture:
        picture.load()


def test_the_run_after_a_kill_says_what_it_replaces_and_leaves_the_whole_alone(
    start: Run, long_clip: Path, tmp_path: Path
) -> None:
    wanted = "--to", "1", "--save", "o.mp4", "--timeline", "o.csv"
    process = start("--video", long_clip, *wanted[2:])
    wait_for(process, tmp_path / "o.part.mp4", tmp_path / "o.part.csv")
    process.kill()
    process.communicate()
    assert "o.part.mp4" in list_names(tmp_path) and "o.mp4" not in list_names(tmp_path)
    code, out, err = end(start("--video", long_clip, *wanted))
    assert code == 0 and "written: o.mp4" in out
    for name in ("o.part.mp4", "o.part.csv"):
        assert f"yoga-live: {name} was left by an unfinished command and will be replaced" in err.splitlines()
    assert list_names(tmp_path) == ["o.csv", "o.mp4"] and count_frames(tmp_path / "o.mp4") == 25


def test_of_two_runs_with_one_output_the_second_is_told_who_has_it(start: Run, long_clip: Path, tmp_path: Path) -> None:
    first = start("--video", long_clip, "--to", "12", "--save", "o.mp4")
    wait_for(first, tmp_path / "o.part.mp4")
    first.send_signal(signal.SIGSTOP)  # it lasts as long as the others need
    for force in ([], ["--force"]):
        code, out, err = end(start("--video", long_clip, "--timeline", "t.csv", "--save", "o.mp4", *force))
        assert code == 2 and not out and len(err.splitlines()) == 1
        assert re.search(rf"another command \(process {first.pid} on .*, since 20.*\) is writing o\.mp4", err), err
    first.send_signal(signal.SIGCONT)
    assert end(first)[0] == 0 and count_frames(tmp_path / "o.mp4") == 300
    assert list_names(tmp_path) == ["o.mp4"]


@pytest.mark.parametrize("force", [False, True])
def test_outputs_that_appear_meanwhile_are_left_alone_unless_forced(
    start: Run, long_clip: Path, tmp_path: Path, force: bool
) -> None:
    wanted = "--save", "o.mp4", "--timeline", "o.csv", "--summary", "o.png", *["--force"][: int(force)]
    process = start("--video", long_clip, "--to", "12", *wanted)
    wait_for(process, tmp_path / "o.part.mp4")
    names = ["o.mp4", "o.csv", "o.png"]
    process.send_signal(signal.SIGSTOP)
    for name in names:
        (tmp_path / name).write_text("another's")
    process.send_signal(signal.SIGCONT)
    code, out, err = end(process)
    parts = ["o.part.mp4", "o.part.csv", "o.part.png"]
    if force:
        assert code == 0 and f"written: {names[0]}\n" in out and all(f" {name}\n" in out for name in names)
        assert list_names(tmp_path) == sorted(names)
        return
    assert code == 2 and all(f"incomplete: {name}" in out for name in parts) and "written" not in out
    assert err.splitlines()[-1].count("was created by another program meanwhile") == 2, err
    assert "o.mp4 was created" in err and "o.csv was created" in err
    assert all((tmp_path / name).read_text() == "another's" for name in names)
    assert list_names(tmp_path) == sorted(names + parts) and count_frames(tmp_path / "o.part.mp4") == 300


def test_a_full_disk_names_the_output_and_the_part_that_plays(
    start: Run, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    import numpy as np

    draw = np.random.default_rng(0)
    noise = [draw.integers(0, 256, (96, 128, 3), dtype=np.uint8) for _ in range(100)]
    clip = write_clip(tmp_path / "noise.mp4", noise)
    limit = 250_000
    wanted = "--save", "o.mp4", "--timeline", "o.csv"
    code, out, err = end(start("--video", clip, *wanted, limit_bytes=limit))
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith("yoga-live: error: cannot write any more of o.mp4: "), err
    assert (
        "File too large" in last
        and last.endswith("; o.part.mp4 is playable up to that point")
        and last.count("o.mp4") == 1
    )
    assert "incomplete: o.part.mp4" in out and "written" not in out
    assert list_names(tmp_path) == ["noise.mp4", "o.part.csv", "o.part.mp4"]
    assert 25 <= count_frames(tmp_path / "o.part.mp4") < 100 and (tmp_path / "o.part.mp4").stat().st_size < limit


def test_photos_that_are_stopped_leave_their_table_as_a_part(start: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(80):
        Image.linear_gradient("L").convert("RGB").resize((1600, 1200)).save(tmp_path / "photos" / f"{number:03d}.jpg")
    process = start("--images", "photos", "--table", "a.csv", "--save", "drawn")
    wait_for(process, tmp_path / "drawn" / "020.jpg")
    process.send_signal(signal.SIGTERM)
    code, out, err = end(process)
    stop = re.search(r"^yoga-live: stopped after (\d+) of 80 photos$", err, re.MULTILINE)
    assert code == 143 and stop, (code, err)
    assert "incomplete: a.part.csv" in out and "written: a.csv" not in out
    with (tmp_path / "a.part.csv").open(newline="") as file:
        rows = [row["file"] for row in csv.DictReader(file)]
    assert len(rows) == int(stop[1]) and list_names(tmp_path) == ["a.part.csv", "drawn", "photos"]
    assert set(rows) <= set(list_names(tmp_path / "drawn")) and not list((tmp_path / "drawn").glob(".*"))


def test_a_picture_that_appears_meanwhile_is_left_alone(start: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(30):
        Image.linear_gradient("L").convert("RGB").resize((1600, 1200)).save(tmp_path / "photos" / f"{number:03d}.jpg")
    process = start("--images", "photos", "--table", "a.csv", "--save", "drawn")
    wait_for(process, tmp_path / "drawn" / "005.jpg")
    process.send_signal(signal.SIGSTOP)
    (tmp_path / "drawn" / "029.jpg").write_text("another's")
    process.send_signal(signal.SIGCONT)
    code, out, err = end(process)
    assert code == 2 and err.splitlines()[-1].endswith("1 of 30 photos could not be annotated; see the lines above")
    assert (tmp_path / "drawn" / "029.jpg").read_text() == "another's" and "written: a.csv" in out
    row = (tmp_path / "a.csv").read_text().splitlines()[-1]  # it has its answer, and why it has no picture
    assert row.startswith("029.jpg,") and "029.jpg was created by another program meanwhile" in row
    with Image.open(tmp_path / "drawn" / "029.part.jpg") as picture:
        assert picture.size == (1600, 1200)


def test_a_benchmark_that_is_stopped_tells_what_it_measured_and_keeps_a_part(
    start: Run, long_clip: Path, tmp_path: Path
) -> None:
    process = start("--benchmark", "--video", long_clip, "--frames", 700, "--save", "o.mp4")
    wait_for(process, tmp_path / "o.part.mp4", size=1000)
    process.send_signal(signal.SIGINT)
    code, out, err = end(process)
    assert code == 130 and re.search(r"stopped after \d+ of 700 frames$", err, re.MULTILINE), err
    assert "frame to label" in out and "incomplete: o.part.mp4" in out and "written" not in out
    assert list_names(tmp_path) == ["o.part.mp4"] and count_frames(tmp_path / "o.part.mp4") > 10


def test_in_a_folder_a_name_that_another_run_took_costs_that_video_alone(
    start: Run, write_clip: Callable[..., Path], long_clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").hardlink_to(long_clip)
    for name in ("b.mp4", "c.mp4"):
        write_clip(tmp_path / "in" / name, [BLUE] * 20)
    process = start("--video", "in", "--timeline", "out")
    wait_for(process, tmp_path / "out" / "a.poses.part.csv")
    process.send_signal(signal.SIGSTOP)
    (tmp_path / "out" / "b.poses.csv").write_text("another's")
    process.send_signal(signal.SIGCONT)
    code, out, err = end(process)
    assert code == 2 and "b.poses.csv exists already" in err and "2 of 3 videos" in out, err
    assert list_names(tmp_path / "out") == ["a.poses.csv", "b.poses.csv", "c.poses.csv"]
    assert (tmp_path / "out" / "b.poses.csv").read_text() == "another's"
