"""`yoga-train clean`: its options, --auto, --undo, and a server that ends as it should, or is killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from yoga_live.calibration.runs import load_run, write_run_photos
from yoga_live.train.clean import automatic
from yoga_live.train.clean.review_list import CleaningList
from yoga_live.train.cli.main import main
from yoga_live.train.run_files.predictions import FOLDS, PREDICTIONS, read_predictions, write_predictions


def read_tree(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in {".lock", "cleaning.jsonl"}]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_auto_marks_the_surest_says_what_it_did_and_can_be_taken_back(ask, messy, in_folder) -> None:
    before = in_folder(messy.photos)
    answer = ask(main, "clean", messy.photos, messy.run, "--auto")
    assert answer.code == 0, answer.err
    (first, one), (second, two), _, (third, _), _ = messy.wrong
    for line in (
        "likely label errors: 5 of 64 photos (out of fold), by confident learning; expected to be wrong: about 5",
        f"1 tree: relabelled to {one}", f"1 warrior_2: relabelled to {two}",
        "1 none: removed", "3 photos marked", "at least 95.0%", "1 test photo left alone",
        "--undo 3",
        f"next: yoga-train fit {messy.photos} --to runs/next --split-of {messy.run}",
    ):  # fmt: skip
        assert line in answer.out
    after = in_folder(messy.photos)
    assert f"_removed/{third}" in after and not {first, second, third} & after and len(after) == len(before)
    answer = ask(main, "clean", messy.photos, messy.run, "--undo", 3)
    assert answer.code == 0 and "3 marks taken back" in answer.out and f"{first}: restored" in answer.out
    assert in_folder(messy.photos) == before
    assert "0 marks taken back" in ask(main, "clean", messy.photos, messy.run, "--undo", 3).out


def rename_in_run(run: Path, before: str, after: str) -> None:
    """Give a photo of a run another name, as if it had been trained so."""
    read = load_run(run)
    kept = {name: read_predictions(run / name, read) for name in (PREDICTIONS, FOLDS)}
    photos = [replace(photo, path=after) if photo.path == before else photo for photo in read.photos]
    write_run_photos(run / "photos.csv", photos)
    for name, probabilities in kept.items():
        write_predictions(run / name, [photo.path for photo in photos], read.labels, probabilities)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are Unicode there")
def test_a_file_name_that_is_no_utf8_goes_all_the_way(ask, messy, in_folder, start_weights, tmp_path) -> None:
    (first, to_pose), odd = messy.wrong[0], os.fsdecode(b"caf\xe9.png")
    (messy.photos / first).rename(messy.photos / "tree" / odd)
    rename_in_run(messy.run, first, f"tree/{odd}")
    answer = ask(main, "clean", messy.photos, messy.run, "--auto")
    assert answer.code == 0 and "3 photos marked" in answer.out, answer.err
    assert f"{to_pose}/{odd}" in in_folder(messy.photos)
    assert b"none/caf\xe9.png" in (messy.photos / "manifest.csv").read_bytes()
    answer = ask(main, "clean", messy.photos, messy.run, "--undo", 3)
    assert answer.code == 0 and "tree/caf\\udce9.png: restored" in answer.out, answer.err
    (messy.photos / "tree" / os.fsdecode(b"\xff")).write_text("no photo")
    run = tmp_path / "odd"
    options = ("--weights", start_weights, "--size", 64, "--epochs", 0, "--epochs-frozen", 2, "--device", "cpu")
    options += ("--arch", "resnet18")
    answer = ask(main, "fit", messy.photos, "--to", run, *options)
    assert answer.code == 0 and f"tree/{odd}" in {photo.path for photo in load_run(run).photos}, answer.err
    assert (run / "skipped.csv").read_bytes().splitlines()[1].startswith(b"tree/\xff,")
    answer = ask(main, "report", run)
    assert answer.code == 0 and list(run.rglob("*.html")), answer.err


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are Unicode there")
def test_a_pose_folder_that_has_no_readable_name_is_refused(ask, messy, tmp_path) -> None:
    (messy.photos / os.fsdecode(b"\xe9tirement")).mkdir()
    line = ask(main, "fit", messy.photos, "--to", tmp_path / "odd").refusal()
    assert "'\\udce9tirement', which cannot be the name of a pose" in line


def test_a_network_that_is_mostly_wrong_may_not_mark_by_itself(ask, messy, in_folder) -> None:
    run = load_run(messy.run, messy.photos)
    paths = [photo.path for photo in run.photos]
    probabilities = np.tile([0.97, 0.01, 0.01, 0.01], (len(paths), 1))  # it takes everything for one pose
    write_predictions(messy.run / FOLDS, paths, run.labels, probabilities)
    before = in_folder(messy.photos)
    answer = ask(main, "clean", messy.photos, messy.run, "--auto")
    line = answer.refusal()
    assert answer.out.startswith("labels that the network doubts: ") and "likely label errors" not in answer.out
    assert "agrees with only 16 of the 64 labels" in line and "without --auto" in line
    assert in_folder(messy.photos) == before


def test_without_folds_it_is_judged_by_photos_that_it_never_saw(ask, messy, in_folder) -> None:
    """48 of 64 photos trained it: it is right about them, whatever it learned."""
    (messy.run / FOLDS).unlink()
    run = load_run(messy.run, messy.photos)
    probabilities = np.full((64, 4), 0.01)
    for row, photo in zip(probabilities, run.photos, strict=True):
        own = run.labels.index(photo.pose)
        row[own if photo.split == "train" else (own + 1) % 4] = 0.97
    write_predictions(messy.run / PREDICTIONS, [photo.path for photo in run.photos], run.labels, probabilities)
    before = in_folder(messy.photos)
    line = ask(main, "clean", messy.photos, messy.run, "--auto").refusal()
    assert (
        "agrees with only 0 of the 16 labels of photos it was not trained on" in line
        and in_folder(messy.photos) == before
    )


def test_auto_leaves_a_picture_alone_that_the_run_never_saw(ask, messy) -> None:
    first = messy.wrong[0][0]
    other = Path(shutil.copy(messy.photos / "down_dog/00.png", messy.photos / first)).read_bytes()
    answer = ask(main, "clean", messy.photos, messy.run, "--auto")
    assert answer.code == 0 and "2 photos marked" in answer.out
    assert "1 of them replaced by another picture" in answer.out
    assert (messy.photos / first).read_bytes() == other


def test_auto_leaves_a_photo_alone_that_changes_while_it_works(ask, messy, monkeypatch) -> None:
    first, plan = messy.wrong[0][0], automatic.plan_marks

    def change(photos: CleaningList, certainty: float) -> automatic.Plan:
        planned = plan(photos, certainty)
        shutil.copy(messy.photos / "none/00.png", messy.photos / first)
        return planned

    monkeypatch.setattr(automatic, "plan_marks", change)
    answer = ask(main, "clean", messy.photos, messy.run, "--auto")
    assert f"yoga-train: {first} is no longer the photo that the run predicted" in answer.err
    assert answer.code == 0 and "2 photos marked" in answer.out and (messy.photos / first).exists()


def list_tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_writes_nothing(ask, messy) -> None:
    before = list_tree(messy.photos)
    answer = ask(main, "clean", messy.photos, messy.run, "--auto", "0.98", "--dry-run")
    assert "3 photos would be marked" in answer.out and "tree: would be relabelled to none" in answer.out
    assert "next:" not in answer.out and list_tree(messy.photos) == before


def test_a_dry_run_leaves_what_a_killed_command_had_started_and_does_not_count_it_again(ask, messy) -> None:
    first = messy.wrong[0][0]
    assert ask(main, "clean", messy.photos, messy.run, "--auto", "0.98").code == 0
    marks = [json.loads(line) for line in (messy.photos / "cleaning.jsonl").read_text().splitlines()]
    place = next(mark["to_path"] for mark in marks if mark["path"] == first)
    (messy.photos / place).rename(messy.photos / first)  # as if it had been killed before it moved the photo
    before = list_tree(messy.photos)
    answer = ask(main, "clean", messy.photos, messy.run, "--auto", "0.98", "--dry-run")
    assert answer.code == 0 and "0 photos would be marked" in answer.out, answer.err
    assert list_tree(messy.photos) == before


def test_a_network_that_saw_the_photos_is_named_so(ask, messy) -> None:
    (messy.run / FOLDS).unlink()
    answer = ask(main, "clean", messy.photos, messy.run, "--auto")
    assert (
        answer.code == 0
        and "was trained on the training photos" in answer.out
        and "yoga-train fit --folds 5" in answer.out
    )


def test_a_pose_that_has_lost_all_its_photos_is_named(ask, messy) -> None:
    for path in (messy.photos / "none").iterdir():
        if path.name != Path(messy.wrong[3][0]).name:
            path.unlink()
    (messy.photos / messy.wrong[0][0]).unlink()  # it would become `none`
    answer = ask(main, "clean", messy.photos, messy.run, "--auto")
    assert "16 photos of the run no longer in" in answer.out and "1 none: removed" in answer.out
    assert "none has no photos left" in answer.out


def test_bad_input_is_refused_on_one_line_and_leaves_no_trace(ask, messy, tmp_path: Path) -> None:
    before = read_tree(messy.photos)
    assert "not a folder" in ask(main, "clean", tmp_path / "nowhere", messy.run, "--auto").refusal()
    assert "not a finished run" in ask(main, "clean", messy.photos, tmp_path / "nowhere", "--auto").refusal()
    assert "--dry-run needs --auto" in ask(main, "clean", messy.photos, messy.run, "--dry-run").refusal()
    for value in ("0.5", "1", "95", "x", "nan"):
        assert "certainty" in ask(main, "clean", messy.photos, messy.run, "--auto", value).refusal()
    for option, value in (("--port", "70000"), ("--port", "-1"), ("--undo", "0"), ("--undo", "all")):
        assert option in ask(main, "clean", messy.photos, messy.run, option, value).refusal()
    assert "not allowed with" in ask(main, "clean", messy.photos, messy.run, "--undo", 1, "--auto").refusal()
    assert read_tree(messy.photos) == before and not (tmp_path / "nowhere").exists()
    (messy.photos / "cleaning.jsonl").write_text("nonsense\n")
    assert "line 1, is not a mark" in ask(main, "clean", messy.photos, messy.run, "--auto").refusal()


def start_page(photos: Path, run: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the command in a process of its own.  Returns it and the page's address."""
    command = [sys.executable, "-m", "yoga_live.train", "clean", str(photos), str(run), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output: IO[str] = process.stdout  # type: ignore[assignment]
    said = ""
    for line in output:
        said += line
        if found := re.search(r"http://127\.0\.0\.1:\d+/\S{20,}/", line):
            return process, found.group()
    raise AssertionError(said)


def post(address: str, path: str, **content: object) -> dict:
    request = urllib.request.Request(address + path, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_server_loses_nothing_and_a_stopped_one_says_what_was_done(messy, ask) -> None:
    process, address = start_page(messy.photos, messy.run)
    with urllib.request.urlopen(address + "api/photos?view=likely", timeout=10) as answer:
        first, second = (photo["number"] for photo in json.load(answer)["photos"][:2])
    post(address, "api/mark", photo=first, action="remove")
    post(address, "api/mark", photo=second, action="relabel", pose="tree")
    busy = ask(main, "clean", messy.photos, messy.run, "--auto").refusal()
    assert "another command is changing" in busy
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (messy.photos / "_removed" / messy.wrong[0][0]).exists()

    process, address = start_page(messy.photos, messy.run)
    with urllib.request.urlopen(address + "api/photos?view=likely&open=1", timeout=10) as answer:
        page = json.load(answer)
    assert [photo["mark"] for photo in page["photos"][:3]] == ["remove", "relabel", ""] and page["focus"] == 2
    post(address, "api/mark", photo=page["photos"][2]["number"], action="keep")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=10)
    assert process.returncode == 0, said
    assert "1 kept, 0 removed, 0 relabelled" in said and f"next: yoga-train fit {messy.photos}" in said
    assert "Traceback" not in said and (messy.photos / "manifest.csv").read_text().count("cleaned: ") == 2


def test_the_folder_can_be_moved_between_two_sessions(messy, ask, tmp_path: Path) -> None:
    ask(main, "clean", messy.photos, messy.run, "--auto")
    elsewhere = Path(shutil.move(messy.photos, tmp_path / "elsewhere"))
    assert "3 marks taken back" in ask(main, "clean", elsewhere, messy.run, "--undo", 3).out
