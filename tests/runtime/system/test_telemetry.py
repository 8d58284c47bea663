"""Telemetry is off before the libraries that report are imported, by whichever door one comes in."""

from __future__ import annotations

import ast
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from yoga_live.runtime.system.telemetry import silence_telemetry

ROOT = Path(__file__).parents[3]
REPORTING = {"onnxruntime", "openvino"}
FOLDERS = ("runtime", "calibration", "train", "export", "benchmarks")


class FakeOnnxruntime(ModuleType):
    """ONNX Runtime as a host program has imported it."""

    def __init__(self, version: str) -> None:
        super().__init__("onnxruntime")
        self.__version__, self.told = version, 0

    def disable_telemetry_events(self) -> None:
        self.told += 1


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing had been imported and nothing been set."""
    for name in ("ORT_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards, whatever happens in between
        monkeypatch.delenv(name)
    for name in ("onnxruntime", "openvino", "openvino_telemetry"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.delitem(sys.modules, name)


def test_reporting_is_off_for_this_process_and_its_children() -> None:
    silence_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    with pytest.raises(ImportError):
        import openvino_telemetry  # noqa: F401


def test_a_value_that_the_user_gave_holds(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    host = FakeOnnxruntime("1.32.0")
    monkeypatch.setitem(sys.modules, "onnxruntime", host)
    silence_telemetry()
    assert (os.environ["ORT_DISABLE_TELEMETRY"], os.environ["RAY_USAGE_STATS_ENABLED"]) == ("0", "1")
    assert host.told == 0 and not caplog.records


def test_an_empty_value_switches_nothing_off_and_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "")
    silence_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_a_program_that_imported_onnxruntime_first_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host = FakeOnnxruntime("1.29.0")
    monkeypatch.setitem(sys.modules, "onnxruntime", host)
    with caplog.at_level(logging.WARNING):
        silence_telemetry()
        silence_telemetry()
    [record] = caplog.records
    assert "ORT_DISABLE_TELEMETRY=1" in record.getMessage() and "1.29.0" in record.getMessage()
    assert host.told == 1


@pytest.mark.parametrize("version", ["1.18.0", "1.28.2", "unknown"])
def test_an_onnxruntime_without_telemetry_is_nothing_to_speak_of(
    version: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host = FakeOnnxruntime(version)
    monkeypatch.setitem(sys.modules, "onnxruntime", host)
    silence_telemetry()
    assert host.told == 0 and not caplog.records


def test_a_program_that_imported_openvino_first_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", ModuleType("openvino"))
    monkeypatch.setitem(sys.modules, "openvino_telemetry", ModuleType("openvino_telemetry"))
    silence_telemetry()
    silence_telemetry()
    [record] = caplog.records
    assert "openvino" in record.getMessage() and "opt_in_out --opt_out" in record.getMessage()


def list_bare_imports(tree: ast.Module) -> Iterator[int]:
    """Lines that import a library which reports, without `silence_telemetry()` before in the same function."""

    def visit(node: ast.AST, silent_from: int | None) -> Iterator[int]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            calls = [
                inner.lineno
                for inner in ast.walk(node)
                if isinstance(inner, ast.Call)
                and isinstance(inner.func, ast.Name)
                and inner.func.id == "silence_telemetry"
            ]
            own = min(calls, default=None) if not isinstance(node, ast.Module) else None
            silent_from = own if own is not None else silent_from
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        exports = isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.onnx.export"  # which may import it
        if exports or any(name.split(".")[0] in REPORTING for name in names):
            line = node.lineno  # type: ignore[attr-defined]
            if silent_from is None or silent_from > line:
                yield line
        for child in ast.iter_child_nodes(node):
            yield from visit(child, silent_from)

    yield from visit(tree, None)


def test_no_source_imports_what_reports_without_silencing_it_first() -> None:
    bare, seen = [], 0
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        bare += [f"{path.relative_to(ROOT)}:{line}" for line in list_bare_imports(ast.parse(text))]
        seen += "silence_telemetry()" in text
    assert not bare
    assert seen >= 5  # the rule is about something


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import onnxruntime", [1]),
        ("def f():\n    import onnxruntime.tools", [2]),
        ("def f():\n    from openvino import Core", [2]),
        ("def f():\n    import onnxruntime\n    silence_telemetry()", [2]),
        ("def f():\n    silence_telemetry()\n\ndef g():\n    import onnxruntime", [5]),
        ("def f():\n    silence_telemetry()\n    if x:\n        import openvino.frontend", []),
        ("def f():\n    torch.onnx.export(x)", [2]),
        ("def f():\n    silence_telemetry()\n    torch.onnx.export(x)", []),
        ("def f():\n    import onnx\n    from .onnxruntime import x", []),
    ],
)
def test_the_rule_sees_an_import_that_is_not_silenced(source: str, lines: list[int]) -> None:
    assert list(list_bare_imports(ast.parse(source))) == lines
