"""One image as programs have it (a path, an array, a PIL image) to the square that the network sees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...runtime.core.preprocess import letterbox
from ...runtime.core.types import Frame
from ...runtime.errors import PhotoError
from ...runtime.photos.decoding import convert_image, decode_photo

ImageLike: TypeAlias = str | os.PathLike[str] | npt.NDArray[np.generic] | Image.Image


def is_image(value: Any) -> bool:
    """Whether this is one image, not several."""
    return isinstance(value, str | os.PathLike | np.ndarray | Image.Image)


def letterbox_image(image: ImageLike, size: int) -> Frame:
    """Letterbox one image, as `open_image` takes it.  Returns uint8 (S, S, 3) BGR."""
    return letterbox(open_image(image, size), size)


def open_image(image: ImageLike, size: int) -> npt.NDArray[np.generic]:
    """Open one image.  Returns uint8 (H, W, 3) BGR, or an array as it was given.

    size: the shorter side that is needed, to which a large JPEG is decoded.
    image: the path of a photo; an array, uint8 (H, W, 3) BGR, or grey or BGRA; or a PIL image, which is turned upright
    by its EXIF orientation.  Raises PhotoError where a photo cannot be read, ValueError where it is nothing of these.
    """
    if isinstance(image, str | os.PathLike):
        if os.path.isdir(image):  # noqa: PTH112 - a name that is too long is none, and no error
            raise PhotoError(f"{image} is a folder; give a photo, or a list of photos")
        return decode_photo(Path(image), min_side=size)
    if isinstance(image, np.ndarray):
        return image
    if isinstance(image, Image.Image):
        return convert_image(image)
    raise ValueError(
        "an image must be a path, a NumPy array (uint8, BGR) or a PIL image, or several of these in a list; "
        f"got {type(image).__name__}"
    )
