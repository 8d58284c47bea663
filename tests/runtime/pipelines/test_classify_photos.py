"""Photos, each for itself: the same answers as one by one, in order, none lost because of another."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.regions import Region, Roi
from yoga_live.runtime.errors import OutputError
from yoga_live.runtime.people import People
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.photos.kinds import is_photo
from yoga_live.runtime.pipelines.classify_photos import (
    BATCH,
    PhotoPrediction,
    check_table_format,
    classify_photos,
    format_predictions_csv,
    format_predictions_json,
    write_predictions,
)
from yoga_live.runtime.system.files import ODD_NAMES

from ...opinions import make_opinion
from ..conftest import LABELS, ColourEngine, paint_photo

BLUE, GREEN, RED = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # RGB; tree, warrior_2, none


def paint(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (90, 60)) -> tuple[str, Path]:
    paint_photo(colour, size).save(path)
    return path.name, path


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[str, Path]]:
    """Forty-one photos; every seventh is broken."""
    colours = [BLUE, GREEN, RED]
    listed = [paint(tmp_path / f"{n:02}.png", colours[n % 3]) for n in range(41)]
    for _, path in listed[::7]:
        path.write_bytes(path.read_bytes()[:-30])
    return listed


def test_every_photo_is_answered_in_order_and_broken_ones_say_why(
    files: list[tuple[str, Path]], classifier: PoseClassifier, engine: ColourEngine
) -> None:
    answers = list(classify_photos(classifier, files))
    assert [answer.file for answer in answers] == [name for name, _ in files]
    for number, answer in enumerate(answers):
        if number % 7 == 0:
            assert answer.prediction is None and "damaged" in answer.reason
        else:
            assert answer.prediction is not None and answer.reason == "" and answer.image_bgr is None
            assert answer.prediction.pose == ("tree", "warrior_2", "none")[number % 3]
            assert list(answer.prediction.probabilities) == list(LABELS)
            assert sum(answer.prediction.probabilities.values()) == pytest.approx(1)
    sizes = [len(batch) for batch in engine.batches]
    assert max(sizes) <= BATCH and sum(sizes) == 35 and len(sizes) == 6


def test_answers_are_those_of_classify(tmp_path: Path, classifier: PoseClassifier) -> None:
    rng = np.random.default_rng(3)
    listed = []
    for number in range(12):
        picture = rng.integers(0, 256, (40 + number, 70, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        listed.append((str(number), tmp_path / f"{number}.png"))
    for (_, path), answer in zip(listed, classify_photos(classifier, listed), strict=True):
        alone = classifier.classify(decode_photo(path))
        assert answer.prediction is not None and answer.prediction.pose == alone.pose
        assert answer.prediction.probabilities == pytest.approx(alone.probabilities)


def test_a_region_is_looked_at_alone_and_must_fit(tmp_path: Path, classifier: PoseClassifier) -> None:
    halves = np.zeros((60, 100, 3), np.uint8)
    halves[:, :50, 2], halves[:, 50:, 1] = 255, 255
    Image.fromarray(halves).save(tmp_path / "a.png")
    listed = [("a", tmp_path / "a.png"), paint(tmp_path / "small.png", BLUE, (20, 20))]
    right, small = classify_photos(classifier, listed, Roi(50, 0, 50, 60), keep_images=True)
    assert right.prediction is not None and right.prediction.pose == "warrior_2"
    assert right.image_bgr is not None and right.image_bgr.shape == (60, 100, 3) and right.region is not None
    assert small.prediction is None and "20 x 20" in small.reason


def test_a_photo_that_vanished_is_a_reason(tmp_path: Path, classifier: PoseClassifier) -> None:
    (answer,) = classify_photos(classifier, [("gone", tmp_path / "gone.jpg")])
    assert answer.prediction is None and answer.reason.startswith("does not exist")


def test_tables_parse_back(files: list[tuple[str, Path]], classifier: PoseClassifier) -> None:
    answers = list(classify_photos(classifier, files[:4]))
    rows = list(csv.DictReader(io.StringIO(format_predictions_csv(answers))))
    assert list(rows[0]) == ["file", "pose", "confidence", "p_tree", "p_warrior_2", "p_none", "reason"]
    assert rows[0]["pose"] == "" and "damaged" in rows[0]["reason"]
    assert rows[1]["pose"] == "warrior_2" and float(rows[1]["p_warrior_2"]) > 0.99 and rows[1]["reason"] == ""
    told = json.loads(format_predictions_json(answers))
    assert set(told[0]) == {"file", "reason"}
    assert told[1]["pose"] == "warrior_2" and set(told[1]["probabilities"]) == set(LABELS)
    assert (
        format_predictions_csv([]) == "file,pose,confidence,reason\n" and json.loads(format_predictions_json([])) == []
    )


def test_no_photo_gives_no_answer(classifier: PoseClassifier) -> None:
    assert list(classify_photos(classifier, [])) == []


@pytest.mark.parametrize("name", ["a.txt", "a", "a.vtt"])
def test_other_tables_are_refused(name: str) -> None:
    with pytest.raises(OutputError, match=r"\.csv or \.json"):
        check_table_format(Path(name))


def test_photos_in_a_folder_are_known_by_their_suffix() -> None:
    assert all(is_photo(Path(name)) for name in ("a.JPG", "a.webp", "a.avif", "a.heic"))
    assert not any(is_photo(Path(name)) for name in ("a.csv", "a.mp4", "a"))


def test_a_file_name_that_is_no_utf8_comes_back_from_both_tables(tmp_path: Path) -> None:
    name = b"caf\xe9.jpg".decode("utf-8", ODD_NAMES)
    for suffix in (".csv", ".json"):
        write_predictions(tmp_path / f"a{suffix}", [PhotoPrediction(name, None, "is empty")])
    assert b"caf\xe9.jpg,,,is empty" in (tmp_path / "a.csv").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))[0]["file"] == name


def test_photos_are_classified_with_the_people_in_them_as_one_by_one(
    files: list[tuple[str, Path]], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    engine = ColourEngine()
    engine.info = ModelInfo(LABELS, 32, second_opinion=make_opinion().to_document())
    classifier = PoseClassifier.from_engine(engine)
    big = tmp_path / "zz.png"
    paint_photo(BLUE, (1500, 900)).save(big)
    shapes: list[tuple[int, ...]] = []
    finder = classifier.photo_finder
    look = finder.find

    def note(frame_bgr: np.ndarray, region: Region | None = None) -> People:
        shapes.append(frame_bgr.shape)
        return look(frame_bgr, region)

    finder.find = note  # type: ignore[method-assign]
    answers = list(classify_photos(classifier, [*files, ("zz.png", big)]))
    assert shapes[-1] == (307, 512, 3) and {*shapes[:-1]} == {(60, 90, 3)} and len(shapes) == 36
    for answer, (_, path) in zip(answers[1:7], files[1:7], strict=True):
        alone = classifier.classify(decode_photo(path))
        assert answer.prediction is not None and answer.prediction.pose == alone.pose
        assert answer.prediction.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
    informed = answers[1].prediction
    classifier.second_opinion = None
    [network] = classify_photos(classifier, files[1:2])
    assert informed and network.prediction and informed.probabilities != pytest.approx(network.prediction.probabilities)
