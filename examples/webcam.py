"""A webcam in twenty lines.

    pip install ".[cpu]"
    python examples/webcam.py                  # the first camera; or give another number

The pose that is held, its confidence and for how long are on the picture; q quits.
"""

import sys
import time

import cv2

from yoga_live.runtime import PoseTracker


def watch(camera: int | str) -> None:
    tracker, video, began_s = PoseTracker(), cv2.VideoCapture(camera), time.monotonic()
    if not video.isOpened():
        sys.exit(f"{camera} cannot be opened; give the number of another camera")
    while (read := video.read())[0]:
        frame_bgr = read[1]
        hold = tracker.update(frame_bgr, time.monotonic() - began_s)
        text = f"{hold.pose} {hold.confidence:.0%} {hold.hold_s:.1f} s"
        cv2.putText(frame_bgr, text, (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 3)
        cv2.imshow("yoga-live", frame_bgr)
        if cv2.waitKey(1) == ord("q"):
            break
    video.release()
    cv2.destroyAllWindows()
    print(*tracker.segments, sep="\n")


if __name__ == "__main__":
    camera = sys.argv[1] if len(sys.argv) > 1 else "0"
    watch(int(camera) if camera.isdigit() else camera)
