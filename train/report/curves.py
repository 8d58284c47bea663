"""Line charts of a training as plain numbers, for a template to draw as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..run_files.log import Epoch

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 44
"""Room for the axes, in the SVG's units."""


@dataclass(frozen=True)
class Curve:
    """One line.  points: x, y in the SVG's units, and the words for each."""

    name: str
    colour: str
    points: tuple[tuple[float, float, str], ...]

    @property
    def path(self) -> str:
        """The `points` of an SVG polyline."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in self.points)


@dataclass(frozen=True)
class Chart:
    """One chart.  ticks: place in the SVG's units and label; best_x: the kept epoch's place, None if unknown."""

    title: str
    y_label: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    best_x: float | None
    size_wh: tuple[int, int] = (WIDTH, HEIGHT)
    frame: tuple[int, int, int, int] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)  # left, top, right, bottom


def draw_curves(epochs: tuple[Epoch, ...], best_epoch: int | None) -> tuple[Chart, ...]:
    """The losses in one chart, accuracy and mean recall in another; none where there is nothing to draw."""
    losses = {
        ("training loss", "#c9743a"): [(row.epoch, row.train_loss) for row in epochs],
        ("validation NLL", "#3f6f50"): [(row.epoch, row.validation_nll) for row in epochs],
    }
    shares = {
        ("accuracy", "#3f6f50"): [(row.epoch, row.validation_accuracy) for row in epochs],
        ("mean recall", "#c9743a"): [(row.epoch, row.validation_mean_recall) for row in epochs],
    }
    charts = (
        _draw_chart("Loss by epoch", "nats", losses, best_epoch, percent=False),
        _draw_chart("Validation photos answered right, by epoch", "share", shares, best_epoch, percent=True),
    )
    return tuple(chart for chart in charts if chart)


def _draw_chart(
    title: str,
    y_label: str,
    series: dict[tuple[str, str], list[tuple[int, float | None]]],
    best_epoch: int | None,
    *,
    percent: bool,
) -> Chart | None:
    rows = {key: [(x, y) for x, y in points if y is not None and math.isfinite(y)] for key, points in series.items()}
    xs, ys = [x for points in rows.values() for x, _ in points], [y for points in rows.values() for _, y in points]
    if not ys:
        return None
    last = max(1, *xs)
    y_ticks = choose_ticks(min(ys), max(ys), top=1.0 if percent else math.inf)
    low, high = y_ticks[0], y_ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        along, up = x / last, (y - low) / (high - low)
        return LEFT + along * (WIDTH - LEFT - RIGHT), TOP + (1 - up) * (HEIGHT - TOP - BOTTOM)

    def say(value: float) -> str:
        return f"{value * 100:.4g} %" if percent else f"{value:.4g}"

    curves = tuple(
        Curve(name, colour, tuple((*place(x, y), f"epoch {x}, {name}: {say(y)}") for x, y in points))
        for (name, colour), points in rows.items()
        if points
    )
    step = max(1, math.ceil(last / 10))
    x_ticks = tuple((place(x, low)[0], str(x) if x else "0 (frozen)") for x in range(0, last + 1, step))
    best_x = place(best_epoch, low)[0] if best_epoch is not None and 0 <= best_epoch <= last else None
    return Chart(title, y_label, curves, x_ticks, tuple((place(0, y)[1], say(y)) for y in y_ticks), best_x)


def choose_ticks(low: float, high: float, top: float = math.inf) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that enclose low to high, four to seven of them.

    top: the axis ends there, as shares end at 1.
    """
    span = max(high - low, 1e-3 * max(abs(high), 1.0))
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if last == first:
        first, last = (first - 1, last) if last * step >= top else (first, last + 1)
    return [round(number * step, 10) for number in range(first, last + 1)]
