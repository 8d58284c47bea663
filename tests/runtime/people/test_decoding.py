"""The decoder against the published graph's own post-processing, kept as `post_processing.onnx` beside this file.

`benchmarks/people_finder/movenet.py` cuts it out of the converted graph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.core.opencv import cv2
from yoga_live.runtime.core.types import Floats, Frame
from yoga_live.runtime.people import People
from yoga_live.runtime.people.decoding import HEADS, decode_heads
from yoga_live.runtime.people.finder import PEOPLE_MODEL, fit_frame
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

PHOTOS = Path(__file__).parents[3].parent / "shared" / "data" / "five"
CHANNELS = {"center": 1, "box_scale": 2, "box_offset": 2, "kpt_heatmap": 17, "kpt_regress": 34, "kpt_offset": 34}
PEOPLE = 6
FAINT = 1e-3
"""Scores below which a key point is nowhere in particular: two places are equally high but for rounding."""


def open_session(path: Path) -> Any:
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def published() -> Any:
    return open_session(Path(__file__).with_name("post_processing.onnx"))


@pytest.fixture(scope="module")
def network() -> Any:
    return open_session(PEOPLE_MODEL)


def draw_heads(shape: tuple[int, int], people: int, seed: int) -> dict[str, Floats]:
    """Heads as a network would give them for some people at random places, with noise."""
    rng = np.random.default_rng(seed)
    height, width = shape
    heads = {name: rng.normal(0, 0.3, (count, *shape)).astype(np.float32) for name, count in CHANNELS.items()}
    heads["center"] -= 9
    heads["kpt_heatmap"] -= 5
    for _ in range(people):
        row, column = rng.integers(0, height), rng.integers(0, width)
        heads["center"][0, row, column] += rng.uniform(8, 12)
        heads["box_scale"][:, row, column] = rng.uniform(1, 0.8 * height), rng.uniform(1, 0.8 * width)
        for point in range(17):
            place = rng.normal(0, height / 6), rng.normal(0, width / 6)
            heads["kpt_regress"][2 * point : 2 * point + 2, row, column] = place
            there = np.clip([row + place[0], column + place[1]], 0, [height - 1, width - 1]).astype(int)
            heads["kpt_heatmap"][point, there[0], there[1]] += rng.uniform(0, 8)
    return heads


def assert_equal_to_published(published: Any, heads: dict[str, Floats]) -> People:
    """Compare with the published post-processing.  Returns the people."""
    [[rows]] = published.run(None, {name: head[None] for name, head in heads.items()})
    height, width = (4 * length for length in heads["center"].shape[1:])
    points = rows[:, :51].reshape(PEOPLE, 17, 3)
    people = decode_heads(heads, PEOPLE)
    assert len(people) == PEOPLE
    np.testing.assert_allclose(people.scores, rows[:, 55], atol=2e-6)
    np.testing.assert_allclose(people.boxes, rows[:, [52, 51, 54, 53]] * [width, height, width, height], atol=2e-4)
    np.testing.assert_allclose(people.keypoint_scores, points[:, :, 2], atol=5e-6)
    is_clear = people.keypoint_scores > FAINT
    expected = points[:, :, [1, 0]] * [width, height]
    np.testing.assert_allclose(people.keypoints[is_clear], expected[is_clear], atol=2e-3)
    return people


@pytest.mark.parametrize("shape", [(40, 64), (64, 64), (64, 40), (8, 64), (64, 16), (96, 96)])
@pytest.mark.parametrize("count", range(PEOPLE + 1))
def test_drawn_heads_are_decoded_as_the_published_graph_does(
    published: Any, shape: tuple[int, int], count: int
) -> None:
    people = assert_equal_to_published(published, draw_heads(shape, count, seed=count))
    assert (people.scores > 0.05).any() == bool(count)


@pytest.mark.parametrize("count", range(PEOPLE + 1))
def test_the_networks_answers_on_drawn_people_are_decoded_as_the_published_graph_does(
    published: Any, network: Any, count: int
) -> None:
    poses = list(POSES.values())[:count]
    frame = np.hstack([draw_figure(pose, (300, 400)) for pose in poses] or [np.full((400, 300, 3), 90, np.uint8)])
    people = assert_equal_to_published(published, run_network(network, frame))
    assert (people.scores > 0.2).sum() == count or count > 3  # of more, the smaller ones are missed


@pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"needs the photos of {PHOTOS}")
def test_the_networks_answers_on_photos_are_decoded_as_the_published_graph_does(published: Any, network: Any) -> None:
    for path in sorted(PHOTOS.glob("*/*.jpg"))[::80]:
        frame = np.asarray(cv2.imread(str(path)), np.uint8)
        assert_equal_to_published(published, run_network(network, frame))


def run_network(network: Any, frame: Frame) -> dict[str, Floats]:
    outputs = network.run(list(HEADS), {"frames": fit_frame(frame)[0]})
    return {name: output[0] for name, output in zip(HEADS, outputs, strict=True)}


def test_more_people_than_the_published_six_are_decoded() -> None:
    heads = draw_heads((64, 64), 0, seed=1)
    for index in range(9):
        heads["center"][0, 10 + 20 * (index // 3), 10 + 20 * (index % 3)] = 3 + index / 10
        heads["box_scale"][:, 10 + 20 * (index // 3), 10 + 20 * (index % 3)] = 12
        heads["kpt_heatmap"][:, 10 + 20 * (index // 3), 10 + 20 * (index % 3)] = 4
    assert (decode_heads(heads, 20).scores > 0.2).sum() == 9
    assert len(decode_heads(heads, 8)) == 8


def test_a_person_has_the_coordinates_of_the_maps_times_four() -> None:
    heads = {name: np.zeros((count, 32, 48), np.float32) for name, count in CHANNELS.items()}
    heads["center"] -= 10
    heads["kpt_heatmap"] -= 10
    heads["center"][0, 12, 20] = 5
    heads["box_scale"][:, 12, 20] = 10, 6  # height and width in cells
    heads["box_offset"][:, 12, 20] = 0.5, 0.25
    heads["kpt_heatmap"][:, 12, 20] = 5
    heads["kpt_heatmap"][0, 9, 21] = 6  # the nose
    heads["kpt_regress"][:2, 12, 20] = -3, 1
    heads["kpt_offset"][:2, 9, 21] = 0.5, -0.5
    person = decode_heads(heads, 1)
    np.testing.assert_allclose(person.boxes, [[4 * 17.25, 4 * 7.5, 4 * 23.25, 4 * 17.5]])
    np.testing.assert_allclose(person.keypoints[0, 0], [4 * 20.5, 4 * 9.5])
    np.testing.assert_allclose(person.keypoints[0, 1], [4 * 20, 4 * 12])
    assert person.keypoint_scores[0].min() > 0.9 and person.scores[0] > 0.9
