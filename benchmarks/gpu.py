"""All that a GPU is to be tried with, in one command of at most eight minutes: `python benchmarks/gpu.py`.

Draws photos and trains on them (`fit`: frozen, unfrozen, killed and resumed), exports, compares with the CPU, looks
for overflow in FP16's own kernels, counts images a second, and prints one table.  Needs torch, torchvision, onnx,
onnxruntime, OpenCV and safetensors, with what they bring themselves; nothing is downloaded, and this package need not
be installed.  `--device cpu --tiny` tries the command itself in a minute.
"""

from __future__ import annotations

import argparse
import csv
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bare_packages
import numpy as np

bare_packages.find_rooms()

import cv2  # noqa: E402  (the rooms are found first)
import torch  # noqa: E402
from fp16_kernels import HalfNetwork, run_on, watch_layers  # noqa: E402

from yoga_live.runtime.errors import DeviceError, YogaLiveError  # noqa: E402
from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command  # noqa: E402

POSES = {"tree": "tree", "down_dog": "down_dog", "warrior_2": "warrior_2", "none": "standing"}
BATCHES = (1, 8, 64)
FIT = "--fit"


class StepError(YogaLiveError):
    """A step that did not do what it should."""


@dataclass(frozen=True)
class Scale:
    """How much is done.  photos: of each pose; size: side of the network's input, pixels."""

    photos: int
    size: int
    arch: str
    epochs_frozen: int
    epochs: int
    seconds: float  # for each rate that is measured


FULL, TINY = Scale(120, 224, "resnet34", 5, 4, 2.0), Scale(12, 32, "resnet18", 1, 3, 0.05)


@dataclass
class Trial:
    """What is known so far.  rows: (what, what came of it); failed: how many steps did not end well."""

    work: Path
    device: str
    scale: Scale
    deadline_s: float
    rows: list[tuple[str, str]] = field(default_factory=list)
    failed: int = 0

    def left_s(self) -> float:
        return self.deadline_s - time.monotonic()

    def tell(self, what: str, value: str) -> None:
        self.rows.append((what, value))
        print(f"{what}: {value}", flush=True)

    def do(self, name: str, work: Callable[[], None]) -> None:
        """One step; its failure is a row, and the steps after it go on."""
        started_s = time.monotonic()
        try:
            if self.left_s() <= 0:
                raise StepError("not begun: the time is over")
            work()
        except Exception as error:  # noqa: BLE001  a GPU may fail in any way, and what the others say is wanted too
            self.failed += 1
            lines = str(error).strip().splitlines() or [""]
            self.tell(name, f"FAILED: {type(error).__name__}: {lines[-1][:160]}")
        else:
            self.tell(f"{name}, seconds", f"{time.monotonic() - started_s:.1f}")


def draw_photos(trial: Trial) -> None:
    """A folder for each pose, drawn; each photo in its own noise, so that none is another's near-duplicate."""
    from yoga_live.runtime.sources.drawn_figure import POSES as FIGURES
    from yoga_live.runtime.sources.drawn_figure import draw_figure, jitter_pose, random_appearance

    for pose, figure in POSES.items():
        folder = trial.work / "photos" / pose
        folder.mkdir(parents=True)
        for seed in range(trial.scale.photos):
            rng = np.random.default_rng([seed, *pose.encode()])
            image = draw_figure(jitter_pose(FIGURES[figure], rng), (320, 240), random_appearance(rng)).astype(float)
            blotches = cv2.resize(rng.normal(0, 40, (5, 6, 3)), (320, 240), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"{seed:03d}.png"), (image + blotches).clip(0, 255).astype(np.uint8))
    trial.tell("photos drawn", f"{len(POSES) * trial.scale.photos} of {len(POSES)} kinds, {trial.scale.size} px")


def start_fit(trial: Trial, run: str, *options: str) -> subprocess.Popen[str]:
    """`yoga-train fit` as a process of its own, from random weights."""
    scale = trial.scale
    command = [sys.executable, __file__, FIT, "fit", str(trial.work / "photos"), "--to", str(trial.work / run)]
    command += ["--weights", "none", "--arch", scale.arch, "--size", str(scale.size), "--device", trial.device]
    command += ["--batch", "16", "--epochs-frozen", str(scale.epochs_frozen), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish_fit(trial: Trial, process: subprocess.Popen[str]) -> None:
    """Wait for it.  Raises StepError with its last line."""
    try:
        said, _ = process.communicate(timeout=max(trial.left_s(), 1.0))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise StepError("did not end in the time that is left") from None
    if process.returncode:
        lines = said.strip().splitlines() or ["no output"]
        raise StepError(f"exit code {process.returncode}: {lines[-1]}")


def fit(trial: Trial, run: str, epochs: int) -> None:
    """Train, and tell precision, loss and images a second."""
    finish_fit(trial, start_fit(trial, run, "--epochs", str(epochs)))
    rows = list(csv.DictReader((trial.work / run / "log.csv").open(encoding="utf-8")))
    if not all(np.isfinite(float(row["validation_nll"])) for row in rows):
        raise StepError("the validation loss is not finite")
    if not epochs:
        return
    losses = [float(row["train_loss"]) for row in rows if row["train_loss"]]
    trial.tell(f"{run}: loss of the first and the last epoch", f"{losses[0]:.3f} to {losses[-1]:.3f}")
    photos = sum(row["split"] == "train" for row in csv.DictReader((trial.work / run / "photos.csv").open()))
    seconds = statistics.median(float(row["seconds"]) for row in rows if row["train_loss"])
    trial.tell(f"{run}: trained images a second, validation included", f"{photos / max(seconds, 1e-9):.0f}")


def kill_and_resume(trial: Trial) -> None:
    """End a training by SIGKILL after its first checkpoint, go on, and compare with the one that was left alone."""
    from safetensors.torch import load_file

    from yoga_live.train.fit.checkpoint import CHECKPOINT

    options = ("--epochs", str(trial.scale.epochs))
    process = start_fit(trial, "killed", *options)
    while process.poll() is None and not (trial.work / "killed" / CHECKPOINT).exists() and trial.left_s() > 0:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise StepError(f"it had ended by itself before it was killed (exit code {process.returncode})")
    finish_fit(trial, start_fit(trial, "killed", *options, "--resume"))
    whole, resumed = (load_file(trial.work / run / "weights.safetensors") for run in ("unfrozen", "killed"))
    worst = max(float((whole[name].float() - resumed[name].float()).abs().max()) for name in whole)
    same = all(torch.equal(whole[name], resumed[name]) for name in whole)
    trial.tell("killed and resumed", "the very weights" if same else f"weights differ by up to {worst:.2g}")


@dataclass(frozen=True)
class Trained:
    """The unfrozen run's network in FP32 on the CPU, as it is exported, and its test photos, uint8 (N, S, S, 3)."""

    network: Any
    frames: Any
    labels: tuple[str, ...]


def load_trained(trial: Trial) -> Trained:
    from yoga_live.calibration.runs import load_frames, load_run
    from yoga_live.export.onnx_export import ExportedNetwork
    from yoga_live.train.fit.network import load_network

    run = load_run(trial.work / "unfrozen")
    network = ExportedNetwork(load_network(run.folder / "weights.safetensors", len(run.labels))).eval()
    return Trained(network, torch.from_numpy(load_frames(run, "test")[0]), run.labels)


def describe(ours: Any, theirs: Any) -> str:
    """How near two sets of logits are."""
    if not torch.isfinite(ours).all():
        raise StepError("logits are not finite")
    worst = float((ours - theirs).abs().max() / theirs.abs().max())
    same = int((ours.argmax(1) == theirs.argmax(1)).sum())
    return f"{same} of {len(ours)} answers, logits within {worst:.1e} of the largest"


def compare_with_cpu(trial: Trial, trained: Trained) -> None:
    """The same FP32 network on both, with and without TF32."""
    expected = run_on(trained.network, trained.frames, "cpu")
    for allowed in (False, True) if trial.device != "cpu" else (False,):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
        ours = run_on(trained.network, trained.frames, trial.device)
        name = "TF32" if allowed else "FP32"
        trial.tell(f"torch on {trial.device} ({name}) and on the CPU", describe(ours, expected))


def export(trial: Trial, trained: Trained) -> None:
    """To ONNX, and to FP16; ONNX Runtime on the CPU, and on the GPU where it has one, beside torch."""
    import onnx

    from yoga_live.calibration.onnx_file import write_model
    from yoga_live.export.fp16 import convert_to_fp16
    from yoga_live.runtime.core.model_metadata import ModelInfo
    from yoga_live.runtime.engines.onnxruntime import OnnxEngine, import_onnxruntime
    from yoga_live.runtime.engines.onnxruntime_providers import PROVIDERS

    path, info = trial.work / "yoga.onnx", ModelInfo(trained.labels, trial.scale.size)
    model, exporter = build_onnx(trained)
    write_model(model, info, path)
    half = trial.work / "yoga.fp16.onnx"
    write_model(convert_to_fp16(onnx.load(path)), ModelInfo(trained.labels, trial.scale.size, "fp16"), half)
    expected = run_on(trained.network, trained.frames, "cpu")
    known = import_onnxruntime().get_available_providers()
    for device in [name for name in ("cpu", "cuda", "tensorrt") if PROVIDERS[name] in known]:
        if device != "cpu" and trial.device == "cpu":
            continue
        for file in (path, half):
            logits = torch.from_numpy(OnnxEngine(file, device).infer(trained.frames.numpy()))
            name = f"{file.name} ({exporter}) in ONNX Runtime on {device}, and torch on the CPU"
            trial.tell(name, describe(logits, expected))


def build_onnx(trained: Trained) -> tuple[Any, str]:
    """The graph and the exporter: the package's own way, or torch's older exporter where onnxscript is missing."""
    import onnx

    from yoga_live.export.onnx_export import IR_VERSION, OPSET, build_model

    if bare_packages.find_spec("onnxscript"):
        return build_model(trained.network.network.cpu(), trained.frames.shape[1]), "torch.export"
    import io
    import warnings

    from yoga_live.runtime.system.telemetry import silence_telemetry

    silence_telemetry()
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter says that it is the older one
        torch.onnx.export(
            trained.network.cpu(),
            (trained.frames[:2],),
            written,  # pyright: ignore[reportArgumentType]
            dynamo=False,
            opset_version=OPSET,
            input_names=["frames"],
            output_names=["logits", "maps"],
            dynamic_axes={name: {0: "batch"} for name in ("frames", "logits", "maps")},
        )
    model = onnx.load_from_string(written.getvalue())
    model.ir_version = IR_VERSION
    return model, "TorchScript"


def look_for_overflow(trial: Trial, trained: Trained) -> None:
    """Run FP16 kernels, watching every layer; then a network that must overflow, to see that it would be seen."""
    import copy

    expected = run_on(trained.network, trained.frames, "cpu")
    half = HalfNetwork(copy.deepcopy(trained.network)).to(trial.device)
    largest, broken = watch_layers(half, trained.frames, trial.device)
    if broken:
        raise StepError(f"FP16 overflows in {broken[0]} and {len(broken) - 1} others")
    trial.tell("FP16 kernels: largest number of any layer", f"{largest:,.1f} of 65,504")
    trial.tell("FP16 kernels and FP32 on the CPU", describe(run_on(half, trained.frames, trial.device), expected))
    with torch.no_grad():
        half.network.network.first_convolution.weight.mul_(1e4)
    _, broken = watch_layers(half, trained.frames, trial.device)
    if not broken:
        raise StepError("a network made to overflow did not")
    trial.tell("FP16 kernels: a network made to overflow is seen", f"in {len(broken)} layers, first {broken[0]}")


def measure_rates(trial: Trial, trained: Trained) -> None:
    """Images a second through the network, frames already on the device: FP32, autocast as training has it, FP16."""
    import copy

    from yoga_live.train.fit.precision import Precision

    precision = Precision(torch.device(trial.device))
    trial.tell("mixed precision that training chooses", precision.name)
    plain = trained.network.to(trial.device)
    half = HalfNetwork(copy.deepcopy(trained.network)).to(trial.device)
    for batch in BATCHES[: 2 if trial.scale is TINY else None]:
        frames = trained.frames[torch.arange(batch) % len(trained.frames)].to(trial.device)
        rates = [f"FP32 {count_rate(trial, lambda f=frames: plain(f), batch):,.0f}"]
        with precision.autocast():
            rates.append(f"{precision.name} {count_rate(trial, lambda f=frames: plain(f), batch):,.0f}")
        rates.append(f"FP16 {count_rate(trial, lambda f=frames: half(f), batch):,.0f}")
        trial.tell(f"images a second, batch {batch}", ", ".join(rates))


def count_rate(trial: Trial, run: Callable[[], Any], batch: int) -> float:
    wait = torch.cuda.synchronize if trial.device.startswith("cuda") else lambda: None
    with torch.inference_mode():
        for _ in range(2):
            run()
        wait()
        started_s, count = time.perf_counter(), 0
        while time.perf_counter() - started_s < trial.scale.seconds:
            run()
            wait()
            count += batch
        return count / (time.perf_counter() - started_s)


def try_all(args: argparse.Namespace) -> None:
    """Do all steps and print the table.  Raises StepError where one failed."""
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError("torch finds no GPU; run it where there is one, or with --device cpu to try the command")
    missing = bare_packages.replace_missing()
    with tempfile.TemporaryDirectory(prefix="yoga-live-gpu-") as folder:
        scale = TINY if args.tiny else FULL
        trial = Trial(Path(folder), args.device, scale, time.monotonic() + 60 * args.minutes)
        name = (
            torch.cuda.get_device_name(args.device)
            if args.device != "cpu"
            else platform.processor() or platform.machine()
        )
        trial.tell("device", f"{args.device}: {name}; torch {torch.__version__}, CUDA {torch.version.cuda}")
        trial.tell("packages that were missing and replaced", ", ".join(missing) or "none")
        trial.do("draw", lambda: draw_photos(trial))
        trial.do("fit, frozen", lambda: fit(trial, "frozen", 0))
        trial.do("fit, unfrozen", lambda: fit(trial, "unfrozen", scale.epochs))
        trial.do("fit, killed and resumed", lambda: kill_and_resume(trial))
        for what, work in (
            ("parity with the CPU", compare_with_cpu),
            ("export", export),
            ("FP16 overflow", look_for_overflow),
            ("images a second", measure_rates),
        ):
            trial.do(what, lambda work=work: work(trial, load_trained(trial)))
        print("\n| what | value |\n|---|---|")
        print("\n".join(f"| {what} | {value} |" for what, value in trial.rows))
        if trial.failed:
            raise StepError(f"{trial.failed} steps failed; the table says which")


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    if argv and argv[0] == FIT:
        bare_packages.replace_missing()
        from yoga_live.train.cli.main import main as train

        return train(argv[1:])
    parser = argparse.ArgumentParser("gpu", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try the command itself")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which no step begins and none goes on")
    parser.add_argument("--tiny", action="store_true", help="little of everything, for a test on a CPU")
    return run_command("gpu", try_all, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
