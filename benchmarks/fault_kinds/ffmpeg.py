"""What ffmpeg and ffprobe say of a file: the truth beside the product, and the hand that draws the corpus."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fault_kinds.shape_model import Pixels

LIMIT_S = 120
SOUND_RATE = 8000


class FfmpegError(Exception):
    """ffmpeg could not do it; the message is its last line."""


@dataclass(frozen=True)
class Media:
    """A file as ffmpeg reads it.  Lengths in seconds, 0 where there is none; display_aspect: width over height."""

    frames: int
    picture_s: float
    sound_s: float
    display_aspect: float


def name_copy(clip: Path, suffix: str = ".copy.mp4") -> Path:
    """Where what is made of a clip goes: beside it, under a name that no other clip has."""
    return clip.with_name(clip.name + suffix)


def is_there() -> bool:
    """Whether both programs can be run."""
    return bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))


def run_ffmpeg(*arguments: str | Path) -> bytes:
    """Run ffmpeg quietly.  Returns its stdout.  Raises FfmpegError."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise FfmpegError(lines[-1])
    return result.stdout


def probe(path: Path, *arguments: str) -> dict[str, Any]:
    """Ask ffprobe, for JSON; empty where it cannot read the file."""
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
    result = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    return json.loads(result.stdout or b"{}")


def read_shown(path: Path, at_s: float = 0.0, stream: str = "") -> Pixels:
    """One picture as a player shows it: turned, mirrored, with square pixels.  Returns uint8 (H, W, 3) RGB.

    stream: such as 0:v:1; by default the one that ffmpeg takes.
    """
    chosen = ["-map", stream] if stream else []
    square = "scale=trunc(iw*sar/2+0.5)*2:ih,setsar=1"
    shown = ["-vf", square, "-frames:v", "1", "-f", "image2pipe", "-c:v", "ppm", "-"]
    content = run_ffmpeg("-i", path, *chosen, "-ss", str(at_s), *shown)
    from io import BytesIO

    from PIL import Image

    return np.asarray(Image.open(BytesIO(content)).convert("RGB"))


def measure(path: Path, picture: str = "v:0", sound: str = "a:0") -> Media:
    """Count the frames, and measure picture and sound by decoding them.  Streams as ffprobe selects them."""
    shown = probe(path, "-select_streams", picture, "-show_entries", "frame=pts_time,pkt_duration_time")
    times = [float(frame["pts_time"]) for frame in shown.get("frames", []) if "pts_time" in frame]
    lasts = [float(frame.get("pkt_duration_time", 0) or 0) for frame in shown.get("frames", [])]
    length_s = max(times) - min(times) + (lasts[-1] or _read_end_s(path, picture) - max(times)) if times else 0.0
    return Media(len(shown.get("frames", [])), length_s, measure_sound(path, sound), read_aspect(path, picture))


def _read_end_s(path: Path, picture: str) -> float:
    """When a stream ends by its container; not every ffprobe says how long each frame of an MP4 with B-frames lasts."""
    [stream] = probe(path, "-select_streams", picture, "-show_entries", "stream=start_time,duration")["streams"]
    return sum(float(stream[key]) for key in ("start_time", "duration") if stream.get(key, "N/A") != "N/A")


def measure_sound(path: Path, sound: str = "a:0") -> float:
    """Seconds of sound, by decoding; 0 where there is none."""
    try:
        content = run_ffmpeg("-i", path, "-map", f"0:{sound}", "-f", "s16le", "-ac", "1", "-ar", str(SOUND_RATE), "-")
    except FfmpegError:
        return 0.0
    return len(content) / 2 / SOUND_RATE


def measure_pitch(path: Path, sound: str = "a:0") -> float:
    """The frequency of a tone, Hz, by its zero crossings; 0 where there is no sound."""
    try:
        content = run_ffmpeg("-i", path, "-map", f"0:{sound}", "-f", "s16le", "-ac", "1", "-ar", str(SOUND_RATE), "-")
    except FfmpegError:
        return 0.0
    wave = np.frombuffer(content, np.int16).astype(np.float32)
    crossings = int((np.diff(np.signbit(wave).astype(np.int8)) != 0).sum())
    return crossings / 2 / max(len(wave) / SOUND_RATE, 1e-9)


def read_aspect(path: Path, picture: str = "v:0") -> float:
    """Width over height as shown, before any turn; 0 where it is not said."""
    told = probe(path, "-select_streams", picture, "-show_entries", "stream=width,height,sample_aspect_ratio")
    streams = told.get("streams", [])
    if not streams or not streams[0].get("height"):
        return 0.0
    ratio = str(streams[0].get("sample_aspect_ratio", "1:1")).replace(":", "/")
    pixel = Fraction(ratio) if ratio not in ("N/A", "0/1") and not ratio.endswith("/0") else Fraction(1)
    return float(streams[0]["width"] * pixel / streams[0]["height"])


def draw_clip(path: Path, picture: Path, *encode: str, seconds: float = 1.0, rate: int = 10, tone: int = 0) -> Path:
    """Encode a still picture as a clip, with a tone of `tone` Hz if that is not 0."""
    sound = ["-f", "lavfi", "-t", str(seconds), "-i", f"sine={tone}:r=44100"] if tone else []
    run_ffmpeg("-loop", "1", "-framerate", str(rate), "-t", str(seconds), "-i", picture, *sound, *encode, path)
    return path


def draw_moving(path: Path, *encode: str, size: str = "192x144", seconds: float = 3.0, tone: int = 440) -> Path:
    """Encode ffmpeg's moving test picture, 25 frames a second, with a tone (0: without sound)."""
    source = ["-f", "lavfi", "-t", str(seconds), "-i", f"testsrc2=s={size}:r=25"]
    sound = ["-f", "lavfi", "-t", str(seconds), "-i", f"sine={tone}:r=44100"] if tone else []
    run_ffmpeg(*source, *sound, *encode, path)
    return path
