"""Writes `report.html`: one self-contained file that needs neither a server nor a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...calibration.metrics import Accuracy
from ...calibration.runs import Run
from ...runtime.system.files import write_text
from ...runtime.system.plain_text import format_command, show_in_page
from .answers import PhotoPrediction
from .comparison import describe_settings
from .curves import draw_curves
from .measure import ALL, DUELS, Report
from .pictures import RunPictures

VIEW_TITLES = {"test": "test photos", "validation": "validation photos", ALL: "all photos, out of fold"}
LOSS_TITLES = VIEW_TITLES | {ALL: "training photos, out of fold"}
VIEW_NOTES = {
    "test": "Held out from training and from every choice.",
    "validation": "Held out from training; the kept epoch and later the temperature are chosen by them.",
    ALL: "Each photo answered by a network of another fold, which never saw it or a near-duplicate of it; "
    "class maps are the kept network's, for the answer that the fold's network gave.",
}


def write_report(report: Report, pictures: RunPictures, path: Path) -> None:
    """Write the page.  Every text is escaped, and names are shown as `show_name` has them."""
    write_text(path, render_report(report, pictures))


def render_report(report: Report, pictures: RunPictures) -> str:
    """Fill `pages/report.html`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=show_in_page,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": format_percent, "interval": format_interval, "quote": format_command}
    run = report.run
    return environment.get_template("report.html").render(
        report=report,
        run=run,
        name=name_run(run),
        other=name_run(report.comparison.other) if report.comparison else "",
        pictures=pictures,
        plain=_name_rules(pictures.photos),
        maps={key: f"m{key[0]}-{key[1]}" for key in pictures.maps},
        charts=draw_curves(report.epochs, run.summary.get("metrics", {}).get("best_epoch")),
        phases=_list_phases(report),
        settings=describe_settings(run),
        titles=VIEW_TITLES,
        loss_titles=LOSS_TITLES,
        notes=VIEW_NOTES,
        duel_photos=DUELS,
        describe=lambda row: describe_answer(run, row),
    )


def name_run(run: Run) -> str:
    """A run's folder name, also of `.`."""
    return run.folder.resolve().name


def format_percent(share: float) -> str:
    """Format a fraction as a percentage; a dash if there is none."""
    return "–" if share != share else f"{share * 100:.1f}\N{NO-BREAK SPACE}%"


def format_interval(accuracy: Accuracy) -> str:
    """Format the 95 % interval in percent, without the sign."""
    low, high = accuracy.interval
    return f"{max(low, 0.0) * 100:.1f} to {high * 100:.1f}" if accuracy.total else "none"  # rounding may give -0.0


def describe_answer(run: Run, row: PhotoPrediction) -> str:
    """Describe a picture for screen readers."""
    return f"{run.labels[row.truth]}, answered {run.labels[row.answer]} at {row.probability:.0%}"


def _name_rules(photos: dict[int, str]) -> dict[int, str]:
    return {photo: f"p{photo}" for photo in photos}


def _list_phases(report: Report) -> list[tuple[str, float]]:
    """List the seconds of each phase that the run recorded."""
    metrics: dict[str, Any] = report.run.summary.get("metrics", {})
    frozen, whole = (metrics.get(name, {}).get("seconds") for name in ("frozen", "test"))
    epochs = [row.seconds for row in report.epochs if row.epoch > 0 and row.seconds is not None]
    phases = [("the head on frozen features", frozen)]
    if frozen is not None and whole is not None:
        phases.append((f"the whole network, epochs: {len(epochs)}", max(0.0, whole - frozen)))
    phases.append(("one such epoch, on average", sum(epochs) / len(epochs) if epochs else None))
    return [(name, float(seconds)) for name, seconds in phases if seconds is not None]
