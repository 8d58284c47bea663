"""Send what is held as OSC messages over UDP: to Max, SuperCollider, TouchDesigner or a lighting desk.

    pip install ".[cpu]"
    python examples/osc_sink.py 0 127.0.0.1 9000               # what `yoga-live --camera` takes; or a video file

Each frame sends `/yoga/pose` with the pose, its confidence (0 to 1) and for how many seconds it has been held.
"""

import socket
import struct
import sys
from pathlib import Path

from yoga_live.runtime import PoseClassifier
from yoga_live.runtime.core.types import Hold
from yoga_live.runtime.pipelines.live_loop import run_live
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.sources.cameras import open_camera
from yoga_live.runtime.sources.video import VideoSource


def pack_message(address: str, text: str, *numbers: float) -> bytes:
    """OSC 1.0: texts are filled up to a multiple of four by one to four zero bytes; numbers are big-endian float32."""
    texts = (part.encode() for part in (address, ",s" + "f" * len(numbers), text))
    return b"".join(part + bytes(4 - len(part) % 4) for part in texts) + struct.pack(f">{len(numbers)}f", *numbers)


def send_poses(camera: str, host: str, port: int) -> None:
    source = VideoSource(Path(camera)) if Path(camera).is_file() else open_camera(camera)
    with source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:

        def send(_: object, hold: Hold) -> None:
            udp.sendto(pack_message("/yoga/pose", hold.pose, hold.confidence, hold.hold_s), (host, port))

        result = run_live(RunPlan(source, PoseClassifier(), on_frame=send))
        print(result.error or f"{result.frames} messages were sent")


if __name__ == "__main__":
    send_poses(sys.argv[1], sys.argv[2], int(sys.argv[3]))
