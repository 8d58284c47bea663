"""The data commands as they are typed: what they print, write and refuse, on one line and with exit code 2."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, draw_room
from yoga_live.runtime.sources.video import VideoSource
from yoga_live.train.cli.main import main, parse_args
from yoga_live.train.photos.manifest import read_manifest

Run = Callable[..., tuple[int, str, str]]
HEAVY = ("torch", "torchvision", "cv2", "numpy", "PIL", "av", "aiohttp", "ddgs", "jinja2", "lxml")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run("stats", folder) -> exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def save_photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((90, 60), Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, pose in enumerate(("tree", "chair")):
        for seed in range(3):
            save_photo(tmp_path / "photos" / pose / f"{seed}.png", 10 * number + seed)
    return tmp_path / "photos"


def list_pictures(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("[!.]*/*"))


@pytest.mark.parametrize("command", ["", "collect", "download", "add", "capture", "stats", "show"])
def test_help_answers_without_importing_anything_heavy(command: str) -> None:
    code = "import sys\nfrom yoga_live.train.cli.main import main\ntry: main([*sys.argv[2:], '--help'])\n"
    code += "except SystemExit: print(set(sys.argv[1].split(',')) & set(sys.modules), file=sys.stderr)"
    arguments = [sys.executable, "-c", code, ",".join(HEAVY), *([command] if command else [])]
    answer = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert answer.stderr.strip() == "set()"
    assert answer.stdout.startswith("usage: ") and "examples:" in answer.stdout


def test_add_says_what_came_of_every_file_and_where_a_label_is_wrong(run: Run, photos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    save_photo(mine / "a.png", 100)
    (mine / "notes.txt").write_text("no picture")
    (mine / "broken.jpg").write_text("no picture")
    code, out, _ = run("add", mine, "--pose", "tree", "--to", photos)
    assert code == 0 and "      1 ok\n" in out and "      1 refused" in out
    assert "      1 left out   not a photo: 1 .txt\n" in out
    assert "1 photo in manifest.csv\n" in out and "wrong label" not in out
    code, out, _ = run("add", mine, "--pose", "chair", "--to", photos)
    assert (
        code == 0 and f"1 picture under more than one pose, so a label is wrong; see: yoga-train stats {photos}" in out
    )
    groups = {row.group for row in read_manifest(photos) if row.status == "ok"}
    assert len(groups) == 1 and groups != {""}


def test_add_calls_poses_in_one_room_alike_and_not_the_same(run: Run, one_room: Path, tmp_path: Path) -> None:
    code, out, _ = run("add", one_room, "--to", tmp_path / "photos")
    [counted] = re.findall(r"^50 photos in manifest.csv, (\d+) if those that look alike count once$", out, re.MULTILINE)
    assert code == 0 and int(counted) < 25 and "different" not in out
    _, out, _ = run("stats", tmp_path / "photos")
    [pictures] = re.findall(r"^all +50 +(\d+)", out, re.MULTILINE)
    assert int(pictures) >= 40


def test_add_and_stats_ask_about_a_pose_that_seems_to_mean_none(run: Run, photos: Path, tmp_path: Path) -> None:
    options = ("--pose", "NONE", "--to", str(tmp_path / "new"))
    code, out, err = run("add", str(photos / "tree"), *options)
    assert code == 0 and "is 'NONE' what `none` means" in out, err
    code, out, err = run("stats", str(tmp_path / "new"))
    assert code == 0 and "is 'NONE' what `none` means" in out and "rename its folder to none" in out, err


def test_add_refuses_what_is_not_there(run: Run, tmp_path: Path) -> None:
    code, out, err = run("add", tmp_path / "nowhere", "--pose", "tree", "--to", tmp_path / "photos")
    assert code == 2 and not out and err.startswith("yoga-train: error: ") and len(err.splitlines()) == 1


def test_stats_prints_a_table_and_writes_its_page_anew(run: Run, photos: Path) -> None:
    code, out, _ = run("stats", photos)
    assert code == 0 and "chair" in out and out.splitlines()[-1] == f"page: {photos / 'stats.html'}"
    first = (photos / "stats.html").read_text()
    save_photo(photos / "tree" / "more.png", 50)
    assert run("stats", photos)[0] == 0
    assert "photos: 6 photos" in first and "photos: 7 photos" in (photos / "stats.html").read_text()


def test_stats_names_photos_of_nobody_and_shows_them_on_its_page(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    photos = tmp_path / "photos"
    (photos / "tree").mkdir(parents=True)
    for number in range(4):
        assert cv2.imwrite(str(photos / "tree" / f"{number}.png"), draw_figure(POSES["tree"], (300 + number, 240)))
    assert cv2.imwrite(str(photos / "tree" / "empty.png"), draw_room((320, 240)))
    code, out, err = run("stats", photos)
    assert code == 0 and ["tree", "1", "0", "0"] in [line.split() for line in out.splitlines()], err
    page = (photos / "stats.html").read_text()
    assert "Worth a look, nobody: 1" in page and page.index("Worth a look") < page.index("tree/empty.png")
    code, out, _ = run("stats", photos, "--no-people")
    assert code == 0 and "worth a look" not in out and "Worth a look" not in (photos / "stats.html").read_text()


def test_stats_replaces_a_page_elsewhere_only_when_told_to(run: Run, photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    code, out, err = run("stats", photos, "--html", page)
    assert code == 2 and "exists already" in err and page.read_text() == "mine" and not out
    assert run("stats", photos, "--html", page, "--force")[0] == 0
    assert "<html" in page.read_text() and not (photos / "stats.html").exists()


def test_stats_of_no_folder_is_one_line(run: Run, tmp_path: Path) -> None:
    code, _, err = run("stats", tmp_path / "nowhere")
    assert code == 2 and "nowhere is not a folder" in err and len(err.splitlines()) == 1


def test_a_page_that_can_not_be_written_is_one_line(run: Run, photos: Path) -> None:
    (photos / "stats.html").mkdir()
    code, _, err = run("stats", photos)
    assert code == 2 and "stats.html: Is a directory" in err.splitlines()[-1]


def test_show_writes_a_sheet_with_and_without_augmentation(run: Run, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for name, extra in (("batch.png", []), ("again.png", []), ("plain.jpg", ["--plain"])):
        code, out, _ = run("show", photos, "--to", tmp_path / name, "--count", 5, "--size", 64, *extra)
        assert code == 0 and "5 photos of chair, tree" in out
    assert (tmp_path / "batch.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    sheets = [np.asarray(Image.open(tmp_path / name).convert("RGB"), int) for name in ("batch.png", "plain.jpg")]
    tiles = [sheet[np.flatnonzero((sheet[:, 8:312] < 250).all(axis=(1, 2)))[0] :][:60, :320] for sheet in sheets]
    assert tiles[0].shape == tiles[1].shape == (60, 320, 3) and abs(tiles[0] - tiles[1]).mean() > 10
    assert all(sheet[:20].min() < 100 for sheet in sheets)  # a legend stands above
    code, _, err = run("show", photos, "--to", tmp_path / "batch.png")
    assert code == 2 and "exists already" in err


def test_show_refuses_what_is_no_picture_s_name(run: Run, photos: Path, tmp_path: Path) -> None:
    code, _, err = run("show", photos, "--to", tmp_path / "batch.txt")
    assert code == 2 and "give a name that ends in .png or .jpg" in err


def record(path: Path, seconds: float) -> Path:
    """A video of 10 frames a second whose picture changes every half second."""
    sink = VideoSink(path, SourceInfo("", (96, 64), Fraction(10), Fraction(1, 1000)))
    for number in range(int(seconds * 10)):
        coarse = np.random.default_rng(number // 5).integers(0, 256, (4, 6, 3), dtype=np.uint8)
        sink.write(TimedFrame(np.repeat(np.repeat(coarse, 16, 0), 16, 1), number / 10, number * 100))
    sink.close()
    return path


def test_capture_takes_a_video_for_a_camera_without_waiting_or_a_display(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    video = record(tmp_path / "practice.mp4", 9)
    photos = tmp_path / "photos"
    started_s = time.monotonic()
    code, out, err = run("capture", "--pose", "tree", "--video", video, "--to", photos, "--countdown", 5, "--count", 4)
    assert code == 0 and "4 of 4 photos taken" in out and time.monotonic() - started_s < 4
    assert "window" not in err
    rows = list(read_manifest(photos))
    assert [row.url for row in rows] == [f"{video.resolve().as_uri()}#t={s:.3f}" for s in (5, 5.5, 6, 6.5)]
    assert all(row.group for row in rows) and len(list_pictures(photos)) == 4


def test_capture_turns_what_is_recorded_sideways(run: Run, tmp_path: Path) -> None:
    video, photos = record(tmp_path / "practice.mp4", 2), tmp_path / "photos"
    assert run("capture", "--pose", "tree", "--video", video, "--to", photos, "--rotate", 270, "--flip")[0] == 0
    assert {decode_photo(photos / name).shape for name in list_pictures(photos)} == {(96, 64, 3)}


def test_capture_of_a_video_that_is_stopped_keeps_what_was_taken_and_says_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = VideoSource.frames

    def stop_after_a_second(source: VideoSource) -> Iterator[TimedFrame]:
        for frame in frames(source):
            if frame.time_s > 1:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(VideoSource, "frames", stop_after_a_second)
    video = record(tmp_path / "practice.mp4", 9)
    code, out, err = run("capture", "--pose", "tree", "--video", video, "--to", tmp_path / "photos", "--count", 9)
    assert code == 130 and "3 of 9 photos taken" in out and "stopped after 3 of 9 photos" in err
    assert len(list_pictures(tmp_path / "photos")) == 3


def test_capture_of_a_short_video_takes_what_there_is(run: Run, tmp_path: Path) -> None:
    video = record(tmp_path / "short.mp4", 2)
    code, out, _ = run("capture", "--pose", "tree", "--video", video, "--to", tmp_path / "photos")
    assert code == 0 and "4 of 20 photos taken" in out
    code, _, err = run("capture", "--pose", "tree", "--video", video, "--to", tmp_path / "other", "--countdown", 3)
    assert code == 2 and "give --countdown 0" in err


class FakeCapture:
    """A camera made of noise."""

    rate = Fraction(30)

    def __init__(self) -> None:
        self.released = False
        self._rng = np.random.default_rng(0)

    def read(self) -> np.ndarray:
        time.sleep(0.01)
        return self._rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)

    def release(self) -> None:
        self.released = True


def test_capture_counts_down_in_words_where_there_is_no_display(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from yoga_live.runtime.sources import cameras
    from yoga_live.runtime.sources.live import LiveSource

    capture = FakeCapture()
    monkeypatch.setattr(
        cameras, "open_camera", lambda address, wishes: LiveSource(lambda: capture, f"camera {address}")
    )
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    options = ("--countdown", 1.2, "--count", 2, "--every", 0.1)
    code, out, err = run("capture", "--pose", "tree", "--camera", 3, "--to", tmp_path / "photos", *options)
    assert code == 0 and "2 of 2 photos taken" in out and capture.released
    assert err.splitlines() == [
        "yoga-train: no display for a window; the countdown is printed instead", "2", "1", "1 of 2", "2 of 2"
    ]  # fmt: skip
    assert all(row.url.startswith("camera:3/20") for row in read_manifest(tmp_path / "photos"))


def test_a_camera_that_is_not_there_is_one_line(run: Run, tmp_path: Path) -> None:
    code, _, err = run("capture", "--pose", "tree", "--camera", 9999, "--to", tmp_path / "photos")
    assert code == 2 and "cannot open camera 9999" in err.splitlines()[-1]
    assert not (tmp_path / "photos").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["collect", "tree", "--max", "0"], ["collect", "tree", "--engine", "altavista"],
        ["capture", "--count", "0"], ["capture", "--every", "0"], ["capture", "--countdown", "-1"],
        ["capture", "--camera", "0", "--video", "a.mp4"],
        ["show", "photos", "--size", "100"], ["show", "photos", "--count", "0"], ["show", "photos", "--seed", "-1"],
    ],
)  # fmt: skip
def test_values_that_can_not_be_are_refused_by_the_option(run: Run, tmp_path: Path, options: list[str]) -> None:
    pose = [] if options[0] == "show" else ["--pose", "tree"]
    code, _, err = run(*options, *pose, "--to", tmp_path / "x")
    assert code == 2 and f"argument {options[-2]}" in err and not (tmp_path / "x").exists()


def test_defaults_are_those_of_the_capture_configuration() -> None:
    from yoga_live.train.gather.config import CaptureConfig

    args = parse_args(["capture", "--pose", "tree", "--to", "photos"])
    assert (args.count, args.every) == (CaptureConfig().count, CaptureConfig().every_s)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
@pytest.mark.parametrize("target", ["../elsewhere", "/nowhere/at/all"])
def test_removed_photos_that_would_lie_elsewhere_are_refused_by_every_command(
    run: Run, photos: Path, tmp_path: Path, target: str
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "lists").mkdir()
    save_photo(tmp_path / "new" / "a.png", 99)
    (tmp_path / "lists" / "tree.csv").write_text("http://127.0.0.1:1/a.jpg\n")
    (photos / "_removed").symlink_to(target)
    before = list_pictures(photos)
    for command in (
        ["download", tmp_path / "lists", "--to", photos],
        ["add", tmp_path / "new", "--pose", "chair", "--to", photos],
        ["stats", photos],
        ["show", photos, "--to", tmp_path / "batch.png"],
        ["fit", photos, "--to", tmp_path / "run", "--weights", "none"],
    ):
        code, _, told = run(*command)
        assert code == 2 and told.count("\n") == 1 and "_removed is a link that leads out of" in told, command
    assert list_pictures(photos) == before and not any((tmp_path / "elsewhere").iterdir())


def test_a_link_inside_the_folder_for_removed_photos_is_followed(run: Run, photos: Path) -> None:
    (photos / ".bin").mkdir()
    (photos / "_removed").symlink_to(".bin")
    assert run("stats", photos)[0] == 0


@pytest.mark.parametrize("content", ["", "\n", "\ufeff"])
def test_an_empty_manifest_is_damage_and_no_new_one(run: Run, photos: Path, tmp_path: Path, content: str) -> None:
    (photos / "manifest.csv").write_text(content, encoding="utf-8")
    (tmp_path / "lists").mkdir()
    save_photo(tmp_path / "new" / "a.png", 99)
    (tmp_path / "lists" / "tree.csv").write_text("http://127.0.0.1:1/a.jpg\n")
    for command in (
        ["download", tmp_path / "lists", "--to", photos],
        ["add", tmp_path / "new", "--pose", "chair", "--to", photos],
        ["stats", photos],
    ):
        code, _, told = run(*command)
        assert code == 2 and told.count("error:") == 1 and "manifest.csv" in told.splitlines()[-1], command
        assert ("is empty and so damaged" in told) == (content == "")
    assert (photos / "manifest.csv").read_text(encoding="utf-8") == content
    (photos / "manifest.csv").unlink()  # as the line says
    assert run("add", tmp_path / "new", "--pose", "chair", "--to", photos)[0] == 0


@pytest.fixture
def sides(tmp_path: Path) -> Path:
    """Three pictures of the left arm; those of the right arm are their mirror images."""
    for number in range(3):
        save_photo(tmp_path / "sides" / "left_arm" / f"{number}.png", number)
        (tmp_path / "sides" / "right_arm").mkdir(exist_ok=True)
        with Image.open(tmp_path / "sides" / "left_arm" / f"{number}.png") as picture:
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "sides" / "right_arm" / f"{number}.png")
    return tmp_path / "sides"


def test_stats_accuses_no_mirror_image_of_the_other_side(run: Run, sides: Path) -> None:
    code, out, _ = run("stats", sides)
    assert code == 0 and "more than one pose" not in out
    assert "left_arm and right_arm differ only by left and right: mirror images are other pictures here" in out
    code, out, _ = run("stats", sides, "--mirror")
    assert "      3 pictures under more than one pose" in out and "differ only by" not in out
    (sides / "left_arm").rename(sides / "wave")
    code, out, _ = run("stats", sides)
    assert "(3 of them mirrored: if left and right tell these poses apart, give --no-mirror here and to fit)" in out
    code, out, _ = run("stats", sides, "--no-mirror")
    assert code == 0 and "more than one pose" not in out


def test_stats_says_nothing_of_mirrors_where_the_very_picture_is_under_two_poses(run: Run, sides: Path) -> None:
    shutil.copy(sides / "left_arm" / "0.png", sides / "right_arm" / "wrong.png")
    out = run("stats", sides)[1]
    assert "      1 picture under more than one pose: at least one of its labels is wrong" in out
    (sides / "right_arm").rename(sides / "wave")
    out = run("stats", sides)[1]
    assert "      3 pictures under more than one pose" in out and "(2 of them mirrored" in out


def test_add_accuses_no_mirror_image_of_the_other_side(run: Run, sides: Path, tmp_path: Path) -> None:
    code, out, _ = run("add", sides, "--to", tmp_path / "photos")
    assert code == 0 and "6 photos in manifest.csv\n" in out and "more than one pose" not in out
    code, out, _ = run("add", sides, "--to", tmp_path / "photos", "--mirror")
    assert (
        "3 pictures under more than one pose" in out
        and "6 photos in manifest.csv, 3 if those that look alike count once" in out
    )
    (sides / "left_arm").rename(sides / "wave")
    assert "3 pictures under more" in run("add", sides, "--to", tmp_path / "other")[1]
    assert "under more" not in run("add", sides, "--to", tmp_path / "other", "--no-mirror")[1]


def test_show_mirrors_nothing_where_training_does_not(run: Run, sides: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = ("--count", 6, "--size", 64, "--to")
    code, out, _ = run("show", sides, *options, tmp_path / "off.png")
    assert code == 0 and "training does not mirror the photos; --mirror-swaps left_arm=right_arm" in out
    code, out, _ = run("show", sides, *options, tmp_path / "on.png", "--mirror")
    assert code == 0 and "does not mirror" not in out
    assert (tmp_path / "on.png").read_bytes() != (tmp_path / "off.png").read_bytes()
    code, _, err = run("show", sides, *options, tmp_path / "wrong.png", "--mirror-swaps", "left_arm=leg")
    assert code == 2 and "there is no pose leg" in err and not (tmp_path / "wrong.png").exists()
    code, _, err = run("show", sides, *options, tmp_path / "no.png", "--mirror-swaps", "left=right", "--no-mirror")
    assert code == 2 and "--no-mirror and --mirror-swaps exclude each other" in err
