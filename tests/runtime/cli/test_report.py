"""The lines at the end of a run: nobody's seconds are added to another's, and what is written is said once."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from yoga_live.runtime.cli import batch, watch
from yoga_live.runtime.cli.report import list_results, report_run
from yoga_live.runtime.core.goals import PerSide
from yoga_live.runtime.core.types import Segment
from yoga_live.runtime.pipelines.annotate import Outputs
from yoga_live.runtime.pipelines.loop import RunResult
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.tracking.segments import Timeline

TWO = (
    Segment(0, 10, "tree", 0.9, person=1),
    Segment(0, 30, "tree", 0.9, person=2),
    Segment(10, 30, "none", 0.9, person=1),
    Segment(30, 42, "plank", 0.9, person=2),
)
UNCLEAR = 'side unclear in holds that reached their goal, so "switch sides" was not said: '


def report(
    segments: tuple[Segment, ...],
    capsys: pytest.CaptureFixture[str],
    goals_s: Mapping[str, float] | None = None,
    **paths: Path,
) -> list[str]:
    named = {name: paths.get(name) for name in ("save", "record", "timeline", "summary")}
    args, watched = argparse.Namespace(events=False, flip=False, **named), RunResult(Timeline(segments), 9, 1.0)
    report_run(args, watched, None, goals_s or {})
    return capsys.readouterr().out.splitlines()


def test_each_person_has_totals_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    lines = report(TWO, capsys)
    assert lines[4:-1] == [
        "person 1, Tree: once, 10.0 s",
        "person 2, Tree: once, 30.0 s",
        "person 2, Plank: once, 12.0 s",
    ]
    alone = tuple(Segment(each.start_s, each.end_s, each.pose, 0.9) for each in TWO[1:])
    assert report(alone, capsys)[3:-1] == ["Tree: once, 30.0 s", "Plank: once, 12.0 s"]


def test_several_videos_say_whose_seconds_are_summed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watched = RunResult(Timeline(TWO), 9, 1.0)
    jobs = [batch.Job(tmp_path / name, name, Outputs(), 42.0) for name in ("a.mp4", "b.mp4")]
    args = argparse.Namespace(events=False, save=None, timeline=None, summary=None)
    batch._report(args, [batch.Done(job, watched, None) for job in jobs], 2, {"tree": PerSide(30)})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  a.mp4     0:42  person 1: Tree 10.0 s; person 2: Tree 30.0 s, Plank 12.0 s"
    assert lines[2] == "Tree: 4 times, 1:20 in total, longest 30.0 s, all people together"
    assert lines[4] == f"{UNCLEAR}Tree 2"


def test_goals_that_no_side_could_be_told_of_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{UNCLEAR}Tree 2" in report(TWO, capsys, {"tree": PerSide(10), "plank": 5.0})
    assert f"{UNCLEAR}Tree 1" in report(TWO, capsys, {"tree": PerSide(11)})
    sided = Segment(0, 30, "tree", 0.9, side="left")
    assert not any("unclear" in line for line in report((sided,), capsys, {"tree": PerSide(11)}))


def test_files_are_listed_behind_one_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved, timeline, part = tmp_path / "a.mp4", tmp_path / "a.csv", tmp_path / "a.part.png"
    for path in (saved, timeline, part):
        path.touch()
    lines = report(TWO, capsys, save=saved, timeline=timeline, summary=tmp_path / "a.png")
    assert lines[-3:] == [f"written: {saved}", f"         {timeline}", f"incomplete: {part}"]
    assert list_results([tmp_path / "missing.csv"], ["3 files in saved"]) == ["written: 3 files in saved"]


def test_files_of_several_videos_are_one_line(tmp_path: Path) -> None:
    outputs = [Outputs(tmp_path / f"{name}.mp4", tmp_path / f"{name}.csv") for name in "ab"]
    for path in [path for each in outputs for path in each.paths()][:3]:
        path.touch()
    (tmp_path / "b.part.csv").touch()
    args = argparse.Namespace(save=None, timeline=None, summary=None)
    assert batch._list_written(args, outputs) == [
        "written: 3 files beside the videos",
        f"incomplete: {tmp_path / 'b.part.csv'}",
    ]


@pytest.mark.parametrize("option", ["serve", "timeline"])
def test_a_run_that_is_stopped_once_all_is_written_has_not_failed(tmp_path: Path, option: str) -> None:
    timeline = tmp_path / "a.csv"
    args = argparse.Namespace(save=None, record=None, timeline=timeline, summary=None, events=False, serve=None)
    args.serve = option == "serve"
    info = SourceInfo("a.mp4", (320, 240), Fraction(10), Fraction(1, 10))
    late, early = (RunResult(Timeline(TWO), 9, 1.0, stopped=True, whole=whole) for whole in (True, False))
    watch._tell_end(args, late, info)
    with pytest.raises(KeyboardInterrupt, match="stopped at"):
        watch._tell_end(args, early, info)
    (tmp_path / "a.part.csv").touch()
    with pytest.raises(KeyboardInterrupt, match="stopped at"):
        watch._tell_end(args, late, info)


def test_several_videos_that_are_stopped_once_all_is_written_have_not_failed(tmp_path: Path) -> None:
    jobs = [batch.Job(tmp_path / name, name, Outputs(timeline=tmp_path / f"{name}.csv"), 42.0) for name in "ab"]
    late, early = (RunResult(Timeline(TWO), 9, 1.0, stopped=True, whole=whole) for whole in (True, False))
    rows = [batch.Done(jobs[0], RunResult(Timeline(TWO), 9, 1.0), None), batch.Done(jobs[1], late, None)]
    assert batch._is_all_done(rows, jobs)
    assert not batch._is_all_done(rows[1:], jobs)
    assert not batch._is_all_done([rows[0], batch.Done(jobs[1], early, None)], jobs)
