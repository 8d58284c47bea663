"""The checksum of a network: of its graph and weights alone, and the same for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")

from yoga_live.runtime.engines.onnx_bytes import hash_network

from .hashed_networks import NETWORKS

DIGESTS = {
    "residual": "3e5779e17c3c8adc11788a9685b38679f2b5de1d642dffce4f6bed16a2c29569",
    "half": "8795cdad338596f43d538a09b380b16784e26e624b18dc1f453f8c478c772cf0",
    "int8": "d3a85674bd6afc431d99cbeb76d1f6c60847c2cef90a0f47983a97b34e6f927e",
    "nested": "ba3505ff124fa1e93343eca38c196ef9dd69b2cacd978ccc39f56360f3d2127b",
}
"""Written down once: an engine whose record holds another digest is refused, so these never change."""


@pytest.mark.parametrize("name", NETWORKS)
def test_checksums_in_records_of_engines_that_exist_stay_what_they_are(name: str) -> None:
    assert hash_network(NETWORKS[name]().SerializeToString(), Path("a.onnx")) == DIGESTS[name.partition(",")[0]]
