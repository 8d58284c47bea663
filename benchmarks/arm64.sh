#!/usr/bin/env bash
# The user land of a Jetson or a Raspberry Pi without either: Debian for arm64 under qemu, `pip install ".[cpu]"` in it,
# the demo and twenty drawn photos, and the same answers as on this machine.  It says nothing about speed: qemu computes
# each number by itself, and one look of the shipped network takes it half a minute.  Photos are answered by that network, the
# demo (915 looks) by a tiny one with the same labels that is drawn by lot.
#
#   apt-get install mmdebstrap qemu-user-static && benchmarks/arm64.sh      (as root; 3 GB below TMPDIR, removed again)
#
# WORK=FOLDER keeps everything there, and goes on with the system that it finds in it.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=bookworm # Python 3.11
photos=20
limit_s=7200 # for each step under emulation

fail() { echo "arm64: $*" >&2; exit 2; }
say() { echo "== $(date +%T) $*"; }

[ "$(id -u)" = 0 ] || fail "run it as root: it makes a root file system and changes into it"
for tool in mmdebstrap qemu-aarch64-static unshare git python3; do
  command -v "$tool" >/dev/null || fail "$tool is missing; run: apt-get install mmdebstrap qemu-user-static git python3-venv"
done

work=${WORK:-$(mktemp -d)}
mkdir -p "$work"
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT
root=$work/root

# The kernel hands arm64 programs to qemu.  Debian's package registers it where an init system runs, containers have none.
binfmt=/proc/sys/fs/binfmt_misc
if [ ! -e $binfmt/qemu-aarch64 ] && [ "$(uname -m)" != aarch64 ]; then
  [ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt || fail "this kernel offers no binfmt_misc here"
  cat /usr/lib/binfmt.d/qemu-aarch64.conf >$binfmt/register || fail "qemu-aarch64 can't be registered in $binfmt"
fi

inside() { # COMMAND...: in the arm64 system, with its own /proc, for at most $limit_s seconds
  timeout "$limit_s" unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" chroot "$root" \
    env -i HOME=/root PATH=/venv/bin:/usr/bin:/bin LANG=C.UTF-8 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    ${https_proxy:+https_proxy="$https_proxy"} ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} \
    ${PIP_CERT:+PIP_CERT=/etc/ssl/certs/ca-certificates.crt} "$@"
}

if [ ! -e "$root/usr/bin/python3" ]; then
  say "a root file system for arm64 ($suite)"
  mmdebstrap --quiet --variant=apt --architectures=arm64 \
    --include=python3-venv,ca-certificates,libgl1,libglib2.0-0 "$suite" "$root"
fi
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo "$(inside uname -m), $(inside python3 --version)"

say "pip install '.[cpu]' in both"
rm -rf "$work/source" "$root/source"
mkdir -p "$work/source"
git archive HEAD | tar -x -C "$work/source"
cp -r "$work/source" "$root/source"
[ -e "$root/venv" ] || inside python3 -m venv /venv
inside pip install --quiet --no-warn-script-location "/source[cpu]"
[ -e "$work/x86" ] || python3 -m venv "$work/x86"
"$work/x86/bin/pip" install --quiet "$work/source[cpu]"
for package in av numpy onnxruntime opencv-python pillow; do
  version() { grep -i "^$package " | tr -s " " | cut -d " " -f 2; }
  echo "$package: $(inside pip list 2>/dev/null | version) on arm64, $("$work/x86/bin/pip" list 2>/dev/null | version) here"
done

say "twenty drawn photos"
rm -rf "$work/photos" "$root/photos"
"$work/x86/bin/python" - "$work/photos" "$photos" <<'PYTHON'
import sys
from pathlib import Path

import cv2
import numpy as np
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, jitter_pose, random_look

folder, count = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir()
for number in range(count):
    rng = np.random.default_rng(number)
    pose = sorted(POSES)[number % len(POSES)]
    image = draw_figure(jitter_pose(POSES[pose], rng), (640, 480), random_look(rng))
    cv2.imwrite(str(folder / f"{number:02d}_{pose}.{'jpg' if number % 2 else 'png'}"), image)
PYTHON
cp -r "$work/photos" "$root/photos"
rm -f "$work"/*.csv "$root"/*.csv
(cd "$work" && x86/bin/yoga-live --images photos --table x86.csv)
inside sh -c "cd / && yoga-live --images photos --table arm64.csv"

say "the demo"
rm -f "$work"/demo.* "$root"/demo.*
"$work/x86/bin/pip" install --quiet onnx
"$work/x86/bin/python" - "$root/tiny.onnx" <<'PYTHON'
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from yoga_live.runtime import PoseClassifier
from yoga_live.runtime.core.model_metadata import ModelInfo

labels, side = PoseClassifier().labels, 64
rng = np.random.default_rng(4)
weights = rng.normal(0, 0.02, (len(labels), 3, 16, 16)).astype(np.float32)
weights -= weights.mean(axis=(1, 2, 3), keepdims=True)
nodes = [
    helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
    helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
    helper.make_node("Conv", ["planes", "weights"], ["patterns"], strides=[4, 4]),
    helper.make_node("Abs", ["patterns"], ["strengths"]),
    helper.make_node("Add", ["strengths", "handicap"], ["maps"]),  # against `none`
    helper.make_node("ReduceMean", ["maps", "sides"], ["logits"], keepdims=0),
]
handicap = np.array([-99.0 if label == "none" else 0.0 for label in labels], np.float32).reshape(1, -1, 1, 1)
tensors = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(handicap, "handicap")]
tensors.append(numpy_helper.from_array(np.array([2, 3]), "sides"))
across = (side - 16) // 4 + 1
graph = helper.make_graph(
    nodes,
    "tiny",
    [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", side, side, 3])],
    [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(labels)]),
        helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", len(labels), across, across]),
    ],
    tensors,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
helper.set_model_props(model, {"yoga_live": ModelInfo(tuple(labels), side).to_json()})
onnx.save(model, sys.argv[1])
PYTHON
(cd "$work" && x86/bin/yoga-live --demo --model root/tiny.onnx --save demo.mp4 --timeline demo.csv)
inside sh -c "cd / && yoga-live --demo --model tiny.onnx --save demo.mp4 --timeline demo.csv"

say "side by side"
"$work/x86/bin/python" - "$work" "$root" <<'PYTHON'
import csv
import sys
from pathlib import Path

import av

here, there = map(Path, sys.argv[1:])


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def largest_difference(ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> float:
    pairs = [(a[key], b[key]) for a, b in zip(ours, theirs, strict=True) for key in a]
    return max((abs(float(a) - float(b)) for a, b in pairs if a.replace(".", "").isdigit()), default=0.0)


ours, theirs = read(here / "x86.csv"), read(there / "arm64.csv")
same = sum(a["pose"] == b["pose"] for a, b in zip(ours, theirs, strict=True))
print(f"photos: {same} of {len(ours)} answers are the same, probabilities differ by {largest_difference(ours, theirs):.4f} at most")
segments, more = read(here / "demo.csv"), read(there / "demo.csv")
alike = [row["pose"] for row in segments] == [row["pose"] for row in more]
apart_s = largest_difference(segments, more) if alike else float("nan")
print(f"demo: {len(segments)} segments, {'the same' if alike else 'not the same'} poses, times and confidence differ by {apart_s:.3f} at most")
with av.open(str(there / "demo.mp4")) as container:
    frames = sum(1 for _ in container.decode(video=0))
print(f"demo.mp4 from arm64: {frames} frames can be read here")
sys.exit(0 if same == len(ours) and alike and frames else 1)
PYTHON
say "done"
