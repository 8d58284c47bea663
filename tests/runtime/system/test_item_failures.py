"""Whatever one item of a batch does is a row; what is no item's fault ends the run."""

import csv
import errno
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import pytest

from yoga_live.runtime.errors import DeviceError, ModelError, OutputError, PhotoError
from yoga_live.runtime.pipelines import annotate, classify_photos
from yoga_live.runtime.system.item_failures import Failure, attempt

Live = Callable[..., tuple[int, str, str]]


class ForeignError(Exception):
    """What a package raises that nobody has read."""


STRANGE = (
    MemoryError("Unable to allocate 4.9 TiB"),
    RecursionError("maximum recursion depth exceeded"),
    OverflowError("signed integer is greater than maximum"),
    AssertionError(),
    ForeignError("two\nlines"),
    ZeroDivisionError("division by zero"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
)
strange = pytest.mark.parametrize("error", STRANGE, ids=lambda error: type(error).__name__)


def fail(error: BaseException) -> NoReturn:
    raise error


@strange
def test_an_exception_that_nobody_foresaw_is_one_line_with_its_type(error: Exception) -> None:
    failure = attempt("an item", partial(fail, error))
    assert isinstance(failure, Failure) and not failure.is_foreseen
    assert failure.reason.startswith(type(error).__name__) and "\n" not in failure.reason


def test_a_foreseen_one_is_its_own_message() -> None:
    assert attempt("an item", partial(fail, PhotoError("it is no picture"))) == Failure("it is no picture")
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert attempt("an item", partial(fail, gone)) == Failure("No such file or directory")
    assert attempt("an item", lambda: 7) == 7


def test_a_reason_is_of_bounded_length() -> None:
    failure = attempt("an item", partial(fail, ValueError("x" * 10_000_000)))
    assert isinstance(failure, Failure) and len(failure.reason) == 300


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(2),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EMFILE, "Too many open files"),
        OutputError("the folder is gone"),
        DeviceError("the GPU is lost"),
        ModuleNotFoundError("No module named 'pillow_heif'"),
    ],
    ids=lambda error: type(error).__name__ + str(getattr(error, "errno", "")),
)
def test_what_is_no_item_s_fault_is_raised(error: BaseException) -> None:
    with pytest.raises(type(error)):
        attempt("an item", partial(fail, error))


def test_the_traceback_is_in_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        attempt("photos/tree/1.jpg", partial(fail, ForeignError("odd")))
    shown = [record for record in caplog.records if record.exc_info]
    assert len(shown) == 1 and shown[0].levelno == logging.DEBUG and "photos/tree/1.jpg" in shown[0].message
    assert any(record.levelno == logging.WARNING and "--debug" in record.message for record in caplog.records)


def paint(size_hw: tuple[int, int], colour: tuple[int, int, int]) -> np.ndarray:
    """A picture of one colour, BGR, brighter to the right."""
    ramp = np.linspace(0.5, 1, size_hw[1])[None, :, None] * np.ones((size_hw[0], 1, 1))
    return (ramp * np.array(colour)).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos; the second one is 19 pixels wide."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, width in (("a", 40), ("b", 19), ("c", 40)):
        assert cv2.imwrite(str(folder / f"{name}.png"), paint((30, width), (255, 0, 0)))
    return folder


@strange
def test_a_photo_that_breaks_its_decoder_is_a_row_of_the_table(
    live: Live, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    decode = classify_photos.decode_photo

    def decode_or_fail(content: bytes, **options: int) -> np.ndarray:
        frame = decode(content, **options)
        return frame if frame.shape[1] != 19 else fail(error)

    monkeypatch.setattr(classify_photos, "decode_photo", decode_or_fail)
    code, _, err = live("--images", photos, "--table", tmp_path / "t.csv")
    assert code == 2 and err.splitlines()[-1].startswith("yoga-live: error: 1 of 3 photos could not be read")
    rows = {row["file"]: row for row in csv.DictReader((tmp_path / "t.csv").read_text().splitlines())}
    assert rows["b.png"]["reason"].startswith(type(error).__name__) and not rows["b.png"]["pose"]
    assert rows["a.png"]["pose"] == rows["c.png"]["pose"] == "tree"


def test_a_photo_that_no_jpeg_can_hold_keeps_its_answer_and_the_others_are_drawn(
    live: Live, photos: Path, tmp_path: Path
) -> None:
    assert cv2.imwrite(str(photos / "wide.png"), paint((20, 65_520), (0, 255, 0)))
    code, _, err = live("--images", photos, "--table", tmp_path / "t.csv", "--save", tmp_path / "out")
    assert code == 2 and "1 of 4 photos could not be annotated" in err
    rows = {row["file"]: row for row in csv.DictReader((tmp_path / "t.csv").read_text().splitlines())}
    assert rows["wide.png"]["pose"] and "cannot be annotated" in rows["wide.png"]["reason"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_photo_that_breaks_the_network_does_not_take_its_batch_along(
    photos: Path, classifier: classify_photos.PoseClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = classifier.engine.infer

    def run_or_fail(frames: np.ndarray) -> np.ndarray:
        is_odd = ((frames[..., 2] > 120) & (frames[..., 0] == 0)).any()
        return fail(ModelError("odd.onnx gives numbers that are not finite")) if is_odd else run(frames)

    monkeypatch.setattr(classifier.engine, "infer", run_or_fail)
    assert cv2.imwrite(str(photos / "b.png"), paint((30, 40), (0, 0, 255)))
    files = [(path.name, path) for path in sorted(photos.iterdir())]
    answers = list(classify_photos.classify_photos(classifier, files))
    assert [answer.prediction and answer.prediction.pose for answer in answers] == ["tree", None, "tree"]
    assert "odd.onnx" in answers[1].reason


@strange
def test_a_video_that_breaks_its_decoder_is_a_line_and_the_others_are_annotated(
    live: Live,
    write_clip: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        write_clip(tmp_path / "in" / f"{name}.mp4", [(255, 0, 0)] * 10)
    source, ask = annotate.VideoSource, annotate.open_media

    def open_or_fail(path: Path, *arguments: Any) -> annotate.VideoSource:
        return source(path, *arguments) if path.name != "b.mp4" else fail(error)

    def ask_or_fail(path: Path, *arguments: Any) -> object:
        return ask(path, *arguments) if path.name != "b.mp4" else fail(error)

    monkeypatch.setattr(annotate, "VideoSource", open_or_fail)
    monkeypatch.setattr(annotate, "open_media", ask_or_fail)
    code, _, err = live("--video", tmp_path / "in", "--timeline", tmp_path / "out")
    assert code == 2 and "1 of 3 videos could not be read to the end: b.mp4" in err.splitlines()[-1]
    assert type(error).__name__ in err and "Traceback" not in err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.poses.csv", "c.poses.csv"]
