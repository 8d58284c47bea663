"""A network that learns another one's answers: runs and files as teachers, what is learned, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.errors import ModelError, OptionError
from yoga_live.train.cli.main import main
from yoga_live.train.distributed.collectives import Workers
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.data import read_training_data, split_frames
from yoga_live.train.fit.network import PoseNetwork, shrink
from yoga_live.train.fit.precision import Precision
from yoga_live.train.fit.teacher import measure_distance, open_teacher
from yoga_live.train.fit.trainer import Trainer
from yoga_live.train.photos.dataset import PhotoDataset

CLASSES, SIZE = 3, 32
PLAIN = Precision(torch.device("cpu"), torch.float32)
QUICK = (
    "--weights",
    "none",
    "--arch",
    "resnet18",
    "--epochs-frozen",
    1,
    "--epochs",
    1,
    "--batch",
    16,
    "--device",
    "cpu",
)


class Contrary:
    """A teacher that answers the class after the brightest colour, and gives the colours as features."""

    size, feature_size = 2 * SIZE, 3

    def __init__(self) -> None:
        self.shapes: set[tuple[int, ...]] = set()

    def answer(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        self.shapes.add(tuple(frames.shape[1:]))
        colours = frames.mean(dim=(1, 2))
        return 20 * torch.eye(CLASSES)[(colours.argmax(dim=1) + 1) % CLASSES], colours


def draw_split(count: int, seed: int, size: int = SIZE) -> PhotoDataset:
    """Noise in which one colour channel, that of the class, is brighter."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count, dtype=np.int64) % CLASSES
    frames = rng.integers(0, 120, (count, size, size, 3))
    frames[np.arange(count), :, :, targets] += 120
    return PhotoDataset(frames.astype(np.uint8), targets)


@pytest.fixture
def frames(trained_run: Path) -> Tensor:
    run = load_run(trained_run)
    config = FitConfig(size=run.size, split_of=str(trained_run))
    return torch.from_numpy(read_training_data(run.photo_folder, config, Workers()).photo_set.frames[:8].copy()).float()


def test_a_file_teaches_what_its_run_does(trained_run: Path, exported_model: Path, frames: Tensor) -> None:
    labels = load_run(trained_run).labels
    run, file = (open_teacher(str(path), labels, PLAIN) for path in (trained_run, exported_model))
    (logits, features), (others, same) = run.answer(frames), file.answer(frames)
    assert run.size == file.size and features is not None and same is not None
    assert features.shape == (8, run.feature_size) and file.feature_size == run.feature_size
    torch.testing.assert_close(others, logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(same, features, rtol=1e-3, atol=1e-3)
    assert not logits.requires_grad
    some = (labels[2], labels[0])  # a network may learn fewer poses, in any order
    torch.testing.assert_close(open_teacher(str(trained_run), some, PLAIN).answer(frames)[0], logits[:, [2, 0]])


@pytest.mark.parametrize("kind", ["run", "file"])
def test_a_teacher_must_know_every_pose(kind: str, trained_run: Path, exported_model: Path) -> None:
    source = str(trained_run if kind == "run" else exported_model)
    with pytest.raises(ModelError, match="does not know crow; it knows"):
        open_teacher(source, ("tree", "crow"), PLAIN)


def test_the_distance_is_nothing_where_both_agree() -> None:
    logits, features = torch.randn(4, 3), torch.randn(4, 5)
    answers, apart = measure_distance(logits + 7, 2 * features, (logits, features))
    assert answers.item() == pytest.approx(0, abs=1e-5) and apart.item() == pytest.approx(0, abs=1e-5)
    answers, apart = measure_distance(-logits, -features, (logits, features))
    assert answers.item() > 0.1 and apart.item() == pytest.approx(2 * 4)
    assert measure_distance(logits, None, (logits, features))[1].item() == 0


def test_the_whole_network_learns_the_teachers_answers_and_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    splits = {"train": draw_split(60, 0, 2 * SIZE), "validation": draw_split(15, 1)}
    network = PoseNetwork(CLASSES, freeze_norm=False, arch="resnet18")
    config = FitConfig("none", epochs_frozen=1, epochs=6, size=SIZE, batch=12, device="cpu", arch="resnet18")
    teacher = Contrary()
    fitter = Trainer(network, splits, config, Workers(), tmp_path, teacher=teacher)
    before = [parameter.clone() for parameter in fitter._trained.hint.parameters()] if fitter._trained.hint else []
    fitter.fit_head()
    fitter.fit_all()
    answers = fitter.predict(splits["validation"]).argmax(axis=1)
    assert (answers == (splits["validation"].targets + 1) % CLASSES).mean() > 0.9  # the labels say otherwise
    assert teacher.shapes == {(2 * SIZE, 2 * SIZE, 3)}  # it sees them as large as it was trained on
    assert fitter._trained.hint is not None and len(before) == 2
    assert not torch.equal(before[0], next(fitter._trained.hint.parameters()))


def test_photos_are_read_for_the_teacher_where_it_sees_them_larger(drawn_photos: Path) -> None:
    config = FitConfig(size=SIZE)
    data = read_training_data(drawn_photos, config, Workers(), 2 * SIZE)
    splits = split_frames(data)
    assert [splits[name].take(slice(1)).shape[1] for name in ("train", "validation", "test")] == [2 * SIZE, SIZE, SIZE]
    small = split_frames(read_training_data(drawn_photos, config, Workers(), SIZE))["train"]
    assert small.take(slice(1)).shape[1] == SIZE
    larger = shrink(torch.from_numpy(splits["train"].take(slice(4))), SIZE)
    assert (larger - torch.from_numpy(small.take(slice(4))).float()).abs().mean() < 4  # the same pictures
    assert (splits["train"].targets == small.targets).all()


def test_a_run_is_distilled_on_its_own_photos_and_split(ask, trained_run: Path, tmp_path: Path) -> None:
    command = ("distill", trained_run, "--to", tmp_path / "small", "--size", 32, *QUICK)
    answer = ask(main, *command)
    assert answer.code == 0, answer.err
    mine, theirs = load_run(tmp_path / "small"), load_run(trained_run)
    assert mine.photos == theirs.photos and mine.labels == theirs.labels and mine.size == 32
    assert mine.summary["config"]["teacher"] == str(trained_run) and mine.arch == "resnet18"
    again = ask(main, *command, "--resume")
    assert again.code == 0 and "already finished" in again.err, again.err
    other = ask(main, *command[:1], "default", *command[2:], "--photos", theirs.photo_folder, "--resume")
    assert f"--resume: this run learns from {trained_run}, not default" in other.refusal()


@pytest.mark.parametrize(
    ("teacher", "options", "part"),
    [
        ("model.onnx", (), "--photos is missing"),
        ("default", (), "--photos is missing"),
        ("run", ("--held-out", "0.2"), "leave out --train-only and --held-out"),
        ("nothing.onnx", ("--photos", "photos"), "nothing.onnx"),
        ("nobody", (), "does not exist; give a finished run, a model file, or default or small"),
        ("shipped", ("--photos", "strange"), "does not know crow"),
    ],
)
def test_what_cannot_teach_is_refused_on_one_line(
    teacher: str, options: tuple[str, ...], part: str, ask, trained_run: Path, exported_model: Path,
    drawn_photos: Path, tmp_path: Path,
) -> None:  # fmt: skip
    for pose in ("crow", "tree"):
        (tmp_path / "strange" / pose).mkdir(parents=True)
        for path in sorted((drawn_photos / "tree").iterdir())[:6]:
            (tmp_path / "strange" / pose / path.name).write_bytes(path.read_bytes())
    places = {"photos": str(drawn_photos), "strange": str(tmp_path / "strange")}
    sources = {"run": trained_run, "model.onnx": exported_model, "shipped": "default", "default": "default"}
    given = [places.get(option, option) for option in options]
    to = tmp_path / "small"
    answer = ask(main, "distill", sources.get(teacher, tmp_path / teacher), "--to", to, *QUICK, *given)
    assert part in answer.refusal() and not to.exists()


def test_the_size_is_that_of_the_teachers_file(
    exported_model: Path, drawn_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[FitConfig] = []

    def stop(_: Path, __: Path, config: FitConfig, **___: object) -> None:
        asked.append(config)
        raise OptionError("seen")

    monkeypatch.setattr(import_module("yoga_live.train.fit.run"), "fit_run", stop)
    command = ["distill", str(exported_model), "--photos", str(drawn_photos), "--to", str(tmp_path / "small")]
    assert main(command) == 2 and main([*command, "--size", "32"]) == 2
    assert [config.size for config in asked] == [64, 32] and asked[0].arch == "mobilenet_v2"


def test_a_teacher_has_learned_the_photos_of_all_folds() -> None:
    with pytest.raises(OptionError, match="train folds without one"):
        replace(FitConfig(teacher="default"), folds=5)


def test_a_run_made_before_there_were_teachers_is_a_teacher(ask, trained_run: Path, tmp_path: Path) -> None:
    summary = json.loads((trained_run / "run.json").read_text(encoding="utf-8"))
    older = tmp_path / "older"
    older.mkdir()
    for path in trained_run.iterdir():
        if path.is_file():
            (older / path.name).write_bytes(path.read_bytes())
    del summary["config"]["teacher"], summary["config"]["by_source"]
    (older / "run.json").write_text(json.dumps(summary), encoding="utf-8")
    assert ask(main, "distill", older, "--to", tmp_path / "small", "--size", 32, *QUICK).code == 0
