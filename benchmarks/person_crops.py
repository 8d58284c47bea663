"""Is it better to train on whole photos, on the person's crop, or on both?  Tested on whole photos and on crops.

    python benchmarks/person_crops.py FOLDER [FOLDER ...] --weights FILE --work WORK [--size 96] [--epochs 6]
        [--seeds 0,1] [--per-class N] [--later-half] [--left-out FOLDER]

Each FOLDER holds a folder of photos per class; how it is split, and what --later-half and --left-out mean, is as in
foreign_sets.py.  The crops that are tested are cut from the full photos, as a camera's would be.  Intervals are 95 %,
by cluster bootstrap over duplicate groups; gains are paired, photo by photo, with training on whole photos, the mean of
the seeds.  Finished trainings in WORK are not repeated.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from foreign_sets import prepare

from yoga_live.calibration.bootstrap import Estimate, estimate_mean
from yoga_live.calibration.runs import load_run
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.people.framing import frame_person
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.system.cli_runner import HelpFormatter, run_command
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.network import load_network
from yoga_live.train.fit.network import prepare as normalise
from yoga_live.train.fit.run import fit_run
from yoga_live.train.fit.trainer import WEIGHTS
from yoga_live.train.people.cache import PhotoPeople
from yoga_live.train.people.finding import choose_person, find_people
from yoga_live.train.photos.folder import read_photos

VARIANTS = {"whole photos": 0.0, "both": 0.5, "crops": 1.0}
"""What is trained on -> the probability of seeing the person's crop in place of the whole photo."""
VIEWS = ("whole", "crop")
BATCH = 64


def cut_photo(path: Path, found: PhotoPeople | None, size: int, whole: Frame) -> Frame:
    """Letterbox the person's crop of a photo, uint8 (S, S, 3) BGR; the whole photo where nobody is found."""
    chosen = None if found is None else choose_person(found.people)
    if found is None or chosen is None:
        return whole
    frame = decode_photo(path)
    return letterbox(frame_person(found.people.boxes[chosen], found.size_wh).cut(frame), size)


def answer(photos: Path, folder: Path, size: int) -> dict[str, np.ndarray]:
    """Test a run on both views of its test photos: whether each is right, bool (N,), by view; their groups.

    Near-duplicates of photos that it was trained or validated on do not count.
    """
    done, run = folder / "views.npz", load_run(folder)
    if not done.exists():
        photo_set = read_photos(photos, size)
        rows = [row for row, photo in enumerate(run.photos) if photo.split == "test"]
        found = find_people(photos, {run.photos[row].path: run.photos[row].sha256 for row in rows})
        frames = {"whole": photo_set.frames[rows]}
        paths = [run.photos[row].path for row in rows]
        cuts = [cut_photo(photos / p, found.get(p), size, f) for p, f in zip(paths, frames["whole"], strict=True)]
        frames["crop"] = np.stack(cuts)
        targets = np.array([run.labels.index(run.photos[row].pose) for row in rows])
        network = load_network(folder / WEIGHTS, len(run.labels)).eval()
        right = {view: predict(network, frames[view]) == targets for view in VIEWS}
        somebody = np.array([path in found and len(found[path].people) > 0 for path in paths])
        np.savez(done, groups=np.array([run.photos[row].group for row in rows]), found=somebody, **right)
    with np.load(done) as arrays:
        known = [photo.group for photo in run.photos if photo.split != "test"]
        is_new = ~np.isin(arrays["groups"], known)
        return {name: arrays[name][is_new] for name in arrays.files}


def predict(network: torch.nn.Module, frames: Frame) -> np.ndarray:
    """Predict the class of each frame, int (N,)."""
    with torch.inference_mode():
        parts = [
            network(normalise(torch.from_numpy(frames[start : start + BATCH]))).argmax(1)
            for start in range(0, len(frames), BATCH)
        ]
    return torch.cat(parts).numpy()


def format_gain(gain: Estimate) -> str:
    """Points with their interval."""
    return f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def run(args: argparse.Namespace) -> None:
    """Train what is missing, and print the table."""
    head = ["set", "trained on", "test photos", "with somebody", "seen in training"]
    head += [f"{view}, %" for view in VIEWS] + [f"{view}, gain in points" for view in VIEWS]
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|", flush=True)
    for given in args.photos:
        photos, split = prepare(given, args)
        base = FitConfig(args.weights, epochs=args.epochs, size=args.size, device="cpu", split=split)
        plain: dict[str, np.ndarray] = {}
        for name, share in VARIANTS.items():
            answers, trained = [], 0
            for seed in args.seeds:
                folder = args.work / f"{photos.name}-{args.size}-{args.epochs}-{seed}-{share:g}"
                config = replace(base, seed=seed, augmentation=replace(base.augmentation, person=share))
                if not (folder / "run.json").exists():
                    fit_run(photos, folder, config, resume=folder.exists())
                answers.append(answer(photos, folder, args.size))
                trained = sum(photo.split == "train" for photo in load_run(folder).photos)
            groups, somebody = answers[0]["groups"], answers[0]["found"]
            right = {view: np.mean([each[view] for each in answers], axis=0) for view in VIEWS}
            plain = plain or right
            cells = [photos.name, trained, len(groups), int(somebody.sum()), name]
            cells += [str(estimate_mean(right[view], groups)) for view in VIEWS]
            cells += [format_gain(estimate_mean(right[view] - plain[view], groups)) for view in VIEWS]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> int:
    """Run the comparison.  Returns the exit code."""
    parser = argparse.ArgumentParser("person_crops.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--work", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument(
        "--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0, 1], metavar="A,B"
    )
    parser.add_argument("--per-class", type=int, default=0, metavar="N", help="so many photos of each class; 0: all")
    parser.add_argument("--later-half", action="store_true", help="test on the later half of each class's names")
    parser.add_argument("--left-out", type=Path, metavar="FOLDER", help="test on these photos")
    return run_command("person_crops.py", run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
