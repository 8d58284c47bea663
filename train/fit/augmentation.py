"""Augmentation that preserves a pose: no down dog is upside down, but people stand left or right, near or far.

Drawing the random values and applying them are two steps, so that several processes can draw the same values for a
whole batch, and each apply them to its own slice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional

from ...runtime.core.preprocess import BAR_GREY
from .config import Augmentation

BLUR_REACH = 4  # pixels on each side in the blur's kernel
CLUTTER = 5  # cells per side of a random background's blotches


@dataclass(frozen=True)
class Draws:
    """Random numbers of N photos; every tensor's first dimension is N.

    affine: float (N, 2, 3), from output to input in [-1, 1] coordinates.  brightness, contrast, saturation: float
    factors (N,).  erase: float (N, 4), height, width, top and left of the grey rectangle as fractions of the side, a
    negative height for none.  sigma: float (N,), of the blur, in fractions of the side, 0 for none.  clutter:
    float (N, 3, 5, 5), BGR 0 to 255, NaN if the surroundings stay bar grey.  scene: int64 (N,), the place shown
    instead of clutter, negative for none.  crop: float (N, 4), of that place: side of the square and its left and top,
    as fractions of the possible range, and 1 or -1 to mirror it.  cut: bool (N,), whether to remove a plain backdrop.
    person: bool (N,), whether to show the person's crop in place of the whole photo.
    """

    affine: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    erase: Tensor
    sigma: Tensor
    clutter: Tensor
    scene: Tensor
    crop: Tensor
    cut: Tensor
    person: Tensor

    @property
    def is_mirrored(self) -> Tensor:
        """Which photos are mirrored, bool (N,)."""
        return torch.linalg.det(self.affine[:, :, :2]) < 0

    def take(self, rows: slice) -> Draws:
        """Select the random numbers of some photos."""
        return Draws(*(getattr(self, field.name)[rows] for field in fields(self)))

    def to(self, device: torch.device) -> Draws:
        """Copy to another device."""
        return Draws(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True)
class Scenery:
    """The surroundings of N photos.

    keep: float (N, 1, S, S), 1 for pixels of the photo that are kept, 0 for others.  places: uint8 (N, S, S, 3)
    BGR, undefined if no place was drawn; areas: float (N, 4), left, top, width and height of the places inside
    their bars, as fractions of the side.
    """

    keep: Tensor
    places: Tensor
    areas: Tensor

    def to(self, device: torch.device) -> Scenery:
        """Copy to another device."""
        return Scenery(*(getattr(self, field.name).to(device) for field in fields(self)))


def weaken(ranges: Augmentation, strength: float) -> Augmentation:
    """Narrow the ranges.  strength: 1 for these, 0 for photos as they are, but for the mirror as configured."""
    if strength == 1:
        return ranges
    names = ("turn_degrees", "shift", "light", "colour", "erase", "blur", "background")
    scales = {name: getattr(ranges, name) ** strength for name in ("scale_low", "scale_high")}
    return replace(ranges, **{name: getattr(ranges, name) * strength for name in names}, **scales)


def draw_augmentation(count: int, ranges: Augmentation, generator: torch.Generator, scenes: int = 0) -> Draws:
    """Draw the random numbers of `count` photos.  scenes: number of available photos of places."""

    def factors(reach: float) -> Tensor:
        return _uniform(count, 1 - reach, 1 + reach, generator)

    affine = _draw_affine(count, ranges, generator)
    brightness, contrast, saturation = factors(ranges.light), factors(ranges.light), factors(ranges.colour)
    erase = torch.rand(count, 4, generator=generator)
    erase[_uniform(count, 0, 1, generator) >= ranges.erase, 0] = -1
    sigma = _uniform(count, 0.001, 0.01, generator)
    sigma[_uniform(count, 0, 1, generator) >= ranges.blur] = 0
    clutter = torch.rand(count, 3, CLUTTER, CLUTTER, generator=generator) * 255
    clutter[_uniform(count, 0, 1, generator) >= ranges.background] = math.nan
    scene = torch.randint(max(scenes, 1), (count,), generator=generator)
    scene[(_uniform(count, 0, 1, generator) >= ranges.scene) | clutter[:, 0, 0, 0].isnan() | (scenes == 0)] = -1
    crop = torch.rand(count, 4, generator=generator)
    crop[:, 0] = 0.5 + crop[:, 0] / 2
    crop[:, 3] = (crop[:, 3] - 0.5).sign() if ranges.mirror else 1
    cut = _uniform(count, 0, 1, generator) < ranges.cut
    person = torch.zeros(count, dtype=torch.bool)
    if ranges.person:  # last, and only if wanted: without it a seed draws what it always drew
        person = _uniform(count, 0, 1, generator) < ranges.person
    return Draws(affine, brightness, contrast, saturation, erase, sigma, clutter, scene, crop, cut, person)


def augment_frames(frames: Tensor, size: int, draws: Draws, scenery: Scenery | None = None) -> Tensor:
    """Augment a batch.  frames: uint8 (N, S, S, 3) BGR.  Returns float (N, size, size, 3) BGR, 0 to 255.

    scenery: surroundings and places; without it the whole photo is kept, bars included.
    """
    draws = draws.to(frames.device)
    images = frames.permute(0, 3, 1, 2).float() - BAR_GREY  # zero padding is then bar grey
    grid = functional.affine_grid(draws.affine, [len(frames), 3, size, size], False)
    images = functional.grid_sample(images, grid, "bilinear", "zeros", False) + BAR_GREY
    images = _surround(images, grid, draws, scenery and scenery.to(frames.device))
    images = _blur(images, draws.sigma * size)
    images = _change_light(images, draws)
    return _erase(images, draws.erase).clamp(0, 255).permute(0, 2, 3, 1)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _draw_affine(count: int, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    limit = math.radians(ranges.turn_degrees)
    angle = _uniform(count, -limit, limit, generator)
    zoom = 1 / torch.exp(_uniform(count, math.log(ranges.scale_low), math.log(ranges.scale_high), generator))
    flip = torch.where(_uniform(count, 0, 1, generator) < ranges.mirror, -1.0, 1.0)
    shift_x = _uniform(count, -ranges.shift, ranges.shift, generator) * 2 * zoom
    shift_y = _uniform(count, -ranges.shift, ranges.shift, generator) * 2 * zoom
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [torch.stack([cos * flip, -sin * flip, shift_x], 1), torch.stack([sin, cos, shift_y], 1)]
    return torch.stack(rows, 1)


def _surround(images: Tensor, grid: Tensor, draws: Draws, scenery: Scenery | None) -> Tensor:
    """Put a place or smooth blotches of colour around the photo, because a living room is not grey."""
    chosen = torch.flatten(torch.nonzero(~draws.clutter[:, 0, 0, 0].isnan()))
    if not len(chosen):
        return images
    behind = functional.interpolate(draws.clutter[chosen], images.shape[2:], mode="bilinear", align_corners=True)
    if scenery is None:
        keep = (grid[chosen].abs() <= 1).all(dim=3).unsqueeze(1).float()
    else:
        keep = functional.grid_sample(scenery.keep[chosen], grid[chosen], "bilinear", "zeros", False)
        placed = torch.flatten(torch.nonzero(draws.scene[chosen] >= 0))
        if len(placed):
            behind[placed] = _crop_places(scenery, draws, chosen[placed], images.shape[-1])
    images[chosen] = images[chosen] * keep + behind * (1 - keep)
    return images


def _crop_places(scenery: Scenery, draws: Draws, rows: Tensor, size: int) -> Tensor:
    """Cut the drawn squares from the places, float (n, 3, size, size)."""
    left, top, width, height = scenery.areas[rows].unbind(1)
    share, across, down, mirror = draws.crop[rows].unbind(1)
    side = torch.minimum(width, height) * share
    centre_x = left + (width - side) * across + side / 2
    centre_y = top + (height - side) * down + side / 2
    zero = torch.zeros_like(side)
    affine = torch.stack(
        [torch.stack([side * mirror, zero, 2 * centre_x - 1], 1), torch.stack([zero, side, 2 * centre_y - 1], 1)], 1
    )
    grid = functional.affine_grid(affine, [len(rows), 3, size, size], False)
    return functional.grid_sample(scenery.places[rows].permute(0, 3, 1, 2).float(), grid, "bilinear", "border", False)


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each photo with its own Gaussian.  sigma: float (N,), pixels; 0 leaves a photo unchanged."""
    chosen = torch.flatten(torch.nonzero(sigma > 0))
    if not len(chosen):
        return images
    steps = torch.arange(-BLUR_REACH, BLUR_REACH + 1, device=images.device)
    kernel = torch.exp(-0.5 * (steps / sigma[chosen].clamp(min=0.05).unsqueeze(1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)  # (3 n, 9)
    flat = images[chosen].reshape(1, -1, *images.shape[2:])
    for shape, padding in (((1, -1), (BLUR_REACH, BLUR_REACH, 0, 0)), ((-1, 1), (0, 0, BLUR_REACH, BLUR_REACH))):
        padded = functional.pad(flat, padding, "replicate")
        flat = functional.conv2d(padded, kernel.view(len(kernel), 1, *shape), groups=len(kernel))
    images[chosen] = flat.view(len(chosen), 3, *images.shape[2:])
    return images


def _change_light(images: Tensor, draws: Draws) -> Tensor:
    images = images * draws.brightness.view(-1, 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * draws.contrast.view(-1, 1, 1, 1) + mean
    grey = images.mean(dim=1, keepdim=True)
    return (images - grey) * draws.saturation.view(-1, 1, 1, 1) + grey


def _erase(images: Tensor, rectangles: Tensor) -> Tensor:
    """Random erasing (Zhong et al. 2017): one rectangle up to a third of the side, bar grey."""
    size = images.shape[-1]
    for index in torch.flatten(torch.nonzero(rectangles[:, 0] >= 0)).tolist():
        height, width, top, left = (rectangles[index] * size).int().tolist()
        images[index, :, top : top + height // 3 + 1, left : left + width // 3 + 1] = BAR_GREY
    return images
