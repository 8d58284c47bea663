"""One engine for several threads: never two at once, the owner first, guests in the end."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.engines.shared import GIVES_WAY_S, SharedEngine
from yoga_live.runtime.errors import ModelError


class SlowEngine:
    """Takes its time; notes who ran when, and whether two ever did at once."""

    def __init__(self, engine, takes_s: float) -> None:
        self.info, self.device, self._engine, self.takes_s = engine.info, engine.device, engine, takes_s
        self.order: list[str] = []
        self.inside = self.most_inside = 0

    def infer(self, frames: np.ndarray) -> np.ndarray:
        return self.infer_maps(frames)[0]

    def infer_maps(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.order.append(threading.current_thread().name)
        time.sleep(self.takes_s)
        self.inside -= 1
        return self._engine.infer_maps(frames)


def start(name: str, task) -> threading.Thread:
    thread = threading.Thread(target=task, name=name)
    thread.start()
    return thread


def test_a_guest_answers_as_the_owner_does_on_the_same_engine(classifier: PoseClassifier) -> None:
    frame = np.full((48, 64, 3), (255, 0, 0), np.uint8)
    before = classifier.classify(frame)
    guest, other = classifier.make_guest(), classifier.make_guest()
    assert classifier.classify(frame) == guest.classify(frame) == other.classify(frame) == before
    assert isinstance(classifier.engine, SharedEngine) and guest.info is classifier.info


def test_features_pass_through_for_owner_and_guest(feature_model: Path) -> None:
    pytest.importorskip("onnxruntime")
    frame = np.full((32, 32, 3), (30, 90, 200), np.uint8)
    classifier = PoseClassifier(feature_model, "cpu")
    alone = classifier.features(frame)
    guest = classifier.make_guest()
    for features in (alone, classifier.features(frame), guest.features(frame)):
        np.testing.assert_allclose(features, (30, 90, 200), rtol=1e-5)


def test_an_engine_of_ones_own_without_features_is_an_engine_still(classifier: PoseClassifier) -> None:
    frame = np.full((48, 64, 3), (255, 0, 0), np.uint8)
    guest = classifier.make_guest()
    for each in (classifier, guest):
        assert each.classify(frame).pose == "tree"
        with pytest.raises(ModelError, match="gives no features"):
            each.features(frame)


def test_the_engine_runs_for_one_at_a_time_and_the_owner_comes_first(engine) -> None:
    slow = SlowEngine(engine, 0.05)
    shared = SharedEngine(slow)
    frames = np.zeros((1, 32, 32, 3), np.uint8)
    guests = [start(f"guest {n}", lambda: shared.make_guest().infer(frames)) for n in range(4)]
    time.sleep(0.02)  # the first guest is in, three wait
    started_s = time.monotonic()
    shared.infer(frames)
    waited_s = time.monotonic() - started_s
    for guest in guests:
        guest.join(10)
    assert slow.most_inside == 1 and len(slow.order) == 5
    assert slow.order[1] == "MainThread", slow.order  # behind the one that had begun
    assert waited_s < 0.05 * 3


def test_a_guest_gets_its_turn_beside_a_loop_that_never_rests(engine) -> None:
    slow, over = SlowEngine(engine, 0.004), threading.Event()
    shared = SharedEngine(slow)
    frames = np.zeros((1, 32, 32, 3), np.uint8)

    def loop() -> None:
        while not over.is_set():
            shared.infer(frames)

    owner = start("owner", loop)
    started_s = time.monotonic()
    shared.make_guest().infer_maps(frames)
    waited_s = time.monotonic() - started_s
    over.set()
    owner.join(10)
    assert waited_s < GIVES_WAY_S + 1 and slow.most_inside == 1


def test_an_owner_that_fails_leaves_the_way_free(engine) -> None:
    shared = SharedEngine(engine)
    with pytest.raises(AttributeError):
        shared.infer(None)  # type: ignore[arg-type]
    started_s = time.monotonic()
    shared.make_guest().infer(np.zeros((1, 32, 32, 3), np.uint8))
    assert time.monotonic() - started_s < GIVES_WAY_S / 2
