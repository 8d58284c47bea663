"""An address in the terminal that a phone's camera reads."""

import cv2
import numpy as np
import pytest

from yoga_live.runtime.serve import qr_code
from yoga_live.runtime.serve.qr_code import draw_qr_code

ADDRESS = "http://192.168.100.120:8080/abcdefghjkmnpq/"


@pytest.mark.skipif(not hasattr(cv2, "QRCodeEncoder"), reason="this OpenCV has no QR encoder")
def test_a_reader_reads_what_is_drawn() -> None:
    lines = draw_qr_code(ADDRESS).splitlines()
    assert len({len(line) for line in lines}) == 1 and len(lines) <= 24  # a terminal's height
    rows = [[mark in marks for mark in line] for line in lines for marks in ("█▀", "█▄")]
    image = np.kron(np.where(rows, 255, 0).astype(np.uint8), np.ones((8, 8), np.uint8))
    image = cv2.copyMakeBorder(image, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=0)  # a dark terminal
    assert cv2.QRCodeDetector().detectAndDecode(image)[0] == ADDRESS


def test_an_opencv_without_it_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qr_code, "cv2", object())
    assert draw_qr_code(ADDRESS) == ""
