"""Models without `none`, and calibration from few photos: what is measured on any photo folders.

    python benchmarks/no_negatives.py FOLDERS --weights FILE --nothing FOLDER --work WORK [--only PART]

Each folder has a folder per class.  Features of the starting network are computed once (WORK/*.npz); heads are trained
on them as in the frozen phase, so everything takes minutes.  `--nothing` has a folder per kind of picture of no class.

scores  a fifth of the classes is left out, five times: which score tells known test photos from these and from nothing
bars    thresholds on the maximum probability, chosen without `none`: what they keep and reject
drawn   the same heads with and without the drawn pictures of `fit --none default`
few     temperatures and thresholds fitted on a few duplicate groups of out-of-fold predictions, scored on the others
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rejection import measure_auroc

from yoga_live.calibration.confidence import choose_threshold, fit_temperature
from yoga_live.calibration.logits import SplitLogits
from yoga_live.calibration.metrics import measure_ece, measure_nll, top_confidences
from yoga_live.runtime.core.preprocess import letterbox
from yoga_live.runtime.core.softmax import softmax
from yoga_live.runtime.core.types import Floats, Frame, Ints
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.system.progress import send_progress
from yoga_live.train.distributed.rendezvous import join_workers
from yoga_live.train.fit.config import FitConfig
from yoga_live.train.fit.frozen_head import Features, fit_head
from yoga_live.train.fit.network import PoseNetwork, build_starting_network, prepare
from yoga_live.train.photos.dataset import balance
from yoga_live.train.photos.drawn_none import draw_none
from yoga_live.train.photos.folder import Photo, hash_photo
from yoga_live.train.photos.near_duplicates import group_photos

UNUSED = ("no_class", "unknown", "none")  # folders that hold no class: an own kind of nothing
SHRINKAGE = 0.2  # of covariances towards a multiple of the identity
COUNTS = (4, 9, 15, 30, 60, 120)
DRAWS = 12
RULES: dict[str, Callable[[int], float]] = {
    "as fitted": lambda n: 1.0,
    "n / (n + 10)": lambda n: n / (n + 10),
    "n / 20": lambda n: min(1.0, n / 20),
    "n / 30": lambda n: min(1.0, n / 30),
    "n / 60": lambda n: min(1.0, n / 60),
    "default": lambda n: 0.0,
}


@dataclass(frozen=True)
class Table:
    """Features float (N, F), names of the classes (N,), duplicate groups int (N,)."""

    features: Floats
    names: np.ndarray
    groups: Ints

    def take(self, rows: np.ndarray) -> Table:
        return Table(self.features[rows], self.names[rows], self.groups[rows])


def compute_features(network: PoseNetwork, frames: list[Frame], size: int) -> Floats:
    """Mean features of photos.  frames: uint8 (H, W, 3) BGR."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(frames), 32):
            batch = np.stack([letterbox(frame, size) for frame in frames[start : start + 32]])
            parts.append(network.features(prepare(torch.from_numpy(batch))).mean(dim=(2, 3)).numpy())
    return np.concatenate(parts).astype(np.float64)


def read_table(folder: Path, network: PoseNetwork, size: int, most: int, work: Path) -> Table:
    """Features of a folder's photos, at most so many of each class, from the cache if it was read before."""
    cache = work / f"{folder.name}-{size}-{most}.npz"
    if not cache.exists():
        rng, frames, names, photos = np.random.default_rng(0), [], [], []
        for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
            files = sorted(path for path in kind.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
            for number in np.sort(rng.permutation(len(files))[:most]):
                frame = decode_photo(files[number].read_bytes(), min_side=224)
                photos.append(Photo(f"{kind.name}/{len(photos)}", kind.name, str(len(photos)), *hash_photo(frame)))
                names.append(kind.name)
                frames.append(letterbox(frame, size))
        features = compute_features(network, frames, size)
        np.savez(cache, features=features, names=np.array(names), groups=group_photos(tuple(photos)))
    content = np.load(cache)
    return Table(content["features"], content["names"], content["groups"])


def fit_linear(features: Floats, targets: Ints, classes: int, seed: int) -> Callable[[Floats], Floats]:
    """Train a head as the frozen phase does.  Returns what computes logits."""
    torch.manual_seed(seed)
    head, plain = torch.nn.Linear(features.shape[1], classes), torch.from_numpy(features.astype(np.float32))
    config, generator = FitConfig(epochs=0), torch.Generator().manual_seed(seed)
    with send_progress(None):
        numbers = targets.astype(np.int64)
        fit_head(Features(plain, plain), numbers, balance(numbers), head, config, generator)
    weight, bias = (p.detach().numpy().astype(np.float64) for p in (head.weight, head.bias))
    return lambda others: others @ weight.T + bias


def score(features: Floats, logits: Floats, known: Floats, targets: Ints) -> dict[str, Floats]:
    """Scores of "this is one of the classes", each (N,).  known, targets: features and classes of training photos.

    Mahalanobis: Lee et al. 2018; relative: Ren et al. 2021.
    """

    def invert(rest: Floats) -> Floats:
        covariance = rest.T @ rest / len(rest)
        size = len(covariance)
        mixed = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.eye(size) * np.trace(covariance) / size
        return np.linalg.inv(mixed)

    means = np.stack([known[targets == number].mean(axis=0) for number in range(logits.shape[1])])
    inside, overall = invert(known - means[targets]), invert(known - known.mean(axis=0))
    distances = np.stack([np.einsum("ij,jk,ik->i", d, inside, d) for d in (features - mean for mean in means)], axis=1)
    middle = features - known.mean(axis=0)
    directions, others = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (features, known))
    return {
        "maximum probability": softmax(logits).max(axis=1),
        "maximum logit": logits.max(axis=1),
        "energy": np.logaddexp.reduce(logits, axis=1),
        "distance to the nearest mean": -distances.min(axis=1),
        "the same, relative": np.einsum("ij,jk,ik->i", middle, overall, middle) - distances.min(axis=1),
        "fifth nearest photo": np.sort(directions @ others.T, axis=1)[:, -5],
    }


def split_rounds(table: Table, left_out: bool) -> Iterator[tuple[Table, Table, Table, list[str]]]:
    """Five rounds: training and test photos of the known classes, photos of those left out, the known classes."""
    rng = np.random.default_rng(0)
    names = [name for name in sorted(set(table.names.tolist())) if name not in UNUSED]
    order = rng.permutation(names)
    for number in range(5):
        known = [name for name in names if not left_out or name not in order[number::5]]
        ids = np.unique(table.groups)
        tested = np.isin(table.groups, rng.permutation(ids)[: len(ids) // 4])
        own = np.isin(table.names, known)
        known = [name for name in known if (table.names[own & ~tested] == name).any()]
        own = np.isin(table.names, known)
        rest = ~np.isin(table.names, [*known, *UNUSED])
        yield table.take(own & ~tested), table.take(own & tested), table.take(rest), known


def number_classes(table: Table, known: list[str]) -> Ints:
    return np.array([known.index(name) for name in table.names])


def describe_mean(values: list[float]) -> str:
    """Mean and 95 % interval over rounds (Student's t with four degrees of freedom)."""
    spread = 2.776 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ({np.mean(values) - spread:.2f} to {min(1, np.mean(values) + spread):.2f})"


def compare_scores(name: str, table: Table, nothing: Table) -> None:
    """AUROC of each score, and how much of what is no class passes where 95 % of the known photos pass."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number, (train, test, rest, known) in enumerate(split_rounds(table, left_out=True)):
        targets = number_classes(train, known)
        head = fit_linear(train.features, targets, len(known), number)
        others = {"classes left out": rest, **{k: nothing.take(nothing.names == k) for k in sorted(set(nothing.names))}}
        own = table.take(np.isin(table.names, UNUSED))
        others |= {f"own {own.names[0]}": own} if len(own.names) else {}
        scores = score(test.features, head(test.features), train.features, targets)
        for kind, photos in others.items():
            for title, values in score(photos.features, head(photos.features), train.features, targets).items():
                found[title, kind].append(measure_auroc(scores[title], values))
    kinds = list(dict.fromkeys(kind for _, kind in found))
    print(f"\n{name}: AUROC\n| score | {' | '.join(kinds)} |")
    for title in dict.fromkeys(title for title, _ in found):
        print(f"| {title} | {' | '.join(describe_mean(found[title, kind]) for kind in kinds)} |")


def choose_by_dropping(split: SplitLogits, temperature: float) -> float:
    """The threshold that best tells photos from themselves without their class: each stands for an unknown one."""
    scaled, rows = split.logits / temperature, np.arange(len(split.targets))
    right, sure = scaled.argmax(axis=1) == split.targets, softmax(scaled).max(axis=1)
    scaled[rows, split.targets] = -np.inf
    unknown, bars = softmax(scaled).max(axis=1), np.arange(0, 0.955, 0.01)
    sums = [(right & (sure >= bar)).mean() + (unknown < bar).mean() for bar in bars]
    return float(bars[np.flatnonzero(np.array(sums) >= max(sums) - 1e-9)].mean())


def compare_bars(name: str, table: Table, nothing: Table) -> None:
    """Poses kept, and pictures rejected of classes left out and of nothing, at three thresholds."""
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for number, (train, test, rest, known) in enumerate(split_rounds(table, left_out=True)):
        ids = np.unique(train.groups)
        held = np.isin(train.groups, np.random.default_rng(number).permutation(ids)[: len(ids) // 5])
        kept = [name for name in known if (train.names[~held] == name).any()]
        held &= np.isin(train.names, kept)
        fitted, own = train.take(~held & np.isin(train.names, kept)), test.take(np.isin(test.names, kept))
        head = fit_linear(fitted.features, number_classes(fitted, kept), len(kept), number)
        chosen = train.take(held)
        split = SplitLogits(head(chosen.features), number_classes(chosen, kept), chosen.groups)
        temperature = fit_temperature(split.logits, split.targets, split.groups)
        chances, truth = softmax(head(own.features) / temperature), number_classes(own, kept)
        right = chances.argmax(axis=1) == truth
        others = [softmax(head(photos.features) / temperature).max(axis=1) for photos in (rest, nothing)]
        rules = {
            "none": 0.0,
            "keep 95 % of the correct predictions": choose_threshold(split, tuple(kept), temperature),
            "0.5": 0.5,
            "photos without their own class": choose_by_dropping(split, temperature),
        }
        for title, bar in rules.items():
            found[title].append((
                bar, (right & (chances.max(axis=1) >= bar)).mean(), *[(values < bar).mean() for values in others],
            ))  # fmt: skip
    print(f"\n{name}\n| threshold | value | poses kept | classes left out rejected | nothing rejected |")
    for title, rows in found.items():
        print(
            f"| {title} | {' | '.join(describe_mean([row[column] for row in rows]) for column in range(4))} |",
            flush=True,
        )


def compare_drawn(name: str, table: Table, nothing: Table, drawn: Floats) -> None:
    """Accuracy, and how many pictures of nothing are rejected at the threshold 0.5."""
    print(f"\n{name}\n| trained | accuracy | poses kept | {' | '.join(sorted(set(nothing.names)))} |")
    for title in ("without", "with the drawn `none`"):
        rows = defaultdict(list)
        for number, (train, test, _, known) in enumerate(split_rounds(table, left_out=False)):
            features, targets, count = train.features, number_classes(train, known), len(known)
            if title != "without":
                features = np.concatenate([features, drawn])
                targets = np.concatenate([targets, np.full(len(drawn), count)])
            head = fit_linear(features, targets, int(targets.max()) + 1, number)
            chances, truth = softmax(head(test.features)), number_classes(test, known)
            right = chances.argmax(axis=1) == truth
            rows["accuracy"].append(right.mean())
            rows["kept"].append((right & (chances.max(axis=1) >= 0.5)).mean())
            for kind in sorted(set(nothing.names)):
                chances = softmax(head(nothing.features[nothing.names == kind]))
                rows[kind].append(((chances.argmax(axis=1) >= count) | (chances[:, :count].max(axis=1) < 0.5)).mean())
        print(f"| {title} | {' | '.join(describe_mean(values) for values in rows.values())} |", flush=True)


def predict_others(table: Table) -> SplitLogits:
    """Out-of-fold logits of every photo, five folds of whole groups."""
    table = table.take(~np.isin(table.names, UNUSED))
    names, rng = sorted(set(table.names.tolist())), np.random.default_rng(0)
    ids = np.unique(table.groups)
    fold_of = dict(zip(rng.permutation(ids).tolist(), (np.arange(len(ids)) % 5).tolist(), strict=True))
    folds, targets = np.array([fold_of[group] for group in table.groups.tolist()]), number_classes(table, names)
    logits = np.zeros((len(targets), len(names)))
    for fold in range(5):
        rows = folds != fold
        logits[~rows] = fit_linear(table.features[rows], targets[rows], len(names), fold)(table.features[~rows])
    return SplitLogits(logits, targets, table.groups)


def compare_few(tables: dict[str, Table]) -> None:
    """Held-out NLL and ECE against temperature 1, and the fraction of right answers kept, by number of groups."""
    found: dict[tuple[str, int], list[tuple[float, ...]]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for table in tables.values():
        everything = predict_others(table)
        group_of = np.zeros(0, np.int64) if everything.groups is None else everything.groups
        groups = np.unique(group_of)
        for scale in (0.7, 1.0, 2.0):  # less and more sure of itself than the head is
            logits = everything.logits * scale
            for count in (count for count in COUNTS if count <= len(groups) // 2):
                for _ in range(DRAWS):
                    few = np.isin(group_of, rng.permutation(groups)[:count])
                    split = SplitLogits(logits[few], everything.targets[few], group_of[few])
                    rest, truth = logits[~few], everything.targets[~few]
                    fitted = fit_temperature(split.logits, split.targets, split.groups)
                    for title, rule in RULES.items():
                        found[title, count].append(_score_few(split, rest, truth, fitted, rule(count)))
    print("\nmean over sets, scales and draws, by duplicate groups", *COUNTS, sep=" | ")
    for column, what in enumerate(("NLL x 1000", "ECE in points", "right answers kept, wanted 0.95")):
        for title in RULES:
            cells = [np.mean([row[column] for row in found[title, count]]) for count in COUNTS]
            print(f"| {what} | {title} | {' | '.join(f'{cell:.3g}' for cell in cells)} |")


def _score_few(split: SplitLogits, rest: Floats, truth: Ints, fitted: float, trust: float) -> tuple[float, ...]:
    temperature = fitted**trust
    right = rest.argmax(axis=1) == truth
    found = choose_threshold(split, tuple(map(str, range(rest.shape[1]))), temperature)
    threshold = trust * found + (1 - trust) * min(found, 0.5)
    sure = top_confidences(rest, temperature)
    plain = top_confidences(rest, 1.0)
    return (
        1000 * (measure_nll(rest, truth, temperature) - measure_nll(rest, truth)),
        100 * (measure_ece(sure, right) - measure_ece(plain, right)),
        float((sure[right] >= threshold).mean()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--nothing", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--per-class", type=int, default=60)
    parser.add_argument("--only", choices=("scores", "bars", "drawn", "few"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    with join_workers("cpu") as workers:
        network = build_starting_network(2, args.weights, "resnet34", workers).eval()
    tables = {folder.name: read_table(folder, network, args.size, args.per_class, args.work) for folder in args.folders}
    nothing = read_table(args.nothing, network, args.size, 10 * args.per_class, args.work)
    for name, table in tables.items():
        print(f"{name}: {len(table.names)} photos, {len(set(table.groups.tolist()))} duplicate groups", flush=True)
        if args.only in (None, "scores"):
            compare_scores(name, table, nothing)
        if args.only in (None, "bars"):
            compare_bars(name, table, nothing)
        if args.only in (None, "drawn"):
            drawn = compute_features(network, list(draw_none()), args.size)
            compare_drawn(name, table, nothing, drawn)
    if args.only in (None, "few"):
        compare_few(tables)


if __name__ == "__main__":
    main()
