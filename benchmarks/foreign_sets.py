"""Does training the whole network gain over the frozen phase, on anybody's photos?  One row for each training.

    python benchmarks/foreign_sets.py FOLDER [FOLDER ...] --weights FILE --work WORK [--size 96] [--epochs 3,12]
        [--seeds 0] [--per-class 15] [--later-half] [--left-out FOLDER] [--fastai PYTHON]

Each FOLDER holds a folder of photos per class, or train, valid and test folders of them (drawn_sets.py draws some).
frozen: the head alone.  worst, last: validation accuracy of the whole network after its worst and after its last epoch.
kept: the weights of the run, those of the epoch with the lowest validation loss; epoch 0 is the frozen phase.
Intervals are 95 % (Wilson).  Finished trainings in WORK are not repeated.  Where fastai is installed, or `--fastai`
names a Python that has it, its `fine_tune` is trained on the same photos, split, starting weights and epochs, right
after ours; time: ours over its, photos read anew by both; cores: the same of the time that the processor's cores
worked, which other work on the machine changes less.  fastai's begin with its start and imports, ours after them.

A random split flatters.  `--later-half` tests on the second half of each class in the order of the files' names,
`--left-out FOLDER` on the photos of another place; a fifth of what is left validates, the last ones of each class.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from article import Row, run_fastai

from yoga_live.calibration.runs import load_run
from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.run import fit_run
from yoga_live.train.gather.add_layout import add_layout
from yoga_live.train.run_files.log import read_log

HEAD = (
    "| set | trained on | epochs | seed | validation: frozen | worst | last | kept epoch | test photos | frozen | kept "
    "| fastai: frozen | kept | time | cores |"
)
HELD_OUT_SHARE = 0.2


def list_photos(pose: Path, most: int) -> list[Path]:
    """So many photos of a class, evenly spaced in the order of their names; most: 0 for all."""
    paths = sorted(path for path in pose.rglob("*") if path.is_file())
    count = min(most or len(paths), len(paths))
    return [paths[number * len(paths) // count] for number in range(count)]


def link_photos(paths: list[Path], to: Path) -> None:
    """Link photos into a folder, numbered."""
    to.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        (to / f"{number:04d}{path.suffix}").symlink_to(path.resolve())


def arrange(photos: Path, to: Path, args: argparse.Namespace) -> None:
    """Make the set that is trained on: what was asked for of the photos, with splits of their own if so."""
    layout = to.with_suffix(".layout")
    shutil.rmtree(layout, ignore_errors=True)
    for pose in sorted(entry for entry in photos.iterdir() if entry.is_dir()):
        paths = list_photos(pose, args.per_class)
        if not (args.later_half or args.left_out):
            link_photos(paths, to / pose.name)
            continue
        known = paths[: len(paths) // 2] if args.later_half else paths
        test = paths[len(known) :] if args.later_half else list_photos(args.left_out / pose.name, 0)
        held_out = max(round(HELD_OUT_SHARE * len(known)), 1)
        for split, part in (("train", known[:-held_out]), ("valid", known[-held_out:]), ("test", test)):
            link_photos(part, layout / split / pose.name)
    if layout.exists():
        add_layout(layout, to)


def prepare(photos: Path, args: argparse.Namespace) -> tuple[Path, str]:
    """Find or make the photo folder of a set.  Returns it and how it is split."""
    has_splits = (photos / "train").is_dir()
    if not (has_splits or args.per_class or args.later_half or args.left_out):
        return photos, "auto"
    parts = [photos.name, str(args.per_class or ""), "later" * args.later_half]
    parts.append(f"not-{args.left_out.name}" if args.left_out else "")
    to = args.work / "photos" / "-".join(part for part in parts if part)
    if not to.exists():
        if has_splits:
            add_layout(photos, to)
        else:
            arrange(photos, to, args)
    return to, "given" if (to / "manifest.csv").exists() else "auto"


def fit_once(photos: Path, folder: Path, config: FitConfig) -> tuple[dict[str, Any], float, float]:
    """Train with an empty cache, unless it was finished before.

    Returns run.json's content, the seconds, and those of the processor's cores.
    """
    seconds = folder.with_suffix(".seconds")
    if not seconds.exists():
        for left in (folder, folder.with_suffix(".cache")):
            shutil.rmtree(left, ignore_errors=True)
        os.environ["XDG_CACHE_HOME"] = str(folder.with_suffix(".cache"))
        started_s, started_cpu_s = time.perf_counter(), read_cpu_s()
        fit_run(photos, folder, config)
        seconds.write_text(f"{time.perf_counter() - started_s:.1f} {read_cpu_s() - started_cpu_s:.1f}")
    wall_s, cpu_s = map(float, seconds.read_text().split())
    return json.loads((folder / "run.json").read_text()), wall_s, cpu_s


def read_cpu_s() -> float:
    """Seconds that the processor's cores have worked for this process and those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def fit_fastai(folder: Path, config: FitConfig, fastai: Path, args: argparse.Namespace) -> tuple[dict[str, Row], float]:
    """fastai's rows for the split of a run of ours, and seconds of the cores, unless it was finished before."""
    result = folder.with_suffix(".fastai.json")
    if not result.exists():
        same = {"fastai": fastai, "epochs_frozen": args.fastai_frozen, "work": args.work}
        settings = argparse.Namespace(weights=config.weights, size=config.size, **same)
        started_cpu_s = read_cpu_s()
        rows = run_fastai(settings, folder, {}, config.epochs)
        said = {phase: [row.right, row.photos, row.seconds] for phase, row in rows.items()}
        result.write_text(json.dumps({"rows": said, "cpu_s": read_cpu_s() - started_cpu_s}))
    content = json.loads(result.read_text())
    return {phase: Row("", *row) for phase, row in content["rows"].items()}, content["cpu_s"]


def format_row(
    name: str, folder: Path, content: dict[str, Any], theirs: dict[str, Row], ours_s: tuple[float, float], cpu_s: float
) -> str:
    """One row of the table.  ours_s: our seconds and our cores'; cpu_s: those of fastai's cores."""
    metrics, config = content["metrics"], content["config"]
    frozen, *unfrozen = [100 * (epoch.validation_accuracy or 0.0) for epoch in read_log(folder / "log.csv")]
    splits = [photo.split for photo in load_run(folder).photos]
    cells = [name, splits.count("train"), config["epochs"], config["seed"]]
    cells += [f"{value:.1f} %" for value in (frozen, min(unfrozen), unfrozen[-1])]
    cells += [metrics["best_epoch"], splits.count("test")]
    for phase in ("frozen", "test"):
        low, high = metrics[phase]["interval"]
        cells.append(f"{100 * metrics[phase]['accuracy']:.1f} % ({100 * low:.0f} to {100 * high:.0f})")
    cells += [f"{100 * row.right / row.photos:.1f} %" for row in theirs.values()] or ["", ""]
    wall_s, own_cpu_s = ours_s
    cells += [f"{wall_s:.0f} s", f"{own_cpu_s:.0f} s"]
    if theirs:
        cells[-2:] = [f"{wall_s / theirs['unfrozen'].seconds:.2f}", f"{own_cpu_s / cpu_s:.2f}"]
    return "| " + " | ".join(map(str, cells)) + " |"


def run(args: argparse.Namespace) -> None:
    """Train what is missing, and print the table."""
    if 0 in args.epochs:
        raise OptionError("--epochs 0 trains no whole network; give 1 or more")
    print(HEAD + "\n" + "|---" * (HEAD.count("|") - 1) + "|", flush=True)
    fastai = args.fastai or (Path(sys.executable) if find_spec("fastai") else None)
    for given in args.photos:
        photos, split = prepare(given, args)
        for epochs in args.epochs:
            for seed in args.seeds:
                folder = args.work / f"{photos.name}-{args.size}-{epochs}-{seed}"
                config = FitConfig(
                    args.weights, epochs=epochs, size=args.size, seed=seed, device=args.device, split=split
                )
                content, *ours_s = fit_once(photos, folder, config)
                theirs, cpu_s = fit_fastai(folder, config, fastai, args) if fastai else ({}, 0.0)
                print(format_row(photos.name, folder, content, theirs, (ours_s[0], ours_s[1]), cpu_s), flush=True)


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
    parser.add_argument("--later-half", action="store_true", help="test on the later half of each class's names")
    parser.add_argument("--left-out", type=Path, metavar="FOLDER", help="test on these photos")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--fastai", type=Path, metavar="PYTHON", help="Python of an environment with fastai")
    parser.add_argument("--fastai-frozen", type=int, default=1, metavar="N", help="its epochs of the head alone")
    return run_command("foreign_sets.py", run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
