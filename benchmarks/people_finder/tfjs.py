"""Convert TF.js to ONNX, in an environment that has tf2onnx: `python tfjs.py FOLDER TO.onnx`; `movenet.py` calls it.

FOLDER holds `movenet-multipose.json` and `.bin`.  TF.js leaves out some attributes of its nodes that TensorFlow needs;
they are put in before the conversion.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OPSET = "17"


def complete_attributes(document: dict) -> None:
    """Put in what TF.js left out: types of a fused convolution's arguments, and of indices."""
    for node in document["modelTopology"]["node"]:
        attributes = node.setdefault("attr", {})
        if node["op"] == "_FusedConv2D":
            count = int(attributes["num_args"]["i"])
            attributes.setdefault("TArgs", {"list": {"type": ["DT_FLOAT"] * count}})
        if node["op"] in ("Fill", "TopKV2"):
            attributes.setdefault("index_type", {"type": "DT_INT32"})


def main(folder: Path, target: Path) -> int:
    document = json.loads((folder / "movenet-multipose.json").read_text(encoding="utf-8"))
    complete_attributes(document)
    with tempfile.TemporaryDirectory() as work:
        model = Path(work, "model.json")
        model.write_text(json.dumps(document), encoding="utf-8")
        shutil.copy(folder / "movenet-multipose.bin", work)
        command = [sys.executable, "-m", "tf2onnx.convert", "--tfjs", str(model), "--opset", OPSET]
        return subprocess.run([*command, "--output", str(target)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
