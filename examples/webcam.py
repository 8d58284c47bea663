"""A webcam in twenty lines.

    pip install ".[cpu]"
    python examples/webcam.py                  # the first camera; or give another number, or a video file

The pose and its confidence are on the picture; q quits.
"""

import sys

import cv2

from yoga_live.runtime import PoseClassifier


def watch(camera: int | str) -> None:
    classifier, video = PoseClassifier(), cv2.VideoCapture(camera)
    if not video.isOpened():
        sys.exit(f"{camera} cannot be opened; give another number or a video file")
    while (read := video.read())[0]:
        frame_bgr = read[1]
        prediction = classifier.classify(frame_bgr)
        text = f"{prediction.pose} {prediction.confidence:.0%}"
        cv2.putText(frame_bgr, text, (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 3)
        cv2.imshow("yoga-live", frame_bgr)
        if cv2.waitKey(1) == ord("q"):
            break
    video.release()
    cv2.destroyAllWindows()


if __name__ == "__main__":
    camera = sys.argv[1] if len(sys.argv) > 1 else "0"
    watch(int(camera) if camera.isdigit() else camera)
