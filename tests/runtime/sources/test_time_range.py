"""Moments as people write them, and parts of a recording."""

import pytest

from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.sources.time_range import TimeRange, format_moment, parse_moment, parse_time_range


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90.5", 90.5), ("0", 0), (".5", 0.5), ("1:30", 90), ("61:05", 3665), ("1:02:03.5", 3723.5)],
)
def test_moments_are_read(text: str, seconds: float) -> None:
    assert parse_moment("--from", text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "abc", "-5", "1:2:3:4", "1:", ":30", "1:75", "1:60:00", "1e3", "nan", "10 s"])
def test_what_is_no_moment_is_refused_with_its_option(text: str) -> None:
    with pytest.raises(OptionError, match="--to"):
        parse_moment("--to", text)


@pytest.mark.parametrize(("start", "end"), [("10", "10"), ("1:00", "59"), (None, "0")])
def test_a_part_that_ends_before_it_begins_is_refused(start: str | None, end: str) -> None:
    with pytest.raises(OptionError, match="is not before"):
        parse_time_range(start, end)


def test_either_end_may_be_left_out() -> None:
    assert parse_time_range(None, None) is None
    assert parse_time_range("1:30", None) == TimeRange(90.0, None)
    assert parse_time_range(None, "1:30") == TimeRange(0.0, 90.0)


@pytest.mark.parametrize("text", ["0:07", "1:30", "1:02:03.5", "0:00.125"])
def test_moments_are_written_as_they_are_read(text: str) -> None:
    assert format_moment(parse_moment("--from", text)) == text


@pytest.mark.parametrize(("start", "end"), [("9" * 20, None), ("0", "9" * 400), ("9" * 12 + ":00:00", None)])
def test_moments_beyond_every_recording_are_refused(start: str, end: str | None) -> None:
    with pytest.raises(OptionError, match="no recording lasts"):
        parse_time_range(start, end)
