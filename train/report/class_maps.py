"""Class activation maps (CAM, Zhou et al. 2016): the evidence for one pose, drawn over the photo."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ...runtime.core.opencv import cv2
from ...runtime.core.types import Floats, Frame
from ...runtime.drawing.heatmap import HEAT, enlarge_map
from ..fit.network import PoseNetwork, normalise

GREY_SHARE = 0.7  # how far the photo fades to grey, so that colour means evidence
HEAT_SHARE = 0.62  # of the picture at the strongest place; the body under it must stay visible
FULL_HEAT = 0.8  # strength from which on only the colour changes, no longer how much of it there is
FADE = 1.5  # power by which heat fades below that: weak evidence would veil the whole photo
EDGE = 0.5  # strength at which the outline is drawn
MARGIN = 4  # pixels by which an outline goes on outside the picture


def compute_class_maps(network: PoseNetwork, frames: Frame) -> tuple[Floats, Floats]:
    """Logits (N, C) and class maps (N, C, h, w), float, of letterboxed frames uint8 (N, S, S, 3) BGR.

    The mean over the classes is taken out of the maps: softmax does not see it, and it hides what sets a pose apart.
    """
    with torch.inference_mode():
        logits, maps = network.classify_features(network.features(normalise(torch.from_numpy(frames))))
        return logits.numpy(), (maps - maps.mean(dim=1, keepdim=True)).numpy()


def draw_class_map(picture_bgr: Frame, class_map: Floats) -> Frame:
    """Draw the evidence for one class over a picture, strongest place red.  Returns uint8 (H, W, 3) BGR.

    picture_bgr: uint8 (H, W, 3), the photo without letterbox bars; class_map: float (h, w) of the letterboxed square.
    Evidence against the class stays grey.
    """
    strength = _crop_to_picture(class_map, picture_bgr.shape[0], picture_bgr.shape[1])
    peak = float(strength.max())
    strength = np.clip(strength / peak, 0.0, 1.0) if peak > 0 else np.zeros_like(strength)
    grey = cv2.cvtColor(cv2.cvtColor(picture_bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    ground = picture_bgr * (1 - GREY_SHARE) + grey * GREY_SHARE
    steps = np.linspace(0, 1, len(HEAT))
    heat = np.stack([np.interp(strength, steps, HEAT[:, channel]) for channel in range(3)], axis=2)
    alpha = HEAT_SHARE * (np.minimum(1.0, strength / FULL_HEAT) ** FADE)[:, :, None]
    drawn = np.ascontiguousarray((ground * (1 - alpha) + heat * alpha).round().astype(np.uint8))
    _draw_outline(drawn, strength > EDGE)
    return drawn


def _draw_outline(scene: Frame, inside: npt.NDArray[np.bool_]) -> None:
    """Draw the edge of an area, bool (H, W); where it is the picture's own edge, nothing."""
    beyond = cv2.copyMakeBorder(inside.astype(np.uint8), MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
    outlines, _ = cv2.findContours(beyond, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(-MARGIN, -MARGIN))
    for colour, width in (((60, 60, 60), 3), ((255, 255, 255), 1)):  # seen on light and on dark photos
        cv2.drawContours(scene, outlines, -1, colour, width, cv2.LINE_AA)


def _crop_to_picture(class_map: Floats, height: int, width: int) -> Floats:
    """Enlarge a map of the letterboxed square and cut the bars off.  Returns float (H, W)."""
    side = max(height, width)
    square = enlarge_map(class_map, side)
    top, left = (side - height) // 2, (side - width) // 2
    return square[top : top + height, left : left + width].astype(float)
