"""Rebuilding the model of many asanas: which photos become which pose, and which poses enter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks" / "shipped_model"))

from asanas import Found, arrange, read_entered, write_found  # pyright: ignore[reportMissingImports]


@pytest.fixture
def gathered(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    for name in (
        "tree/five__tree__1.jpg", "tree/drawn__00.png", "none/unknown/asanas__unknown__1.jpg", "manifest.csv",
        "none/asanas/balasana/asanas__balasana__1.jpg", "none/asanas/lolasana/asanas__lolasana__1.jpg",
        "none/asanas/warrior_1/mixed__warrior_1__1.jpg", "none/five__plank__2.jpg",
        "none/asanas/asanas__vriksasana__7.jpg", "_removed/tree/five__tree__9.jpg",
    ):  # fmt: skip
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_text(name)
    return photos


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


ALWAYS = {
    "tree/five__tree__1.jpg", "tree/drawn__00.png", "none/unknown/asanas__unknown__1.jpg",
    "none/asanas/warrior_1/mixed__warrior_1__1.jpg",
}  # fmt: skip


def test_every_asana_is_a_pose_and_what_was_thrown_out_of_a_pose_is_left_out(gathered: Path, tmp_path: Path) -> None:
    arrange(gathered, tmp_path / "all")
    assert list_files(tmp_path / "all") == ALWAYS | {
        "balasana/asanas__balasana__1.jpg", "lolasana/asanas__lolasana__1.jpg",
    }  # fmt: skip


def test_an_asana_that_did_not_enter_stays_a_kind_of_none(gathered: Path, tmp_path: Path) -> None:
    found = [
        Found("balasana", 9, 5, 1, 0.91, 0.95),
        Found("lolasana", 9, 5, 1, 0.99, 0.89),
        Found("tree", 9, 5, 3, 1, 1),
    ]
    write_found(found, tmp_path / "trial.csv")
    assert read_entered(tmp_path / "trial.csv") == {"balasana", "tree"}
    assert (tmp_path / "trial.csv").read_text().splitlines()[1] == "tree,True,1.000,1.000,9,5,3"
    arrange(gathered, tmp_path / "chosen", read_entered(tmp_path / "trial.csv"))
    assert list_files(tmp_path / "chosen") == ALWAYS | {
        "balasana/asanas__balasana__1.jpg", "none/asanas/lolasana/asanas__lolasana__1.jpg",
    }  # fmt: skip
