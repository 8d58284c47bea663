"""`--cluster`: what cannot be is one line, before any cluster is asked for."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from yoga_live.runtime.archive.inputs import Recorded
from yoga_live.runtime.archive.records import ArchiveConfig, Plan
from yoga_live.runtime.archive.scheduler import OpenTask, Outcome
from yoga_live.runtime.archive.shards import VideoResult
from yoga_live.runtime.archive.store import open_store
from yoga_live.runtime.cli import main
from yoga_live.runtime.cli.archive import Tally, _read_order, _report
from yoga_live.runtime.cli.options import parse_args
from yoga_live.runtime.core.types import Segment
from yoga_live.runtime.errors import OptionError

from ..conftest import assert_refused

pytest.importorskip("onnxruntime")

BLUE = (255, 0, 0)
Live = Callable[..., tuple[int, str, str]]


@pytest.fixture
def classes(write_clip: Callable[..., Path], tmp_path: Path) -> Path:
    (tmp_path / "classes").mkdir()
    write_clip(tmp_path / "classes" / "a.mp4", [BLUE] * 20, rate=Fraction(10))
    return tmp_path / "classes"


@pytest.fixture
def with_packages() -> None:
    for name in ("ray", "pyarrow"):
        pytest.importorskip(name, reason='needs pip install "yoga-live[cluster]"')


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--save", "x"], "--save cannot be used with yoga-live archive"),
        (["--serve", "0", "--events"], "--events, --serve cannot"),
        (["--record", "a.mp4"], "--record"),
        (["--timeline", "x"], "--timeline"),
        (["--to", "1:30"], "1:30 looks like a time"),
        (["--to", "90"], "./90"),
        (["--summary", "a.png"], "give a folder"),
        (["--roi", "1,2"], "--roi"),
        (["--model", "a.engine"], "give the ONNX file"),
        (["--model", "no.onnx"], "no.onnx does not exist"),
        (["--from", "x"], "--from 'x' is not a time"),
        (["--cluster", "nowhere"], "give HOST:PORT"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("with_packages")
def test_what_can_not_be_is_one_line(
    live: Live, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    to = [] if "--to" in arguments else ["--to", "out"]
    code, out, err = live("--video", classes, *to, "--cluster", "local", *arguments)
    assert code == 2 and out == "" and "Traceback" not in err
    assert err.splitlines()[-1].startswith("yoga-live: error: ") and part in err
    assert not (tmp_path / "out").exists()


def test_other_sources_and_a_missing_place_are_one_line(live: Live, classes: Path) -> None:
    assert_refused(live("--camera", "0", "--cluster", "local"), "annotates recorded videos")
    assert_refused(live("--video", classes, "--cluster", "local"), "needs --to OUT")


@pytest.mark.parametrize(
    "arguments",
    [["--workers", "2"], ["--gpus-per-worker", "0.5"], ["--cluster", "local", "--workers", "0"]],
    ids=str,
)
def test_wrong_options_are_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main.main(["--video", "a.mp4", *arguments])
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith("; --help shows the options\n")


@pytest.mark.parametrize("share", ["0", "-1", "1.5", "x"])
def test_a_share_of_gpus_is_whole_or_a_part_of_one(capsys: pytest.CaptureFixture[str], share: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main.main(["--video", "a.mp4", "--to", "x", "--cluster", "local", f"--gpus-per-worker={share}"])
    assert "is not a number of GPUs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--mats"], ["--mats", "add --people all"]),
        (["--people", "main", "--mats"], ["--mats", "add --people all"]),
        (["--people", "all", "--zoom", "off"], ["--zoom off", "--people all"]),
        (["--people", "9"], ["--people 9", "up to 8"]),
        (["--people", "all", "--blur-faces"], ["--blur-faces", "only writes timelines"]),
    ],
    ids=str,
)
@pytest.mark.usefixtures("with_packages")
def test_options_of_people_that_do_not_go_together_are_one_line(
    live: Live, classes: Path, tmp_path: Path, arguments: list[str], parts: list[str]
) -> None:
    assert_refused(live("--video", classes, "--to", tmp_path / "out", "--cluster", "local", *arguments), *parts)
    assert not (tmp_path / "out").exists()


def test_an_archive_answers_the_poses_that_it_is_asked_for() -> None:
    labels = ("tree", "triangle", "none", "warrior_2")
    said = {None: None, "warrior_2, tree": "tree,warrior_2", "tree,triangle,warrior_2": None}
    for text, recorded in said.items():
        args = parse_args(["archive", "classes", "--to", "out", *(["--poses", text] if text else [])])
        order, recipe = _read_order(args, b"model", labels)
        assert recipe.poses == recorded and ",".join(order.poses or ()) == (recorded or "")
    with pytest.raises(OptionError, match="no pose 'tre'"):
        _read_order(parse_args(["archive", "classes", "--to", "out", "--poses", "tre"]), b"model", labels)


def test_an_archive_follows_nobody_unless_it_is_asked_to() -> None:
    orders = {}
    for people in ([], ["--people", "main"], ["--people", "3"], ["--people", "all", "--mats"]):
        args = parse_args(["archive", "classes", "--to", "out", *people])
        order, recipe = _read_order(args, b"model", ("tree", "none"))
        assert (recipe.people, recipe.mats) == (str(order.config.people), order.config.mats)
        orders[recipe.people] = recipe.mats
    assert orders == {"off": False, "main": False, "3": False, "all": True}


def test_the_totals_of_several_people_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    video = Recorded(Path("/v/a.mp4"), PurePosixPath("v/a.mp4"), 10, "mtime_ns 1")
    store = open_store(tmp_path / "out")
    tally = Tally(store, None, ArchiveConfig("a" * 64, people="all"), "1.0", 1, Plan((video,), 0))
    monkeypatch.setattr(tally, "say", lambda _: None)
    segments = Segment(0.0, 9.0, "tree", 0.9, person=1), Segment(3.0, 9.0, "tree", 0.9, person=2)
    tally.keep(Outcome(video, VideoResult(segments, 54, columns=("person", "side"))))
    tally.count(OpenTask(video), VideoResult(segments, 54))
    _report(tally, store)
    said = capsys.readouterr().out
    assert "Tree: 0:15, all people together" in said and "0:09 of video" in said and "(2 rows)" in said


@pytest.mark.parametrize("package", ["ray", "pyarrow"])
def test_a_missing_package_names_the_extra(
    live: Live, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else object() and real(name))
    if package == "pyarrow":
        pytest.importorskip("ray")
    answer = live("--video", classes, "--to", tmp_path / "out", "--cluster", "local")
    assert_refused(answer, package, 'pip install "yoga-live[cluster]"')


@pytest.mark.usefixtures("with_packages")
def test_an_address_where_nobody_answers_is_one_line_at_once(live: Live, classes: Path, tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
    code, _, err = live("--video", classes, "--to", tmp_path / "out", "--cluster", address)
    assert code == 2 and f"the Ray cluster '{address}' cannot be used: nothing answers there" in err.splitlines()[-1]


@pytest.mark.usefixtures("with_packages")
def test_a_table_of_somebody_else_is_refused(live: Live, classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "timelines.parquet").write_bytes(b"mine")
    assert_refused(live("--video", classes, "--to", out, "--cluster", "local"), "was not written by this command")
    assert (out / "timelines.parquet").read_bytes() == b"mine"


def test_a_list_of_files_works_without_a_cluster(live: Live, classes: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# one\nclasses/a.mp4\n")
    code, out, _ = live("--video", tmp_path / "list.txt", "--timeline", tmp_path / "out")
    assert code == 0 and "1 of 1 video" in out and (tmp_path / "out" / "a.poses.csv").is_file()


def test_a_list_may_come_from_the_standard_input(
    live: Live, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{classes / 'a.mp4'}\n"))
    code, out, _ = live("--video", "-", "--timeline", tmp_path / "out")
    assert code == 0 and "1 of 1 video" in out


def test_a_url_without_a_cluster_says_what_reads_it(live: Live, tmp_path: Path) -> None:
    assert_refused(live("--video", "s3://me:secret@bucket/a.mp4"), "s3://bucket/a.mp4", "yoga-live archive")
    (tmp_path / "list.txt").write_text("s3://bucket/a.mp4\n")
    assert_refused(live("--video", tmp_path / "list.txt"), "is not a local file")


def test_a_file_url_is_a_path(live: Live, classes: Path, tmp_path: Path) -> None:
    code, *_ = live("--video", (classes / "a.mp4").as_uri(), "--timeline", tmp_path / "a.csv")
    assert code == 0 and (tmp_path / "a.csv").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("with_packages")
def test_one_machine_is_a_cluster_too(
    model_path: Path, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import subprocess
    import sys

    out, pictures = tmp_path / "out", tmp_path / "pictures"
    arguments: list[Any] = ["--model", model_path, "--video", classes, "--to", out, "--cluster", "local"]
    arguments += ["--workers", "1", "--timeline-format", "vtt", "--summary", pictures, "--from", "0.5"]
    answer = subprocess.run(
        [sys.executable, "-m", "yoga_live.runtime", *map(str, arguments)],
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "1 of 1 video done" in answer.stdout and "Tree: 0:0" in answer.stdout
    assert (out / "classes/a.mp4.poses.vtt").read_text().startswith("WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nTree")
    assert (pictures / "classes/a.mp4.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "timelines.parquet").is_file() and not (out / "failed.csv").exists()


def test_what_was_left_out_of_a_video_is_said_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = Recorded(Path("/v/a.mp4"), PurePosixPath("v/a.mp4"), 10, "mtime_ns 1")
    said: list[str] = []
    store = open_store(tmp_path / "out")
    tally = Tally(store, None, ArchiveConfig("a" * 64), "1.0", 1, Plan((video,), 0, frozenset()))
    monkeypatch.setattr(tally, "say", said.append)
    told = VideoResult(
        (Segment(0.0, 2.0, "none", 0.9),), 12, damage="/v/a.mp4: skipped 2 damaged packets of the picture"
    )
    tally.keep(Outcome(video, told))
    assert said == ["yoga-live: /v/a.mp4: skipped 2 damaged packets of the picture"]
    assert tally.done == 1 and not tally.failed


@pytest.mark.usefixtures("with_packages")
def test_the_second_run_into_one_place_says_who_has_it(live: Live, classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import sys\nfrom pathlib import Path\nfrom yoga_live.runtime.archive.store import open_store\n"
        "with open_store(Path(sys.argv[1])).claim():\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        answer = live("--video", classes, "--to", out, "--cluster", "local", "--force")
        assert_refused(
            answer, f"another command (process {other.pid} on {socket.gethostname()}, since 20", f"writing {out}"
        )
        other.communicate(timeout=30)
    assert not out.exists()


def test_a_timeline_that_appears_meanwhile_fails_that_video_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path / "out")
    recipe = ArchiveConfig("a" * 64)
    videos = [Recorded(Path(f"/v/{name}.mp4"), PurePosixPath(f"{name}.mp4"), 10, "1") for name in "ab"]
    tally = Tally(store, None, recipe, "1.0", 2, Plan(tuple(videos), 0))
    store.write("a.mp4.poses.csv", b"another's")
    for video in videos:
        tally.keep(Outcome(video, VideoResult((Segment(0.0, 2.0, "tree", 0.9),), 12)))
    assert tally.done == 1 and [name for name, _ in tally.failed] == ["/v/a.mp4"]
    assert "was created by another program" in tally.failed[0][1]
    assert (tmp_path / "out" / "a.mp4.poses.csv").read_text() == "another's"
