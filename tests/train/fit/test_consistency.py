"""Machines that do not mean the same are refused, and what differs is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from yoga_live.runtime.errors import OptionError, RunError
from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.fit import consistency
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.consistency import check_agreement, check_photos

CONFIG = FitConfig("none", size=32, device="cpu")


@dataclass(frozen=True)
class Played(Workers):
    """The first of two workers; the other says `other`, or the same where that is None."""

    count: int = 2
    names: tuple[str, ...] = ("worker 0 on left", "worker 1 on right")
    other: Any = None

    def broadcast_object(self, value: Any) -> Any:
        return value

    def all_gather_object(self, value: Any) -> list[Any]:
        return [value, value if self.other is None else self.other]


def test_equal_machines_agree_wherever_their_files_are(drawn_photos: Path) -> None:
    check_agreement(Played(), drawn_photos, CONFIG, resume=False)


@pytest.mark.parametrize(
    ("versions", "options", "expected"),
    [
        ({"torch": "2.4"}, {}, r"torch is 2\.9 for worker 0 on left and 2\.4 for worker 1 on right; install the same"),
        ({}, {"batch": 64}, "--batch is 32 for worker 0 on left and 64 for worker 1 on right; give the same"),
        ({}, {"held_out": 0.2}, "--held-out is 0.15 for"),
        ({}, {"resume": True}, "--resume is False for"),
        ({}, {"weights": "imagenet"}, "--weights is none for"),
    ],
)
def test_what_differs_is_named_with_both_values(
    drawn_photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    versions: dict[str, str],
    options: dict[str, Any],
    expected: str,
) -> None:
    monkeypatch.setattr(consistency, "version_of", lambda _: "2.9")
    said: list[dict[str, dict[str, Any]]] = []

    class Listening(Played):
        def all_gather_object(self, value: Any) -> list[Any]:
            said.append(value)
            return [value, value]

    check_agreement(Listening(), drawn_photos, CONFIG, resume=False)
    other = {"versions": said[0]["versions"] | versions, "options": said[0]["options"] | options}
    with pytest.raises(OptionError, match=expected):
        check_agreement(Played(other=other), drawn_photos, CONFIG, resume=False)


def test_paths_may_differ_between_machines(drawn_photos: Path) -> None:
    said: list[dict[str, Any]] = []

    class Listening(Played):
        def all_gather_object(self, value: Any) -> list[Any]:
            said.append(value)
            return [value, value]

    for weights, split_of in (("/a/start.pth", "/a/run"), ("/b/start.pth", "/b/run")):
        config = replace(CONFIG, weights=weights, split_of=split_of)
        check_agreement(Listening(), drawn_photos, config, resume=False)
    settings = [item for item in said if isinstance(item, dict)]
    assert len(settings) == 2 and settings[0] == settings[1]


def test_a_batch_too_small_for_the_workers_is_refused(drawn_photos: Path) -> None:
    with pytest.raises(OptionError, match="--batch 3 is too small for 2 workers"):
        check_agreement(Played(), drawn_photos, replace(CONFIG, batch=3), resume=False)


def test_the_first_photo_that_differs_is_named_and_the_others_counted() -> None:
    other = [3, "/b/photos", "tree/1.jpg", "sha256 bb", "sha256 aa"]
    expected = (
        r"tree/1\.jpg is sha256 aa for worker 0 on left and sha256 bb for worker 1 on right in /b/photos \(and 2 more"
    )
    marks = [("tree/1.jpg", "sha256 aa")]
    with pytest.raises(RunError, match=expected):
        check_photos(Played(other=other), Path("/a/photos"), marks)
    check_photos(Played(), Path("/a/photos"), marks)
