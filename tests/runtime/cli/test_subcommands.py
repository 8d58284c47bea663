"""`yoga-live archive`, `benchmark`, `poses`, `cameras`, each with its own help; older forms for one more release."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from yoga_live.runtime.cli.main import main
from yoga_live.runtime.cli.options import SHORT_HELP, name_new_form, parse_args
from yoga_live.runtime.cli.subcommands import SUBCOMMANDS
from yoga_live.runtime.core.model_metadata import DEFAULT_MODEL, ModelInfo
from yoga_live.runtime.engines.onnx_guard import read_bytes, read_info

from ...opinions import make_opinion

pytest.importorskip("onnxruntime")

BLUE = (255, 0, 0)
Ask = Callable[..., Any]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_has_a_help_of_its_own(ask: Ask, name: str) -> None:
    answer = ask(main, name, "--help")
    assert answer.code == 0 and answer.out.startswith(f"usage: yoga-live {name} ")
    sentence = answer.out.split("\n\n")[1]
    assert sentence.endswith(".") and f"examples:\n  yoga-live {name}" in answer.out and "--debug" in answer.out


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_only_the_first_word_is_a_command_where_there_is_a_file_of_that_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    for words in ([f"./{name}"], ["a.mp4", name], ["--force", name]):
        args = parse_args(words)
        assert args.command is None and Path(name) in [getattr(args, "video", None), *getattr(args, "videos", [])]


def test_the_first_screen_is_short_and_names_real_options(ask: Ask) -> None:
    short, everything = ask(main, "--help").out, ask(main, "--help-all").out
    lines = short.splitlines()
    assert len(lines) <= 25 and max(map(len, lines)) < 80
    options = set(re.findall(r"(--[a-z-]+)", SHORT_HELP))
    assert 12 <= len(options) <= 16
    assert all(re.search(rf"^ +{option}\b|, {option}\b", everything, re.MULTILINE) for option in options)


def test_all_options_stand_in_titled_groups(ask: Ask) -> None:
    everything = ask(main, "--help-all").out
    titles = re.findall(r"^([a-z ,]+):$", everything, re.MULTILINE)
    groups = ["input", "output", "display", "model", "camera", "many videos"]
    assert titles[:6] == groups and titles[-2:] == ["diagnostics", "examples"]
    assert "positional arguments" not in everything and "\noptions:" not in everything
    assert "(default: 1280x720)" in everything


def test_archive_is_the_cluster_of_this_machine() -> None:
    args = parse_args(["archive", "classes", "more.txt", "--to", "out", "--workers", "2"])
    older = parse_args(["--video", "classes", "more.txt", "--to", "out", "--workers", "2", "--cluster", "local"])
    assert {**vars(args), "command": None} == vars(older)
    assert parse_args(["archive", "a", "--to", "b", "--cluster", "auto"]).cluster == "auto"


def test_benchmark_measures_as_the_option_did(ask: Ask, model_path: Path, write_clip: Any, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "class.mp4", [BLUE] * 40, rate=Fraction(10))
    words = ("benchmark", clip, "--frames", 20)
    args = parse_args([str(word) for word in words])
    older = parse_args(["--benchmark", "--video", str(clip), "--frames", "20"])
    assert {**vars(args), "command": None} == vars(older)
    answer = ask(main, *words, "--model", model_path)
    assert answer.code == 0 and "20 frames of 64 x 48" in answer.out
    assert "next release" not in answer.err


def test_benchmark_without_a_video_measures_the_drawn_clip(ask: Ask, model_path: Path) -> None:
    answer = ask(main, "benchmark", "--frames", 2, "--model", model_path)
    assert answer.code == 0 and "2 frames of 1280 x 720" in answer.out
    assert "are enough for a held pose" in answer.out.splitlines()[-1]


def test_the_older_form_works_and_names_the_new_one(
    ask: Ask, model_path: Path, write_clip: Any, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "class.mp4", [BLUE] * 40, rate=Fraction(10))
    answer = ask(main, "--benchmark", "--video", clip, "--frames", 20, "--model", model_path)
    assert answer.code == 0
    [line] = [line for line in answer.err.splitlines() if "next release" in line]
    assert "use: yoga-live benchmark [VIDEO]" in line
    older = parse_args(["--video", "a", "--to", "b", "--cluster", "local"])
    assert "use: yoga-live archive FOLDER --to OUT" in name_new_form(older)
    assert name_new_form(parse_args(["archive", "a", "--to", "b"])) == name_new_form(parse_args(["a.mp4"])) == ""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["archive"], "required: FOLDER, --to"),
        (["archive", "classes"], "required: --to"),
        (["archive", "classes", "--to", "out", "--save", "x"], "unrecognized arguments: --save x"),
        (["archive", "classes", "--to", "out", "--workers", "0"], "1 to 10,000"),
        (["benchmark", "a.mp4", "b.mp4"], "unrecognized arguments: b.mp4"),
        (["benchmark", "--frames", "x"], "1 to 1,000,000"),
        (["poses", "a.onnx", "b.onnx"], "unrecognized arguments: b.onnx"),
        (["cameras", "0"], "unrecognized arguments: 0"),
        (["archive", "classes", "--to", "1:30"], "1:30 looks like a time"),
        (["benchmark", "no.mp4"], "no.mp4 does not exist"),
        (["poses", "no.onnx"], "no.onnx does not exist"),
        (["poses", "no.engine"], "no.engine does not exist"),
    ],
    ids=str,
)
def test_bad_words_are_one_line(ask: Ask, words: list[str], reason: str) -> None:
    answer = ask(main, *words)
    assert answer.code == 2 and answer.out == "" and reason in answer.err and answer.err.count("\n") == 1
    assert answer.err.startswith("yoga-live")


def test_poses_of_the_shipped_model(ask: Ask) -> None:
    answer, info = ask(main, "poses"), read_info(read_bytes(DEFAULT_MODEL))
    assert answer.code == 0 and answer.err == ""
    rows = answer.out.splitlines()
    assert [row.split()[0] for row in rows[1:-2]] == list(info.labels)
    assert any(row.split() == ["tree", "Tree", "Vṛkṣāsana"] for row in rows)
    assert rows[-2].startswith(f"threshold {info.threshold:.2f}:")
    assert rows[-1].startswith(f"threshold {info.second_opinion['threshold']:.2f} together with its second opinion")


def test_poses_of_a_model_of_your_own(ask: Ask, model_path: Path) -> None:
    rows = ask(main, "poses", model_path).out.splitlines()
    assert rows[0] == "colours.onnx: 3 labels, fp32, 32 px"
    assert [row.split()[0] for row in rows[1:-1]] == ["tree", "warrior_2", "none"] and "Warrior 2" in rows[2]
    assert "threshold 0.50 (not calibrated" in rows[-1]


def test_poses_tell_the_threshold_together_with_a_second_opinion(
    ask: Ask, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    info = ModelInfo(("tree", "warrior_2", "none"), 32, second_opinion=make_opinion().to_document())
    rows = ask(main, "poses", write_model(tmp_path / "a.onnx", info.to_json())).out.splitlines()
    assert rows[-2].startswith("threshold 0.50 (not calibrated") and rows[-1].startswith("threshold 0.35 together with")


def test_poses_of_one_collection_are_marked(ask: Ask, write_model: Callable[..., Path], tmp_path: Path) -> None:
    info = ModelInfo(("tree", "warrior_2", "none"), 32, training={"one_collection": ["tree", "crow"]})
    rows = ask(main, "poses", write_model(tmp_path / "a.onnx", info.to_json())).out.splitlines()
    assert rows[1].endswith("Vṛkṣāsana, one collection") and "collection" not in rows[2] + rows[3]
    assert rows[4].startswith("one collection: 1 pose whose photos are of one collection")
    odd = ModelInfo(("tree", "none"), 32, training={"one_collection": "tree"})  # of a file of somebody else's
    assert "collection" not in ask(main, "poses", write_model(tmp_path / "b.onnx", odd.to_json())).out


def test_poses_need_no_engine(model_path: Path) -> None:
    import subprocess
    import sys

    heavy = ("onnxruntime", "cv2", "av", "PIL", "torch", "onnx")
    code = f"import sys\nsys.modules.update(dict.fromkeys({heavy}))\nfrom yoga_live.runtime.cli.main import main\n"
    code += "sys.exit(main(['poses', sys.argv[1]]))"
    answer = subprocess.run([sys.executable, "-c", code, str(model_path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0 and "warrior_2" in answer.stdout, answer.stderr
