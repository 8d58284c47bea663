"""The metadata document: what was written is read, what is wrong is named."""

import json
from typing import Any

import pytest

from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.errors import ModelError

LABELS = ("tree", "Śvānāsana", "none")


def test_info_survives_the_round_trip_with_unicode_labels() -> None:
    info = ModelInfo(LABELS, 224, "int8", 1.37, 0.62, training={"epochs": 3}, calibration={"ece": 0.021})
    document = info.to_json()
    assert ModelInfo.from_json(document) == info
    assert "Śvānāsana" in document


def test_a_document_without_a_second_opinion_is_as_older_versions_read_it() -> None:
    content = json.loads(ModelInfo(LABELS, 224).to_json())
    assert content["format"] == 1 and "second_opinion" not in content
    info = ModelInfo(LABELS, 224, second_opinion={"networks": 2})
    assert json.loads(info.to_json())["format"] == 2 and ModelInfo.from_json(info.to_json()) == info


def test_label_order_is_the_order_written() -> None:
    document = ModelInfo(("z", "a", "m"), 224).to_json()
    assert ModelInfo.from_json(document).labels == ("z", "a", "m")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["tree"]}, "needs 2 to 10000 labels"),
        ({"labels": ["tree", "tree"]}, "'tree' appears twice"),
        ({"size": 8}, "from 32 to 2048; it is 8"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1.5}, "temperature"),
        ({"temperature": 1386304}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"threshold": 1.01}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"format": 3}, "format is 3"),
        ({"colour": "blue"}, "colour"),
        ({"labels": None}, "cannot be read"),
        ({"labels": "ab"}, "should be a list"),
        ({"labels": [1, 2]}, "printable name.*got 1"),
        ({"labels": ["tree", ""]}, "printable name"),
        ({"labels": ["tree", "a" * 201]}, "printable name"),
        ({"labels": ["tree", "a\x1b[2J"]}, "printable name"),
        ({"labels": ["tree", "a\nb"]}, "printable name"),
        ({"labels": ["tree", "\ud800"]}, "half a character"),
        ({"labels": ["tree", "\udcff"]}, "printable name"),
        ({"labels": ["tree", "\u202eeert"]}, "printable name"),
        ({"labels": [f"pose {number}" for number in range(10_001)]}, "needs 2 to 10000 labels"),
        ({"size": 32.0}, "whole number"),
        ({"size": True}, "whole number"),
        ({"size": 200_000}, "whole number"),
        ({"temperature": 1e-308}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": 10**400}, "temperature"),
        ({"precision": 16}, "precision"),
        ({"training": [1]}, "training"),
        ({"calibration": "good"}, "calibration"),
        ({"second_opinion": [0.5]}, "second_opinion should hold names"),
        ({"temperature": "warm"}, "cannot be read"),
    ],
)
def test_wrong_values_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    content = {**json.loads(ModelInfo(LABELS, 224).to_json()), **change}
    with pytest.raises(ModelError, match=message):
        ModelInfo.from_json(json.dumps(content))


@pytest.mark.parametrize(
    "nested", ['{"a": ' * 100_000, "[" * 100_000, '{"format": 1, "training": ' + '{"a": ' * 40 + "1" + "}" * 41]
)
def test_nesting_is_bounded(nested: str) -> None:
    with pytest.raises(ModelError, match="deep"):
        ModelInfo.from_json(nested, "nested.onnx")


def test_a_refusal_names_the_file() -> None:
    with pytest.raises(ModelError, match=r"metadata of a\.onnx"):
        ModelInfo.from_json("{}", "a.onnx")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", "{}", '{"format": 1}', '{"format": 1, "labels": ["a", "b"]}']
)
def test_what_is_no_document_is_a_model_error(text: str) -> None:
    with pytest.raises(ModelError):
        ModelInfo.from_json(text)
