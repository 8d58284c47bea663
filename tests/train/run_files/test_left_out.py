"""What is told of left-out sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from yoga_live.calibration.runs import Run
from yoga_live.runtime.errors import RunError
from yoga_live.train.report.measure import measure_report
from yoga_live.train.report.page import render_report
from yoga_live.train.report.pictures import RunPictures
from yoga_live.train.run_files.left_out import describe_left_out

ROW = {"accuracy": 0.5, "photos": 3, "interval": [0.1, 0.9]}
PHOTOS = [
    ("a", "chair", "train", [0.8, 0.1, 0.1]),
    ("b", "chair", "validation", [0.8, 0.1, 0.1]),
    ("c", "chair", "test", [0.8, 0.1, 0.1]),
]


def test_the_report_shows_each_source_beside_the_random_split(write_run: Callable[..., Run]) -> None:
    sources = {f"s{number}": ROW for number in range(14)}
    summary = {"left_out": {**ROW, "sources": sources, "poses_of_one_source": ["plank"]}}
    run = write_run("run", PHOTOS)
    run.summary["metrics"]["test"]["interval"] = [0.2, 0.8]
    report = measure_report(replace(run, summary={**run.summary, **summary}))
    interval = "(3 photos, 95 % interval"
    assert report.left_out[0] == (
        f"left-out sources: accuracy 50.0% {interval} 10.0% to 90.0%); random split: 66.7% {interval} 20.0% to 80.0%)"
    )
    assert report.left_out[1] == f"  s0: 50.0% {interval} 10.0% to 90.0%)" and len(report.left_out) == 15
    assert report.left_out[-2:] == (
        "  and 2 smaller sources",
        "  not counted, because only one source has them: `plank`",
    )
    assert report.left_out[0] in render_report(report, RunPictures({}, {}, 0))


def test_a_run_without_has_no_lines_and_a_broken_one_is_named() -> None:
    assert describe_left_out({}) == []
    with pytest.raises(RunError, match=r"left_out in run\.json cannot be read; train"):
        describe_left_out({"left_out": {"sources": []}})
