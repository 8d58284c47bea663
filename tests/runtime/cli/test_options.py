"""Which options go together: a part of a video, a raw recording, and what is refused."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.cli.options import list_given, parse_args
from yoga_live.runtime.sources.demo import DemoSource
from yoga_live.runtime.sources.video import VideoSource

from ..conftest import assert_refused

pytest.importorskip("onnxruntime")

BLUE, RED = (255, 0, 0), (0, 0, 255)  # tree, none
Live = Callable[..., tuple[int, str, str]]


@pytest.fixture
def clip(write_clip: Callable[..., Path], tmp_path: Path) -> Path:
    return write_clip(tmp_path / "class.mp4", [RED] * 30 + [BLUE] * 50, rate=Fraction(10), sound="aac")


def test_one_video_is_a_file_and_several_or_a_folder_are_many(tmp_path: Path) -> None:
    assert parse_args(["--video", "a.mp4"]).video == Path("a.mp4")
    for given in (["a.mp4", "b.mp4"], [str(tmp_path)]):
        args = parse_args(["--video", *given])
        assert args.videos == [Path(name) for name in given] and not hasattr(args, "video")


@pytest.mark.parametrize(("option", "kept"), [("--video", "videos"), ("--images", "images")])
def test_inputs_given_twice_are_all_taken(option: str, kept: str) -> None:
    args = parse_args([option, "a", "b", option, "c"])
    assert getattr(args, kept) == [Path("a"), Path("b"), Path("c")]


def test_a_setting_given_twice_replaces_that_of_an_alias_and_a_result_given_twice_is_the_same_one() -> None:
    args = parse_args(["--device", "cpu", "a.mp4", "--device", "cuda", "--save", "b.mp4", "--save", "b.mp4"])
    assert args.device == "cuda" and args.save == Path("b.mp4")


@pytest.mark.parametrize("given", ["0", "-5", "fast", "²", "1e3", "2000"])
def test_what_is_no_rate_or_size_is_refused_with_an_example(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value, example in (("--camera-rate", given, "such as 30"), ("--camera-size", f"{given}x0", "1280x720")):
        with pytest.raises(SystemExit) as caught:
            parse_args(["--camera", "0", f"{option}={value}"])
        assert caught.value.code == 2 and example in capsys.readouterr().err
    assert parse_args(["--camera", "0", "--camera-rate", "60"]).camera_rate == 60


def test_given_options_are_told_from_their_defaults() -> None:
    args = parse_args(["--demo", "--from", "0", "--no-window", "--goal", "tree=3"])
    assert list_given(args, ("--from", "--to", "--window", "--goal", "--record", "--frames")) == ["--from", "--goal"]


def test_a_part_of_a_video_is_annotated(live: Live, clip: Path, tmp_path: Path) -> None:
    saved, told = tmp_path / "a.mp4", tmp_path / "a.csv"
    code, out, err = live("--video", clip, "--from", "0:05", "--to", "7.5", "--save", saved, "--timeline", told)
    assert code == 0 and "25 frames" in out and "Traceback" not in err
    rows = list(csv.DictReader(told.read_text().splitlines()))
    assert [(row["start_s"], row["end_s"], row["pose"]) for row in rows] == [("5.000", "7.500", "tree")]
    with VideoSource(saved) as video:
        assert len(list(video.frames())) == 25 and video.info.audio_from
        assert video.info.duration_s == pytest.approx(2.5, abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--from", "9:00"], "--from 9:00 is after the end of"),
        (["--from", "5", "--to", "5"], "is not before"),
        (["--from", "soon"], "--from 'soon' is not a time"),
        (["--to", "-3"], "--to '-3' is not a time"),
        (["--record", "raw.mp4"], "--record saves a camera's picture"),
        (["--table", "a.csv"], "--table only applies to photos"),
        (["--timeline-format", "csv"], "--timeline-format"),
    ],
    ids=str,
)
def test_what_a_video_has_no_use_for_is_one_line(live: Live, clip: Path, arguments: list[str], part: str) -> None:
    arguments = [f"{arguments[0]}={arguments[1]}", *arguments[2:]]
    assert_refused(live("--video", clip, "--save", clip.parent / "a.mp4", *arguments), part)
    assert not (clip.parent / "a.mp4").exists()


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_what_is_live_has_no_parts(live: Live, tmp_path: Path, option: str) -> None:
    assert_refused(
        live("--demo", "--timeline", tmp_path / "a.csv", option, "3"), option, "can only be used with videos"
    )


def test_a_recording_is_turned_and_flipped_everywhere(
    live: Live, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    image = np.full((48, 64, 3), (0, 0, 255), np.uint8)
    image[:24] = (255, 0, 0)  # blue, which is a tree, above red
    path, saved = write_clip(tmp_path / "a.mp4", [image] * 50), tmp_path / "out.mp4"
    arguments = ["--rotate", "90", "--flip", "--roi", "0,0,0.5,1", "--timeline", tmp_path / "a.csv"]
    code, _, _ = live("--video", path, "--save", saved, *arguments)
    assert code == 0 and "tree" in (tmp_path / "a.csv").read_text()  # turned clockwise it is right, flipped left
    with VideoSource(saved) as video:
        corner = next(video.frames()).image_bgr[8]
    assert video.info.size_wh == (48, 64)
    assert corner[8].argmax() == 0 and corner[40].argmax() == 2
    plain = tmp_path / "plain.csv"
    assert live("--video", path, "--roi", "0,0,0.5,1", "--timeline", plain)[0] == 0
    assert plain.read_text() != (tmp_path / "a.csv").read_text()


@pytest.mark.parametrize("option", [["--rotate", "90"], ["--flip"]], ids=str)
def test_only_cameras_and_recordings_are_turned(live: Live, tmp_path: Path, option: list[str]) -> None:
    (tmp_path / "photos").mkdir()
    assert_refused(live("--demo", "--save", tmp_path / "a.mp4", *option), option[0], "cameras and videos")
    assert_refused(live("--benchmark", *option), "yoga-live benchmark measures", option[0])
    assert_refused(live("--images", tmp_path / "photos", *option), option[0], "EXIF")
    with pytest.raises(SystemExit):
        parse_args(["--camera", "0", "--rotate", "45"])


@pytest.mark.parametrize("option", ["--from", "--to", "--record", "--table", "--images"])
def test_the_benchmark_refuses_them_all(live: Live, tmp_path: Path, option: str) -> None:
    assert_refused(live("--benchmark", option, tmp_path), "yoga-live benchmark measures", option)


def run_demo(folder: Path, model: Path, *arguments: object) -> "subprocess.Popen[bytes]":
    code = "import sys\nfrom yoga_live.runtime.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "--demo", "--model", str(model), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, env=environment)


def wait_for(path: Path, size: int) -> None:
    deadline_s = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > size) and time.monotonic() < deadline_s:
        time.sleep(0.02)


def read_frames(path: Path) -> list[np.ndarray]:
    with VideoSource(path) as video:
        return [frame.image_bgr for frame in video.frames()]


def test_what_is_recorded_has_no_overlay_and_what_is_saved_has(model_path: Path, tmp_path: Path) -> None:
    process = run_demo(tmp_path, model_path, "--record", "raw.mp4", "--save", "annotated.mp4")
    wait_for(tmp_path / "raw.part.mp4", 20_000)
    process.terminate()
    assert process.wait(60) == 143
    raw, annotated = read_frames(tmp_path / "raw.part.mp4"), read_frames(tmp_path / "annotated.part.mp4")
    assert 0 <= len(raw) - len(annotated) <= 1 and len(annotated) >= 5  # it may be stopped between the two
    source = next(DemoSource().frames()).image_bgr.astype(int)
    assert np.abs(raw[0] - source).mean() < 3
    assert np.abs(annotated[0][:30, :100] - source[:30, :100]).mean() > 30  # the card
    assert np.abs(annotated[0][100:] - source[100:]).mean() < 3


def test_a_recording_plays_after_kill_9(model_path: Path, tmp_path: Path) -> None:
    process = run_demo(tmp_path, model_path, "--record", "raw.mp4", "--no-window")
    wait_for(tmp_path / "raw.part.mp4", 20_000)
    process.kill()
    process.wait()
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == ["raw.part.mp4"]
    assert len(read_frames(tmp_path / "raw.part.mp4")) >= 5


def test_a_recording_is_never_written_over_another(live: Live, tmp_path: Path) -> None:
    (tmp_path / "raw.mp4").write_text("mine")
    assert_refused(live("--demo", "--record", tmp_path / "raw.mp4"), "exists already")
    assert_refused(live("--demo", "--record", tmp_path / "raw.avi"), "should end in .mp4")
    for saved, recorded in (("a.mp4", "a.mp4"), ("a.mp4", "a.part.mp4"), ("a.part.mp4", "a.mp4")):
        answer = live("--demo", "--record", tmp_path / recorded, "--save", tmp_path / saved, "--force")
        assert_refused(answer, "would both write")
    assert (tmp_path / "raw.mp4").read_text() == "mine"


NINES = "9" * 5000


@pytest.mark.parametrize(
    ("arguments", "bound"),
    [
        (["--benchmark", "--frames", NINES], "1 to 1,000,000"),
        (["--benchmark", "--frames", "0"], "1 to 1,000,000"),
        (["--demo", "--serve", NINES], "0 to 65535"),
        (["--video", "a", "--cluster", "local", "--workers", NINES], "1 to 10,000"),
        (["--video", "a", "--cluster", "local", "--workers", "²"], "1 to 10,000"),
        (["--video", "a", "--cluster", "local", "--gpus-per-worker", "1e-300"], "at least 0.01"),
        (["--video", "a", "--cluster", "local", "--gpus-per-worker", "1e300"], "up to 64"),
        (["--camera", "0", "--camera-size", f"{NINES}x{NINES}"], "up to 99,999"),
        (["--camera", "0", "--camera-rate", NINES], "1 to 1000"),
    ],
)
def test_numbers_have_bounds_that_are_told(
    arguments: list[str], bound: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_args(arguments)
    said = capsys.readouterr().err
    assert bound in said and said.count("\n") == 1 and len(said) < 300


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--from", NINES], "no recording lasts"),
        (["--from", f"{NINES}:00:00"], "no recording lasts"),
        (["--roi", f"0,0,{NINES},1"], "larger than any picture"),
        (["--goal", f"tree={NINES}"], "below 86,400"),
    ],
)
def test_moments_regions_and_goals_have_bounds_too(
    live: Callable[..., tuple[int, str, str]], tmp_path: Path, arguments: list[str], reason: str
) -> None:
    (tmp_path / "a.mp4").touch()
    answer = live("--video", tmp_path / "a.mp4", "--timeline", tmp_path / "t.csv", *arguments)
    assert_refused(answer, reason)
    assert len(answer[2]) < 300
