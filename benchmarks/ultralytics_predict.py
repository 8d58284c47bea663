"""Ultralytics' side of `engines.py`, run by a Python that has ultralytics (AGPL-3.0: never a part of yoga-live).

    ULTRALYTICS_PYTHON benchmarks/ultralytics_predict.py FRAMES.npy --model yolo11n-cls.yaml --size 224

FRAMES.npy holds uint8 (N, H, W, 3) BGR.  The weights are random, which is all the same to the clock.  Prints one JSON
line when it is ready; then for each line `START COUNT` on its stdin one with the milliseconds of so many `predict`s.
"""

# pyright: reportMissingImports=false

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("YOLO_OFFLINE", "true")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--threads", type=int, help="instead of the number that Ultralytics sets")
    args = parser.parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr  # Ultralytics talks on stdout
    import numpy as np
    import torch
    import ultralytics

    frames = np.load(args.frames)
    model = ultralytics.YOLO(args.model)

    def time_predict(frame: np.ndarray) -> float:
        started_s = time.perf_counter()
        model.predict(frame, imgsz=args.size, device="cpu", verbose=False)
        return (time.perf_counter() - started_s) * 1000

    time_predict(frames[0])  # the first one sets up the predictor, and torch's threads
    if args.threads:
        torch.set_num_threads(args.threads)
    time_predict(frames[0])
    facts = {"version": ultralytics.__version__, "threads": torch.get_num_threads()}
    print(json.dumps(facts), file=answers, flush=True)
    for line in sys.stdin:
        start, count = map(int, line.split())
        taken = [time_predict(frames[number % len(frames)]) for number in range(start, start + count)]
        print(json.dumps(taken), file=answers, flush=True)


if __name__ == "__main__":
    main()
