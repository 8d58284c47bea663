"""A photo to try: every kind that can be decoded, one clear line for what cannot, nothing kept."""

import io
import threading

import numpy as np
import pytest

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.errors import PhotoError
from yoga_live.runtime.serve import try_photo
from yoga_live.runtime.serve.try_photo import PhotoTrial, describe_poses

from ..conftest import paint_photo


def encode(colour: tuple[int, int, int], kind: str = "PNG", size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture that is nearly plain; colour: RGB."""
    buffer = io.BytesIO()
    paint_photo(colour, size).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_photo_is_answered_with_every_probability(classifier: PoseClassifier, kind: str) -> None:
    answer = PhotoTrial(classifier).classify(encode((0, 0, 255), kind))
    assert answer["pose"] == "tree" and answer["confidence"] > 0.9
    assert answer["probabilities"][0][0] == "tree"
    assert sum(share for _, share in answer["probabilities"]) == pytest.approx(1, abs=1e-3)
    assert PhotoTrial(classifier).classify(encode((255, 0, 0), kind))["pose"] == "none"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b"buy a mat", "is not a picture"), (b"<html>404", "an HTML page"),
     (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "pip install pi-heif|damaged"),
     (encode((0, 0, 0))[:60], "damaged")],
)  # fmt: skip
def test_what_is_no_photo_is_one_line(classifier: PoseClassifier, content: bytes, reason: str) -> None:
    with pytest.raises(PhotoError, match=reason) as caught:
        PhotoTrial(classifier).classify(content)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("the file ")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    classifier: PoseClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_photo, "MOST_PIXELS", 3000)
    with pytest.raises(PhotoError, match="64 x 48 pixels, more than 3,000"):
        PhotoTrial(classifier).classify(encode((0, 0, 0)))


def test_photos_from_many_threads_are_not_mixed_up(classifier: PoseClassifier) -> None:
    trial = PhotoTrial(classifier)
    colours = {"tree": (0, 0, 255), "warrior_2": (0, 255, 0), "none": (255, 0, 0)}
    wrong: list[str] = []

    def ask(pose: str) -> None:
        content = encode(colours[pose])
        wrong.extend(pose for _ in range(30) if trial.classify(content)["pose"] != pose)

    threads = [threading.Thread(target=ask, args=(pose,)) for pose in [*colours] * 2]
    for thread in threads:
        thread.start()
    frame = np.full((48, 64, 3), (255, 0, 0), np.uint8)
    mine = [classifier.make_guest().classify(frame).pose for _ in range(20)]
    for thread in threads:
        thread.join(20)
    assert not wrong and set(mine) == {"tree"}


def test_poses_are_described_as_people_read_them(classifier: PoseClassifier) -> None:
    assert describe_poses(("warrior_2", "Baum")) == {
        "warrior_2": {"name": "Warrior 2", "sanskrit": "Vīrabhadrāsana II"},
        "Baum": {"name": "Baum", "sanskrit": ""},
    }
    model = PhotoTrial(classifier).describe_model()
    assert set(model["poses"]) == set(classifier.labels) and model["most_bytes"] == try_photo.MOST_BYTES


@pytest.mark.parametrize(
    ("size_wh", "reason"), [((1, 1), "the file is too small"), ((64, 48), "the file is of one colour")]
)
def test_a_picture_that_shows_nobody_is_refused(
    classifier: PoseClassifier, size_wh: tuple[int, int], reason: str
) -> None:
    with pytest.raises(PhotoError, match=reason):
        PhotoTrial(classifier).classify(encode((0, 0, 0), size=size_wh))  # a darker spot on black is black
