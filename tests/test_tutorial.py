"""The tutorial notebook is stored without outputs, and runs from top to bottom in a real kernel, without a network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "tutorial.ipynb"
PUBLIC = {"yoga_live.runtime", "yoga_live.train", "yoga_live.export"}
DRAWINGS = {"yoga_live.runtime.sources.drawn_figure", "yoga_live.runtime.sources.demo"}
"""In place of photos and of a video, of which the repository has none."""
LONGEST_CELL_S = 400
GUARD = """
import socket

def _refuse(reach, at):
    def guarded(*arguments, **options):
        if (host := arguments[at][0] if at else arguments[0]) not in ("127.0.0.1", "localhost", "::1"):
            raise OSError(f"the tutorial reaches for {host}")
        return reach(*arguments, **options)
    return guarded

socket.getaddrinfo = _refuse(socket.getaddrinfo, 0)
socket.socket.connect = _refuse(socket.socket.connect, 1)
"""


def read_cells(kind: str) -> list[dict[str, Any]]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def test_it_is_stored_without_outputs() -> None:
    cells = read_cells("code")
    assert len(cells) > 10
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_it_builds_on_the_public_api_and_draws_its_own_photos() -> None:
    text = "".join(line for cell in read_cells("code") for line in (*cell["source"], "\n"))
    assert set(re.findall(r"^(?:from|import) (yoga_live\S*)", text, re.MULTILINE)) == PUBLIC | DRAWINGS
    for name in ("fit(", "on_epoch=", ".history", ".report()", ".predict(", ".calibrate()", "export_onnx("):
        assert name in text


def test_its_links_lead_to_pages() -> None:
    text = "".join(line for cell in read_cells("markdown") for line in (*cell["source"], "\n"))
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) >= 4 and all((NOTEBOOK.parent / link).resolve().is_file() for link in links)


@pytest.mark.slow
def test_it_runs_headless_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "onnx", "onnxscript", "onnxruntime", "matplotlib", "av"):
        pytest.importorskip(package)
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed; the extra dev has it")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed; the extra dev has it")
    nbformat = pytest.importorskip("nbformat")
    for name in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(GUARD))
    client = nbclient.NotebookClient(
        notebook, timeout=LONGEST_CELL_S, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises what a cell raises

    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    shown = [output.data for output in outputs if "data" in output]
    html = [data["text/html"] for data in shown if "text/html" in data]
    assert not [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert [*re.findall(r"^(\w+) (\d): validation", said, re.MULTILINE)] == [
        ("frozen", "0"), ("whole", "1"), ("whole", "2"),
    ]  # fmt: skip
    right, count = map(int, re.findall(r"(\d+) of (\d+) new drawings are answered right", said)[0])
    assert count == 12 and right >= 9
    assert float(re.findall(r"difference to PyTorch: (\S+)", said)[0]) < 1e-3
    assert sum("image/png" in data for data in shown) == 3  # photos, curves, a frame of the video
    assert sum(text.startswith("<iframe srcdoc=") for text in html) == 1
    assert any("test accuracy" in text for text in html) and any("Warrior 2" in text for text in html)
    assert {path.name for path in tmp_path.glob("TMPDIR/yoga-live-*/*")} >= {
        *("photos", "run", "mine.onnx", "class.mp4", "annotated.mp4", "poses.csv")
    }
