"""The three formats parse back to what was seen."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from yoga_live.runtime.core.types import Segment
from yoga_live.runtime.errors import OutputError
from yoga_live.runtime.sinks import timeline as timeline_module
from yoga_live.runtime.sinks.timeline import (
    TimelineFile,
    check_format,
    format_csv,
    format_timeline,
    format_vtt,
    write_timeline,
)

SEGMENTS = (
    Segment(0.0, 1.25, "none", 0.9),
    Segment(1.25, 61.0004, "warrior_2", 0.87654),
    Segment(61.0004, 3725.9996, 'Śvānāsana, "adho" <b> & co', 1.0),
    Segment(3725.9996, 3726.5, "木のポーズ", 0.5),
)
ROUNDED = [(0.0, 1.25), (1.25, 61.0), (61.0, 3726.0), (3726.0, 3726.5)]
CUE = re.compile(r"(\d\d+):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d\d+):([0-5]\d):([0-5]\d)\.(\d{3})")


def clock_s(hours: str, minutes: str, seconds: str, ms: str) -> float:
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(ms) / 1000


def test_csv_parses_back(tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    write_timeline(path, SEGMENTS)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["start_s"]), float(row["end_s"])) for row in rows] == ROUNDED
    assert [row["pose"] for row in rows] == [segment.pose for segment in SEGMENTS]
    assert [float(row["confidence"]) for row in rows] == [0.9, 0.877, 1.0, 0.5]


def test_json_parses_back_and_keeps_its_letters(tmp_path: Path) -> None:
    path = tmp_path / "class.json"
    write_timeline(path, SEGMENTS)
    text = path.read_text(encoding="utf-8")
    rows = json.loads(text)
    assert [(row["start_s"], row["end_s"]) for row in rows] == ROUNDED
    assert [row["pose"] for row in rows] == [segment.pose for segment in SEGMENTS]
    assert "木のポーズ" in text


def test_vtt_names_the_poses_at_their_times(tmp_path: Path) -> None:
    path = tmp_path / "class.VTT"
    write_timeline(path, SEGMENTS)
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    assert blocks[0] == "WEBVTT"
    cues = [block.split("\n") for block in blocks[1:]]
    assert [text for _, text in cues] == [
        "Warrior 2",
        'Śvānāsana, "adho" &lt;b&gt; &amp; Co',
        "木のポーズ",
    ]
    matches = [CUE.fullmatch(times) for times, _ in cues]
    assert all(matches)
    times_s = [(clock_s(*m.groups()[:4]), clock_s(*m.groups()[4:])) for m in matches if m]
    assert times_s == ROUNDED[1:]


def test_label_can_not_break_out_of_its_cue() -> None:
    text = format_vtt((Segment(0, 1, "a\n\n00:00:05.000 --> 00:00:06.000\nb", 1.0),))
    assert len(CUE.findall(text)) == 1 and text.count("-->") == 1


def test_nothing_seen_still_gives_a_valid_file(tmp_path: Path) -> None:
    for suffix, expected in [(".csv", "start_s,end_s,pose,confidence\n"), (".json", "[]\n"), (".vtt", "WEBVTT\n")]:
        write_timeline(tmp_path / f"empty{suffix}", ())
        assert (tmp_path / f"empty{suffix}").read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("name", ["class.txt", "class", "class.csv.gz"])
def test_unknown_suffix_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(OutputError, match=r"\.csv, \.json, \.vtt"):
        check_format(Path(name))


def test_a_growing_timeline_is_kept_and_takes_its_name_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline_module, "EVERY_S", 0.0)
    growing = TimelineFile(tmp_path / "class.csv")
    segments = (Segment(0, 4, "tree", 0.9),)
    growing.autosave(lambda: segments)
    part = tmp_path / "class.part.csv"
    assert part.read_text() == format_csv(segments)
    growing.finish((*segments, Segment(4, 6, "none", 0.8)))
    assert [path.name for path in tmp_path.iterdir()] == ["class.csv"]
    assert "none" in (tmp_path / "class.csv").read_text()


def test_a_growing_timeline_is_not_written_all_the_time(tmp_path: Path) -> None:
    asked: list[int] = []
    growing = TimelineFile(tmp_path / "class.json")
    for _ in range(100):
        growing.autosave(lambda: asked.append(1) or ())
    assert asked == [] and list(tmp_path.iterdir()) == []


SIDED = (
    Segment(0, 3, "none", 0.9),
    Segment(3, 40, "tree", 0.9, side="left", angles={"left_knee": 178, "right_knee": 41}),
    Segment(40, 50, "plank", 0.8),
)


def test_the_side_is_the_last_column_where_a_hold_has_one() -> None:
    rows = format_timeline(".csv", SIDED).splitlines()
    assert rows == [
        "start_s,end_s,pose,confidence,side",
        "0.000,3.000,none,0.900,",
        "3.000,40.000,tree,0.900,left",
        "40.000,50.000,plank,0.800,",
    ]
    assert format_timeline(".csv", SIDED[::2]).splitlines()[0] == "start_s,end_s,pose,confidence"
    several = tuple(replace(segment, person=2) for segment in SIDED)
    assert format_timeline(".csv", several).splitlines()[2] == "3.000,40.000,tree,0.900,2,left"


def test_json_has_side_and_angles_where_they_are_known_and_chapters_the_side() -> None:
    rest, tree, plank = json.loads(format_timeline(".json", SIDED))
    assert tree["side"] == "left" and tree["angles"] == {"left_knee": 178, "right_knee": 41}
    assert list(tree)[-2:] == ["side", "angles"]
    assert "side" not in rest and "angles" not in plank
    assert "\nTree left\n" in format_timeline(".vtt", SIDED)
