"""The report of a run for programs: the page as a text, shown in a notebook, or saved.  Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import OutputError

if TYPE_CHECKING:
    from ...calibration.runs import Run

HEIGHT = 760
"""Of the frame in a notebook, in CSS pixels."""
BASE = '<base href="about:srcdoc">'
"""Within a frame, links to headings would else lead to the notebook."""


@dataclass(frozen=True)
class RunReport:
    """The report of a run.  A notebook shows it as it is; `save` writes the page.

    run: the folder of the run.  html: the page, one HTML document that loads nothing from elsewhere.  missing: how many
    of the photos to be shown were not found.
    """

    run: Path
    html: str = field(repr=False)
    missing: int = 0

    def save(self, to: str | Path | None = None, *, force: bool = False) -> Path:
        """Write the page.  Returns its path.

        to: the new file, .html; None: `report/report.html` in the run, which is always replaced, as by `yoga-train
        report`.  force: replace what is there.  Raises OutputError.
        """
        from ...runtime.system.claims import claim_outputs
        from ...runtime.system.files import write_text

        path = self.run / "report" / "report.html" if to is None else Path(to)
        replace = force or to is None
        if path.suffix.lower() not in (".html", ".htm"):
            raise OutputError(f"{path} should end in .html")
        try:
            if to is None:
                path.parent.mkdir(exist_ok=True)
            with claim_outputs([path], force=replace):
                write_text(path, self.html, replace=replace)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}; give another name") from error
        return path

    def _repr_html_(self) -> str:
        """What a notebook shows: the page in a frame of its own, so that neither's styles reach the other."""
        page = self.html.replace("<head>", f"<head>{BASE}", 1)
        return (
            f'<iframe srcdoc="{escape(page)}" sandbox="allow-scripts" title="report of {escape(str(self.run))}" '
            f'style="width:100%;height:{HEIGHT}px;border:1px solid rgba(127,127,127,0.4)"></iframe>'
        )


def make_report(run: Run, against: Run | None, top: int) -> RunReport:
    """Measure a run, and draw its page.  top: how many of the highest losses are shown.  Raises RunError."""
    from ..fit.network import load_network
    from .measure import measure_report
    from .page import render_report
    from .pictures import make_pictures

    network = load_network(run.folder / "weights.safetensors", len(run.labels))
    report = measure_report(run, against, top)
    pictures = make_pictures(run, network, report.list_pictured(), report.list_mapped())
    return RunReport(run.folder, render_report(report, pictures), pictures.missing)
