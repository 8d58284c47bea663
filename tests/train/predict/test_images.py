"""One image in each form that programs have it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime import PhotoError
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.train.predict.images import is_image, letterbox_image

from ...conftest import draw_photo

TURNED = 6  # of EXIF: the camera was held upright; turn by 90 degrees clockwise to show it


@pytest.fixture
def photo_bgr() -> np.ndarray:
    """Red above, blue below, and a green corner on the left: any turn or swap of channels shows."""
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[:20], photo[20:] = (0, 0, 255), (255, 0, 0)
    photo[:10, :15] = (0, 255, 0)
    return photo


def test_a_path_an_array_and_a_pil_image_come_to_the_same_square(photo_bgr: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    assert cv2.imwrite(str(path), photo_bgr)
    with Image.open(path) as image:
        forms = [path, str(path), photo_bgr, image, Image.fromarray(photo_bgr[:, :, ::-1].copy())]
        for form in forms:
            assert is_image(form)
            np.testing.assert_array_equal(letterbox_image(form, 96), letterbox(photo_bgr, 96))
        image.load()  # still open


def test_a_large_jpeg_is_decoded_smaller_from_its_path_and_differs_a_little_from_its_array(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    assert cv2.imwrite(str(path), cv2.resize(draw_photo("tree", 40), (1600, 1200)))
    array_bgr = cv2.imread(str(path))
    assert array_bgr is not None and array_bgr.shape == (1200, 1600, 3)
    difference = np.abs(letterbox_image(path, 96).astype(int) - letterbox_image(array_bgr, 96))
    assert 0 < difference.mean() < 3
    small = decode_photo(path, min_side=96)
    assert small.shape == (150, 200, 3)  # an eighth
    np.testing.assert_array_equal(letterbox_image(path, 96), letterbox_image(small, 96))


def test_grey_and_transparent_images_are_taken(photo_bgr: np.ndarray) -> None:
    grey = photo_bgr[:, :, 2].copy()
    np.testing.assert_array_equal(letterbox_image(grey, 96), letterbox_image(Image.fromarray(grey), 96))
    clear = Image.fromarray(np.dstack([photo_bgr[:, :, ::-1], np.zeros((40, 60), np.uint8)]))
    assert (letterbox_image(clear, 60)[10:50] == 255).all()  # white


def test_a_pil_image_is_turned_by_its_exif_like_its_file(photo_bgr: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = TURNED
    Image.fromarray(photo_bgr[:, :, ::-1].copy()).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        turned = letterbox_image(image, 96)
    np.testing.assert_array_equal(turned, letterbox_image(tmp_path / "turned.png", 96))
    np.testing.assert_array_equal(turned, letterbox(np.rot90(photo_bgr, -1), 96))


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    assert not is_image(["a.jpg"]) and not is_image(3)
    with pytest.raises(ValueError, match=r"a path, a NumPy array \(uint8, BGR\) or a PIL image.*got int"):
        letterbox_image(3, 96)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="must be uint8, 0 to 255; got float64"):
        letterbox_image(np.zeros((4, 4, 3)), 96)
    with pytest.raises(PhotoError, match=r"missing\.jpg cannot be read: No such file"):
        letterbox_image(tmp_path / "missing.jpg", 96)
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    with pytest.raises(PhotoError, match=r"page\.jpg is not a picture but an HTML page"):
        letterbox_image(tmp_path / "page.jpg", 96)


def test_a_pil_image_of_a_broken_file_is_an_error_of_ours(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    assert cv2.imwrite(str(tmp_path / "whole.png"), noise)
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:9000])
    with Image.open(tmp_path / "cut.png") as image, pytest.raises(PhotoError, match="the image is damaged"):
        letterbox_image(image, 96)
