"""Files that older versions wrote (tests/older_files): every command reads them, and goes on with them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.cli.main import main as live

VERSIONS = sorted(path for path in Path(__file__).with_name("older_files").iterdir() if path.is_dir())
TRAIN_OPTIONS = ("weights", "epochs_frozen", "epochs", "size", "batch", "rate", "arch", "seed", "device", "held_out")
Tree = dict[str, bytes]


@pytest.fixture(params=VERSIONS, ids=lambda path: path.name)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of what one older version wrote, files' times as its archive knows them."""
    folder = Path(shutil.copytree(request.param, tmp_path / "older"))
    for record in sorted((folder / "out").rglob("*.video.json")):
        content = json.loads(record.read_text(encoding="utf-8"))
        changed_ns = int(content["version"].removeprefix("mtime_ns "))
        os.utime(folder / content["input"], ns=(changed_ns, changed_ns))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a ResNet-18 that tells three poses apart: what is too large to be kept with the files."""
    torch = pytest.importorskip("torch")
    from yoga_live.train.fit.network import PoseNetwork, save_weights

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_weights(PoseNetwork(3, arch="resnet18"), path)
    return path


@pytest.fixture
def run(older: Path, weights: Path) -> Path:
    """The older version's run, with weights."""
    shutil.copyfile(weights, older / "run" / weights.name)
    return older / "run"


def read_tree(folder: Path) -> Tree:
    """Every file but locks: path -> content."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file as they are, by no code of ours."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_marks(older: Path) -> list[dict[str, Any]]:
    """The lines of the journal of cleaning."""
    return [json.loads(line) for line in (older / "photos" / "cleaning.jsonl").read_bytes().splitlines()]


# A folder of photos


def test_the_manifest_of_a_photo_folder_reads_as_it_was_written(older: Path) -> None:
    from yoga_live.train.photos.manifest import read_manifest

    rows = read_table(older / "photos" / "manifest.csv")
    assert [asdict(row) for row in read_manifest(older / "photos")] == [{**row, "split": ""} for row in rows]
    assert {row["status"] for row in rows} == {"ok", "refused", "removed", "moved"}
    groups = [row["group"] for row in rows if row["status"] == "ok"]
    assert len(groups) - len(set(groups)) == 1  # one pair of near-duplicates


def test_stats_counts_a_photo_folder_and_leaves_it_as_it_is(ask: Callable[..., Any], older: Path) -> None:
    pytest.importorskip("jinja2")
    from yoga_live.train.cli.main import main

    before = read_tree(older / "photos")
    answer = ask(main, "stats", older / "photos", "--html", older / "stats.html")
    assert answer.code == 0, answer.err
    lines = [line.split()[:3] for line in answer.out.splitlines()]
    assert ["tree", "10", "9"] in lines and ["all", "27", "26"] in lines  # poses, photos, groups
    assert read_tree(older / "photos") == before


def test_add_knows_the_photos_that_are_there_and_those_that_were_removed(
    ask: Callable[..., Any], older: Path, tmp_path: Path
) -> None:
    from yoga_live.train.cli.main import main

    photos, before = older / "photos", read_table(older / "photos" / "manifest.csv")
    known = next(row for row in before if row["pose"] == "tree" and row["status"] == "ok")
    [removed] = (photos / "_removed" / "tree").iterdir()
    for path in (photos / known["path"], removed):
        (tmp_path / "again").mkdir(exist_ok=True)
        shutil.copyfile(path, tmp_path / "again" / f"again-{path.name}")
    answer = ask(main, "add", tmp_path / "again", "--pose", "tree", "--to", photos)
    assert answer.code == 0, answer.err
    after = read_table(photos / "manifest.csv")
    assert [row for row in after if row in before] == before
    [new] = [row for row in after if row not in before]
    assert (new["status"], new["sha256"], new["group"]) == ("duplicate", known["sha256"], known["group"])
    assert not (photos / "tree" / removed.name).exists()


def test_download_fetches_nothing_that_an_older_version_has_fetched_or_refused(
    ask: Callable[..., Any], older: Path
) -> None:
    pytest.importorskip("aiohttp")
    from yoga_live.train.cli.main import main

    before = read_tree(older)
    answer = ask(main, "download", older / "lists", "--to", older / "photos", "--allow-private")
    assert answer.code == 0, answer.err  # its server is long gone: whatever is asked for would fail
    assert read_tree(older) == before


def test_the_journal_of_cleaning_tells_every_mark(older: Path) -> None:
    from yoga_live.train.clean.cleaner import open_cleaner

    before = read_tree(older / "photos")
    lines = read_marks(older)
    undone = {line["undoes"] for line in lines}
    marks = {line["sha256"]: line for line in lines if line["action"] != "undo" and line["number"] not in undone}
    with open_cleaner(older / "photos") as cleaner:
        marked = {photo.sha256: photo for photo in cleaner.photos if photo.marks}
        assert cleaner.last_number == len(lines) == 5 and cleaner.count_removed() == 1
        assert cleaner.count_marks() == {"keep": 1, "remove": 1, "relabel": 1}
    assert marked.keys() == marks.keys()
    for sha256, photo in marked.items():
        line = marks[sha256]
        assert (photo.action, photo.path, photo.pose) == (line["action"], line["to_path"], line["to_pose"])
        assert [asdict(mark) for mark in photo.marks] == [{**line, "rows": tuple(line["rows"])}]
    assert read_tree(older / "photos") == before


def test_clean_takes_back_a_mark_of_an_older_version(ask: Callable[..., Any], older: Path) -> None:
    pytest.importorskip("torch")
    from yoga_live.train.cli.main import main

    photos = older / "photos"
    journal = (photos / "cleaning.jsonl").read_bytes()
    last = json.loads(journal.splitlines()[-1])
    answer = ask(main, "clean", photos, older / "run", "--undo", 1)
    assert answer.code == 0 and f"{last['path']}: restored" in answer.out, answer.err
    assert (photos / last["path"]).is_file() and not (photos / last["to_path"]).exists()
    assert (photos / "cleaning.jsonl").read_bytes().startswith(journal)
    [row] = [row for row in read_table(photos / "manifest.csv") if row["sha256"] == last["sha256"]]
    assert (row["pose"], row["status"], row["path"]) == (last["pose"], "ok", last["path"])


def test_the_cache_of_decoded_photos_is_not_taken_for_todays(older: Path, cache_folder: Path) -> None:
    """Other versions decoded otherwise: its index fits the photos here, its frames are black."""
    from yoga_live.train.photos.folder import read_photos

    photos = older / "photos"
    index = (older / "cache" / "frames-index.csv").read_text(encoding="utf-8")
    (_, frames_name), _, *rows = csv.reader(index.splitlines())
    for path, _, changed_ns, *_ in rows:
        if (photos / path).is_file():
            os.utime(photos / path, ns=(int(changed_ns), int(changed_ns)))
    name = hashlib.sha256(os.fsencode(photos.resolve())).hexdigest()[:16]
    place = cache_folder / "yoga-live" / "frames" / f"{name}-32"
    place.mkdir(parents=True)
    (place / "index.csv").write_text(index, encoding="utf-8")
    (place / frames_name).write_bytes(bytes(len(rows) * 32 * 32 * 3))
    read = read_photos(photos, 32)
    assert len(read.photos) == 27 and not read.broken
    np.testing.assert_array_equal(read.frames, read_photos(photos, 32, cached=False).frames)


# A run


def test_a_run_reads_as_it_was_written(older: Path) -> None:
    pytest.importorskip("torch")
    from yoga_live.train.run_files.log import read_log
    from yoga_live.train.run_files.predictions import load_predictions, read_predictions

    folder = older / "run"
    run, summary = load_run(folder), read_json(folder / "run.json")
    assert [{**asdict(photo), "group": str(photo.group)} for photo in run.photos] == read_table(folder / "photos.csv")
    assert {photo.split for photo in run.photos} == {"train", "validation", "test"}
    assert (list(run.labels), run.size, run.arch) == (summary["labels"], summary["config"]["size"], "resnet18")
    assert run.summary == summary
    predictions = load_predictions(run)
    assert predictions.out_of_fold
    for name, values in (
        ("folds.csv", predictions.probabilities),
        ("predictions.csv", read_predictions(folder / "predictions.csv", run)),
    ):
        rows = read_table(folder / name)
        np.testing.assert_array_equal(values, [[float(row[label]) for label in run.labels] for row in rows])
    rows = read_table(folder / "log.csv")
    assert [(str(epoch.epoch), epoch.validation_nll) for epoch in read_log(folder / "log.csv")] == [
        (row["epoch"], float(row["validation_nll"])) for row in rows
    ]


def test_report_shows_a_run_and_compares_with_it(ask: Callable[..., Any], run: Path) -> None:
    pytest.importorskip("jinja2")
    from yoga_live.train.cli.main import main

    other = shutil.copytree(run, run.with_name("other"))
    before = read_tree(run)
    answer = ask(main, "report", run, "--photos", run.with_name("photos"), "--against", other, "--top", 2)
    assert answer.code == 0, answer.err
    accuracy = read_json(run / "run.json")["metrics"]["test"]["accuracy"]
    assert (
        f"test accuracy {accuracy:.1%}" in answer.out.replace("  ", " ")
        and "0 photos now right, 0 now wrong" in answer.out
    )
    after = read_tree(run)
    assert after.pop("report/report.html").startswith(b"<!doctype html>") and after == before


def test_clean_marks_what_a_run_is_sure_of(ask: Callable[..., Any], older: Path) -> None:
    """By its own answers: those out of fold are of networks too small to mark anything by themselves."""
    pytest.importorskip("torch")
    from yoga_live.train.cli.main import main

    refused = ask(main, "clean", older / "photos", older / "run", "--auto", "0.8", "--dry-run").refusal()
    assert "agrees with only" in refused and "of the 28 labels" in refused
    (older / "run" / "folds.csv").unlink()
    before = read_tree(older)
    answer = ask(main, "clean", older / "photos", older / "run", "--auto", "0.8", "--dry-run")
    assert answer.code == 0 and "1 photo would be marked" in answer.out, answer.err
    assert read_tree(older) == before


def test_a_finished_run_is_left_alone_by_resume(ask: Callable[..., Any], run: Path) -> None:
    from yoga_live.train.cli.main import main

    config = read_json(run / "run.json")["config"]
    options = [f"--{name.replace('_', '-')}={config[name]}" for name in (*TRAIN_OPTIONS, "folds")]
    before = read_tree(run)
    answer = ask(main, "fit", run.with_name("photos"), "--to", run, "--resume", *options)
    assert answer.code == 0 and "is already finished" in answer.err, answer.err
    assert read_tree(run) == before


def test_a_new_run_holds_out_what_an_older_run_held_out(ask: Callable[..., Any], older: Path) -> None:
    pytest.importorskip("torch")
    from yoga_live.train.cli.main import main

    options = ("--arch=resnet18", "--weights=none", "--size=32", "--epochs-frozen=1", "--epochs=0", "--device=cpu")
    new, old = older / "new", older / "run"
    answer = ask(main, "fit", older / "photos", "--to", new, "--split-of", old, *options)
    assert answer.code == 0, answer.err
    before = {photo.sha256: photo.split for photo in load_run(old).photos}
    after = {photo.sha256: photo.split for photo in load_run(new).photos}
    [removed] = [line["sha256"] for line in read_marks(older) if line["action"] == "remove"]
    assert after == {sha256: split for sha256, split in before.items() if sha256 != removed}


@pytest.mark.slow
def test_a_run_is_exported_and_says_what_it_said(ask: Callable[..., Any], run: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from yoga_live.calibration.onnx_file import read_model
    from yoga_live.export.command import main

    path = run.with_name("new.onnx")
    answer = ask(main, "onnx", run, "--photos", run.with_name("photos"), "--to", path)
    assert answer.code == 0, answer.err
    info: dict[str, Any] = asdict(read_model(path)[1]) | {"format": 1}
    assert not info.pop("second_opinion")
    old = read_json(run.with_name("models") / "yoga.json") | {"labels": info["labels"]}
    for each in (info, old):
        each["training"].pop("torch")
    assert info == old


# Models


def write_model(path: Path, document: str) -> Path:
    """A tiny ONNX model under the metadata: each pose is as likely as its colour, BGR over and over, is bright."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    content = json.loads(document)
    size, count = content["size"], len(content["labels"])
    head = np.tile(np.eye(3, dtype=np.float32), (-(-count // 3), 1))[:count] / 16
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["floats", "middle"], ["means"], keepdims=1),
            helper.make_node("Transpose", ["means"], ["colours"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["colours", "head"], ["maps"]),
            helper.make_node("ReduceMean", ["maps", "last"], ["logits"], keepdims=0),
        ],
        "colours",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", size, size, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", count]),
            helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", count, 1, 1]),
        ],
        [
            helper.make_tensor("middle", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("last", TensorProto.INT64, [2], [2, 3]),
            helper.make_tensor("head", TensorProto.FLOAT, [count, 3, 1, 1], head.ravel()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"yoga_live": document})
    onnx.save(model, str(path))
    return path


DOCUMENTS = [path for version in VERSIONS for path in sorted((version / "models").glob("*.json"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_a_model_says_what_its_metadata_said(ask: Callable[..., Any], document: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from yoga_live.export.command import main
    from yoga_live.runtime.classifier import PoseClassifier

    text = document.read_text(encoding="utf-8")
    path, said = write_model(tmp_path / "a.onnx", text), json.loads(text)
    classifier = PoseClassifier(path, "cpu")
    assert json.loads(classifier.info.to_json()) == said
    blue = np.zeros((64, 64, 3), np.uint8) + np.array([16, 0, 0], np.uint8)  # a logit of 1, the others 0
    prediction, blues = classifier.classify(blue), len(said["labels"][::3])
    assert list(prediction.probabilities) == said["labels"]
    expected = 1 / (blues + (len(said["labels"]) - blues) * np.exp(-1 / said["temperature"]))
    assert prediction.probabilities[said["labels"][0]] == pytest.approx(expected, rel=1e-4)
    assert prediction.pose == (said["labels"][0] if expected >= said["threshold"] else "none")
    answer = ask(main, "info", path)
    assert answer.code == 0, answer.err
    told = dict(line.split(maxsplit=1) for line in answer.out.splitlines() if len(line.split()) > 1)
    assert told["labels"] == ", ".join(said["labels"]) and told["precision"] == said["precision"]
    for name in ("temperature", "threshold"):
        assert float(told[name]) == pytest.approx(said[name], rel=1e-3)


def test_a_model_is_calibrated_anew_and_checked_on_its_run(ask: Callable[..., Any], older: Path) -> None:
    for package in ("onnx", "onnxruntime", "matplotlib"):
        pytest.importorskip(package)
    from yoga_live.calibration.command import main
    from yoga_live.calibration.onnx_file import read_model

    options = ("--run", older / "run", "--photos", older / "photos")
    before = read_tree(older)
    answer = ask(main, "confidence", older / "colours.onnx", *options, "--to", older / "new.onnx")
    assert answer.code == 0, answer.err
    old, new = read_model(older / "colours.onnx")[1], read_model(older / "new.onnx")[1]
    assert (new.labels, new.size, new.training) == (old.labels, old.size, old.training)
    answer = ask(main, "check", older / "colours.onnx", older / "new.onnx", *options, "--to", older / "check.csv")
    assert answer.code == 0, answer.err
    assert {name: content for name, content in read_tree(older).items() if name in before} == before


def test_an_engine_is_used_and_not_built_again(gpu: Any, older: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("onnx")
    from yoga_live.export.engine import EngineOptions, export_engine
    from yoga_live.runtime.engines.network_hash import hash_network
    from yoga_live.runtime.engines.tensorrt import TensorRTEngine

    path, source = older / "colours.engine", older / "colours.onnx"
    record, before = read_json(older / "colours.engine.json"), read_tree(older)
    assert hash_network(source.read_bytes()) == record["network_sha256"]
    with TensorRTEngine(path, bindings=gpu.bindings) as engine:
        assert json.loads(engine.info.to_json()) == record["model"]
        frames = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
        np.testing.assert_allclose(engine.infer(frames), frames.mean(axis=(1, 2)) / 16, rtol=1e-5)
    built = export_engine(source, path, EngineOptions(record["built_with"]["workspace_mb"]), gpu.bindings)
    assert not built.was_built and gpu.builds == 0 and not caplog.text and read_tree(older) == before


# What yoga-live wrote


@pytest.fixture
def watch(ask: Callable[..., Any], older: Path) -> Callable[..., Any]:
    """Run yoga-live with the model of the older version."""
    pytest.importorskip("onnxruntime")
    return lambda *arguments: ask(live, "--model", older / "colours.onnx", *arguments)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """A table, CSV or JSON; of what holds no names and values, its lines."""
    if path.suffix == ".csv":
        return list(read_table(path))
    return read_json(path) if path.suffix == ".json" else [{"line": line} for line in path.read_text().splitlines()]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".vtt"])
def test_a_timeline_has_the_columns_and_values_it_had(watch: Callable[..., Any], older: Path, suffix: str) -> None:
    new, old = older / f"new{suffix}", older / "told" / f"first{suffix}"
    for people in ("off", "main"):  # with people found, a column comes last
        answer = watch("--video", older / "classes" / "first.mkv", "--timeline", new, "--people", people, "--force")
        assert answer.code == 0, answer.err
        rows = [{name: value for name, value in row.items() if name != "side"} for row in read_rows(new)]
        assert rows == read_rows(old) and len(rows) >= 3
        assert people == "main" or read_rows(new) == read_rows(old)


def test_timelines_of_an_older_version_are_replaced_only_when_told_to(watch: Callable[..., Any], older: Path) -> None:
    before = read_tree(older)
    for outputs in (("classes/first.mkv", "told/first.csv"), ("classes", "told/classes")):
        arguments = ("--video", older / outputs[0], "--timeline", older / outputs[1])
        assert "exists already" in watch(*arguments).refusal()
    assert read_tree(older) == before
    assert watch(*arguments, "--force", "--people", "off").code == 0
    assert read_tree(older) == before  # the same videos, the same model


def test_events_are_told_in_the_words_they_had(watch: Callable[..., Any], older: Path) -> None:
    answer = watch("--video", older / "classes" / "first.mkv", "--events", "--goal", "down_dog=1", "--no-window")
    assert answer.code == 0, answer.err
    lines = (older / "told" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in answer.out.splitlines()]
    assert all(event.pop("version") == 1 for event in told)  # comes last, as all that is new
    assert told == [json.loads(line) for line in lines]


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_a_table_of_photos_has_the_columns_and_values_it_had(
    watch: Callable[..., Any], older: Path, suffix: str
) -> None:
    new, old = older / f"new{suffix}", older / "told" / f"answers{suffix}"
    answer = watch("--images", older / "photos", "--table", new)
    assert answer.code == 0, answer.err
    rows, old_rows = read_rows(new), read_rows(old)
    assert [list(row) for row in rows] == [list(row) for row in old_rows] and len(rows) == 28
    for row, old_row in zip(rows, old_rows, strict=True):
        assert (row["file"], row["pose"]) == (old_row["file"], old_row["pose"])
        assert float(row["confidence"]) == pytest.approx(float(old_row["confidence"]), abs=2e-4)
    assert "exists already" in watch("--images", older / "photos", "--table", old).refusal()


@pytest.fixture
def archive(watch: Callable[..., Any], older: Path) -> Iterator[Callable[..., Any]]:
    """Watch the videos with --cluster into the older version's folder."""
    for package in ("ray", "pyarrow", "fsspec"):
        pytest.importorskip(package, reason='needs pip install "yoga-live[cluster]"')
    yield lambda *more: watch("--video", older / "classes", "--to", older / "out", "--cluster", "local", *more)


def test_an_archive_is_done_and_nothing_is_watched_again(archive: Callable[..., Any], older: Path) -> None:
    import pyarrow.parquet as pq

    before, table = read_tree(older), pq.read_table(older / "out" / "timelines.parquet").to_pylist()
    answer = archive()
    assert answer.code == 0, answer.err
    assert "2 videos, 2 done already" in answer.err and "2 of 2 videos done, 0 of them now" in answer.out
    rows = pq.read_table(older / "out" / "timelines.parquet").to_pylist()
    assert [{name: row[name] for name in table[0]} for row in rows] == table
    after = read_tree(older)
    assert before.pop("out/timelines.parquet") and after.pop("out/timelines.parquet") and after == before
    segments = [read_json(older / name)["segments"] for name in before if name.endswith(".video.json")]
    assert all(row["model"] == hashlib.sha256(before["colours.onnx"]).hexdigest() for row in table)
    assert len(table) == sum(map(len, segments))


def test_an_archive_of_other_options_is_left_alone(archive: Callable[..., Any], older: Path) -> None:
    before = read_tree(older)
    assert "was made with other options: --roi was not given" in archive("--roi", "0,0,0.5,1").refusal()
    assert read_tree(older) == before


def test_the_records_of_an_archive_tell_the_old_segments(older: Path) -> None:
    pytest.importorskip("fsspec")
    from yoga_live.runtime.archive.records import read_records
    from yoga_live.runtime.archive.store import open_store

    files = sorted((older / "out").rglob("*.video.json"))
    for record, path in zip(read_records(open_store(older / "out")), files, strict=True):
        said = read_json(path)
        assert [list(asdict(segment).values())[:4] for segment in record.segments] == said["segments"]
        assert (record.input, record.version, record.looks) == (said["input"], said["version"], said["looks"])
        assert asdict(record.recipe).items() >= said["recipe"].items()
