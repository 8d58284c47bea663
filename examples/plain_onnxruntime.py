"""The shipped model's network without this package, and so without key points: what a program in any language can do.

    pip install onnxruntime pillow numpy
    ORT_DISABLE_TELEMETRY=1 python examples/plain_onnxruntime.py photo.jpg

`frames` is uint8 (N, S, S, 3), BGR: the whole picture in the middle of a grey square. `logits` (N, C) divided by the
temperature give, by softmax, the calibrated probabilities. S, labels, temperature and threshold are in the metadata.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

MODEL = Path(__file__).parent.parent / "runtime" / "models" / "default.onnx"


def letterbox(photo: Image.Image, size: int) -> np.ndarray:
    scale = size / max(photo.size)
    width, height = (max(1, round(side * scale)) for side in photo.size)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    square = Image.new("RGB", (size, size), (114, 114, 114))
    square.paste(photo.resize((width, height), method), ((size - width) // 2, (size - height) // 2))
    return np.ascontiguousarray(np.asarray(square)[:, :, ::-1])


if __name__ == "__main__":
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    info = json.loads(session.get_modelmeta().custom_metadata_map["yoga_live"])
    photo = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
    outputs = session.run(["logits"], {"frames": letterbox(photo, info["size"])[np.newaxis]})
    logits = np.asarray(outputs[0], np.float64)[0] / info["temperature"]
    powers = np.exp(logits - logits.max())
    probabilities = dict(zip(info["labels"], (powers / powers.sum()).tolist(), strict=True))
    best = max(probabilities, key=probabilities.__getitem__)
    print(best if probabilities[best] >= info["threshold"] else "none")
    print(json.dumps(probabilities))
