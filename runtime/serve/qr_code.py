"""An address as a QR code for the terminal, so that nobody types it into a phone."""

from __future__ import annotations

from ..core.opencv import cv2

QUIET = 2  # modules around it; the standard asks for four, phones are content with two on a terminal


def draw_qr_code(text: str) -> str:
    """Draw it in half blocks, two rows of modules a line, light on dark; empty where this OpenCV can't."""
    if not hasattr(cv2, "QRCodeEncoder"):
        return ""
    code = cv2.QRCodeEncoder.create().encode(text) > 127  # True is light
    height, width = code.shape
    inner = [row[:width] for row in code]
    border = next((n for n in range(height) if not all(inner[n])), 0)  # OpenCV's own quiet zone
    modules = code[border : height - border, border : width - border]
    side = modules.shape[0] + 2 * QUIET
    light = [[True] * side for _ in range(side + side % 2)]
    for y, row in enumerate(modules):
        for x, value in enumerate(row):
            light[y + QUIET][x + QUIET] = bool(value)
    blocks = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
    pairs = zip(light[::2], light[1::2], strict=True)
    return "\n".join("".join(blocks[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in pairs)
