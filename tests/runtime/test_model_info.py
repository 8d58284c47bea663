"""The metadata document: what was written is read, what is wrong is named."""

import json
from typing import Any

import pytest

from yoga_live.runtime.errors import ModelError
from yoga_live.runtime.model_info import ModelInfo

LABELS = ("tree", "Śvānāsana", "none")


def test_info_survives_the_round_trip_with_unicode_labels() -> None:
    info = ModelInfo(LABELS, 224, "int8", 1.37, 0.62, training={"epochs": 3}, calibration={"ece": 0.021})
    document = info.to_json()
    assert ModelInfo.from_json(document) == info
    assert "Śvānāsana" in document


def test_label_order_is_the_order_written() -> None:
    document = ModelInfo(("z", "a", "m"), 224).to_json()
    assert ModelInfo.from_json(document).labels == ("z", "a", "m")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["tree"]}, "two different labels"),
        ({"labels": ["tree", "tree"]}, "two different labels"),
        ({"size": 8}, "at least 32"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1.5}, "temperature"),
        ({"temperature": 1386304}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"threshold": 1.01}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"format": 2}, "format 2"),
        ({"colour": "blue"}, "colour"),
        ({"labels": None}, "can't be read"),
        ({"temperature": "warm"}, "can't be read"),
    ],
)
def test_wrong_values_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    content = {**json.loads(ModelInfo(LABELS, 224).to_json()), **change}
    with pytest.raises(ModelError, match=message):
        ModelInfo.from_json(json.dumps(content))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", "{}", '{"format": 1}', '{"format": 1, "labels": ["a", "b"]}']
)
def test_what_is_no_document_is_a_model_error(text: str) -> None:
    with pytest.raises(ModelError):
        ModelInfo.from_json(text)
