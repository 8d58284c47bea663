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
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.core.regions import Region
from yoga_live.runtime.core.types import best_pose
from yoga_live.runtime.errors import ModelError
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

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


@pytest.mark.parametrize("pose", ["tree", "warrior_2", "down_dog"])
def test_shipped_model_names_a_drawn_figure(pose: str) -> None:
    assert PoseClassifier(device="cpu").classify(draw_figure(POSES[pose], (960, 540))).pose == pose


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
