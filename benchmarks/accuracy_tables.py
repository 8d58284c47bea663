"""The tables and plots of `accuracy.py`, from answers to held-out photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rejection import compare_rejection, compare_thresholds
from risk_coverage import measure_risk_coverage, plot_risk_coverage

from yoga_live.calibration.bootstrap import Estimate, estimate_mean, estimate_mean_recall
from yoga_live.calibration.confidence import (
    answer_poses,
    calibrate,
    choose_threshold,
    fit_temperature,
    plot_reliability,
)
from yoga_live.calibration.logits import SplitLogits
from yoga_live.calibration.metrics import count_confusions, list_confusions
from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.core.softmax import softmax
from yoga_live.runtime.core.types import NO_POSE

UNSORTED = "unsorted"  # photos in `none` itself: mostly what a pose's folder held wrongly
NON_POSES = {
    "people": "people",
    "unknown": "people",
    "standing": "people",
    "stepping": "people",
    "asanas": "other asanas",
    "backgrounds": "everyday pictures",
    "blank": "everyday pictures",
}
"""Folder in `none` -> the kind of non-pose that rejection is measured on."""

FEW, FEW_DRAWS = (60, 150, 380), 40
"""Families of a validation split, from one of hundreds of photos to the shipped model's."""

ARTICLE = ("down_dog", "up_dog", "tree", "warrior_2", "low_lunge")
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Answers:
    """Logits of held-out photos, float (N, C), plain and in a mirror, and what is known of each photo.

    rows: int (N,), its number in the folder; targets, groups: int (N,); sources: str (N,); kinds: str (N,), part of
    `none` that it lies in, empty for a pose; audited: int (N,), the label that `audited.csv` gives, -1 for none.
    """

    labels: tuple[str, ...]
    rows: Ints
    plain: Floats
    mirrored: Floats
    targets: Ints
    groups: Ints
    sources: Texts
    kinds: Texts
    audited: Ints

    @staticmethod
    def join(parts: list[Answers]) -> Answers:
        """The answers of several trainings as one."""
        arrays = [f.name for f in fields(Answers) if f.name != "labels"]
        return Answers(parts[0].labels, *(np.concatenate([getattr(part, name) for part in parts]) for name in arrays))

    def take(self, which: Bools) -> Answers:
        """The answers to some of the photos."""
        return Answers(self.labels, *(getattr(self, f.name)[which] for f in fields(self) if f.name != "labels"))

    @property
    def both(self) -> Floats:
        """Mean logits of a photo and its mirror image, float (N, C)."""
        return (self.plain + self.mirrored) / 2

    def split(self) -> SplitLogits:
        """As calibration takes them."""
        return SplitLogits(self.plain, self.targets, self.groups)

    def is_of(self, poses: tuple[str, ...]) -> Bools:
        """Which photos show one of these poses, bool (N,)."""
        return np.isin(self.targets, [self.labels.index(pose) for pose in poses if pose in self.labels])


def print_table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    """Print one table as markdown."""
    print(f"\n### {title}\n")
    for row in (heads, ["---"] * len(heads), *rows):
        print("| " + " | ".join(row) + " |")


def print_answers(answers: Answers, title: str, size: int, folder: Path) -> None:
    """Everything that is known from answers to held-out photos; plots go to the folder."""
    _print_accuracy(answers, title)
    _print_poses(answers)
    rows = [[name, *_score(answers.take(answers.sources == name))] for name in sorted(set(answers.sources.tolist()))]
    print_table("By source", ["source", *SCORE_HEADS], rows)
    _print_calibration(answers, size, folder)
    print_rejection(answers, "No pose")
    if NO_POSE in answers.labels:
        _print_kinds(answers)
        _print_thresholds(answers)
        _print_few(answers)


SCORE_HEADS = ["photos", "families", "accuracy", "mean recall", "with mirror: accuracy", "mean recall", "mirror gains"]


def _score(answers: Answers, classes: tuple[str, ...] = ()) -> list[str]:
    """Cells of a row.  classes: what may be answered, every label if empty."""
    columns = [answers.labels.index(label) for label in classes or answers.labels]
    targets, groups = answers.targets, answers.groups
    plain, both = (
        np.array(columns)[logits[:, columns].argmax(axis=1)] == targets for logits in (answers.plain, answers.both)
    )
    cells = [str(len(targets)), str(len(np.unique(groups)))]
    for right in (plain, both):
        cells += [str(estimate_mean(right, groups)), str(estimate_mean_recall(right, targets, groups))]
    return [*cells, _format_gain(estimate_mean(both.astype(float) - plain, groups))]


def _format_gain(gain: Estimate) -> str:
    """A difference in points, with its interval."""
    return f"{100 * gain.value:+.2f} ({100 * gain.low:+.2f} to {100 * gain.high:+.2f})"


def _print_accuracy(answers: Answers, title: str) -> None:
    poses = tuple(label for label in answers.labels if label != NO_POSE)
    rows = [["all", *_score(answers)]]
    if NO_POSE in answers.labels:
        rows.append(["the poses", *_score(answers.take(answers.is_of(poses)))])
        rows.append(["the poses, `none` no answer", *_score(answers.take(answers.is_of(poses)), poses)])
    if set(ARTICLE) < set(poses):
        five = answers.take(answers.is_of(ARTICLE))
        rows.append(["the article's five", *_score(five)])
        rows.append(["the article's five, nothing else answered", *_score(five, ARTICLE)])
    looked_at = answers.take(answers.audited >= 0)
    if len(looked_at.targets):
        rows.append(["the audited list", *_score(replace(looked_at, targets=looked_at.audited))])
    title = f"{title}, {len(answers.labels)} answers (95 % intervals by cluster bootstrap)"
    print_table(title, ["photos of", *SCORE_HEADS], rows)


def _print_poses(answers: Answers) -> None:
    found, both = answers.plain.argmax(axis=1), answers.both.argmax(axis=1)
    matrix = count_confusions(found, answers.targets, len(answers.labels))
    rows = []
    for number, label in enumerate(answers.labels):
        own, given = answers.targets == number, found == number
        if not own.any():
            continue
        only = matrix * (np.arange(len(matrix)) == number)[:, None]
        wrong = ", ".join(f"{answer} {count}" for _, answer, count in list_confusions(only, answers.labels, 3))
        groups = answers.groups[own]
        precision = str(estimate_mean(answers.targets[given] == number, answers.groups[given])) if given.any() else "-"
        recalls = [str(estimate_mean(which[own] == number, groups)) for which in (found, both)]
        rows.append([label, str(own.sum()), str(len(np.unique(groups))), *recalls, precision, wrong or "-"])
    heads = ["pose", "photos", "families", "recall", "with mirror", "precision", "commonest wrong answers"]
    print_table("By pose", heads, rows)


def _print_calibration(answers: Answers, size: int, folder: Path) -> None:
    """Calibrate on one half of the families, as a run does on validation photos, and plot the other half."""
    is_fitted = _halve(answers.groups)
    fitted, scored = answers.take(is_fitted), answers.take(~is_fitted)
    _, report = calibrate(ModelInfo(answers.labels, size), fitted.split(), scored.split())
    plot_reliability(scored.split(), report, folder / "reliability.png")
    sure = softmax(scored.plain / report.temperature)
    right = sure.argmax(axis=1) == scored.targets
    curves = {"all answers": measure_risk_coverage(sure.max(axis=1), right)}
    if NO_POSE in answers.labels:
        poses = answers.labels.index(NO_POSE) != sure.argmax(axis=1)
        if poses.any():
            curves["a pose answered"] = measure_risk_coverage(sure.max(axis=1)[poses], right[poses])
    plot_risk_coverage(curves, folder / "risk_coverage.png")
    perfect = f"{report.ece_perfect_mean:.1%}, up to {report.ece_perfect_high:.1%}"
    row = [f"{report.temperature:.2f}", f"{report.nll_before:.3f} -> {report.nll_after:.3f}"]
    row += [f"{report.ece_before:.1%} -> {report.ece_after:.1%}", perfect, f"{report.threshold:.2f}"]
    row += [f"{curves['all answers'].area:.2%}", f"{curves['all answers'].coverage_at(0.01):.1%}"]
    heads = ["temperature", "NLL", "ECE", "of a perfect model", "threshold", "area of risk", "answered at 1 % risk"]
    print_table("Confidence, fitted on half of the families and measured on the others", heads, [row])
    print(f"\nPlots: {folder / 'reliability.png'}, {folder / 'risk_coverage.png'}")


def _halve(groups: Ints) -> Bools:
    _, numbers = np.unique(groups, return_inverse=True)
    numbers = numbers.reshape(-1)
    return np.random.default_rng(0).permutation(int(numbers.max()) + 1)[numbers] % 2 == 0


def print_rejection(answers: Answers, title: str) -> None:
    """AUROC and false alarms at 95 % recall, a row for each score, a column for each kind; the best is bold."""
    if len(set(answers.kinds.tolist())) < 2 or "" not in answers.kinds:
        return
    temperature = fit_temperature(answers.plain, answers.targets, answers.groups)
    names = [NON_POSES.get(str(kind), str(kind)) for kind in answers.kinds]
    found = compare_rejection(answers.split(), names, answers.labels, temperature)
    kinds, scores = (list(dict.fromkeys(getattr(row, name) for row in found)) for name in ("kind", "score"))
    cells = {(row.score, row.kind): row for row in found}
    heads = ["score", *(f"{kind} ({cells[scores[0], kind].others})" for kind in kinds), "mean"]
    for name, best in (("auroc", max), ("alarm_share", min)):
        table = np.array([[getattr(cells[score, kind], name) for kind in kinds] for score in scores])
        table = np.concatenate([table, table.mean(axis=1, keepdims=True)], axis=1)
        rows = []
        for score, values in zip(scores, table, strict=True):
            texts = [f"{value:.4f}" if name == "auroc" else f"{value:.1%}" for value in values]
            is_best = values == [best(column) for column in table.T]
            rows.append([score, *(f"**{t}**" if b else t for t, b in zip(texts, is_best, strict=True))])
        what = "AUROC" if name == "auroc" else "false alarms at 95 % recall"
        print_table(f"{title}: {what} against {found[0].poses} photos of poses", heads, rows)


def _print_kinds(answers: Answers) -> None:
    none, rows = answers.labels.index(NO_POSE), []
    for kind in sorted(set(answers.kinds.tolist()) - {""}):
        own = answers.take(answers.kinds == kind)
        found = own.plain.argmax(axis=1)
        counts = np.bincount(found[found != none], minlength=len(own.labels))
        wrong = ", ".join(f"{own.labels[i]} {counts[i]}" for i in np.argsort(-counts)[:3] if counts[i])
        share = estimate_mean(found == none, own.groups)
        rows.append([kind, str(share.photos), str(share.groups), str(share), wrong or "-"])
    print_table("By folder in `none`", ["folder", "photos", "families", "answered `none`", "commonest poses"], rows)


def _print_thresholds(answers: Answers) -> None:
    temperature = fit_temperature(answers.plain, answers.targets, answers.groups)
    found = compare_thresholds(answers.split(), answers.groups, answers.labels, temperature)
    best, _ = answer_poses(answers.split(), answers.labels, temperature)
    plain = np.where(found.is_none, best < 0, best == answers.targets)
    rows = []
    for name, right in (("none", plain), ("shared", found.shared), ("per pose", found.own)):
        parts = (~found.is_none, found.is_none, np.full(len(right), True))
        cells = [str(estimate_mean(right[which], answers.groups[which])) for which in parts]
        balanced = estimate_mean_recall(right, found.is_none.astype(int), answers.groups)
        gain = estimate_mean_recall(right.astype(float) - found.shared, found.is_none.astype(int), answers.groups)
        rows.append([name, *cells, str(balanced), "" if name == "shared" else _format_gain(gain)])
    heads = ["threshold", "poses answered rightly", "`none` answered", "all", "mean of both", "over shared"]
    print_table("Thresholds, chosen on half of the families and scored on the others", heads, rows)


def _print_few(answers: Answers) -> None:
    """Thresholds from as few photos as somebody's validation split has, scored on the families outside of them."""
    labels, rng = answers.labels, np.random.default_rng(0)
    families = np.unique(answers.groups, return_inverse=True)[1].reshape(-1)
    count = int(families.max()) + 1
    rules: dict[str, Callable[[SplitLogits, float], float]] = {
        "none": lambda split, temperature: 0.0,
        "0.5": lambda split, temperature: 0.5,
        "best on them": lambda split, temperature: choose_threshold(split, labels, temperature, resamples=0),
        "the same, over resamples": lambda split, temperature: choose_threshold(split, labels, temperature),
    }
    rows = []
    for size in (size for size in FEW if 2 * size <= count):
        found: dict[str, list[list[float]]] = {name: [] for name in rules}
        photos = []
        for _ in range(FEW_DRAWS):
            drawn = (rng.random(count) < size / count)[families]
            photos.append(drawn.sum())
            few, others = answers.take(drawn).split(), answers.take(~drawn).split()
            temperature = fit_temperature(few.logits, few.targets, few.groups)
            best, sure = answer_poses(others, labels, temperature)
            is_none = others.targets == labels.index(NO_POSE)
            for name, rule in rules.items():
                threshold = rule(few, temperature)
                answered = (best >= 0) & (sure >= threshold)
                kept, refused = (answered & (best == others.targets))[~is_none].mean(), (~answered)[is_none].mean()
                found[name].append([threshold, kept, refused, (kept + refused) / 2])
        for name, numbers in found.items():
            means, spreads = np.mean(numbers, axis=0), np.std(numbers, axis=0)
            shares = [f"{mean:.1%} ± {spread:.1%}" for mean, spread in zip(means[1:], spreads[1:], strict=True)]
            rows.append([f"{size} ({np.mean(photos):.0f})", name, f"{means[0]:.2f} ± {spreads[0]:.2f}", *shares])
    if rows:
        heads = ["families (photos)", "threshold", "value", "poses answered rightly", "`none` answered", "mean of both"]
        print_table(f"Thresholds from few photos, mean and spread over {FEW_DRAWS} draws", heads, rows)


def print_left_out(left_out: dict[str, Answers], whole: Answers | None) -> None:
    """A row for each source that no training photo came from: its poses, beside the same photos in cross-validation."""
    rows = []
    for source, answers in left_out.items():
        poses = answers.take(answers.kinds == "")
        if not len(poses.targets):
            continue
        names = ", ".join(poses.labels[number] for number in np.unique(poses.targets))
        same = _score(whole.take(np.isin(whole.rows, poses.rows)))[2:4] if whole else ["-", "-"]
        rows.append([source, names, *_score(poses), *same])
    heads = ["left out", "scored on", *SCORE_HEADS, "same photos in cross-validation: accuracy", "mean recall"]
    print_table("A source left out, scored on poses that another source has", heads, rows)
    for source, answers in left_out.items():
        print_rejection(answers, f"No pose, {source} left out")


def print_gains(answers: Answers, beside: Answers, title: str) -> None:
    """What answers gain over others to the same photos, in the same order."""
    poses = answers.is_of(tuple(label for label in answers.labels if label != NO_POSE))
    looked_at = answers.audited >= 0
    parts = {"all": (answers.targets, np.full(len(poses), True)), "the poses": (answers.targets, poses)}
    if looked_at.any():
        parts["the audited list"] = answers.audited, looked_at
    rows = []
    for part, (targets, which) in parts.items():
        groups = answers.groups[which]
        right = [(each.plain.argmax(axis=1) == targets)[which].astype(float) for each in (beside, answers)]
        accuracies = [str(estimate_mean(each, groups)) for each in right]
        rows.append([part, str(which.sum()), *accuracies, _format_gain(estimate_mean(right[1] - right[0], groups))])
    print_table(title, ["photos of", "photos", "there", "here", "gain"], rows)
