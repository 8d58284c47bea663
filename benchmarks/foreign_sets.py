"""Does training the whole network gain over the frozen phase, on anybody's photos?  One row for each training.

    python benchmarks/foreign_sets.py FOLDER [FOLDER ...] --weights FILE --work WORK [--size 96] [--epochs 3,12]
        [--seeds 0] [--per-class 15] [--fastai PYTHON]

Each FOLDER holds a folder of photos per class.  frozen: the head alone.  worst, last: validation accuracy of the whole
network after its worst and after its last epoch.  kept: the weights of the run, those of the epoch with the lowest
validation loss; epoch 0 is the frozen phase.  Intervals are 95 % (Wilson).  Finished trainings in WORK are not
repeated.  Where fastai is installed, or `--fastai` names a Python that has it, its `fine_tune` is trained on the same
photos, split, starting weights and epochs.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from article import run_fastai

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.run import fit_run
from yoga_live.train.run_files.log import read_log

HEAD = "| set | trained on | epochs | seed | validation: frozen | worst | last | kept epoch | test: frozen | kept |"


def cut_folder(photos: Path, to: Path, per_class: int) -> Path:
    """Link so many photos of each class, evenly spaced in the order of their names, into another folder."""
    for pose in sorted(entry for entry in photos.iterdir() if entry.is_dir()):
        (to / pose.name).mkdir(parents=True, exist_ok=True)
        paths = sorted(path for path in pose.rglob("*") if path.is_file())
        for number in range(min(per_class, len(paths))):
            path = paths[number * len(paths) // min(per_class, len(paths))]
            link = to / pose.name / f"{number:04d}{path.suffix}"
            if not link.is_symlink():
                link.symlink_to(path.resolve())
    return to


def fit_once(photos: Path, folder: Path, config: FitConfig) -> dict[str, Any]:
    """Train, unless it was finished before.  Returns run.json's content."""
    result = folder / "run.json"
    return json.loads(result.read_text()) if result.exists() else fit_run(photos, folder, config, resume=True)


def format_row(name: str, folder: Path, content: dict[str, Any]) -> str:
    """One row of the table."""
    metrics, config = content["metrics"], content["config"]
    frozen, *unfrozen = [100 * (epoch.validation_accuracy or 0.0) for epoch in read_log(folder / "log.csv")]
    train = sum(photo.split == "train" for photo in load_run(folder).photos)
    tests = []
    for phase in ("frozen", "test"):
        low, high = metrics[phase]["interval"]
        tests.append(f"{100 * metrics[phase]['accuracy']:.1f} % ({100 * low:.0f} to {100 * high:.0f})")
    validation = f"{frozen:.1f} % | {min(unfrozen):.1f} % | {unfrozen[-1]:.1f} %"
    start = f"| {name} | {train} | {config['epochs']} | {config['seed']}"
    return f"{start} | {validation} | {metrics['best_epoch']} | {' | '.join(tests)} |"


def run(args: argparse.Namespace) -> None:
    """Train what is missing, and print the table."""
    if 0 in args.epochs:
        raise OptionError("--epochs 0 trains no whole network; give 1 or more")
    print(HEAD + "\n" + "|---" * (HEAD.count("|") - 1) + "|", flush=True)
    fastai = args.fastai or (sys.executable if find_spec("fastai") else None)
    for photos in args.photos:
        if args.per_class:
            photos = cut_folder(photos, args.work / "photos" / f"{photos.name}-{args.per_class}", args.per_class)
        for epochs in args.epochs:
            for seed in args.seeds:
                folder = args.work / f"{photos.name}-{args.size}-{epochs}-{seed}"
                config = FitConfig(args.weights, epochs=epochs, size=args.size, seed=seed, device=args.device)
                content = fit_once(photos, folder, config)
                print(format_row(photos.name, folder, content), flush=True)
                if fastai:
                    same = {"fastai": fastai, "epochs_frozen": args.fastai_frozen, "work": args.work}
                    settings = argparse.Namespace(weights=args.weights, size=args.size, **same)
                    for phase, row in run_fastai(settings, folder, {}, epochs).items():
                        print(f"| fastai, {phase}: {row.right} of {row.photos} test photos, {row.seconds:.0f} s |")


def main() -> int:
    """Run the comparison.  Returns the exit code."""
    parser = argparse.ArgumentParser("foreign_sets.py", description=__doc__, formatter_class=HelpFormatter)
    numbers = {"type": lambda text: [int(part) for part in text.split(",")], "metavar": "A,B"}
    parser.add_argument("photos", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--work", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", default=[3, 12], **numbers)
    parser.add_argument("--seeds", default=[0], **numbers)
    parser.add_argument("--per-class", type=int, default=0, metavar="N", help="so many photos of each class; 0: all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--fastai", type=Path, metavar="PYTHON", help="Python of an environment with fastai")
    parser.add_argument("--fastai-frozen", type=int, default=1, metavar="N", help="its epochs of the head alone")
    return run_command("foreign_sets.py", run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
