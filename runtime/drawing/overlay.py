"""Drawing the answer on the picture: calm, legible from three metres, any script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..core.frames import Colours, DecodedFrame, TimedFrame
from ..core.labels import SANSKRIT, name_with_side
from ..core.regions import Region
from ..core.types import ClassMaps, Frame, Hold
from ..errors import OptionError
from ..system.progress import format_duration
from .canvas import BgrCanvas, Canvas, StretchedCanvas, YuvCanvas
from .heatmap import make_heat
from .notes import (
    SMALL_TEXT_SHARE,
    SOFT,
    STRIP_LIGHT,
    WHITE,
    draw_corners,
    draw_note,
    draw_text,
    find_thickness,
    read_clock,
)
from .people_marks import PersonMark, draw_people, name_person
from .placement import PLACES, Panel, Place, count_rows, find_unit, place_panel
from .skeleton import Body, make_skeleton
from .text import FONT, LEAST_PX, find_ascent, find_height, fit_text, measure_text, render_text, split_text

__all__ = ["FONT", "OverlayConfig", "annotate_frame", "draw_caption", "draw_on", "draw_overlay", "find_drawn_height"]

ACCENT = (150, 205, 120)  # BGR, a calm green
GROUND = (32, 30, 28)  # of a strip below the picture
CAPTION_SHARE = 0.3  # of the picture's shorter side: a countdown is read from across the room
NO_POSE_WORDS = "no pose"
CROP_WORDS = "the model sees this part"


@dataclass(frozen=True)
class OverlayConfig:
    """show_fps: the loop's speed in the corner; mirror: flip the picture (a camera as a mirror), never the text.

    goals_s: label -> seconds that it is to be held; the clock counts down to it.  explain: show where the network saw
    the pose, and the main person's key points.  is_still: a photo, where nothing is held: the confidence stands in the
    clock's place.  resting: what is said where no pose is.  place: where the words stand, one of `placement.PLACES`.
    note: said of what is held, such as "switch sides".  Raises OptionError for another place.
    """

    show_fps: bool = True
    mirror: bool = False
    goals_s: Mapping[str, float] = field(default_factory=dict)
    is_still: bool = False
    explain: bool = False
    resting: str = NO_POSE_WORDS
    place: Place = "corner"
    note: str = ""

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise OptionError(f"the overlay has no place {self.place!r}; choose from {', '.join(PLACES)}")


@dataclass(frozen=True)
class Words:
    """What the panel says.  bar: 0 to 1, None for no bar; is_quiet: in soft letters."""

    name: str
    subtitle: str = ""
    clock: str = ""
    sure: str = ""
    bar: float | None = None
    is_quiet: bool = False


def annotate_frame(
    frame: TimedFrame,
    hold: Hold,
    fps: float | None = None,
    style: OverlayConfig | None = None,
    region: Region | None = None,
    class_maps: ClassMaps | None = None,
    colours: Colours | None = None,
    people: Sequence[PersonMark] = (),
    hidden: Sequence[Region] = (),
    body: Body | None = None,
) -> TimedFrame:
    """Return a copy of the frame that is drawn on.  A file's stays in YUV, which a video file then takes as it is.

    Where the words stand below the picture, it is as much taller as `find_drawn_height` says.
    """
    style = style or OverlayConfig()
    if frame.lost_s is not None:
        style = replace(style, resting=f"no picture for {format_duration(frame.lost_s)}")
    if not isinstance(frame, DecodedFrame):
        scene = draw_overlay(frame.image_bgr, hold, fps, style, region, class_maps, people, hidden, body)
        return replace(frame, image_bgr=scene)
    rows = count_rows(frame.size_wh, frame.stored_wh[1]) if style.place == "below" else 0
    copy = frame.copy_plain(rows)
    canvas: Canvas = YuvCanvas(copy.view_planes(), colours or Colours())
    picture_wh = copy.presentation.square_wh((copy.picture.width, copy.picture.height - rows))
    if canvas.size_wh != copy.size_wh:
        canvas = StretchedCanvas(canvas, copy.size_wh)
    draw_on(canvas, hold, fps, style, region, class_maps, picture_wh, people, hidden, body)
    return copy


def draw_overlay(
    frame_bgr: Frame,
    hold: Hold,
    fps: float | None = None,
    style: OverlayConfig | None = None,
    region: Region | None = None,
    class_maps: ClassMaps | None = None,
    people: Sequence[PersonMark] = (),
    hidden: Sequence[Region] = (),
    body: Body | None = None,
) -> Frame:
    """Return a copy of the frame with pose, confidence, hold time and FPS.  frame_bgr: uint8 (H, W, 3).

    region: the part that was classified; its corners are marked.  class_maps: what spoke for the pose is drawn as heat.
    Where the words stand below the picture, the copy is as much taller as `find_drawn_height` says.
    """
    style = style or OverlayConfig()
    height, width = frame_bgr.shape[:2]
    if style.place == "below":
        even = height + height % 2
        scene = np.empty((even + count_rows((width, height), height), width, 3), np.uint8)
        scene[:height], scene[height:even] = frame_bgr, frame_bgr[-1:]
        height = even
    else:
        scene = frame_bgr.copy()
    draw_on(BgrCanvas(scene), hold, fps, style, region, class_maps, (width, height), people, hidden, body)
    return scene


def find_drawn_height(size_wh: tuple[int, int], place: Place, stored_height: int | None = None) -> int:
    """Rows that are stored of an annotated picture: those of the picture, and of a strip below it.

    size_wh: of the picture as it is shown; stored_height: its rows where they are others.
    """
    stored_height = size_wh[1] if stored_height is None else stored_height
    if place != "below":
        return stored_height
    return stored_height + stored_height % 2 + count_rows(size_wh, stored_height)


def draw_on(
    canvas: Canvas,
    hold: Hold,
    fps: float | None = None,
    style: OverlayConfig | None = None,
    region: Region | None = None,
    class_maps: ClassMaps | None = None,
    picture_wh: tuple[int, int] | None = None,
    people: Sequence[PersonMark] = (),
    hidden: Sequence[Region] = (),
    body: Body | None = None,
) -> None:
    """Draw as `draw_overlay` does, in place.  picture_wh: size of the picture where a strip lies below it.

    people: of several, who holds what; then that stands beside each, and no panel is drawn.  hidden: parts of the
    picture, pixels, that are made unrecognisable before anything is drawn.  body: whose key points are joined to a
    skeleton, where the style explains.
    """
    style, picture_wh = style or OverlayConfig(), picture_wh or canvas.size_wh
    for area in hidden:
        canvas.hide(area)
    if class_maps and not hold.is_resting and (heat := make_heat(class_maps, hold.pose, picture_wh)):
        canvas.blend(*heat)
    if style.explain and body and (skeleton := make_skeleton(body, picture_wh)):
        canvas.blend(*skeleton)
    marks = region if style.place != "none" and not people else None
    if marks:
        draw_corners(canvas, marks, picture_wh)
    if style.mirror:
        canvas.mirror()
        marks = marks and replace(marks, left=picture_wh[0] - marks.left - marks.width)
    taken: list[Region] = []
    rate = f"{fps:.0f} FPS" if style.show_fps and fps is not None and style.place != "none" else ""
    panel = place_panel(style.place, picture_wh, canvas.size_wh[1] - picture_wh[1])
    if panel:
        words = read_words(hold, style)
        if people:
            words = Words(",  ".join(name_person(person, style.goals_s) for person in people), is_quiet=True)
        if style.place == "below":
            canvas.fill(Region(0, picture_wh[1], picture_wh[0], panel.height), GROUND)
            words, rate = replace(words, sure="   ".join(filter(None, (words.sure, rate)))), ""
        if not people or style.place == "below":
            taken.append(_draw_panel(canvas, panel, words, is_solid=style.place == "below"))
    if people and style.place != "none":
        draw_people(canvas, people, style.goals_s, picture_wh, taken, mirror=style.mirror)
    if rate:
        taken.append(draw_note(canvas, rate, (picture_wh[0], 0), picture_wh, taken))
    if marks and find_unit(picture_wh) * SMALL_TEXT_SHARE >= 0.7 * LEAST_PX:
        line = find_thickness(picture_wh)
        draw_note(canvas, CROP_WORDS, (marks.left + marks.width - line, marks.top + line), picture_wh, taken)


def read_words(hold: Hold, style: OverlayConfig) -> Words:
    """What is said of a hold.  While a pose is only kept, nothing is said of how sure it is: nothing speaks for it."""
    if hold.is_resting:
        return Words(style.resting, is_quiet=True)
    name, subtitle = name_with_side(hold.pose, hold.side), SANSKRIT.get(hold.pose, "")
    sure = style.note or f"{hold.confidence:.0%} sure"
    if style.is_still:
        return Words(name, subtitle, sure, "", hold.confidence)
    goal_s = style.goals_s.get(hold.pose)
    clock = read_clock(hold.hold_s, goal_s)
    if goal_s:
        return Words(name, subtitle, clock, sure if hold.leads else "", hold.hold_s / goal_s, not hold.leads)
    if not hold.leads:
        return Words(name, subtitle, clock, is_quiet=True)
    return Words(name, subtitle, clock, sure, hold.confidence)


def draw_caption(frame_bgr: Frame, words: str) -> Frame:
    """Return a copy of the frame with a few words, large, in the middle.  frame_bgr: uint8 (H, W, 3)."""
    scene = frame_bgr.copy()
    canvas = BgrCanvas(scene)
    height, width = scene.shape[:2]
    size = min(height, width) * CAPTION_SHARE
    size *= min(1.0, 0.9 * width / max(measure_text(words, max(LEAST_PX, round(size))), 1))
    ink = render_text(words, max(LEAST_PX, round(size)), WHITE)
    mask_height, mask_width = ink.levels.shape
    at = max(0, (width - mask_width) // 2), max(0, (height - mask_height) // 2)
    canvas.shade(Region(0, at[1], width, mask_height), STRIP_LIGHT)
    canvas.blend(ink, at)
    return scene


def _draw_panel(canvas: Canvas, panel: Panel, words: Words, *, is_solid: bool) -> Region:
    """Draw the words on their ground.  is_solid: the ground is there already.  Returns what is covered."""
    margin = panel.pad + panel.pad // 2
    gap = max(4, panel.name_px // 2)
    clock_px = panel.name_px
    clock = max(measure_text("00:00", clock_px), measure_text(words.clock, clock_px)) if words.clock else 0
    is_line = panel.lines == 1 and not panel.is_card
    sure = words.sure if panel.lines == 2 or is_line else ""
    sure_width = max(measure_text("100% sure", panel.small_px), measure_text(sure, panel.small_px)) if sure else 0
    room = panel.most_width - 2 * margin
    beside = clock + gap if clock else 0
    beside += sure_width + gap if is_line and sure else 0
    name, name_px = fit_text(words.name, panel.name_px, max(room - beside, 0), panel.small_px)
    rest = words.subtitle
    if name.endswith("…") and panel.lines == 2 and not rest:  # one of one's own poses: its name in two lines
        name, rest = split_text(words.name, name_px, room - beside)
    name_width = measure_text(name, name_px)
    left = panel.at[0] + margin
    subtitle, subtitle_px, subtitle_at = "", panel.small_px, left
    if panel.lines == 2:
        least_px = max(LEAST_PX, round(0.75 * panel.small_px))
        subtitle, subtitle_px = fit_text(rest, panel.small_px, max(room - sure_width - gap, 0), least_px)
    elif is_line and name_width + beside + gap + measure_text(words.subtitle, panel.small_px) <= room:
        subtitle, subtitle_at = words.subtitle, left + name_width + gap
    width = panel.most_width
    height = panel.height
    if panel.is_card:
        second = measure_text(subtitle, subtitle_px) + (gap + sure_width if sure else 0)
        width = min(width, 2 * margin + max(name_width + beside, second))
        if not (subtitle or sure) and panel.lines == 2:
            height -= find_height(panel.small_px)
    ground = Region(*panel.at, width, height)
    if not is_solid:
        canvas.shade(ground, STRIP_LIGHT)
    right = panel.at[0] + width - margin
    top = panel.at[1] + (
        panel.pad // 2 if panel.lines == 2 else max(0, (height - panel.bar - find_height(panel.name_px)) // 2)
    )
    base = top + find_ascent(panel.name_px)
    draw_text(canvas, name, (left, base), name_px, SOFT if words.is_quiet else WHITE)
    draw_text(canvas, words.clock, (right, base), clock_px, SOFT if words.is_quiet else WHITE, right=True)
    if panel.lines == 2:
        second_base = top + find_height(panel.name_px) + find_ascent(panel.small_px)
        sure_at = right
    else:
        second_base, sure_at = base, right - clock - gap if clock else right
    draw_text(canvas, subtitle, (subtitle_at, second_base), subtitle_px, SOFT)
    draw_text(canvas, sure, (sure_at, second_base), panel.small_px, SOFT, right=True)
    if words.bar is not None:
        bar = min(panel.bar, height)
        full = round(width * min(max(words.bar, 0.0), 1.0))
        canvas.fill(Region(panel.at[0], max(panel.at[1] + height - bar, 0), full, bar), ACCENT)
    return ground
