"""Animated WebP: every frame with its own time, as a browser shows it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.pipelines.annotate import is_video, open_recording
from yoga_live.runtime.sources.animated_webp import AnimationSource, is_animated_webp
from yoga_live.runtime.sources.time_range import TimeRange

LENGTHS_MS = [200, 350, 70, 1000, 30]
LEVELS = [20, 60, 100, 140, 180]


@pytest.fixture
def animation(tmp_path: Path) -> Path:
    pictures = [Image.new("RGB", (41, 30), (level, 0, 0)) for level in LEVELS]
    path = tmp_path / "a.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=LENGTHS_MS, lossless=True)
    return path


def test_every_frame_comes_with_its_own_time(animation: Path) -> None:
    with open_recording(animation) as source:
        assert isinstance(source, AnimationSource) and source.info.size_wh == (41, 30)
        frames = list(source.frames())
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.2, 0.55, 0.62, 1.62])
    assert [frame.lasts_s for frame in frames] == pytest.approx([ms / 1000 for ms in LENGTHS_MS])
    assert [tuple(frame.image_bgr[5, 5]) for frame in frames] == [(0, 0, level) for level in LEVELS]
    assert [float(frame.pts * source.info.time_base) for frame in frames] == pytest.approx(
        [frame.time_s for frame in frames]
    )


def test_a_part_keeps_the_times_and_says_where_it_begins(animation: Path) -> None:
    with AnimationSource(animation, time_range=TimeRange(0.3, 1.0)) as source:
        frames = list(source.frames())
    assert [frame.time_s for frame in frames] == pytest.approx([0.55, 0.62])
    assert source.info.start_s == pytest.approx(0.55)
    assert frames[-1].lasts_s == pytest.approx(0.38)  # it ends with the part


def test_a_part_beyond_the_end_is_refused(animation: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.webp has no frame at or after 0:05"):
        AnimationSource(animation, time_range=TimeRange(5))


def test_frames_that_come_too_soon_can_be_left_out(animation: Path) -> None:
    with AnimationSource(animation, at_most_per_s=2) as source:
        assert [frame.time_s for frame in source.frames()] == pytest.approx([0, 0.55, 1.62])


def test_only_an_animated_webp_is_a_video(animation: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "still.webp")
    (tmp_path / "empty.webp").write_bytes(b"")
    assert is_animated_webp(animation) and is_video(animation)
    for name in ("still.webp", "empty.webp", "missing.webp"):
        assert not is_animated_webp(tmp_path / name) and not is_video(tmp_path / name)


def test_a_cut_animation_keeps_what_came_before_or_says_what_is_wrong(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)) for _ in range(5)]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], duration=100, lossless=True)
    content = (tmp_path / "a.webp").read_bytes()
    for share in (0.02, 0.3, 0.7):
        path = tmp_path / "cut.webp"
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(SourceError, match=r"cut\.webp"), AnimationSource(path) as source:
            list(source.frames())


@pytest.mark.parametrize("default_image", [False, True])
def test_an_animated_png_lies_on_white(tmp_path: Path, default_image: bool) -> None:
    pictures = []
    for left in (0, 20):
        picture = Image.new("RGBA", (40, 30))
        picture.paste((200, 30, 60, 255), (left, 0, left + 20, 30))
        pictures.append(picture)
    path, more = tmp_path / "a.png", {"default_image": True} if default_image else {}
    frames = pictures[:1] * default_image + pictures
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[300, 500], **more)
    with open_recording(path) as source:
        shown = list(source.frames())
    assert [frame.time_s for frame in shown] == pytest.approx([0, 0.3]) and shown[1].lasts_s == pytest.approx(0.5)
    for frame, drawn, white in zip(shown, (5, 35), (35, 5), strict=True):
        assert tuple(frame.image_bgr[5, drawn]) == (60, 30, 200) and tuple(frame.image_bgr[5, white]) == (255, 255, 255)
    Image.new("RGB", (40, 30)).save(tmp_path / "still.png")
    assert not is_animated_webp(tmp_path / "still.png")


def test_an_animation_of_a_huge_canvas_is_refused(animation: Path) -> None:
    content = bytearray(animation.read_bytes())
    content[24:30] = (11_999).to_bytes(3, "little") * 2
    animation.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.webp has too many pixels: 12000 x 12000 pixels"):
        open_recording(animation)
