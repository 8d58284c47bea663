"""Media that are cut off, damaged, or say little of themselves: nothing is pretended, and what is wrong is told."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.pipelines.loop import RunPlan
from yoga_live.runtime.pipelines.recorded_loop import run_recorded
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.demux import lacks_index, pick_video
from yoga_live.runtime.sources.time_range import TimeRange
from yoga_live.runtime.sources.video import VideoSource

from .conftest import write_tone

WriteClip = Callable[..., Path]
TS_PACKET = 188


def noise(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8))


def watch(path: Path, **arguments: Any) -> tuple[list[float], VideoSource]:
    with VideoSource(path, **arguments) as source:
        return [frame.time_s for frame in source.frames()], source


def cut_in_half(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "sound"),
    [(".mkv", "libx264", None), (".mkv", "libx264", "flac"), (".webm", "libvpx", "libopus"), (".flv", "flv", None)],
)
def test_a_file_that_was_cut_off_is_told(
    write_clip: WriteClip, tmp_path: Path, suffix: str, codec: str, sound: str | None
) -> None:
    path = write_clip(tmp_path / f"a{suffix}", noise(200), codec=codec, sound=sound, rate=Fraction(25))
    assert watch(path)[1].damage == ""
    times_s, source = watch(cut_in_half(path))
    assert 2 < times_s[-1] < 6
    assert (
        f"ends after {source.info.seen.end_s:.1f} s instead of 8.0 s as its header says; check whether it is complete"
        in source.damage
    )
    assert "check whether it is complete" not in watch(path, time_range=TimeRange(1, 2))[1].damage


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "libx264"), (".flv", "flv")])
def test_a_picture_each_four_seconds_is_no_cut(write_clip: WriteClip, tmp_path: Path, suffix: str, codec: str) -> None:
    """FLV does not say how long the last picture is shown."""
    path = write_clip(tmp_path / f"a{suffix}", noise(10), codec=codec, rate=Fraction(1, 4))
    assert watch(path)[1].damage == ""


@pytest.mark.parametrize(("suffix", "codec", "sound"), [(".mkv", "libx264", "flac"), (".flv", "flv", "aac")])
def test_sound_that_outlasts_the_picture_is_no_cut(
    write_clip: WriteClip, tmp_path: Path, suffix: str, codec: str, sound: str
) -> None:
    path = write_clip(tmp_path / f"a{suffix}", noise(75), codec=codec, sound=sound, sound_s=9, sound_rate=44100)
    assert watch(path)[1].damage == ""


def test_a_length_that_a_tag_kept_from_an_uncut_file_is_no_cut(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", noise(75))
    content = path.read_bytes()
    assert content.count(b"00:00:03.0") == 1
    path.write_bytes(content.replace(b"00:00:03.0", b"00:00:09.0"))
    assert watch(path)[1].damage == ""


def test_a_recording_without_its_index_was_not_finished(write_clip: WriteClip, tmp_path: Path) -> None:
    path = cut_in_half(write_clip(tmp_path / "a.mp4", noise(50)))
    with pytest.raises(SourceError, match=r"a\.mp4 as a video: its recording was not finished.*moov"):
        VideoSource(path)


@pytest.mark.parametrize(
    ("boxes", "lacks"),
    [
        ([(b"ftyp", 16), (b"mdat", 100)], True),
        ([(b"ftyp", 16), (b"mdat", 100), (b"moov", 40)], False),
        ([(b"wide", 8), (b"mdat", 5000)], True),
        ([(b"moov", 8)], False),
        ([(b"RIFF", 100)], False),
        ([], False),
    ],
)
def test_an_index_is_looked_for_among_the_boxes(tmp_path: Path, boxes: list[tuple[bytes, int]], lacks: bool) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"".join(size.to_bytes(4, "big") + kind + bytes(size - 8) for kind, size in boxes))
    with path.open("rb") as file:
        assert lacks_index(file) == lacks


def test_a_box_of_many_gigabytes_is_skipped_and_nonsense_ends_the_search(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    large = (1).to_bytes(4, "big") + b"mdat" + (64).to_bytes(8, "big") + bytes(48)
    for rest, lacks in ((b"\0\0\0\x08moov", False), (bytes(64), True), (b"\0\0\0\x03free" * 9, True)):
        path.write_bytes(large + rest)
        with path.open("rb") as file:
            assert lacks_index(file) == lacks


@pytest.mark.parametrize("rate", [30, 10])
def test_bare_h264_runs_at_the_rate_of_its_own_timing(write_clip: WriteClip, tmp_path: Path, rate: int) -> None:
    path = write_clip(tmp_path / "a.h264", noise(3 * rate), rate=Fraction(rate))
    times_s, source = watch(path)
    assert source.info.rate == rate and times_s == pytest.approx([n / rate for n in range(3 * rate)])
    assert source.info.seen.end_s == pytest.approx(3)
    assert source.damage.count("no timestamps") == 1 and f"assumed {rate} frames per second" in source.damage


def test_the_best_stream_is_watched_not_a_cover_that_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        cover: Any = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 320, 240, "yuvj420p"
        film: Any = container.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        quiet, loud = (container.add_stream("flac", rate=48_000) for _ in range(2))
        for stream, disposition in ((cover, 0), (film, 1), (quiet, 0), (loud, 1)):
            stream.disposition = disposition
        for track in (quiet, loud):
            track.layout = "stereo"
        picture = av.VideoFrame(320, 240, "yuvj420p")
        picture.pts = 0
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
        for index in range(50):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = index
            container.mux(film.encode(picture))
        container.mux(film.encode(None))
        silence = av.AudioFrame("s16", "stereo", 4096)
        silence.planes[0].update(bytes(silence.planes[0].buffer_size))
        silence.rate, silence.pts = 48_000, 0
        container.mux(quiet.encode(silence))
        container.mux(quiet.encode(None))
        write_tone(container, loud, 48_000, 2.0)
    times_s, source = watch(path)
    assert source.info.size_wh == (64, 48) and len(times_s) == 50
    copy_through(path, tmp_path / "copy.mp4")
    assert sound_s(tmp_path / "copy.mp4") == pytest.approx(2, abs=0.05)


def test_a_cover_is_taken_only_where_there_is_nothing_else() -> None:
    def make(disposition: int, width: int) -> Any:
        return SimpleNamespace(
            disposition=Disposition(disposition), codec_context=SimpleNamespace(width=width, height=48)
        )

    def pick(*streams: Any) -> Any:
        return pick_video(SimpleNamespace(streams=SimpleNamespace(video=streams)))

    cover, film, thumbnails, large, default = map(make, (1024 + 1, 0, 1024 + 2048, 0, 1), (4000, 64, 128, 640, 320))
    assert pick(cover, thumbnails, film) is film and pick(film, cover) is film
    assert pick(cover) is cover and pick() is None
    assert pick(film, large) is large and pick(large, film) is large  # as the program ffmpeg does
    assert pick(film, large, default) is default


def test_a_file_that_lacks_a_seventh_is_told(write_clip: WriteClip, tmp_path: Path) -> None:
    """6.8 of 8 s: little is missing, but the end."""
    path = write_clip(tmp_path / "a.mkv", noise(200))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 85 // 100])
    assert "check whether it is complete" in watch(path)[1].damage


def copy_through(path: Path, to: Path) -> None:
    with VideoSource(path) as source:
        sink = VideoSink(to, source.info)
        for frame in source.frames():
            sink.write(frame)
        sink.complete()
        sink.close()


def sound_s(path: Path) -> float:
    """How long the sound of a copy is that can be heard."""
    with av.open(str(path)) as container:
        return sum(frame.samples / frame.rate for frame in container.decode(audio=0))


def shake_ts(path: Path, every: int) -> Path:
    """Overwrite a part of some packets of an MPEG-TS, as bad reception does; its headers stay."""
    content = bytearray(path.read_bytes())
    for number in range(40, len(content) // TS_PACKET, every):
        at = number * TS_PACKET
        if content[at + 1] & 0x5F == 0x01 and content[at + 2] == 0:  # of the picture, and no beginning of a frame
            content[at + 40 : at + 120] = bytes(80)
    path.write_bytes(content)
    return path


def test_damage_that_the_decoder_hides_is_told_in_seconds(write_clip: WriteClip, tmp_path: Path) -> None:
    large = list(np.random.default_rng(0).integers(0, 256, (50, 144, 256, 3), dtype=np.uint8))
    path = shake_ts(write_clip(tmp_path / "a.ts", large), 1501)
    with VideoSource(path) as source:
        frames = list(source.frames())
    damaged = [frame for frame in frames if frame.is_damaged]
    assert 0 < len(damaged) < len(frames) == 50
    assert source.info.seen.damaged_s == pytest.approx(len(damaged) / 25)
    assert f"did not classify {len(damaged) / 25:.1f} s with a damaged picture" in source.damage
    assert all(frame.move(0.0, 0).is_damaged and frame.to_plain().is_damaged for frame in damaged)
    with VideoSource(path, at_most_per_s=6) as source:  # its looks are taken of whole frames
        assert sum(frame.is_damaged for frame in source.frames()) == len(damaged)


def test_varying_frame_lengths_end_with_the_last_frames_own(tmp_path: Path) -> None:
    """A first frame that is shown long: x264 gives another packet its length, and the copy lasted longer by it."""
    path, times = tmp_path / "a.mp4", [0, 29281, 32281, 35281, 38281, 41281, 44281]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90_000)
        packets = []
        for pts, image in zip(times, noise(7), strict=True):
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            picture.pts, picture.time_base = pts, Fraction(1, 90_000)
            packets += stream.encode(picture)
        packets += stream.encode(None)
        packets[-1].duration = 3000
        container.mux(packets)
    length_s = 47281 / 90_000
    assert watch(path)[1].info.seen.end_s == pytest.approx(length_s, abs=1e-4)
    copy_through(path, tmp_path / "copy.mp4")
    with av.open(str(tmp_path / "copy.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(length_s, abs=0.001)  # pyright: ignore
    assert watch(tmp_path / "copy.mp4")[0] == pytest.approx([pts / 90_000 for pts in times], abs=1e-4)


def test_damage_is_told_once_whoever_reads_the_file(
    write_clip: WriteClip, classifier: PoseClassifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without sinks a second reader goes through the file; the first one has seen its beginning alone."""
    large = list(np.random.default_rng(0).integers(0, 256, (50, 144, 256, 3), dtype=np.uint8))
    path = shake_ts(write_clip(tmp_path / "a.ts", large), 11)
    with VideoSource(path) as source:
        next(iter(source.frames()))
        source.info.seen.count(0.0, 0.04, 0.04)  # its first frame is damaged
        run_recorded(RunPlan(source, classifier, ()), lambda: VideoSource(path))
    assert caplog.text.count("with a damaged picture") == 1 and " 0.0 s" not in caplog.text
