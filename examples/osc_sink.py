"""Send what is held as OSC messages over UDP: to Max, SuperCollider, TouchDesigner or a lighting desk.

    pip install ".[cpu]"
    python examples/osc_sink.py 0 127.0.0.1 9000               # a camera's number or address; or a video file
Each frame sends `/yoga/pose` with the pose, its confidence (0 to 1) and for how many seconds it has been held.
"""

import socket
import struct
import sys
import time
from pathlib import Path

import cv2

from yoga_live.runtime import PoseTracker


def pack_message(address: str, text: str, *numbers: float) -> bytes:
    """OSC 1.0: texts are filled up to a multiple of four by one to four zero bytes; numbers are big-endian float32."""
    texts = (part.encode() for part in (address, ",s" + "f" * len(numbers), text))
    return b"".join(part + bytes(4 - len(part) % 4) for part in texts) + struct.pack(f">{len(numbers)}f", *numbers)


def send_poses(camera: str, host: str, port: int) -> None:
    tracker, video = PoseTracker(), cv2.VideoCapture(int(camera) if camera.isdigit() else camera)
    if not video.isOpened():
        sys.exit(f"{camera} cannot be opened; give the number of another camera, an address or a video file")
    interval_s = 1 / video.get(cv2.CAP_PROP_FPS) if Path(camera).is_file() else None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        count = 0
        while (read := video.read())[0]:
            hold = tracker.update(read[1], count * interval_s if interval_s else time.monotonic())
            udp.sendto(pack_message("/yoga/pose", hold.pose, hold.confidence, hold.hold_s), (host, port))
            count += 1
    print(f"{count} messages were sent")


if __name__ == "__main__":
    send_poses(sys.argv[1], sys.argv[2], int(sys.argv[3])) if len(sys.argv) == 4 else sys.exit("give CAMERA HOST PORT")
