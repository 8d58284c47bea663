"""The benchmark of hostile input is itself tested: its judges can fail, its truth is right, its worker survives."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import faults  # noqa: E402
from fault_kinds import command_worker, kills, pictures, shape_model, shapes, streams  # noqa: E402
from fault_kinds.bench import Bench  # noqa: E402
from fault_kinds.command_worker import CommandWorker, make_environment  # noqa: E402
from fault_kinds.outcome import Answer, Outcome, judge_done, judge_either, judge_refusal  # noqa: E402
from fault_kinds.picture_corpus import Picture, list_pictures  # noqa: E402

TRACEBACK = "Traceback (most recent call last):\n  File x\nValueError: no\n"
LINE = "yoga-live: error: it is empty; give another\n"


@pytest.mark.parametrize(
    ("code", "err", "seen"),
    [
        (1, TRACEBACK, "a traceback: ValueError: no"),
        (2, LINE + TRACEBACK, "a traceback"),
        (0, "", "exit code 0"),
        (2, "", "0 error lines"),
        (2, LINE + LINE, "2 error lines"),
        (2, LINE + "and more\n", "something follows"),
        (2, "yoga-live: error: \x1b[2J\n", "a raw control character"),
        (70, "yoga-live: error: unforeseen\n", "exit code 70"),
        (-11, "", "killed by signal 11"),
        (None, "", "hangs"),
    ],
)
def test_refusal_is_wrong_unless_it_is_exit_code_2_and_one_line(code: int | None, err: str, seen: str) -> None:
    outcome = judge_refusal("kind", "what", Answer(code, "", err))
    assert outcome.verdict == "wrong" and seen in outcome.seen and outcome.right


def test_refusal_in_one_line_is_refused_and_must_say_what_is_asked_for() -> None:
    answer = Answer(2, "", "a progress line\n" + LINE)
    assert judge_refusal("kind", "what", answer).verdict == "refused"
    assert judge_refusal("kind", "what", answer, says="empty").verdict == "refused"
    assert judge_refusal("kind", "what", answer, says="no video").verdict == "wrong"
    assert judge_either("kind", "what", answer).verdict == "refused"
    assert judge_either("kind", "what", Answer(0, "", "")).verdict == "handled"
    assert judge_either("kind", "what", Answer(1, "", "")).verdict == "wrong"
    assert (
        judge_done("kind", "what", answer).verdict
        == judge_done("kind", "what", Answer(0, "", ""), "x").verdict
        == "wrong"
    )


def test_picture_without_a_row_with_another_shape_or_too_much_memory_is_wrong() -> None:
    photo = Picture("a.png", b"", "photo", ("upright_4x3",), (96, 72))
    bomb = Picture("b.png", b"", "refused", is_bomb=True)
    done, told = Answer(0, "", ""), Answer(2, "", LINE)
    assert pictures.judge_row("k", photo, done, True, "", "").verdict == "handled"
    assert pictures.judge_row("k", photo, done, True, "", "the network saw black").verdict == "wrong"
    assert "no row" in pictures.judge_row("k", photo, done, False, "", "").seen
    assert "refused: cut" in pictures.judge_row("k", photo, told, False, "cut", "").seen
    assert pictures.judge_row("k", bomb, told, False, "too large", "").verdict == "refused"
    assert pictures.judge_row("k", bomb, done, True, "", "").verdict == "wrong"
    large = Answer(2, "", LINE, peak_mb=1300.0)
    assert "1300 MB" in pictures.judge_row("k", bomb, large, False, "too large", "").seen
    row = {"status": "ok", "width": "72", "height": "96"}
    assert "72 x 96" in pictures.judge_manifest("k", photo, done, row).seen


def test_corpus_of_pictures_is_500_and_the_same_each_time() -> None:
    corpus = list_pictures(0)
    assert len(corpus) == 500 and len({picture.name for picture in corpus}) == 500
    assert Counter(picture.wanted for picture in corpus) > Counter(photo=100, refused=100, either=100)
    assert [picture.content for picture in corpus] == [picture.content for picture in list_pictures(0)]


def test_model_of_shapes_names_every_turn_at_every_width(tmp_path: Path) -> None:
    from yoga_live.runtime.classifier import PoseClassifier

    classifier = PoseClassifier(shape_model.write_shape_model(tmp_path / "shapes.onnx"), "cpu")
    for turned in shape_model.TURNS:
        for name, aspect in shape_model.ASPECTS.items():
            size_wh = round(160 * aspect), 160
            upright = shape_model.draw_quadrants(*(size_wh[::-1] if shape_model.TURNS.index(turned) % 2 else size_wh))
            picture = shape_model.turn(upright, turned)
            assert classifier.classify(picture[:, :, ::-1]).pose == f"{turned}_{name}"
            assert shape_model.name_shapes(picture)[0] == f"{turned}_{name}"


def test_copy_that_is_mirrored_squashed_or_turned_is_told_from_the_right_one() -> None:
    wanted = shape_model.draw_quadrants(160, 90)
    noisy = (wanted + np.random.default_rng(0).integers(-9, 10, wanted.shape)).clip(0, 255).astype(np.uint8)
    assert not shapes.compare_pictures(noisy, wanted)
    larger = np.asarray(Image.fromarray(noisy).resize((320, 180)))
    assert not shapes.compare_pictures(larger, wanted)
    assert "other colours" in shapes.compare_pictures(wanted[:, ::-1].copy(), wanted)
    assert "other colours" in shapes.compare_pictures(wanted[::-1].copy(), wanted)
    assert "is shown as 120 x 90" in shapes.compare_pictures(noisy[:, :120], wanted)


def test_stopped_run_that_left_a_final_name_is_wrong(tmp_path: Path) -> None:
    import signal

    stop = kills.Stop(0, signal.SIGINT, 0.1, is_early=False)
    (tmp_path / "o.mp4").write_bytes(b"half")
    fault = kills.find_fault(Answer(0, "written: x/o.mp4\n", ""), tmp_path, stop)
    assert all(words in fault for words in ("exit code 0", "o.mp4 under the final name", "'written'", "no 'stopped at"))
    early = kills.Stop(0, signal.SIGTERM, 0.1, is_early=True)
    assert "traceback" in kills.find_early_fault(Answer(143, "", TRACEBACK), tmp_path, early)
    assert "o.mp4" in kills.find_early_fault(Answer(143, "", ""), tmp_path, early)
    (tmp_path / "o.mp4").unlink()
    assert not kills.find_early_fault(Answer(143, "", ""), tmp_path, early)


def test_streams_are_judged_by_what_is_in_them() -> None:
    media = streams.ffmpeg.Media(20, 2.0, 0.4, 1.0)
    assert streams.list_sound_faults(Path("x"), media, has_sound=True) == ["0.40 s of sound"]
    assert streams.list_sound_faults(Path("x"), media, has_sound=False) == ["sound from nowhere"]


MAIN = """
import os, time
def main(arguments):
    if arguments[0] == "die": os._exit(7)
    if arguments[0] == "hang": time.sleep(60)
    if arguments[0] == "throw": raise ValueError("no")
    os.write(1, b"past Python's own buffer ")
    print(*arguments)
    return 2
"""


def test_worker_outlives_commands_that_die_hang_or_throw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_in_command.py").write_text(MAIN)
    monkeypatch.setitem(command_worker.MAINS, "yoga-live", "stand_in_command")
    environment = {**make_environment(tmp_path), "PYTHONPATH": str(tmp_path)}
    with CommandWorker(environment) as worker:
        assert worker.run("yoga-live", "die").code == 7
        assert worker.run("yoga-live", "hang", limit_s=0.5).code is None
        thrown = worker.run("yoga-live", "throw")
        assert thrown.code == 1 and judge_either("k", "w", thrown).seen == "a traceback: ValueError: no"
        answer = worker.run("yoga-live", "a", "\udcff")
        assert answer.code == 2 and "past Python's own buffer a " in answer.out


def test_quick_choice_is_a_tenth_and_the_same_each_time(tmp_path: Path) -> None:
    worker: Any = None
    bench = Bench(tmp_path, worker, {}, tmp_path / "m.onnx", True, 0)
    chosen = bench.choose(range(95))
    assert len(chosen) == 10 and chosen == sorted(chosen) == bench.choose(range(95))
    assert bench.count(50) == 5 and bench.count(3) == 1


def test_table_counts_and_names_what_is_wrong() -> None:
    outcomes = [Outcome("a", f"input {number}", "wrong", "a traceback", "one line") for number in range(5)]
    outcomes += [Outcome("a", "x", "handled"), Outcome("b", "y", "refused"), Outcome("b", "\x1b", "wrong", "s", "r")]
    table = faults.format_table(outcomes, Counter({"a": 3, "b": 0}))
    assert "| a | 6 | 1 | 0 | 5 | 3 |" in table and "| all | 8 | 1 | 1 | 6 | 3 |" in table
    lines = faults.format_wrong(outcomes)
    assert lines[0] == "a: input 0: seen: a traceback; right: one line" and any("2 more" in line for line in lines)
    assert "b: \\x1b: seen: s; right: r" in lines


@pytest.mark.slow
def test_quick_run_of_broken_runs_prints_its_row_and_reads_the_unbroken_one() -> None:
    command = [sys.executable, str(BENCHMARKS / "faults.py"), "--quick", "--kinds", "runs"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    row = next(line for line in result.stdout.splitlines() if line.startswith("| broken runs |"))
    _, _, tried, handled, refused, wrong, *_ = (cell.strip() for cell in row.split("|"))
    assert int(tried) == int(handled) + int(refused) + int(wrong) >= 5 and int(handled) >= 1
    assert result.returncode == int(int(wrong) > 0), json.dumps([result.stdout, result.stderr])
    assert "the benchmark itself" not in result.stdout and "an unbroken run" not in result.stdout
