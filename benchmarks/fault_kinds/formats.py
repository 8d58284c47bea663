"""Codecs and containers as people have them: ffprobe says how long and large the copy and its sound must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fault_kinds import ffmpeg
from fault_kinds.amr import draw_amr
from fault_kinds.bench import Bench
from fault_kinds.outcome import Outcome, judge_done

KIND = "codecs and containers"
SECONDS = 3.0
PICTURE_S, SOUND_S, ASPECT = 0.06, 0.15, 0.02
"""By how much the lengths, and width over height, may differ."""
VIDEO = {
    "h264": ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    "h264 b-frames": ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-pix_fmt", "yuv420p"),
    "h264 10 bit": ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le"),
    "h264 4:4:4": ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p"),
    "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"),
    "mpeg4": ("-c:v", "mpeg4", "-q:v", "4"),
    "mpeg2": ("-c:v", "mpeg2video", "-q:v", "4"),
    "mpeg1": ("-c:v", "mpeg1video", "-q:v", "4"),
    "vp8": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "500k"),
    "vp9": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "500k"),
    "av1": ("-c:v", "libsvtav1", "-preset", "12", "-pix_fmt", "yuv420p"),
    "mjpeg": ("-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p"),
    "ffv1": ("-c:v", "ffv1", "-pix_fmt", "yuv420p"),
    "prores": ("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"),
    "flv1": ("-c:v", "flv", "-q:v", "4"),
    "wmv2": ("-c:v", "wmv2", "-q:v", "4"),
    "theora": ("-c:v", "libtheora", "-q:v", "6"),
    "h263": ("-c:v", "h263", "-s", "176x144"),
    "huffyuv": ("-c:v", "huffyuv", "-pix_fmt", "yuv422p"),
    "dv": ("-c:v", "dvvideo", "-s", "720x576", "-pix_fmt", "yuv420p"),
    "raw": ("-c:v", "rawvideo", "-pix_fmt", "yuv420p"),
    "gif": ("-c:v", "gif",),
}  # fmt: skip
AUDIO = {
    **{"aac": ("-c:a", "aac"), "mp3": ("-c:a", "libmp3lame"), "mp2": ("-c:a", "mp2"), "ac3": ("-c:a", "ac3")},
    **{"opus": ("-c:a", "libopus"), "vorbis": ("-c:a", "libvorbis"), "flac": ("-c:a", "flac", "-strict", "-2")},
    **{"pcm": ("-c:a", "pcm_s16le"), "wma": ("-c:a", "wmav2"), "alac": ("-c:a", "alac"), "eac3": ("-c:a", "eac3")},
    **{"truehd": ("-c:a", "truehd", "-strict", "-2"), "mono 8 kHz": ("-c:a", "pcm_s16le", "-ar", "8000", "-ac", "1")},
    **{"pcm 48 kHz": ("-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2"), "": ("-an",)},
}
COMBINATIONS = (
    "mp4: h264 aac, h264 b-frames aac, h264 10 bit aac, h264 4:4:4 aac, hevc aac, mpeg4 aac, av1 aac, vp9 opus, "
    "h264 mp3, h264 ac3, h264 eac3, h264 alac, h264 flac, h264; "
    "mov: h264 pcm, prores pcm, mjpeg pcm, h264 alac; "
    "mkv: h264 aac, h264 truehd, h264 flac, ffv1 flac, vp8 vorbis, vp9 opus, mpeg2 ac3, h264 pcm, theora vorbis, "
    "av1 opus; "
    "webm: vp8 vorbis, vp9 opus, av1 opus, vp9; "
    "avi: mpeg4 mp3, mjpeg pcm, huffyuv pcm, raw pcm, dv pcm 48 kHz, mpeg4 ac3, mjpeg mono 8 kHz; "
    "flv: flv1 mp3, h264 aac; "
    "ts: h264 aac, h264 b-frames mp3, hevc aac, mpeg2 mp2, h264 ac3; "
    "m2ts: h264 ac3; "
    "mpg: mpeg1 mp2, mpeg2 mp2; "
    "wmv: wmv2 wma; "
    "asf: wmv2 wma; "
    "3gp: h263 aac, mpeg4 aac, h264 aac; "
    "ogv: theora vorbis; "
    "gif: gif"
)


@dataclass(frozen=True)
class Format:
    """One file to draw: keys of `VIDEO` and `AUDIO`."""

    container: str
    video: str
    audio: str

    @property
    def name(self) -> str:
        return f"{self.video} and {self.audio or 'no sound'} in {self.container}"


def list_formats() -> list[Format]:
    """Read `COMBINATIONS`."""
    formats = []
    for part in COMBINATIONS.split("; "):
        container, _, pairs = part.partition(": ")
        for pair in pairs.split(", "):
            video = max((name for name in VIDEO if pair == name or pair.startswith(f"{name} ")), key=len)
            formats.append(Format(container, video, pair[len(video) :].strip()))
    return formats


def run(bench: Bench) -> Iterator[Outcome]:
    """Try every format, then AMR sound."""
    for number, each in enumerate(bench.choose(list_formats())):
        clip = bench.folder / f"{number}.{each.container}"
        tone = 440 if each.audio else 0
        try:
            ffmpeg.draw_moving(clip, *VIDEO[each.video], *AUDIO[each.audio], seconds=SECONDS, tone=tone)
        except ffmpeg.FfmpegError as error:
            print(f"formats: {each.name} cannot be drawn here: {error}")
            continue
        yield judge_copy(bench, each.name, clip)
    for frames in bench.choose((1, 5, 10)):
        if clip := draw_amr(bench.folder / f"amr_{frames}.3gp", VIDEO["h263"], frames):
            yield judge_copy(bench, f"h263 and AMR, {frames} frames a packet, in 3gp", clip, sound_s=SECONDS)


def judge_copy(bench: Bench, name: str, clip: Path, sound_s: float | None = None) -> Outcome:
    """Annotate a file; the copy must be what the source is.  sound_s: how long its sound is, where ffmpeg errs."""
    copy = ffmpeg.name_copy(clip)
    answer = bench.watch(clip, "--save", copy)
    wanted = ffmpeg.measure(clip)
    if sound_s is not None:
        wanted = replace(wanted, sound_s=sound_s)
    right = f"{wanted.frames} frames, {wanted.picture_s:.2f} s, {wanted.sound_s:.2f} s of sound"
    if answer.code or not copy.exists():
        return judge_done(KIND, name, answer, "no copy", right)
    return judge_done(KIND, name, answer, compare_media(ffmpeg.measure(copy), wanted), right)


def compare_media(seen: ffmpeg.Media, wanted: ffmpeg.Media) -> str:
    """How a copy differs from its source; empty where it does not."""
    faults = []
    if seen.frames != wanted.frames:
        faults.append(f"{seen.frames} frames")
    if abs(seen.picture_s - wanted.picture_s) > PICTURE_S:
        faults.append(f"{seen.picture_s:.2f} s of picture")
    if abs(seen.sound_s - wanted.sound_s) > SOUND_S:
        faults.append(f"{seen.sound_s:.2f} s of sound")
    if wanted.display_aspect and abs(seen.display_aspect / wanted.display_aspect - 1) > ASPECT:
        faults.append(f"width over height {seen.display_aspect:.3f}, not {wanted.display_aspect:.3f}")
    return "; ".join(faults)
