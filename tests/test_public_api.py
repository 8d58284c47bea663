"""What programs may build on: names and signatures are written down, so that a change of them is on purpose."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2")
pytest.importorskip("av")

PUBLIC = {
    "runtime": [
        "AnnotateConfig", "DeviceError", "Hold", "MissingPackageError", "ModelError", "ModelInfo", "Mounting",
        "OptionError", "OutputError", "Outputs", "PhotoError", "PoseClassifier", "PoseTracker", "Prediction",
        "ProgressUpdate", "Region", "Roi", "RunError", "RunResult", "Segment", "SourceError", "TakenError", "TimeRange",
        "TimedFrame", "Timeline", "YogaLiveError", "annotate_video",
    ],
    "train": ["Augmentation", "Epoch", "FitConfig", "FitResult", "RunReport", "fit", "open_run"],
    "export": ["ExportedModel", "export_onnx"],
}  # fmt: skip
NAMES = [(room, name) for room, names in PUBLIC.items() for name in names]
SIGNATURES = Path(__file__).with_name("public_api.txt")
HEAVY = ("torch", "torchvision", "onnx", "onnxruntime", "cv2", "numpy", "PIL", "av", "matplotlib")


def take(room: str, name: str) -> Any:
    return getattr(import_module(f"yoga_live.{room}"), name)


def list_members(owner: type) -> Iterator[tuple[str, Any]]:
    """A class's own public methods and properties, and how it is made unless it is an exception or a dataclass."""
    for name, member in vars(owner).items():
        if not name.startswith("_"):
            yield name, member


def list_callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function, method and constructor, by its name in the documentation."""
    for room, name in NAMES:
        thing = take(room, name)
        if not inspect.isclass(thing):
            yield f"{room}.{name}", thing
            continue
        if not issubclass(thing, (Exception, tuple)):
            yield f"{room}.{name}", thing
        for member_name, member in list_members(thing):
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(function):
                yield f"{room}.{name}.{member_name}", function


def write_signature(name: str, function: Callable[..., Any]) -> str:
    """One line: names, kinds, annotations and defaults, the same on every Python."""
    signature = inspect.signature(function)
    words, star = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            words.append("*")
            star = True
        default = "" if parameter.default is parameter.empty else f" = {write_default(parameter.default)}"
        annotation = "" if parameter.annotation is parameter.empty else f": {write_type(parameter.annotation)}"
        words.append(f"{parameter.name}{annotation}{default}")
    returned = "" if inspect.isclass(function) else f" -> {write_type(signature.return_annotation)}"
    return f"{name}({', '.join(words)}){returned}"


def write_type(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", repr(annotation))


def write_default(default: object) -> str:
    if dataclasses.is_dataclass(default):
        return f"{type(default).__name__}()"
    return "..." if repr(default).startswith("<") else repr(default)


@pytest.mark.parametrize("room", ["runtime", "calibration", "train", "export"])
def test_a_room_offers_exactly_these_names(room: str) -> None:
    module = import_module(f"yoga_live.{room}")
    assert getattr(module, "__all__", []) == PUBLIC.get(room, [])
    assert set(PUBLIC.get(room, [])) <= set(dir(module))


def test_signatures_are_those_that_are_written_down() -> None:
    """After a change on purpose, which CHANGELOG.md tells: python tests/test_public_api.py"""
    assert [write_signature(*each) for each in list_callables()] == SIGNATURES.read_text().splitlines()


def test_everything_is_typed() -> None:
    for name, function in list_callables():
        signature = inspect.signature(function)
        for parameter in signature.parameters.values():
            assert parameter.name in {"self", "cls"} or parameter.annotation is not parameter.empty, name
        assert inspect.isclass(function) or signature.return_annotation is not signature.empty, name


@pytest.mark.parametrize(("room", "name"), NAMES)
def test_every_public_name_has_a_docstring_of_its_own(room: str, name: str) -> None:
    thing = take(room, name)
    assert (thing.__doc__ or "").strip() and not thing.__doc__.startswith(f"{name}("), name
    for member_name, member in list_members(thing) if inspect.isclass(thing) else ():
        if isinstance(member, property) or inspect.isfunction(getattr(member, "__func__", member)):
            assert (member.__doc__ or "").strip(), f"{name}.{member_name}"


RENDERED = ["runtime.Prediction", "runtime.Timeline", "runtime.RunResult", "train.FitResult", "train.RunReport"]


@pytest.mark.parametrize("name", RENDERED)
def test_results_render_in_a_notebook(name: str) -> None:
    assert inspect.isfunction(take(*name.split("."))._repr_html_)


def read_docs(function: Any) -> str:
    """What is said of a callable; a class's own page and how it is made are read together."""
    made = getattr(vars(function).get("__init__"), "__doc__", None) if inspect.isclass(function) else None
    return f"{function.__doc__}\n{made or ''}"


def test_every_parameter_is_explained_where_it_is_documented() -> None:
    missing = [
        f"{name}: {parameter}"
        for name, function in list_callables()
        for parameter in inspect.signature(function).parameters
        if parameter not in {"self", "cls"} and not re.search(rf"\b{parameter}\b", read_docs(function))
    ]
    assert not missing


def test_documentation_gives_shapes_units_and_errors() -> None:
    docs = {name: read_docs(function) for name, function in list_callables()}
    for name, function in list_callables():
        for parameter in inspect.signature(function).parameters:
            if parameter.endswith("_bgr") and "as there" not in docs[name]:
                shape = r"\(H, W, \.\.\.\)" if ".Region." in name else r"uint8 \(H, W, 3\),? BGR"
                assert re.search(shape, docs[name]), name
            if parameter.endswith("_s") and parameter != "goals_s":
                assert "second" in docs[name], name
    raising = ["PoseClassifier", "PoseClassifier.classify", "PoseTracker", "PoseTracker.update", "annotate_video"]
    for name in [*(f"runtime.{each}" for each in raising), "train.fit", "train.FitConfig", "export.export_onnx"]:
        assert "Raises" in docs[name], name
        for error in re.findall(r"\b\w+Error\b", docs[name]):
            assert error == "ValueError" or error in PUBLIC["runtime"], (name, error)


@pytest.mark.parametrize("room", PUBLIC)
def test_each_name_is_imported_first_in_a_fresh_interpreter(room: str) -> None:
    code = f"import sys\nimport yoga_live.{room} as room\nprint(set({HEAVY}) & set(sys.modules))\n"
    for name in PUBLIC[room]:
        last = f"from yoga_live.{room} import {name} as it\nprint(it.__name__, 'torch' in sys.modules)"
        answer = subprocess.run([sys.executable, "-c", code + last], capture_output=True, text=True, check=False)
        assert answer.stdout.splitlines() == ["set()", f"{name} False"], answer.stderr


if __name__ == "__main__":
    SIGNATURES.write_text("".join(f"{write_signature(*each)}\n" for each in list_callables()))
