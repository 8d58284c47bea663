"""The drawn clip: as long as it says, steady in time, its poses in the programme's order."""

from itertools import pairwise

import numpy as np
import pytest

from yoga_live.runtime.classifier import DEFAULT_MODEL, PoseClassifier
from yoga_live.runtime.pipelines.live_loop import run_live
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.sources.demo import HOLD_S, MOVE_S, PROGRAMME, RATE, REST_S, SIZE_WH, DemoSource, list_steps
from yoga_live.runtime.sources.drawn_figure import POSES


def test_the_demo_counts_what_was_read_of_it_as_a_recording_does() -> None:
    """Without sinks a run says by that how many frames there were, and where its timeline ends."""
    source = DemoSource()
    frames = list(source.frames())
    assert source.info.seen.frames == len(frames)
    assert source.info.seen.end_s == pytest.approx(source.info.duration_s)


def test_clip_is_as_long_as_it_says_and_every_frame_has_its_time() -> None:
    source = DemoSource()
    with source:
        frames = [(f.image_bgr.shape, f.time_s, f.pts) for f in source.frames()]
    assert source.info.duration_s is not None and not source.info.is_live
    assert len(frames) == round(source.info.duration_s * RATE)
    assert {shape for shape, _, _ in frames} == {(SIZE_WH[1], SIZE_WH[0], 3)}
    assert [pts for _, _, pts in frames] == list(range(len(frames)))
    assert all(abs(time_s - pts * source.info.time_base) < 1e-9 for _, time_s, pts in frames)


def test_programme_rests_between_all_of_its_poses() -> None:
    steps = list_steps()
    held = [step.start for step in steps if step.start == step.end]
    assert [POSES[name] for name in PROGRAMME] == held[1::2]
    assert all(pose == POSES["standing"] for pose in held[::2])
    assert all(before.end == after.start for before, after in pairwise(steps))
    assert sum(step.duration_s for step in steps) == REST_S + len(PROGRAMME) * (2 * MOVE_S + HOLD_S + REST_S)


def test_shipped_model_sees_the_programme_in_the_clip() -> None:
    """What `yoga-live --demo` promises: these poses, in this order, `none` between them."""
    assert DEFAULT_MODEL.is_file()
    classifier = PoseClassifier(device="cpu")

    class EveryFifth(DemoSource):
        def frames(self):
            return (frame for frame in super().frames() if frame.pts % 5 == 0)

    watched = run_live(RunPlan(EveryFifth(), classifier, []))
    assert tuple(s.pose for s in watched.segments if s.pose != "none") == PROGRAMME
    assert all(s.duration_s > HOLD_S - 1 for s in watched.segments if s.pose != "none")


def test_clip_is_the_same_each_time() -> None:
    first, second = (next(iter(DemoSource().frames())).image_bgr for _ in range(2))
    np.testing.assert_array_equal(first, second)
