"""AMR-NB as old phones write it, several frames of 20 ms in each sample; FFmpeg's own muxer writes one alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fault_kinds import ffmpeg

SECONDS, RATE, SAMPLES = 3.0, 8000, 160
PLACES = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
"""Boxes that hold nothing but boxes (ISO/IEC 14496-12)."""


def draw_amr(path: Path, video: tuple[str, ...], frames_a_sample: int) -> Path | None:
    """A 3GP of SECONDS with a tone; None where PyAV has no AMR encoder.  video: ffmpeg's options for the picture."""
    pieces = encode_tone()
    if pieces is None:
        return None
    plain, simple = path.with_suffix(".amr"), path.with_suffix(".simple.3gp")
    plain.write_bytes(b"#!AMR\n" + b"".join(pieces))
    source = ["-f", "lavfi", "-t", str(SECONDS), "-i", "testsrc2=s=176x144:r=25", "-i", plain]
    ffmpeg.run_ffmpeg(*source, *video, "-c:a", "copy", simple)
    groups = [b"".join(pieces[at : at + frames_a_sample]) for at in range(0, len(pieces), frames_a_sample)]
    path.write_bytes(regroup(simple.read_bytes(), groups, frames_a_sample))
    return path


def encode_tone() -> list[bytes] | None:
    """The frames of a tone, 20 ms each."""
    import av

    if "libopencore_amrnb" not in av.codecs_available:
        return None
    codec: Any = av.CodecContext.create("libopencore_amrnb", "w")
    codec.rate, codec.layout, codec.format, codec.bit_rate = RATE, "mono", "s16", 12200
    wave = (np.sin(np.arange(round(SECONDS * RATE)) * 2 * np.pi * 440 / RATE) * 12000).astype(np.int16)
    pieces: list[bytes] = []
    for start in range(0, len(wave) - SAMPLES + 1, SAMPLES):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + SAMPLES], format="s16", layout="mono")
        frame.rate, frame.pts = RATE, start
        pieces += [bytes(packet) for packet in codec.encode(frame)]
    return [*pieces, *(bytes(packet) for packet in codec.encode(None))]


def regroup(content: bytes, groups: list[bytes], frames_a_sample: int) -> bytes:
    """Let the sound of a 3GP be these samples: they are appended, and its index, at the end, is written anew."""
    boxes = dict(list_boxes(content))
    moov = content[boxes[b"moov"][0] : boxes[b"moov"][1]]
    kept = content.replace(moov, struct.pack(">I4s", len(moov), b"free") + bytes(len(moov) - 8))
    first = len(kept) + 8
    offsets = np.cumsum([first, *(len(group) for group in groups[:-1])]).tolist()
    tables = {
        b"stts": struct.pack(">III", 1, len(groups), SAMPLES * frames_a_sample),
        b"stsc": struct.pack(">IIII", 1, 1, 1, 1),
        b"stsz": struct.pack(f">II{len(groups)}I", 0, len(groups), *(len(group) for group in groups)),
        b"stco": struct.pack(f">I{len(groups)}I", len(groups), *offsets),
    }
    sound = b"".join(groups)
    return kept + struct.pack(">I4s", len(sound) + 8, b"mdat") + sound + rewrite(moov, tables)


def rewrite(box: bytes, tables: dict[bytes, bytes]) -> bytes:
    """A moov whose sound track has these tables."""
    kind = box[4:8]
    if kind == b"trak" and b"samr" not in box:
        return box
    if kind in tables:
        body = bytes(4) + tables[kind]
    elif kind in PLACES:
        body = b"".join(rewrite(box[start:end], tables) for _, (start, end) in list_boxes(box, 8))
    else:
        return box
    return struct.pack(">I4s", len(body) + 8, kind) + body


def list_boxes(content: bytes, start: int = 0) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Each box: its kind, where it begins and ends."""
    while start + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, start)
        yield kind, (start, start + size)
        start += max(size, 8)
