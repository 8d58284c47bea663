"""Augmentation that respects a pose: nobody's down dog is upside down, but people stand left or right, near or far."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..runtime.preprocess import BAR_GREY


@dataclass(frozen=True)
class Augmentation:
    """Ranges to draw from; one draw per photo and epoch."""

    mirror: float = 0.5  # probability
    turn_degrees: float = 12.0
    scale_low: float = 0.55  # the person may be far away
    scale_high: float = 1.2
    shift: float = 0.12  # of the side, either way
    light: float = 0.35  # brightness and contrast, relative
    colour: float = 0.3  # saturation, relative
    erase: float = 0.25  # probability of one grey rectangle


def augment_frames(frames: Tensor, size: int, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """Augment a batch.  frames: uint8 (N, S, S, 3) BGR.  Returns float (N, size, size, 3) BGR, 0 to 255."""
    images = frames.permute(0, 3, 1, 2).float() - BAR_GREY  # what comes in from outside is then bar grey
    grid = functional.affine_grid(_draw_affine(len(frames), ranges, generator), [len(frames), 3, size, size], False)
    images = functional.grid_sample(images, grid.to(images.device), "bilinear", "zeros", False) + BAR_GREY
    images = _change_light(images, ranges, generator)
    images = _erase(images, ranges, generator)
    return images.clamp(0, 255).permute(0, 2, 3, 1)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _draw_affine(count: int, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """Inverse affine matrices, float (N, 2, 3), from output to input in [-1, 1] coordinates."""
    limit = math.radians(ranges.turn_degrees)
    angle = _uniform(count, -limit, limit, generator)
    zoom = 1 / torch.exp(_uniform(count, math.log(ranges.scale_low), math.log(ranges.scale_high), generator))
    flip = torch.where(_uniform(count, 0, 1, generator) < ranges.mirror, -1.0, 1.0)
    shift_x = _uniform(count, -ranges.shift, ranges.shift, generator) * 2 * zoom
    shift_y = _uniform(count, -ranges.shift, ranges.shift, generator) * 2 * zoom
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [torch.stack([cos * flip, -sin * flip, shift_x], 1), torch.stack([sin, cos, shift_y], 1)]
    return torch.stack(rows, 1)


def _change_light(images: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    def draw(reach: float) -> Tensor:
        return _uniform(len(images), 1 - reach, 1 + reach, generator).view(-1, 1, 1, 1).to(images.device)

    images = images * draw(ranges.light)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * draw(ranges.light) + mean
    grey = images.mean(dim=1, keepdim=True)
    return (images - grey) * draw(ranges.colour) + grey


def _erase(images: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """Random erasing (Zhong et al. 2017): one rectangle up to a third of the side, bar grey."""
    size = images.shape[-1]
    for index in torch.flatten(torch.nonzero(_uniform(len(images), 0, 1, generator) < ranges.erase)).tolist():
        height, width, top, left = (_uniform(4, 0, 1, generator) * size).int().tolist()
        images[index, :, top : top + height // 3 + 1, left : left + width // 3 + 1] = BAR_GREY
    return images
