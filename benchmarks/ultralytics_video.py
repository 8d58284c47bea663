"""Ultralytics' side of `annotate_cost.py`, run by a Python that has ultralytics (AGPL-3.0: never a part of yoga-live).

    ULTRALYTICS_PYTHON benchmarks/ultralytics_video.py CLIP --model yolo11n-cls.yaml --size 224 --to FOLDER

`predict` on a video, the annotated one written, as its own command line does.  Prints one JSON line: frames, and how
often the label that it shows changes from one frame to the next.
"""

# pyright: reportMissingImports=false

import argparse
import json
import os
import sys
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("YOLO_OFFLINE", "true")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--to", type=Path, required=True)
    args = parser.parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr  # Ultralytics talks on stdout
    import ultralytics

    model = ultralytics.YOLO(args.model)
    wishes = {"imgsz": args.size, "device": "cpu", "verbose": False, "project": str(args.to), "exist_ok": True}
    results = model.predict(str(args.video), stream=True, save=True, **wishes)
    labels = [int(result.probs.top1) for result in results]
    flips = sum(a != b for a, b in pairwise(labels))
    facts = {"version": ultralytics.__version__, "frames": len(labels), "flips": flips}
    print(json.dumps(facts), file=answers, flush=True)


if __name__ == "__main__":
    main()
