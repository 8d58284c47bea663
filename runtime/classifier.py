"""One frame in, one calibrated answer out; `none` is an answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .core.allowed_poses import AllowedPoses, allow_poses
from .core.model_metadata import DEFAULT_MODEL as DEFAULT_MODEL
from .core.model_metadata import ModelInfo, find_model
from .core.preprocess import letterbox_into
from .core.regions import Region
from .core.softmax import softmax
from .core.types import NO_POSE, ClassMaps, Floats, Frame, best_pose
from .engines.base import DEVICES, Engine, infer_features
from .engines.factory import open_engine
from .engines.shared import SharedEngine
from .errors import MissingPackageError, ModelError
from .people.finder import SIDE, PeopleFinder
from .people.landmarks import PHOTO_MARGIN, PHOTO_SCORE, find_landmarks
from .people.second_opinion import SecondOpinion
from .people.two_scales import FAR_SIDE, TwoScaleFinder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """The answer for one frame.  A notebook shows it as a small table.

    pose: one of the labels, or `none`.  confidence: calibrated probability of that answer, 0 to 1 (for `none`: that
    no single pose is shown, 1 minus the best pose's probability).  probabilities: label -> probability, sum 1.
    """

    pose: str
    confidence: float
    probabilities: dict[str, float]

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from .drawing.notebook import format_prediction

        return format_prediction(self.pose, self.confidence, self.probabilities)


class PoseClassifier:
    """Classify single frames, as if one person were in view::

        classifier = PoseClassifier()                     # the shipped model; or PoseClassifier("yoga.onnx")
        prediction = classifier.classify(frame_bgr)       # prediction.pose, prediction.confidence

    second_opinion: what the model makes of a person's key points beside the picture, None where it has none.  Set it to
    None for the network alone.  `classify` finds the key points itself; other methods use those that they are given,
    `landmarks`: float32 (53,) of one person, or (N, 53), as `measure_landmarks` in `yoga_live.runtime.people` gives
    them, zeros where nobody is found.

    One instance is for one thread at a time: a frame is letterboxed into its own memory.  Another thread takes one of
    `make_guest`.
    """

    second_opinion: SecondOpinion | None

    def __init__(
        self,
        model: str | Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        *,
        poses: Iterable[str] | None = None,
    ) -> None:
        """Load a pose model.

        model: a file, .onnx or .engine, or `small`, the small shipped model; None: the large one.  device: auto, cpu,
        cuda, tensorrt or openvino.  threads: how many the CPU's engines use; None: one a core.  poses: answer only
        these, and `none`; None: all.

        Raises OptionError where the model has no such pose, ModelError where the file is no pose model, DeviceError
        where the device is missing, MissingPackageError where its engine is not installed.
        """
        path = find_model(model)
        try:
            self._use(open_engine(path, device, threads), threads, poses)
        except OSError as error:  # a name that is too long, a folder that nobody may enter
            raise ModelError(f"the model {path} cannot be opened: {error.strerror or error}") from error

    @classmethod
    def from_engine(cls, engine: Engine, *, poses: Iterable[str] | None = None) -> PoseClassifier:
        """Classify with an engine made elsewhere.  engine: see `yoga_live.runtime.engines.base`.  poses: as above."""
        classifier = cls.__new__(cls)
        classifier._use(engine, poses=poses)
        return classifier

    _finders: dict[int, PeopleFinder]

    def _use(self, engine: Engine, threads: int | None = None, poses: Iterable[str] | None = None) -> None:
        self.engine: Engine = engine
        self._allowed: AllowedPoses | None = None if poses is None else allow_poses(poses, engine.info.labels)
        self._threads, self._finders = threads, {}
        document = engine.info.second_opinion
        self.second_opinion = SecondOpinion.from_document(document, engine.info.labels) if document else None
        self._batch = np.empty((1, engine.info.size, engine.info.size, 3), np.uint8)

    def make_guest(self) -> PoseClassifier:
        """Another classifier on the same engine, for another thread; it gives way to this one."""
        if not isinstance(self.engine, SharedEngine):
            self.engine = SharedEngine(self.engine)
        guest = PoseClassifier.from_engine(self.engine.make_guest())
        guest.second_opinion, guest._threads, guest._allowed = self.second_opinion, self._threads, self._allowed
        return guest

    @property
    def info(self) -> ModelInfo:
        """What the model says of itself; temperature and threshold are those of the network alone.

        Its labels are those that are answered, where poses were given.
        """
        return replace(self.engine.info, labels=self._allowed.labels) if self._allowed else self.engine.info

    def open_people_finder(self, side: int = SIDE) -> PeopleFinder:
        """The people finder on the same device, loaded once; for the same thread.  side: of its input, pixels.

        Raises MissingPackageError where its engine is not installed.
        """
        if side not in self._finders:
            known = next(iter(self._finders.values()), None)
            self._finders[side] = known.resize(side) if known else self.make_people_finder(side)
        return self._finders[side]

    def make_people_finder(self, side: int = SIDE) -> PeopleFinder:
        """Another people finder on the same device, for another thread.  side: of its input, pixels.

        Raises MissingPackageError where its engine is not installed.
        """
        device = self.engine.device if self.engine.device in DEVICES else "auto"  # of an engine made elsewhere
        return PeopleFinder(device, self._threads, side=side)

    def make_face_finder(self) -> TwoScaleFinder:
        """What finds people near and far, on the same device, for another thread; errors as `make_people_finder`'s."""
        near = self.make_people_finder()
        return TwoScaleFinder(near, near.resize(FAR_SIDE), always=True)

    @property
    def info_with_people(self) -> ModelInfo:
        """The same with temperature and threshold of network and key points together, where it has a second opinion."""
        opinion = self.second_opinion
        return opinion.apply_to(self.info) if opinion else self.info

    @cached_property
    def photo_finder(self) -> PeopleFinder:
        """Finds the people of single pictures, as `yoga-train fit` does, on the same device; loaded when first used."""
        device = self.engine.device if self.engine.device in DEVICES else "cpu"
        return PeopleFinder(device, self._threads, margin=PHOTO_MARGIN, min_score=PHOTO_SCORE)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the probabilities."""
        return self._allowed.labels if self._allowed else self.engine.info.labels

    @property
    def excluded_poses(self) -> tuple[str, ...]:
        """Poses that the model knows and that are not answered, because `poses` were given without them."""
        return self._allowed.excluded if self._allowed else ()

    def probabilities(
        self, frame_bgr: npt.NDArray[np.generic], region: Region | None = None, landmarks: Floats | None = None
    ) -> Floats:
        """Calibrated probabilities, float64 (C,), in the order of `labels`.

        frame_bgr: uint8 (H, W, 3) BGR; grey (H, W) and BGRA (H, W, 4) are taken too.  region: look at this part alone,
        in pixels.  landmarks: float32 (53,), the person's, for the second opinion; None or NaN: the network alone.

        Raises ValueError if it is no uint8 image, ModelError where the network's output is not finite.
        """
        letterbox_into(region.cut(frame_bgr) if region else frame_bgr, self._batch[0])
        return self._combine(self.engine.infer(self._batch), None if landmarks is None else landmarks[None])[0]

    def examine(
        self, frame_bgr: npt.NDArray[np.generic], region: Region | None = None, landmarks: Floats | None = None
    ) -> tuple[Floats, ClassMaps]:
        """As `probabilities`, and what spoke for each label where.  frame_bgr, region, landmarks: as there."""
        letterbox_into(region.cut(frame_bgr) if region else frame_bgr, self._batch[0])
        logits, maps = self.engine.infer_maps(self._batch)
        shares = self._combine(logits, None if landmarks is None else landmarks[None])
        return shares[0], ClassMaps(maps[0], self.engine.info.labels, region)

    def _combine(self, logits: Floats, landmarks: Floats | None) -> Floats:
        """Calibrated probabilities, float64 (N, K), in the order of `labels`, of logits (N, C) and landmarks (N, 53).

        None, or NaN in a row: the network alone.  Poses are restricted last, once both opinions are mixed.
        """
        mixed = self._mix(logits, landmarks)
        return self._allowed.restrict(mixed) if self._allowed else mixed

    def _mix(self, logits: Floats, landmarks: Floats | None) -> Floats:
        alone = softmax(logits / self.engine.info.temperature)
        if landmarks is None or self.second_opinion is None:
            return alone
        is_known = ~np.isnan(landmarks).any(axis=1)
        if is_known.any():
            mixed = self.second_opinion.combine(logits[is_known], landmarks[is_known])
            alone[is_known] = softmax(mixed / self.second_opinion.temperature)
        return alone

    def features(self, frame_bgr: npt.NDArray[np.generic], region: Region | None = None) -> Floats:
        """What the network's head reads of a frame, float32 (D,), averaged over the picture.

        Near-by pictures have near-by features, whatever the labels: to search, to group, to train a classifier of your
        own.  D is 512 for a ResNet-18 or 34, 2048 for a ResNet-50.  frame_bgr: uint8 (H, W, 3) BGR.  region: look at
        this part alone, in pixels.

        Raises ValueError if it is no uint8 image, ModelError where the file has no features (older ones).
        """
        letterbox_into(region.cut(frame_bgr) if region else frame_bgr, self._batch[0])
        return infer_features(self.engine, self._batch)[1][0]

    def classify(self, frame_bgr: npt.NDArray[np.generic], region: Region | None = None) -> Prediction:
        """Classify one frame.

        frame_bgr: uint8 (H, W, 3) BGR, as OpenCV gives it; grey (H, W) and BGRA (H, W, 4) are taken too.  region: look
        at this part alone, in pixels.  With a second opinion, people are looked for in it first.  Raises ValueError if
        it is no uint8 image, ModelError where the network's output is not finite.
        """
        landmarks = self.find_landmarks(frame_bgr, region)
        return self._predict(self.probabilities(frame_bgr, region, landmarks), landmarks)

    def find_landmarks(self, frame_bgr: npt.NDArray[np.generic], region: Region | None = None) -> Floats | None:
        """Find the key points that the second opinion is about, float32 (53,), zeros for nobody; None without one.

        frame_bgr: uint8 (H, W, 3) BGR.  region: look at this part alone, in pixels.  Of several people the largest
        and surest one counts.  Where the people finder's engine is not installed, the second opinion is given up, which
        is logged.
        """
        if self.second_opinion is None:
            return None
        try:
            finder = self.photo_finder
        except MissingPackageError as error:
            log.warning("the network answers alone, without the key points of people: %s", error)
            self.second_opinion = None
            return None
        return find_landmarks(finder.find(frame_bgr, region))

    def classify_letterboxed(self, frames: Frame, landmarks: Floats | None = None) -> list[Prediction]:
        """Classify frames that are letterboxed already, in one run of the network.

        frames: uint8 (N, S, S, 3) BGR.  landmarks: float32 (N, 53), for the second opinion; None, or NaN in a row: the
        network alone.
        """
        return [self._predict(row, landmarks) for row in self.probabilities_letterboxed(frames, landmarks)]

    def probabilities_letterboxed(self, frames: Frame, landmarks: Floats | None = None) -> Floats:
        """Calibrated probabilities of such frames, float64 (N, C).  frames, landmarks: as there."""
        return self._combine(self.engine.infer(frames), landmarks)

    def _predict(self, probabilities: Floats, landmarks: Floats | None) -> Prediction:
        info = self.info if landmarks is None else self.info_with_people
        pose, confidence = choose_answer(probabilities, self.labels, info.threshold)
        return Prediction(pose, confidence, dict(zip(self.labels, probabilities.tolist(), strict=True)))


def choose_answer(probabilities: Floats, labels: tuple[str, ...], threshold: float) -> tuple[str, float]:
    """Choose pose and confidence from calibrated probabilities, float (C,): `none` unless a pose is sure enough."""
    best = best_pose(probabilities, labels)
    confidence = float(probabilities[best])
    is_pose = confidence >= threshold and confidence >= probabilities.max()
    return (labels[best], confidence) if is_pose else (NO_POSE, 1 - confidence)
