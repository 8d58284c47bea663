"""One frame in, one honest answer out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import yoga_live.runtime
from yoga_live.runtime.classifier import DEFAULT_MODEL, PoseClassifier, choose_answer
from yoga_live.runtime.core.model_metadata import ModelInfo, find_model
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.core.types import best_pose
from yoga_live.runtime.errors import MissingPackageError, ModelError
from yoga_live.runtime.people import People, find_landmarks
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure
from yoga_live.runtime.tracking.pose_tracker import PoseTracker

from ..opinions import make_opinion
from .conftest import ColourEngine

BLUE, GREEN, RED, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
ELEVEN = {"down_dog", "up_dog", "tree", "warrior_2", "low_lunge", "plank", "goddess", "chair", "triangle", "half_moon"}
MEGABYTE = 1_000_000


def plain(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((48, 64, 3), colour, np.uint8)


@pytest.mark.parametrize(("colour", "pose"), [(BLUE, "tree"), (GREEN, "warrior_2"), (RED, "none"), (GREY, "none")])
def test_frame_is_named(classifier: PoseClassifier, colour: tuple[int, int, int], pose: str) -> None:
    prediction = classifier.classify(plain(colour))
    assert prediction.pose == pose
    assert tuple(prediction.probabilities) == classifier.labels
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    best = max(value for label, value in prediction.probabilities.items() if label != "none")
    assert prediction.confidence == pytest.approx(1 - best if pose == "none" else best)


def test_engine_sees_exactly_the_letterboxed_frame(classifier: PoseClassifier, engine: Any) -> None:
    frame_bgr = draw_figure(POSES["tree"], (200, 120))
    classifier.classify(frame_bgr)
    np.testing.assert_array_equal(engine.batches[-1], letterbox(frame_bgr, 32)[None])


def test_region_is_all_that_the_engine_sees(classifier: PoseClassifier, engine: Any) -> None:
    frame_bgr = plain(GREEN)
    frame_bgr[10:40, 30:60] = BLUE
    assert classifier.classify(frame_bgr).pose != "tree"
    assert classifier.classify(frame_bgr, Region(30, 10, 30, 30)).pose == "tree"
    np.testing.assert_array_equal(engine.batches[-1], letterbox(frame_bgr[10:40, 30:60], 32)[None])


def test_temperature_divides_the_logits(classifier: PoseClassifier, engine: Any) -> None:
    engine.info = ModelInfo(engine.info.labels, 32, temperature=4.0)
    logits = letterbox(plain(BLUE), 32).mean(axis=(0, 1)) / 16
    expected = np.exp(logits / 4) / np.exp(logits / 4).sum()
    np.testing.assert_allclose(classifier.probabilities(plain(BLUE)), expected, rtol=1e-5)


def test_what_is_no_image_is_a_value_error(classifier: PoseClassifier) -> None:
    with pytest.raises(ValueError, match="float64"):
        classifier.classify(np.zeros((4, 4, 3)))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size_wh=st.tuples(st.integers(1, 4000), st.integers(1, 50)),
    upright=st.booleans(),
    channels=st.sampled_from([0, 1, 3, 4]),
    view=st.sampled_from([np.s_[:], np.s_[::-1], np.s_[:, ::-1], np.s_[::2, ::3], np.s_[::-2, 1:]]),
    seed=st.integers(0),
)
def test_any_frame_is_answered_as_its_contiguous_bgr_twin(
    classifier: PoseClassifier, size_wh: tuple[int, int], upright: bool, channels: int, view: Any, seed: int
) -> None:
    shape = (size_wh[1], size_wh[0], channels)[: 3 if channels else 2]
    frame = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    frame = (frame.swapaxes(0, 1) if upright else frame)[view]
    if frame.size == 0:
        with pytest.raises(ValueError, match="a frame must "):
            classifier.classify(frame)
        return
    planes = frame.reshape(*frame.shape[:2], -1)
    bgr = np.ascontiguousarray(planes[:, :, :3] if channels >= 3 else np.repeat(planes, 3, axis=2))
    assert classifier.classify(frame) == classifier.classify(bgr)


def test_earlier_answers_do_not_change_when_a_new_frame_comes(classifier: PoseClassifier) -> None:
    first = classifier.probabilities(plain(BLUE))
    before = first.copy()
    classifier.probabilities(plain(GREEN))
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize(
    ("probabilities", "threshold", "answer"),
    [
        ([0.7, 0.2, 0.1], 0.5, ("a", 0.7)),
        ([0.5, 0.4, 0.1], 0.5, ("a", 0.5)),
        ([0.45, 0.4, 0.15], 0.5, ("none", 0.55)),
        ([0.4, 0.1, 0.5], 0.3, ("none", 0.6)),
        ([0.3, 0.6, 0.1], 0.0, ("b", 0.6)),
        ([0.0, 0.0, 1.0], 0.0, ("none", 1.0)),
    ],
)
def test_none_is_the_answer_unless_a_pose_is_sure_enough(
    probabilities: list[float], threshold: float, answer: tuple[str, float]
) -> None:
    pose, confidence = choose_answer(np.array(probabilities), ("a", "b", "none"), threshold)
    assert (pose, confidence) == (answer[0], pytest.approx(answer[1]))


def test_model_without_a_none_class_still_answers_none() -> None:
    assert choose_answer(np.array([0.4, 0.35, 0.25]), ("a", "b", "c"), 0.6)[0] == "none"
    assert best_pose(np.array([0.1, 0.2, 0.7]), ("a", "b", "c")) == 2


def test_none_may_stand_anywhere_among_the_labels() -> None:
    assert best_pose(np.array([0.8, 0.05, 0.15]), ("none", "a", "b")) == 2


def test_classifier_loads_a_file_by_path_or_text(model_path: Path) -> None:
    for model in (model_path, str(model_path)):
        assert PoseClassifier(model, "cpu").classify(plain(BLUE)).pose == "tree"


def test_missing_model_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        PoseClassifier(tmp_path / "no.onnx")


def loaded_after(statement: str, names: set[str]) -> set[str]:
    code = f"import sys\n{statement}\nprint(*({names!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_the_room_loads_nothing_heavy() -> None:
    heavy = {"torch", "torchvision", "onnx", "onnxruntime", "cv2", "av", "PIL", "numpy", "tensorrt"}
    assert loaded_after("import yoga_live.runtime", heavy) == set()


def test_importing_the_classifier_needs_neither_torch_nor_onnx() -> None:
    heavy = {"torch", "torchvision", "onnx", "onnxscript", "av", "tensorrt"}
    assert loaded_after("from yoga_live.runtime import PoseClassifier, Prediction", heavy) == set()


def test_classifying_needs_neither_torch_nor_onnx(model_path: Path) -> None:
    statement = (
        "import numpy as np\nfrom yoga_live.runtime import PoseClassifier\n"
        f"PoseClassifier({str(model_path)!r}, 'cpu').classify(np.zeros((9, 9, 3), np.uint8))"
    )
    assert loaded_after(statement, {"torch", "torchvision", "onnx", "onnxscript"}) == set()


def test_room_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="PoseGuesser"):
        _ = yoga_live.runtime.PoseGuesser
    assert yoga_live.runtime.PoseClassifier is PoseClassifier


def test_shipped_model_is_small_and_names_the_eleven() -> None:
    assert DEFAULT_MODEL.stat().st_size <= 25 * MEGABYTE
    info = PoseClassifier(device="cpu").info
    assert set(info.labels) == ELEVEN | {"none"} and len(info.labels) == 11
    assert info.precision == "int8" and info.size == 224
    assert 0.3 < info.temperature < 5 and 0.2 < info.threshold < 0.95
    assert info.training and info.calibration


def test_the_small_model_answers_the_same_poses_and_has_a_name() -> None:
    small = PoseClassifier("small", device="cpu").info
    assert find_model("small").stat().st_size <= 8 * MEGABYTE
    assert small.labels == PoseClassifier(device="cpu").info.labels and small.precision == "int8"
    assert small.second_opinion and small.calibration
    assert find_model() == find_model("default") == DEFAULT_MODEL
    assert find_model("./small") == Path("small")  # a file of the user's


@pytest.mark.parametrize("model", ["default", "small"])
@pytest.mark.parametrize("pose", ["tree", "warrior_2", "down_dog"])
def test_shipped_models_name_a_drawn_figure(pose: str, model: str) -> None:
    assert PoseClassifier(model, device="cpu").classify(draw_figure(POSES[pose], (960, 540))).pose == pose


def test_shipped_model_sees_no_pose_in_an_empty_picture() -> None:
    classifier = PoseClassifier(device="cpu")
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    for frame_bgr in (np.zeros((480, 640, 3), np.uint8), np.full((480, 640, 3), 255, np.uint8), noise):
        assert classifier.classify(frame_bgr).pose == "none"


def test_own_model_keeps_its_label_order(write_model: Callable[..., Path], tmp_path: Path) -> None:
    """jetson-inference#1563: the class order shifts between training and the labels file."""
    info = ModelInfo(("none", "Śvānāsana", "a_tree"), 32)
    classifier = PoseClassifier(write_model(tmp_path / "m.onnx", info.to_json()), "cpu")
    assert classifier.classify(plain(RED)).pose == "a_tree"
    assert classifier.classify(plain(GREEN)).pose == "Śvānāsana"
    assert classifier.classify(plain(BLUE)).pose == "none"


class FakeFinder:
    """Finds the same people in each frame, and notes where it looked."""

    def __init__(self, people: People) -> None:
        self.people, self.looked = people, list[Any]()

    def find(self, frame_bgr: np.ndarray, region: Region | None = None) -> People:
        self.looked.append((frame_bgr.shape, region))
        return self.people


def put_person(score: float) -> People:
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 48, (1, 17, 2)).astype(np.float32)
    whole = np.array([[0, 0, 48, 48]], np.float32)
    return People(whole, keypoints, np.ones((1, 17), np.float32), np.array([score], np.float32))


@pytest.fixture
def informed() -> PoseClassifier:
    """A classifier with a second opinion, which says tree of a sure person."""
    engine = ColourEngine()
    engine.info = ModelInfo(engine.info.labels, 32, threshold=0.7, second_opinion=make_opinion().to_document())
    return PoseClassifier.from_engine(engine)


def test_single_frames_are_classified_with_the_key_points_of_the_person_in_them(informed: PoseClassifier) -> None:
    finder = informed.photo_finder = FakeFinder(put_person(0.9))  # type: ignore[assignment]
    assert informed.second_opinion == make_opinion()
    prediction = informed.classify(plain(GREY))
    assert prediction.pose == "tree" and finder.looked == [((48, 64, 3), None)]
    informed.classify(plain(GREY), Region(8, 4, 20, 20))
    assert finder.looked[1:] == [((48, 64, 3), Region(8, 4, 20, 20))]
    landmarks = find_landmarks(put_person(0.9))
    expected = informed.probabilities(plain(GREY), None, landmarks)
    np.testing.assert_allclose(list(prediction.probabilities.values()), expected)
    assert informed.examine(plain(GREY), None, landmarks)[0] == pytest.approx(expected)
    frames = np.stack([letterbox(plain(colour), 32) for colour in (GREY, BLUE)])
    both = informed.classify_letterboxed(frames, np.stack([landmarks, np.zeros_like(landmarks)]))
    assert both[0] == prediction and both[1].probabilities["none"] > 0.03  # nobody is there, says the second opinion


def test_without_landmarks_it_is_the_network_alone_with_its_own_threshold(
    informed: PoseClassifier, classifier: PoseClassifier
) -> None:
    for colour in (GREY, BLUE):
        np.testing.assert_array_equal(informed.probabilities(plain(colour)), classifier.probabilities(plain(colour)))
    assert (informed.info.threshold, informed.info_with_people.threshold) == (0.7, 0.35)
    assert (informed.info.temperature, informed.info_with_people.temperature) == (1.0, 1.25)
    assert classifier.info_with_people is classifier.info and classifier.find_landmarks(plain(GREY)) is None
    informed.photo_finder = FakeFinder(put_person(0.9))  # type: ignore[assignment]
    informed.second_opinion = None
    prediction = informed.classify(plain(GREY))
    assert prediction.pose == "none" and not informed.photo_finder.looked  # type: ignore[attr-defined]


def test_the_threshold_of_both_together_decides(informed: PoseClassifier) -> None:
    informed.second_opinion = make_opinion(threshold=0.99)
    landmarks = find_landmarks(put_person(0.9))
    assert informed.classify_letterboxed(letterbox(plain(GREY), 32)[None], landmarks[None])[0].pose == "none"


def test_a_guest_has_the_same_second_opinion(informed: PoseClassifier) -> None:
    landmarks = find_landmarks(put_person(0.9))
    expected = informed.probabilities(plain(GREY), None, landmarks)
    np.testing.assert_array_equal(informed.make_guest().probabilities(plain(GREY), None, landmarks), expected)
    informed.second_opinion = None
    assert informed.make_guest().second_opinion is None


def test_an_empty_frame_has_nobody_for_the_real_finder(informed: PoseClassifier) -> None:
    pytest.importorskip("onnxruntime")
    landmarks = informed.find_landmarks(plain(GREY))
    assert landmarks is not None and not landmarks.any()
    assert informed.classify(plain(GREY)).pose == "none"


def test_a_broken_second_opinion_is_refused_when_the_model_is_opened() -> None:
    engine = ColourEngine()
    engine.info = ModelInfo(engine.info.labels, 32, second_opinion={"networks": 1})
    with pytest.raises(ModelError, match="second opinion of the model cannot be read"):
        PoseClassifier.from_engine(engine)


def test_without_an_engine_for_the_people_finder_the_network_answers_alone(
    informed: PoseClassifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MissingPackageError("onnxruntime is not installed")

    monkeypatch.setattr("yoga_live.runtime.classifier.PeopleFinder", fail)
    alone = informed.probabilities(plain(GREY))
    assert list(informed.classify(plain(GREY)).probabilities.values()) == pytest.approx(alone.tolist())
    assert informed.second_opinion is None
    assert "the network answers alone, without the key points of people: onnxruntime is not" in caplog.text


def test_a_pose_that_is_not_asked_for_becomes_none_in_both_opinions(informed: PoseClassifier) -> None:
    few = PoseClassifier.from_engine(informed.engine, poses=["warrior_2"])
    assert few.labels == few.info.labels == few.info_with_people.labels == ("warrior_2", "none")
    assert few.excluded_poses == ("tree",) and informed.excluded_poses == ()
    landmarks = find_landmarks(put_person(0.9))  # a tree, say the key points, and blue is one for the network
    for points in (None, landmarks):
        whole = dict(zip(informed.labels, informed.probabilities(plain(BLUE), None, points), strict=True))
        assert whole["tree"] > 0.7
        kept = few.probabilities(plain(BLUE), None, points)
        assert kept.sum() == pytest.approx(1) and kept[1] > 0.5
        assert few.examine(plain(BLUE), None, points)[0] == pytest.approx(kept)
        np.testing.assert_array_equal(few.make_guest().probabilities(plain(BLUE), None, points), kept)
        batch = None if points is None else points[None]
        assert few.classify_letterboxed(letterbox(plain(BLUE), 32)[None], batch)[0].pose == "none"
    assert few.classify_letterboxed(letterbox(plain(GREEN), 32)[None])[0].pose == "warrior_2"


def test_what_is_restricted_is_held_live_and_smoothed_alike(engine: ColourEngine) -> None:
    few = PoseClassifier.from_engine(engine, poses=["warrior_2"])
    tracker = PoseTracker(few, people="off")
    holds = [tracker.update(plain(BLUE if at < 20 else GREEN), at / 10).pose for at in range(60)]
    assert holds[15] == "none" and holds[-1] == "warrior_2" and "tree" not in holds
