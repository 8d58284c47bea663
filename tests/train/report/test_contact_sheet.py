"""The contact sheet shows what the network sees: the same letterbox, the same augmentation, poses in turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import torch

from yoga_live.runtime.errors import RunError
from yoga_live.train.fit.augmentation import draw_augmentation
from yoga_live.train.fit.backdrops import find_surroundings
from yoga_live.train.fit.config import Augmentation
from yoga_live.train.photos.folder import read_photos
from yoga_live.train.photos.mirroring import Mirroring
from yoga_live.train.report.contact_sheet import (
    AUGMENTED,
    COLUMNS,
    augment_batch,
    caption_height,
    describe_draws,
    draw_batch,
    swap_labels,
    write_contact_sheet,
)

CAPTION = caption_height(64)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for pose, count in (("tree", 9), ("chair", 3), ("none", 2)):
        (tmp_path / "photos" / pose).mkdir(parents=True)
        for seed in range(count):
            coarse = np.random.default_rng([seed, *pose.encode()]).integers(0, 256, (6, 6, 3), dtype=np.uint8)
            photo = Image.fromarray(coarse).resize((400, 200), Image.Resampling.BICUBIC)
            photo.save(tmp_path / "photos" / pose / f"{seed}.jpg")
    return tmp_path / "photos"


def test_a_plain_sheet_holds_the_frames_that_training_reads(photos: Path) -> None:
    batch, labels = draw_batch(photos, 100, 64, seed=0)
    frames = batch.frames
    photo_set = read_photos(photos, 64)
    known = {frame.tobytes(): photo.pose for frame, photo in zip(photo_set.frames, photo_set.photos, strict=True)}
    assert [known[frame.tobytes()] for frame in frames] == labels
    assert len(labels) == 14 and len({frame.tobytes() for frame in frames}) == 14


def test_poses_take_turns_until_they_run_out(photos: Path) -> None:
    labels = draw_batch(photos, 10, 32, seed=0)[1]
    assert labels == ["chair", "tree", "none", "chair", "tree", "none", "chair", "tree", "tree", "tree"]


def test_a_seed_gives_the_same_batch_and_another_seed_another(photos: Path) -> None:
    first, again, other = (draw_batch(photos, 6, 32, seed)[0].frames for seed in (0, 0, 1))
    assert (first == again).all() and not (first == other).all()


def test_augmentation_is_that_of_a_training_step(photos: Path) -> None:
    places = photos / "none" / "backgrounds"
    places.mkdir()
    Image.new("RGB", (80, 60), "purple").save(places / "room.png")
    batch, labels = draw_batch(photos, 8, 64, seed=0)
    assert len(labels) == 8 and len(batch) == 9
    surroundings = find_surroundings(batch, Augmentation())
    draws = draw_augmentation(8, Augmentation(), torch.Generator().manual_seed(3), 1)
    expected = surroundings.augment(np.arange(8), 64, draws, torch.device("cpu"))
    shown, _ = augment_batch(batch, 8, Augmentation(), seed=3)
    assert np.abs(shown - expected.numpy()).max() <= 0.5
    assert shown.dtype == np.uint8 and np.abs(shown.astype(int) - batch.frames[:8]).mean() > 5


def test_broken_files_are_passed_over_and_a_folder_of_them_is_said(photos: Path, tmp_path: Path) -> None:
    for path in (photos / "chair").iterdir():
        path.write_text("broken")
    assert set(draw_batch(photos, 100, 32, seed=0)[1]) == {"tree", "none"}
    (tmp_path / "bad" / "tree").mkdir(parents=True)
    (tmp_path / "bad" / "tree" / "a.jpg").write_text("broken")
    with pytest.raises(RunError, match="no readable photo"):
        draw_batch(tmp_path / "bad", 5, 32, seed=0)


def test_the_sheet_has_every_picture_in_its_place_and_a_caption_under_it(tmp_path: Path) -> None:
    frames = np.stack([np.full((64, 64, 3), (20 * number, 0, 200), np.uint8) for number in range(10)])
    write_contact_sheet(frames, ["down_dog"] * 10, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    assert sheet.shape == (2 * (64 + CAPTION), COLUMNS * 64, 3)
    for number, frame in enumerate(frames):
        top, left = number // COLUMNS * (64 + CAPTION), number % COLUMNS * 64
        np.testing.assert_array_equal(sheet[top : top + 64, left : left + 64], frame[:, :, ::-1])
        caption = sheet[top + 64 : top + 64 + CAPTION, left : left + 64]
        assert caption.min() < 100 and caption.max() == 255


def test_a_long_label_stays_under_its_picture(tmp_path: Path) -> None:
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    write_contact_sheet(frames, ["reclined_hand_to_big_toe_pose", "none"], tmp_path / "sheet.png")
    caption = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))[64:, 60:66]
    assert caption.min() == 255


def test_a_legend_stands_above_the_pictures_and_a_note_under_each(tmp_path: Path) -> None:
    frames = np.full((3, 64, 64, 3), 200, np.uint8)
    for notes in (["mirrored", "", "cut out, place, box, blur"], None):
        write_contact_sheet(frames, ["tree"] * 3, tmp_path / "sheet.png", notes, AUGMENTED)
        sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
        height = 64 + caption_height(64, notes is not None)
        header, tiles = sheet[:-height], sheet[-height:]
        assert sheet.shape[1] >= 640 and (tiles[:64, : 3 * 64] == 200).all() and (tiles[:, 3 * 64 :] == 255).all()
        assert header.min() < 50 and header[:, -10:].min() == 255  # written, and nothing is cut off
        second = tiles[caption_height(64) + 64 - 4 :, : 3 * 64]
        if notes:
            assert [second[:, x : x + 64].min() < 200 for x in (0, 64, 128)] == [True, False, True]


def test_what_was_done_with_each_photo_is_said(photos: Path) -> None:
    batch = draw_batch(photos, 8, 64, seed=0)[0]
    nothing = Augmentation(
        mirror=0, turn_degrees=0, scale_low=1, scale_high=1, shift=0, light=0, colour=0, erase=0, blur=0, background=0,
        scene=0, cut=0,
    )  # fmt: skip
    plain, notes = augment_batch(batch, 8, nothing, seed=0)
    assert notes == [""] * 8 and np.abs(plain.astype(int) - batch.frames[:8]).max() <= 1
    mirrored, notes = augment_batch(batch, 8, replace(nothing, mirror=1), seed=0)
    assert notes == ["mirrored"] * 8 and np.abs(mirrored[:, :, ::-1].astype(int) - batch.frames[:8]).max() <= 1
    assert augment_batch(batch, 8, replace(nothing, erase=1, blur=1), seed=0)[1] == ["box, blur"] * 8
    assert augment_batch(batch, 8, replace(nothing, background=1), seed=0)[1] == ["colours"] * 8
    draws = draw_augmentation(2, replace(nothing, background=1, scene=1, cut=1), torch.Generator(), scenes=1)
    assert describe_draws(draws, np.array([True, False])) == ["cut out, place", "place"]


def test_the_label_under_a_mirrored_photo_is_the_one_it_trains() -> None:
    notes = ["mirrored, blur", "blur", "mirrored", "mirrored"]
    labels = ["left", "right", "right", "up"]
    assert swap_labels(labels, notes, Mirroring(swaps=(("left", "right"),))) == ["right", "right", "left", "up"]
    assert swap_labels(labels, notes, Mirroring()) == labels
