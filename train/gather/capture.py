"""Takes photos with a camera, after a countdown; such photos adapt a model to the user's own room."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runtime.core.frames import TimedFrame
from ...runtime.core.opencv import cv2
from ...runtime.drawing.overlay import draw_caption
from ...runtime.errors import OutputError, SourceError
from ...runtime.sinks.base import Sink, StopWatching
from ...runtime.sources.base import Source
from .add_files import add_files
from .config import CaptureConfig

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Captured:
    """The result of a capture.  outcomes: photos by (status, kind of reason); error: why the source ended early.

    stopped: by Ctrl-C or another signal, before all were taken.
    """

    outcomes: Counter[tuple[str, str]]
    error: SourceError | None = None
    stopped: bool = False


def pick_frames(
    frames: Iterator[TimedFrame], config: CaptureConfig, on_frame: Callable[[TimedFrame, str], None]
) -> Iterator[TimedFrame]:
    """Yield the frames to keep.  on_frame gets every frame and the text to show.  Times are the source's own.

    Time while the camera is lost does not count; a damaged frame is replaced by the next good one.
    """
    taken, next_s, started_s, seen_s, is_lost = 0, config.countdown_s, None, 0.0, False
    for frame in frames:
        if frame.lost_s is not None:
            is_lost = True
            on_frame(frame, "no picture")
            continue
        started_s = frame.time_s if started_s is None else started_s + (frame.time_s - seen_s) * is_lost
        seen_s, is_lost = frame.time_s, False
        elapsed_s = frame.time_s - started_s + 1e-9
        is_due = elapsed_s >= next_s and not frame.is_damaged
        left_s = config.countdown_s - elapsed_s
        on_frame(frame, f"{math.ceil(left_s)}" if left_s > 0 else f"{taken + is_due} of {config.count}")
        if is_due:
            yield frame
            taken += 1
            next_s = max(next_s + config.every_s, elapsed_s)  # no burst after a gap
        if taken >= config.count:
            return


def capture_photos(
    source: Source,
    origin: str,
    pose: str,
    photos: Path,
    config: CaptureConfig,
    on_words: Callable[[str], None] = lambda words: None,
    window: Sink | None = None,
) -> Captured:
    """Take photos and add each at once under `pose`.  q in the window or Ctrl-C ends it; photos taken so far are kept.

    The person sees herself as in a mirror; the photos are as the camera saw them.  origin: where they come from,
    for the manifest; the time is added.  on_words: gets the countdown and the count.
    """
    errors: list[SourceError] = []
    stops: list[KeyboardInterrupt] = []

    def show(frame: TimedFrame, words: str) -> None:
        on_words(words)
        if window is not None:
            scene = draw_caption(np.asarray(cv2.flip(frame.image_bgr, 1), np.uint8), words)
            window.write(TimedFrame(scene, frame.time_s, frame.pts))

    def save(folder: Path) -> Generator[tuple[Path, str], None, None]:
        try:
            for frame in pick_frames(source.frames(), config, show):
                path = folder / "frame.jpg"
                if not cv2.imwrite(str(path), frame.image_bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
                    raise OutputError(f"{path} cannot be written; is the disk full?")
                yield path, f"{origin}#t={frame.time_s:.3f}"
        except StopWatching:
            pass
        except KeyboardInterrupt as error:
            stops.append(error)
        except SourceError as error:
            errors.append(error)

    with tempfile.TemporaryDirectory() as folder, closing(save(Path(folder))) as files:
        outcomes = add_files(files, pose, photos)
    return Captured(outcomes, errors[0] if errors else None, bool(stops))
