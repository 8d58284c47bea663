"""Sound lies where its picture does, also in a part of a file, and may outlast it."""

import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.time_range import TimeRange
from yoga_live.runtime.sources.video import VideoSource

from ..conftest import write_tone

RATE, SECONDS = 25, 8
FLASH_S = 0.12


def write_flashes(path: Path, video: str, sound: str) -> Path:
    """White, and a tone, in the first tenth of each second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(video, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 50
        track: Any = container.add_stream(sound, rate=48_000)
        track.layout = "stereo"
        for index in range(RATE * SECONDS):
            is_lit = index % RATE / RATE < FLASH_S
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255 * is_lit, np.uint8), format="bgr24")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        times_s = np.arange(48_000 * SECONDS) / 48_000
        wave = (np.sin(times_s * 2 * np.pi * 1000) * 0.8 * (times_s % 1 < FLASH_S)).astype(np.float32)
        for start in range(0, len(wave), 1152):
            frame = av.AudioFrame.from_ndarray(
                np.stack([wave[start : start + 1152]] * 2), format="fltp", layout="stereo"
            )
            frame.rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
        container.mux(stream.encode(None))
    return path


def find_flashes(path: Path) -> tuple[list[float], list[float]]:
    """Seconds at which the picture turns white, and the sound loud."""
    with av.open(str(path)) as container:
        frames = [(float(f.pts * f.time_base), f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)]
    flashes = [time_s for (_, before), (time_s, now) in pairwise(frames) if now > 120 > before]
    times: list[np.ndarray] = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono")
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                loud = np.flatnonzero(np.abs(part.to_ndarray()[0]) > 0.3)
                assert part.pts is not None and part.time_base is not None
                times.append(float(part.pts * part.time_base) + loud / part.rate)
    loud_s = np.concatenate(times)
    return flashes, loud_s[np.r_[True, np.diff(loud_s) > 0.5]].tolist()


@pytest.mark.parametrize(
    ("suffix", "video", "sound", "tolerance_s"),
    [
        (".mp4", "libx264", "aac", 0.012),
        (".mkv", "libx264", "flac", 0.012),
        (".ts", "libx264", "aac", 0.012),
        (".mov", "libx264", "pcm_s16le", 0.012),
        (".mpg", "mpeg2video", "mp2", 0.045),  # its clock is a frame off at some key frames, in the whole too
    ],
)
def test_a_part_is_as_much_in_sync_as_the_whole(
    tmp_path: Path, suffix: str, video: str, sound: str, tolerance_s: float
) -> None:
    path, clip = write_flashes(tmp_path / f"a{suffix}", video, sound), tmp_path / "clip.mp4"
    with VideoSource(path, time_range=TimeRange(3.3, 6.5)) as source:
        info = source.info
    copy_through(path, clip, TimeRange(3.3, 6.5))
    seen, heard = find_flashes(clip)
    assert len(seen) == 3 and seen[0] == pytest.approx(4 - info.start_s, abs=0.05)
    whole_seen, whole_heard = find_flashes(path)

    def lag_s(flash_s: float, sounds_s: list[float]) -> float:
        return min((sound_s - flash_s for sound_s in sounds_s), key=abs)

    for flash_s in seen:
        assert lag_s(flash_s, heard) == pytest.approx(lag_s(whole_seen[4], whole_heard), abs=tolerance_s)
    with av.open(str(clip)) as container:
        assert container.duration / 1e6 == pytest.approx(3.2, abs=0.06)


def copy_through(path: Path, to: Path, span: TimeRange | None = None) -> None:
    """Source to sink, to the end."""
    with VideoSource(path, time_range=span) as source:
        info, sink = source.info, VideoSink(to, source.info)
        for frame in source.frames():
            sink.write(frame.move(frame.time_s - info.start_s, frame.pts - info.start_pts))
        sink.complete()
        sink.close()


def list_times(path: Path) -> list[float]:
    with VideoSource(path) as source:
        return [frame.time_s for frame in source.frames()]


def track_lengths(path: Path) -> dict[str, float]:
    """How long each track lasts."""
    with av.open(str(path)) as container:
        return {stream.type: float(stream.duration * stream.time_base) for stream in container.streams}  # pyright: ignore


@pytest.mark.parametrize(("sound", "suffix"), [("aac", ".mp4"), ("flac", ".mkv")])
def test_sound_that_outlasts_the_picture_is_kept_and_the_picture_stays_exact(
    write_clip: Callable[..., Path], tmp_path: Path, sound: str, suffix: str
) -> None:
    source_path, out = tmp_path / f"in{suffix}", tmp_path / "out.mp4"
    write_clip(source_path, [(9, 9, 9)] * 75, rate=Fraction(30000, 1001), sound=sound, sound_s=6)
    copy_through(source_path, out)
    length_s = 75 * 1001 / 30000
    assert track_lengths(out) == {"video": pytest.approx(length_s, abs=0.002), "audio": pytest.approx(6, abs=0.05)}
    times_s = list_times(out)
    assert times_s == list_times(source_path) and len(times_s) == 75
    with av.open(str(out)) as container:
        if suffix == ".mp4":  # Matroska's milliseconds are another rate
            assert container.streams.video[0].average_rate == Fraction(30000, 1001)
        order = [packet.stream.type for packet in sorted(container.demux(), key=lambda p: p.pos or 0) if packet.size]
    assert order[-1] == "audio"
    assert "video" not in order[-len(order) // 3 :]  # a player finds the last pictures where it plays them


def test_sound_of_a_part_ends_where_the_part_does_though_the_picture_may_end_before(
    write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    source_path = write_clip(tmp_path / "in.mp4", [(9, 9, 9)] * 75, sound="aac", sound_s=8)
    for span, picture_s, sound_s in ((TimeRange(1, 2), 1, 1), (TimeRange(2, 5), 1, 3), (TimeRange(1), 2, 7)):
        out = tmp_path / f"{span.start_s}_{span.end_s}.mp4"
        copy_through(source_path, out, span)
        tracks_s = track_lengths(out)
        assert tracks_s == {"video": pytest.approx(picture_s, abs=0.05), "audio": pytest.approx(sound_s, abs=0.06)}


def sound_s(path: Path) -> float:
    """How long the sound is that can be heard, seconds."""
    with av.open(str(path)) as container:
        return sum(frame.samples / frame.rate for frame in container.decode(audio=0))


def write_amr(path: Path, seconds: int, together: int) -> Path:
    """A phone's clip: frames of 20 ms and 32 bytes, several in each packet, as 3GP has them and FFmpeg writes none."""
    with av.open(str(path), "w", format="mov") as container:
        stream: Any = container.add_stream("mpeg4", rate=100)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        track: Any = container.add_mux_stream("amrnb", rate=8000)
        picture = av.VideoFrame(64, 48, "yuv420p")
        picture.pts = 50 * seconds - 1  # one picture in the middle: the sound lies in two chunks of one length
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        noise = np.random.default_rng(0)
        for number in range(50 * seconds):
            packet = av.Packet(bytes([7 << 3 | 4]) + noise.bytes(31))  # RFC 4867: mode 7, a good frame
            packet.pts = packet.dts = number * 160
            packet.time_base, packet.duration, packet.stream = Fraction(1, 8000), 160, track
            container.mux(packet)
    content, frames = bytearray(path.read_bytes()), 50 * seconds
    packets = frames // together

    def replace(box: bytes, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        """Numbers of the last box of this kind, after its version and flags."""
        at = content.rindex(box) + 8
        assert struct.unpack_from(f">{len(before)}I", content, at) == before
        struct.pack_into(f">{len(after)}I", content, at, *after)

    replace(b"stsz", (32, frames), (32 * together, packets))
    replace(b"stts", (1, frames, 160), (1, packets, 160 * together))
    replace(b"stsc", (1, 1, frames // 2), (1, 1, packets // 2))
    path.write_bytes(content)
    return path


def test_frames_that_share_a_packets_time_are_all_kept(tmp_path: Path) -> None:
    path = write_amr(tmp_path / "a.mov", 4, together=5)
    with av.open(str(path)) as container:
        assert sum(frame.pts is None for frame in container.decode(audio=0)) == 160
    copy_through(path, tmp_path / "copy.mp4")
    assert sound_s(tmp_path / "copy.mp4") == pytest.approx(4, abs=0.15)
    assert track_lengths(tmp_path / "copy.mp4")["audio"] == pytest.approx(4, abs=0.11)
    copy_through(path, tmp_path / "part.mp4", TimeRange(1, 3))  # from its picture on
    assert sound_s(tmp_path / "part.mp4") == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("video", "sound", "suffix"),
    [("libx264", "pcm_s16le", ".mkv"), ("mpeg4", "wmav2", ".avi"), ("mpeg4", "wmav2", ".wmv")],
)
def test_sound_whose_clock_is_coarser_than_its_frames_is_kept(
    tmp_path: Path, video: str, sound: str, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(video, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        track: Any = container.add_stream(sound, rate=48_000)
        track.layout, track.bit_rate = "stereo", 128_000
        for index in range(RATE * 3):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if sound == "pcm_s16le":  # in frames as short as those of TrueHD, which PyAV cannot write
            for start in range(0, 3 * 48_000, 40):
                frame = av.AudioFrame.from_ndarray(np.full((1, 80), 9, np.int16), format="s16", layout="stereo")
                frame.rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
                container.mux(track.encode(frame))
        else:
            write_tone(container, track, 48_000, 3.0)
    copy_through(path, tmp_path / "copy.mp4")
    assert sound_s(tmp_path / "copy.mp4") == pytest.approx(sound_s(path), abs=0.045)
    with av.open(str(tmp_path / "copy.mp4")) as container:
        times = [(packet.pts, packet.duration) for packet in container.demux(audio=0) if packet.size]
    assert max(after - before - lasts for (before, lasts), (after, _) in pairwise(times)) <= 50
