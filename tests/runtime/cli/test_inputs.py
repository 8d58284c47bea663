"""INPUT without an option: what it is taken for, and what is written beside a video."""

from __future__ import annotations

import csv
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from yoga_live.runtime.cli.options import parse_args
from yoga_live.runtime.sources.live import LiveSource
from yoga_live.runtime.sources.video import VideoSource

from ..conftest import assert_refused, paint_photo

pytest.importorskip("onnxruntime")

BLUE, RED = (255, 0, 0), (0, 0, 255)  # tree, none
Live = Callable[..., tuple[int, str, str]]


@pytest.fixture
def clip(write_clip: Callable[..., Path], tmp_path: Path) -> Path:
    """Two seconds of a tree, as class.mov."""
    return write_clip(tmp_path / "class.mov", [BLUE] * 20, rate=Fraction(10))


def list_names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_video_is_annotated_beside_itself(live: Live, clip: Path, tmp_path: Path) -> None:
    code, out, _ = live(clip)
    assert code == 0 and f"written: {tmp_path / 'class.annotated.mp4'}" in out
    assert list_names(tmp_path) == ["class.annotated.mp4", "class.annotated.poses.csv", "class.mov"]
    rows = list(csv.DictReader((tmp_path / "class.annotated.poses.csv").read_text().splitlines()))
    assert "tree" in {row["pose"] for row in rows}
    with VideoSource(tmp_path / "class.annotated.mp4") as video:
        assert len(list(video.frames())) == 20


def test_what_is_there_is_kept_without_force(live: Live, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "class.annotated.mp4").write_text("mine")
    assert_refused(live(clip), "class.annotated.mp4 exists already", "--force")
    assert (tmp_path / "class.annotated.mp4").read_text() == "mine"
    assert live(clip, "--force")[0] == 0


@pytest.mark.parametrize(
    ("options", "save", "timeline"),
    [
        ([], "class.annotated.mp4", "class.annotated.poses.csv"),
        (["--timeline-format", "vtt"], "class.annotated.mp4", "class.annotated.poses.vtt"),
        (["--save", "out.mp4"], "out.mp4", "out.poses.csv"),
        (["--timeline", "t.json"], "class.annotated.mp4", "t.json"),
        (["--save", "out.mp4", "--timeline", "t.json"], "out.mp4", "t.json"),
        (["--save", "."], ".", "."),  # a folder, in which both are named after the video
    ],
    ids=str,
)
def test_options_name_other_places(options: list[str], save: str, timeline: str) -> None:
    args = parse_args(["class.mov", *options])
    assert (args.save, args.timeline) == (Path(save), Path(timeline))


@pytest.mark.parametrize("options", [["--serve", "8080"], ["--window"], ["--serve", "8080", "--timeline", "t.csv"]])
def test_a_video_that_is_watched_writes_only_what_is_asked_for(options: list[str]) -> None:
    args = parse_args(["class.mov", *options])
    assert args.save is None and args.timeline == (Path("t.csv") if "t.csv" in options else None)
    assert parse_args(["class.mov", *options, "--save", "out.mp4"]).save == Path("out.mp4")
    assert parse_args(["class.mov", "--no-window"]).save == Path("class.annotated.mp4")


def test_the_option_video_writes_only_what_is_asked_for() -> None:
    args = parse_args(["--video", "class.mov", "--summary", "class.png"])
    assert (args.save, args.timeline) == (None, None)


def test_videos_of_a_folder_are_annotated_beside_themselves(
    live: Live, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("mon/a.mp4", "mon/a.mov", "tue/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_clip(tmp_path / name, [BLUE] * 10, rate=Fraction(10))
    code, out, _ = live(tmp_path)
    assert code == 0 and "3 of 3 videos" in out and out.count("written: 6 files beside the videos") == 1
    new = [name for name in list_names(tmp_path) if "annotated" in name]
    assert new == [
        "mon/a.mov.annotated.mp4", "mon/a.mov.annotated.poses.csv", "mon/a.mp4.annotated.mp4",
        "mon/a.mp4.annotated.poses.csv", "tue/b.annotated.mp4", "tue/b.annotated.poses.csv",
    ]  # fmt: skip
    assert_refused(live(tmp_path), "exists already")
    code, out, _ = live(tmp_path, "--force")
    assert code == 0 and "3 of 3 videos" in out  # what was written is no input of the next run


def test_several_videos_and_options_in_any_order(live: Live, clip: Path, tmp_path: Path) -> None:
    other = clip.rename(tmp_path / "b.mov")
    clip.write_bytes(other.read_bytes())
    code, out, _ = live(clip, "--timeline-format", "json", other, "--save", tmp_path / "out")
    assert code == 0 and "2 of 2 videos" in out
    assert list_names(tmp_path / "out") == ["b.mp4", "b.poses.json", "class.mp4", "class.poses.json"]


@pytest.mark.parametrize(
    "word",
    [
        *("0", "12", "/dev/video0", "/dev/v4l/by-id/usb-cam-index0", "csi://0", "rtsp://10.0.0.4/a", "rtsps://h/a"),
        *("http://10.0.0.4/stream", "RTSP://10.0.0.4/a", "Https://h/a", "@camera.txt", "env:CAMERA"),
    ],
)
def test_a_camera_is_known_by_its_address(word: str) -> None:
    args = parse_args([word])
    assert args.camera == word and args.save is None and not hasattr(args, "video")


@pytest.mark.parametrize(
    "words",
    [
        ["--", "-d.mp4"],
        ["--force", "--", "-d.mp4"],
        ["a.mp4", "--force", "--", "-d.mp4"],
        ["a", "--force", "b", "--", "-d"],
    ],
    ids=" ".join,
)
def test_what_follows_two_dashes_is_a_file(words: list[str]) -> None:
    args = parse_args(words)
    found = getattr(args, "videos", None) or [args.video]
    assert [str(path) for path in found] == [word for word in words if word not in ("--", "--force")]
    assert args.force == ("--force" in words)


def test_a_file_that_is_called_like_a_command_may_follow_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("poses").touch()
    assert parse_args(["--force", "poses"]).video == Path("poses")


def test_a_camera_is_watched(live: Live, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def open_camera(address: str, _: object) -> LiveSource:
        asked.append(address)
        raise OSError(19, "No such device")

    monkeypatch.setattr("yoga_live.runtime.sources.cameras.open_camera", open_camera)
    assert_refused(live(0, "--timeline", tmp_path / "a.csv"), "No such device")
    assert asked == ["0"]


def test_a_file_that_is_called_like_a_camera_has_its_folder_before_it() -> None:
    assert parse_args(["./0"]).video == Path("0")


def test_photos_are_classified(live: Live, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        paint_photo((0, 0, 255), (320, 240)).save(tmp_path / name)
    paint_photo((0, 0, 255), (320, 240)).save(tmp_path / "named_without_a_suffix", "PNG")
    for inputs in ([tmp_path / "a.jpg", tmp_path / "named_without_a_suffix"], [tmp_path]):
        code, out, _ = live(*inputs)
        assert code == 0 and "Tree" in out and f"{len(list(tmp_path.iterdir())) if len(inputs) == 1 else 2} of" in out
    assert list_names(tmp_path) == ["a.jpg", "b.png", "named_without_a_suffix"]
    assert_refused(live(tmp_path / "no.jpg"), "the photo", "no.jpg does not exist")


def test_a_webp_is_a_photo_unless_it_moves(tmp_path: Path) -> None:
    still, moving = (paint_photo((0, 0, shade), (64, 48)) for shade in (255, 0))
    still.save(tmp_path / "still.webp")
    still.save(tmp_path / "moving.webp", save_all=True, append_images=[moving], duration=100)
    assert hasattr(parse_args([str(tmp_path / "still.webp")]), "images")
    assert hasattr(parse_args([str(tmp_path / "moving.webp")]), "video")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["0", "a.mp4"], "0 is a camera, which cannot be combined with other inputs; leave a.mp4 out"),
        (
            ["a.jpg", "rtsp://me:geheim@host/x"],
            "rtsp://host/x is a camera, which cannot be combined with other inputs; leave a.jpg out",
        ),
        (["0", "0"], "0 is a camera, which cannot be combined with other inputs; leave 0 out"),
        (["a.jpg", "b.mp4"], "photos and videos cannot be mixed; a.jpg holds photos, b.mp4 does not"),
        (["a.mp4", "--camera", "0"], "--camera cannot be combined with the INPUT"),
        (["a.mp4", "--video", "b.mp4"], "--video cannot be combined with the INPUT"),
        (["a.mp4", "--demo"], "--demo cannot be combined with the INPUT"),
        (["a.mp4", "--sav", "x", "--oops", "b.mp4"], "unrecognized arguments: --oops b.mp4"),
        ([""], "INPUT: the value is empty"),
        (["a.mp4", "--force", ""], "an INPUT is empty"),
        (["a.mp4", "--force", "--oops", "--", "b.mp4"], "unrecognized arguments: --oops"),
        (["a.jpg", "RTSP://me:geheim@host/x"], "RTSP://host/x is a camera, which cannot be combined"),
        ([], "no INPUT given"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_one_line(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_args(words)
    said = capsys.readouterr().err
    assert reason in said and said.count("\n") == 1 and "geheim" not in said


def test_a_video_that_is_not_there_is_one_line(live: Live, tmp_path: Path) -> None:
    assert_refused(live(tmp_path / "no.mp4"), "no.mp4 does not exist")
    assert_refused(live("s3://me:geheim@bucket/a.mp4"), "s3://bucket/a.mp4", "yoga-live archive")
    assert list(tmp_path.iterdir()) == []
