"""What is drawn is legible, fits, and leaves the given frame alone."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from yoga_live.runtime.core.frames import DecodedFrame, TimedFrame
from yoga_live.runtime.core.labels import SANSKRIT, name_with_side
from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.presentation import Presentation
from yoga_live.runtime.core.regions import WHOLE, Region
from yoga_live.runtime.core.types import Hold, Side
from yoga_live.runtime.drawing import notes, overlay
from yoga_live.runtime.drawing.overlay import SOFT, OverlayConfig, annotate_frame, draw_overlay
from yoga_live.runtime.drawing.placement import Place
from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.pipelines.loop import describe_drawn
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

TREE, REST = Hold("tree", 0.93, 12.0), Hold("none", 0.9, 3.0)
BOTTOM = OverlayConfig(place="bottom")
SIZES_WH = [(1, 1), (2, 2), (3, 40), (40, 3), (16, 16), (64, 48), (640, 360), (1920, 1080), (360, 640), (1080, 1920)]


def grey(size_wh: tuple[int, int], level: int = 128) -> np.ndarray:
    return np.full((size_wh[1], size_wh[0], 3), level, np.uint8)


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("hold", [TREE, REST, Hold("unknown_pose_of_someone_with_a_very_long_name", 1.0, 36_000)])
def test_overlay_fits_every_size_and_copies_the_frame(size_wh: tuple[int, int], hold: Hold) -> None:
    frame_bgr = grey(size_wh)
    scene = draw_overlay(frame_bgr, hold, 29.97)
    assert scene.shape == frame_bgr.shape and scene.dtype == np.uint8
    assert (frame_bgr == 128).all()


@pytest.mark.parametrize("size_wh", [(640, 360), (1920, 1080), (360, 640)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_pose_name_stands_out_from_dark_and_light_pictures(size_wh: tuple[int, int], level: int) -> None:
    card = draw_overlay(grey(size_wh, level), TREE)[: size_wh[1] // 4, : size_wh[0] // 2]
    ground = int(card[1, 1].max())
    ink = card.min(axis=2) > 230
    ink[:, : size_wh[0] // 50] &= level < 230  # the light picture beside the card is no ink
    letters = ink & (np.indices(ink.shape)[1] < 0.12 * size_wh[0]) & (np.indices(ink.shape)[0] < 0.11 * min(size_wh))
    rows = np.nonzero(letters.any(axis=1))[0]
    assert ground < 100 and letters.sum() > 50
    assert rows.max() - rows.min() >= 0.04 * min(size_wh)  # letters 15 pixels high at 360p


@pytest.mark.parametrize("place", ["corner", "bottom", "below"])
@pytest.mark.parametrize("size_wh", [(640, 360), (1920, 1080), (360, 640)])
def test_name_and_clock_do_not_touch(size_wh: tuple[int, int], place: Place) -> None:
    hold = Hold("utthita_hasta_padangusthasana_with_a_twist", 0.0, 3599)  # at 0 there is no bar
    scene = draw_overlay(grey(size_wh, 0), hold, style=OverlayConfig(place=place)).max(axis=2)
    if place == "corner":
        scene = scene[: round(0.075 * min(size_wh[1], size_wh[0] * 0.75))]  # a long name goes on in the second line
    columns = (scene > 100).any(axis=0)
    inked = np.nonzero(columns)[0]
    assert np.diff(inked).max() > 0.012 * size_wh[0]
    assert inked.min() > 0 and inked.max() < size_wh[0] - 1


LONG = "utthita_hasta_padangusthasana_with_a_twist"
STATES = [
    (Hold("up_dog", 1.0, 12.0), {}),
    (Hold("down_dog", 1.0, 3700.0), {"down_dog": 36_000.0}),
    (Hold(LONG, 1.0, 3700.0), {}),
    (Hold("η_στάση_του_δέντρου", 1.0, 75.0), {"η_στάση_του_δέντρου": 30.0}),
    (Hold("поза_дерева", 1.0, 75.0, leads=False), {}),
    (REST, {}),
]
LARGE_WH = [(160, 120), (120, 160), (320, 240), (640, 360), (640, 480), (500, 500), (1920, 1080), (3840, 2160),
            (1080, 1920), (360, 640), (2560, 1080)]  # fmt: skip


@pytest.mark.parametrize("size_wh", LARGE_WH)
@pytest.mark.parametrize("place", ["corner", "bottom", "below", "none", "beside"])
def test_the_overlay_covers_at_most_12_percent_of_any_picture(size_wh: tuple[int, int], place: Place) -> None:
    width, height = size_wh
    region = Region(width // 5, height // 5, width * 3 // 5, height * 3 // 5)
    most = {"corner": 0.12, "bottom": 0.12, "below": 0.02, "none": 0.0, "beside": 0.03}[place]
    for hold, goals_s in STATES:
        style = OverlayConfig(place=place, goals_s=goals_s)
        scene = draw_overlay(grey(size_wh), hold, 120.0, style, region)
        covered = (scene[:height] != 128).any(axis=2)
        assert covered.mean() <= most, hold
        if place == "below":  # of the picture nothing is covered but by the marks of the region
            assert not (draw_overlay(grey(size_wh), hold, 120.0, style)[:height] != 128).any()
            assert scene.shape[0] % 2 == 0 and scene.shape[0] - height <= 0.2 * height + 20


@pytest.mark.parametrize("size_wh", [(640, 360), (1920, 1080), (1080, 1920), (640, 480)])
def test_by_default_nothing_stands_over_feet_and_mat_nor_over_raised_hands(size_wh: tuple[int, int]) -> None:
    figure_bgr = draw_figure(POSES["tree"], size_wh)
    for hold, goals_s in STATES:
        changed = (draw_overlay(figure_bgr, hold, 30.0, OverlayConfig(goals_s=goals_s)) != figure_bgr).any(axis=2)
        assert not changed[round(size_wh[1] * 0.25) :].any()
        if size_wh[0] > 1.5 * size_wh[1]:
            assert not changed[:, round(size_wh[0] * 0.45) : round(size_wh[0] * 0.55)].any()


@pytest.mark.parametrize("pose", SANSKRIT)
@pytest.mark.parametrize("side", [None, "right"])
@pytest.mark.parametrize("size_wh", [(640, 360), (1920, 1080), (1080, 1920)])
def test_names_of_the_shipped_poses_are_not_cut_off(
    monkeypatch: pytest.MonkeyPatch, size_wh: tuple[int, int], side: Side | None, pose: str
) -> None:
    drawn: list[str] = []
    render = notes.render_text
    monkeypatch.setattr(notes, "render_text", lambda text, *more: drawn.append(text) or render(text, *more))
    draw_overlay(grey(size_wh), Hold(pose, 1.0, 3599.0, side=side), 30.0)
    assert {name_with_side(pose, side), SANSKRIT[pose], "100% sure", "59:59", "30 FPS"} == set(drawn)


def test_an_unknown_place_is_refused() -> None:
    with pytest.raises(OptionError, match=r"'top'.*corner, bottom, below, none"):
        OverlayConfig(place="top")  # type: ignore[arg-type]


@pytest.mark.parametrize("size_wh", [(64, 48), (65, 49), (640, 360)])
def test_below_a_file_s_frame_the_strip_is_drawn_in_yuv_as_in_bgr(size_wh: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (size_wh[1] // 4 + 1, size_wh[0] // 4 + 1, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
    style, info = OverlayConfig(place="below"), SourceInfo("a", size_wh, Fraction(25), Fraction(1, 25))
    picture = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
    drawn = annotate_frame(DecodedFrame(picture, 0, 0), TREE, 30.0, style)
    meant = annotate_frame(TimedFrame(image, 0, 0), TREE, 30.0, style).image_bgr
    assert isinstance(drawn, DecodedFrame)
    assert describe_drawn(info, style).size_wh[1] == drawn.picture.height == meant.shape[0] > size_wh[1]
    height = size_wh[1] + size_wh[1] % 2
    strip = drawn.image_bgr[height:, : size_wh[0]].astype(int)
    assert strip[0, 0].max() < 60 and (strip.max(axis=(0, 2)) > 150).any()
    if size_wh[0] > 100:  # small letters begin at another pixel there
        assert np.abs(strip - meant[height:]).mean() < 6


def test_a_strip_below_a_mirrored_picture_is_not_mirrored() -> None:
    frame_bgr = np.random.default_rng(0).integers(0, 255, (91, 160, 3), dtype=np.uint8)
    plain, mirrored = (
        draw_overlay(frame_bgr, TREE, 30.0, OverlayConfig(place="below", mirror=m)) for m in (False, True)
    )
    np.testing.assert_array_equal(mirrored[:91], frame_bgr[:, ::-1])
    np.testing.assert_array_equal(mirrored[92:], plain[92:])
    assert len(plain) % 2 == 0


@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), Fraction(16, 11)])
def test_below_a_picture_of_pixels_that_are_not_square(aspect: Fraction) -> None:
    stored_wh, shown = (320, 180), Presentation(aspect)
    picture = av.VideoFrame.from_ndarray(grey(stored_wh), format="bgr24").reformat(format="yuv420p")
    style = OverlayConfig(place="below")
    drawn = annotate_frame(DecodedFrame(picture, 0, 0, shown), TREE, 30.0, style)
    info = SourceInfo(
        "a", shown.square_wh(stored_wh), Fraction(25), Fraction(1, 25), stored_wh=stored_wh, pixel_aspect=aspect
    )
    taller = describe_drawn(info, style)
    assert isinstance(drawn, DecodedFrame) and taller.stored_wh == drawn.stored_wh and taller.size_wh == drawn.size_wh
    scene = drawn.image_bgr
    assert np.abs(scene[: info.size_wh[1] - 2].astype(int) - 128).max() < 7
    assert scene[info.size_wh[1] + 4, :4].max() < 90


@pytest.mark.parametrize("hold_s", [1.0, 2.0])
def test_hold_time_changes_the_picture(hold_s: float) -> None:
    before = draw_overlay(grey((640, 360)), Hold("tree", 0.9, 0.0))
    assert not np.array_equal(before, draw_overlay(grey((640, 360)), Hold("tree", 0.9, hold_s)))


def test_confidence_bar_is_as_long_as_the_confidence() -> None:
    for confidence in (0.25, 0.8, 1.0, 1.2, -0.1):
        row = draw_overlay(grey((1000, 360), 0), Hold("tree", confidence, 1.0), style=BOTTOM)[-1]
        assert (row.max(axis=1) > 100).sum() == pytest.approx(1000 * min(max(confidence, 0), 1), abs=1)


def test_a_goal_is_counted_down_then_ticked_off() -> None:
    style = OverlayConfig(goals_s={"tree": 30}, place="bottom")
    shown = {}
    for hold_s in (10.0, 20.0, 31.0):
        scene = draw_overlay(grey((1000, 360), 0), Hold("tree", 0.9, hold_s), style=style)
        assert (scene[-1].max(axis=1) > 100).sum() == pytest.approx(1000 * min(hold_s / 30, 1), abs=1)
        shown[hold_s] = scene[-30:-4, 700:]
    assert not np.array_equal(shown[10.0], shown[20.0])
    plain = draw_overlay(grey((1000, 360), 0), Hold("tree", 0.9, 20.0), style=BOTTOM)
    assert not np.array_equal(shown[20.0], plain[-30:-4, 700:])
    other = draw_overlay(grey((1000, 360), 0), Hold("plank", 0.9, 20.0), style=style)
    assert (other[-1].max(axis=1) > 100).sum() == 900


@pytest.mark.parametrize(
    ("hold_s", "goal_s", "words"),
    [
        (0.9, None, "0:00"), (59.7, None, "0:59"), (29.999_999_9, None, "0:30"), (3599.9, None, "59:59"),
        (0.1, 30, "−0:30"), (29.1, 30, "−0:01"), (30, 30, "✓ 0:30"), (30.9, 30, "✓ 0:30"),
    ],
)  # fmt: skip
def test_the_clock_shows_seconds_that_have_passed(hold_s: float, goal_s: float | None, words: str) -> None:
    assert notes.read_clock(hold_s, goal_s) == words


def test_no_pose_shows_neither_clock_nor_confidence_nor_bar() -> None:
    assert overlay.read_words(REST, OverlayConfig()) == overlay.Words("no pose", is_quiet=True)
    scene = draw_overlay(grey((640, 360), 0), REST)
    assert scene[:, 320:].max() == 0 and scene[60:].max() == 0 and scene.max() > 150


def test_a_pose_that_is_only_kept_is_said_quietly_and_without_a_confidence() -> None:
    """For a second after it has ended, in case it goes on: "Tree 2%" over a person who stands still helps nobody."""
    led, kept = (overlay.read_words(replace(TREE, leads=leads), OverlayConfig()) for leads in (True, False))
    assert (led.sure, led.bar, led.is_quiet) == ("93% sure", 0.93, False)
    assert (kept.name, kept.clock, kept.sure, kept.bar, kept.is_quiet) == ("Tree", "0:12", "", None, True)


def test_the_side_stands_behind_the_pose_and_a_note_in_place_of_the_confidence() -> None:
    words = overlay.read_words(replace(TREE, side="left"), OverlayConfig(goals_s={"tree": 10.0}, note="switch sides"))
    assert (words.name, words.clock, words.sure) == ("Tree left", "✓ 0:12", "switch sides")


def test_a_lost_source_is_no_rest() -> None:
    frame = TimedFrame(grey((640, 360), 0), 9.0, 9)
    rest, lost, longer = (
        annotate_frame(replace(frame, lost_s=lost_s), REST).image_bgr[:68] for lost_s in (None, 3.0, 42.0)
    )
    assert [scene.max() > 150 for scene in (rest, lost, longer)] == [True] * 3
    assert not np.array_equal(rest, lost) and not np.array_equal(lost, longer)
    assert (lost > 100).any(axis=(0, 2)).sum() > 1.5 * (rest > 100).any(axis=(0, 2)).sum()  # more words


def test_rate_is_drawn_in_the_corner_only_when_asked() -> None:
    corner = np.s_[:40, -120:]
    assert (draw_overlay(grey((640, 360)), TREE, 30.0)[corner] > 200).any()
    for scene in (
        draw_overlay(grey((640, 360)), TREE, None),
        draw_overlay(grey((640, 360)), TREE, 30.0, OverlayConfig(show_fps=False)),
    ):
        assert (scene[corner] == 128).all()


def test_light_footage_is_shaded_under_the_rate() -> None:
    corner = draw_overlay(grey((640, 360), 255), TREE, 30.0)[:40, -80:]
    assert corner.min() < 120 and corner.max() == 255


def test_mirror_flips_the_picture_but_not_the_text() -> None:
    frame_bgr = grey((640, 360), 0)
    frame_bgr[100:200, :100] = 90
    plain = draw_overlay(frame_bgr, TREE)
    mirrored = draw_overlay(frame_bgr, TREE, style=OverlayConfig(mirror=True))
    np.testing.assert_array_equal(mirrored[100:], plain[100:, ::-1])
    np.testing.assert_array_equal(mirrored[:100], plain[:100])


def test_sanskrit_letters_are_drawn_not_boxes() -> None:
    """A font without a letter draws the same box for each of them."""
    scenes = [draw_overlay(grey((640, 360), 0), Hold(letter * 6, 0.9, 0)) for letter in "ŚāṛṣṇĪñ"]
    for index, scene in enumerate(scenes):
        assert all(not np.array_equal(scene, other) for other in scenes[index + 1 :])


def test_known_pose_has_its_sanskrit_name_below() -> None:
    below = np.s_[42:58, :60]
    assert draw_overlay(grey((640, 360), 0), Hold("down_dog", 0.9, 0))[below].max() > 150
    assert draw_overlay(grey((640, 360), 0), Hold("my_own_pose", 0.9, 0))[below].max() == 0


@pytest.mark.parametrize("mirror", [False, True])
def test_region_is_marked_at_its_four_corners_and_says_what_it_is(mirror: bool) -> None:
    region = Region(100, 120, 300, 200)
    style = OverlayConfig(mirror=mirror, place="beside")
    scene = draw_overlay(grey((640, 360)), TREE, None, style, region)
    label = (draw_overlay(grey((640, 360)), TREE, None, OverlayConfig(place="below"), region)[:360] != 128).any(axis=2)
    upright = scene[:, ::-1] if mirror else scene
    for x in (100, 399):
        for y in (120, 319):
            assert (upright[y, x] == SOFT).all()
    assert (upright[119, 99] == 128).all() and (upright[220, 100] == 128).all() and (upright[319, 250] == 128).all()
    marked = (scene != 128).any(axis=2)
    assert marked.sum() == label.sum() and marked.sum() < 0.012 * marked.size
    words = marked[122:130]  # under the upper line: at the right corner of the picture as it is shown
    columns = np.nonzero(words.any(axis=0))[0]
    assert 100 < columns.max() - columns[columns > (400 if mirror else 130)].min() < 160
    nothing = draw_overlay(grey((640, 360)), TREE, 30.0, OverlayConfig(place="none"), region)
    assert (nothing == 128).all()


def test_labels_give_way_to_one_another() -> None:
    """The rate and the label of the region stand where no other words are, wherever the region begins."""
    for region in (Region(0, 0, 300, 300), Region(300, 0, 340, 360), Region(0, 0, 640, 360)):
        scene = draw_overlay(grey((640, 360)), Hold(LONG, 1.0, 12.0), 30.0, None, region)
        plain = draw_overlay(grey((640, 360)), Hold(LONG, 1.0, 12.0), 30.0)
        words = plain.min(axis=2) > 190  # letters that are there without a region are there with it
        assert words.any() and (scene[words].min(axis=1) > 190).all()


@pytest.mark.parametrize("size_wh", SIZES_WH)
def test_region_fits_every_size(size_wh: tuple[int, int]) -> None:
    assert draw_overlay(grey(size_wh), REST, region=WHOLE.to_region(size_wh)).shape == grey(size_wh).shape
