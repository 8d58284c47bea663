"""The MP4 that browsers play, with the source's sound, whole or not at all."""

import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from yoga_live.runtime.core.frames import TimedFrame
from yoga_live.runtime.errors import OutputError, SourceError, TakenError, YogaLiveError
from yoga_live.runtime.sinks import video
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.base import SourceInfo
from yoga_live.runtime.sources.video import VideoSource

WriteClip = Callable[..., Path]


def demo_info(size_wh: tuple[int, int] = (64, 48), rate: Fraction = Fraction(25), **more: Any) -> SourceInfo:
    return SourceInfo("test", size_wh, rate, 1 / Fraction(rate), **more)


def timed(count: int, info: SourceInfo) -> list[TimedFrame]:
    width, height = info.size_wh
    images = [np.full((height, width, 3), 20 + 4 * (i % 50), np.uint8) for i in range(count)]
    return [TimedFrame(image, float(i * info.time_base), i) for i, image in enumerate(images)]


def save(path: Path, info: SourceInfo, frames: list[TimedFrame]) -> None:
    sink = VideoSink(path, info)
    for frame in frames:
        sink.write(frame)
    sink.close()


def annotate(source_path: Path, path: Path) -> None:
    """Copy a video through source and sink, as the live loop does."""
    with VideoSource(source_path) as source:
        sink = VideoSink(path, source.info)
        for frame in source.frames():
            sink.write(frame)
        sink.complete()
        sink.close()


def decode_times(path: Path) -> list[float]:
    with VideoSource(path) as source:
        return [frame.time_s for frame in source.frames()]


def list_boxes(path: Path) -> list[str]:
    """The names of an MP4's top-level boxes, in order."""
    content, at, names = path.read_bytes(), 0, []
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        names.append(content[at + 4 : at + 8].decode())
        if length == 1:
            (length,) = struct.unpack(">Q", content[at + 8 : at + 16])
        at += length
    return names


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


def test_video_is_h264_that_browsers_play(tmp_path: Path) -> None:
    path, info = tmp_path / "a.mp4", demo_info()
    save(path, info, timed(30, info))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == ("h264", "yuv420p", 64, 48)
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 1, 1, 1)
        assert stream.frames == 30
        assert stream.average_rate == 25
    boxes = list_boxes(path)
    assert boxes.index("moov") < boxes.index("mdat")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(30), Fraction(25, 2), Fraction(60)]
)
def test_rate_is_exact_and_nothing_drifts(write_clip: WriteClip, tmp_path: Path, rate: Fraction) -> None:
    source_path = write_clip(tmp_path / "in.mp4", [(9, 9, 9)] * 100, rate=rate)
    annotate(source_path, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == rate
        assert float(stream.duration * stream.time_base) == pytest.approx(float(100 / rate), abs=0.002)
    assert decode_times(tmp_path / "out.mp4") == pytest.approx([float(i / rate) for i in range(100)], abs=1e-4)


def test_variable_frame_times_are_kept(write_clip: WriteClip, tmp_path: Path) -> None:
    times_ms = [0, 10, 500, 520, 1700, 1733, 2500]
    source_path = write_clip(tmp_path / "in.mkv", [(9, 9, 9)] * 7, pts=times_ms, time_base=Fraction(1, 1000))
    annotate(source_path, tmp_path / "out.mp4")
    assert [round(time_s * 1000) for time_s in decode_times(tmp_path / "out.mp4")] == times_ms


@pytest.mark.parametrize("size_wh", [(63, 47), (64, 47), (1, 1), (641, 361)])
def test_odd_sides_become_even_by_repeating_the_edge(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    info = demo_info(size_wh)
    image = np.full((size_wh[1], size_wh[0], 3), 200, np.uint8)
    save(tmp_path / "a.mp4", info, [TimedFrame(image, i / 25, i) for i in range(3)])
    with VideoSource(tmp_path / "a.mp4") as source:
        assert source.info.size_wh == (size_wh[0] + size_wh[0] % 2, size_wh[1] + size_wh[1] % 2)
        for frame in source.frames():
            assert np.abs(frame.image_bgr.astype(int) - 200).max() <= 6


def test_colours_come_back_as_they_were_given(tmp_path: Path) -> None:
    info = demo_info((192, 64))
    image = np.empty((64, 192, 3), np.uint8)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (40, 90, 200), (0, 0, 0), (255, 255, 255)]
    for index, colour in enumerate(colours):
        image[:, index * 32 : index * 32 + 32] = colour
    save(tmp_path / "a.mp4", info, [TimedFrame(image, i / 25, i) for i in range(5)])
    with VideoSource(tmp_path / "a.mp4") as source:
        decoded = list(source.frames())[-1].image_bgr
    for index, colour in enumerate(colours):
        assert np.abs(decoded[32, index * 32 + 16].astype(int) - colour).max() <= 8, colour


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv422p10le"])
def test_a_copy_says_of_its_colours_what_the_source_says(tmp_path: Path, matrix: int, pixels: str) -> None:
    """Whoever shows the copy as it asks for sees the colours of the source."""
    image = np.empty((64, 192, 3), np.uint8)
    for index, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (40, 90, 200), (9, 9, 9), (250, 250, 250)]):
        image[:, index * 32 : index * 32 + 32] = colour
    full = pixels == "yuvj420p"
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 192, 64, pixels
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = matrix, 14 if matrix == 9 else 1, matrix
        context.color_range = 2 if full else 1
        for number in range(5):
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            picture.colorspace = matrix
            picture = picture.reformat(format=pixels, dst_color_range=2 if full else 1)
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    annotate(tmp_path / "in.mp4", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        said = context.color_primaries, context.color_trc, context.colorspace, context.color_range, context.pix_fmt
        assert said == (matrix, 14 if matrix == 9 else 1, matrix, 1, "yuv420p")
        decoded = list(container.decode(video=0))[-1].to_ndarray(format="bgr24")
    for x in range(16, 192, 32):
        assert np.abs(decoded[32, x].astype(int) - image[32, x]).max() <= 8, x


def test_the_planes_of_a_file_go_through_untouched(write_clip: WriteClip, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    with VideoSource(write_clip(tmp_path / "in.mp4", [noise] * 3)) as source:
        frames = list(source.frames())
        sink, given = VideoSink(tmp_path / "a.mp4", source.info), []
        encode = sink._encode
        sink._encode = lambda picture: (given.append(picture), encode(picture))[1]  # type: ignore[method-assign]
        for frame in frames:
            sink.write(frame)
        sink.close()
    assert [picture is frame.picture for picture, frame in zip(given[:-1], frames, strict=True)] == [True] * 3


def test_frame_of_another_size_is_fitted_instead_of_breaking_the_file(tmp_path: Path) -> None:
    """A stream may come back with another frame size (ultralytics#15057)."""
    info = demo_info()
    frames = timed(6, info)
    frames[3:] = [TimedFrame(np.full((31, 33, 3), 90, np.uint8), f.time_s, f.pts) for f in frames[3:]]
    save(tmp_path / "a.mp4", info, frames)
    assert len(decode_times(tmp_path / "a.mp4")) == 6


@pytest.mark.parametrize(("codec", "suffix"), [("aac", ".mp4"), ("mp3", ".mkv"), ("ac3", ".mkv"), ("aac", ".ts")])
def test_sound_is_copied_packet_for_packet(write_clip: WriteClip, tmp_path: Path, codec: str, suffix: str) -> None:
    codec = "libmp3lame" if codec == "mp3" else codec
    source_path = write_clip(tmp_path / f"in{suffix}", [(9, 9, 9)] * 50, sound=codec)
    annotate(source_path, tmp_path / "out.mp4")
    before, after = sound_packets(source_path), sound_packets(tmp_path / "out.mp4")
    if suffix == ".ts":  # an MPEG-TS wraps AAC in ADTS headers of seven bytes
        before = [packet[7:] if packet[:2] == b"\xff\xf1" else packet for packet in before]
    assert len(before) - len(after) <= 3
    assert after == before[: len(after)]


@pytest.mark.parametrize(
    ("codec", "suffix", "rate"),
    [
        ("pcm_s16le", ".mkv", 44100),
        ("flac", ".mkv", 44100),
        ("pcm_s16le", ".avi", 8000),
        ("vorbis", ".mkv", 48000),
        ("libopus", ".webm", 48000),
        ("pcm_s16le", ".mkv", 192000),
        ("pcm_s16le", ".mkv", 11111),
    ],
)
def test_sound_that_mp4_can_not_hold_becomes_aac(
    write_clip: WriteClip, tmp_path: Path, codec: str, suffix: str, rate: int
) -> None:
    video = "libvpx" if suffix == ".webm" else "libx264"
    source_path = write_clip(tmp_path / f"in{suffix}", [(9, 9, 9)] * 50, codec=video, sound=codec, sound_rate=rate)
    annotate(source_path, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        frames = list(container.decode(stream))
        samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
        assert len(samples) / stream.rate == pytest.approx(2.0, abs=0.1)
        middle = samples[len(samples) // 4 : len(samples) * 3 // 4]
        spectrum = np.abs(np.fft.rfft(middle))
        assert spectrum.argmax() * stream.rate / len(middle) == pytest.approx(440, abs=5)
        assert float(np.abs(middle).max()) == pytest.approx(0.5, abs=0.1)


def test_sound_and_picture_keep_their_offset(write_clip: WriteClip, tmp_path: Path) -> None:
    """The picture of this file begins 0.4 s after its sound."""
    pts = [10 + i for i in range(40)]
    source_path = write_clip(tmp_path / "in.mkv", [(9, 9, 9)] * 40, pts=pts, sound="aac")
    annotate(source_path, tmp_path / "out.mp4")

    def offset_s(path: Path) -> float:
        with av.open(str(path)) as container:
            first = {}
            for packet in container.demux():
                if packet.pts is not None and packet.stream.type not in first and packet.pts >= 0:
                    first[packet.stream.type] = float(packet.pts * packet.time_base)
        return first["video"] - first["audio"]

    assert offset_s(source_path) == pytest.approx(0.4, abs=0.03)
    assert offset_s(tmp_path / "out.mp4") == pytest.approx(offset_s(source_path), abs=0.03)


def test_sound_ends_with_the_picture_when_watching_stops_early(write_clip: WriteClip, tmp_path: Path) -> None:
    source_path = write_clip(tmp_path / "in.mp4", [(9, 9, 9)] * 100, sound="aac")
    with VideoSource(source_path) as source:
        sink = VideoSink(tmp_path / "out.mp4", source.info)
        for frame in source.frames():
            sink.write(frame)
            if frame.time_s >= 1:
                break
        sink.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration / 1e6 == pytest.approx(1.04, abs=0.1)


def test_damaged_sound_costs_no_picture_already_written(write_clip: WriteClip, tmp_path: Path) -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), dtype=np.uint8))
    for sound, suffix in [("aac", ".mp4"), ("pcm_s16le", ".mkv"), ("libopus", ".mkv")]:
        options = {"movflags": "+faststart"} if suffix == ".mp4" else {}
        whole = write_clip(tmp_path / f"in_{sound}{suffix}", noise, sound=sound, options=options)
        cut = tmp_path / f"cut_{sound}{suffix}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
        out = tmp_path / f"out_{sound}.mp4"
        with VideoSource(cut) as source:
            sink = VideoSink(out, source.info)
            try:
                for frame in source.frames():
                    sink.write(frame)
            except SourceError:
                pass
            finally:
                sink.close()
        assert len(decode_times(out)) >= 10


def test_existing_file_is_refused_and_kept_unless_forced(tmp_path: Path) -> None:
    path, info = tmp_path / "a.mp4", demo_info()
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        VideoSink(path, info)
    assert path.read_bytes() == b"mine"
    sink = VideoSink(path, info, force=True)
    sink.write(timed(1, info)[0])
    assert path.read_bytes() == b"mine"
    sink.close()
    assert len(decode_times(path)) == 1


@pytest.mark.parametrize("name", ["a.avi", "a", "a.mp4.txt", "a.mkv"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"should end in \.mp4"):
        VideoSink(tmp_path / name, demo_info())
    assert list(tmp_path.iterdir()) == []


def test_no_frame_leaves_no_file(write_clip: WriteClip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    VideoSink(out / "a.mp4", demo_info()).close()
    with VideoSource(write_clip(tmp_path / "in.mp4", [(9, 9, 9)] * 5, sound="aac")) as source:
        VideoSink(out / "b.mp4", source.info).close()
    assert list(out.iterdir()) == []


def test_stopping_after_any_number_of_frames_leaves_a_playable_file(tmp_path: Path) -> None:
    info = demo_info()
    for count in (1, 2, 7):
        path = tmp_path / f"{count}.mp4"
        save(path, info, timed(count, info))
        assert len(decode_times(path)) == count
        assert "moov" in list_boxes(path)
    assert len(list(tmp_path.iterdir())) == 3


def test_full_disk_is_an_output_error_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = demo_info()
    sink = VideoSink(tmp_path / "a.mp4", info)

    class FullDisk:
        def __init__(self, container: Any) -> None:
            self.container = container

        def mux(self, packets: Any) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            self.container.close()
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink, "_container", FullDisk(sink._container))
    with pytest.raises(OutputError, match="No space left"):
        for frame in timed(80, info):
            sink.write(frame)
    with pytest.raises(OutputError, match="No space left"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_source_whose_sound_can_not_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no container")
    with pytest.raises(YogaLiveError):
        VideoSink(tmp_path / "a.mp4", demo_info(audio_from=broken))
    assert [p.name for p in tmp_path.iterdir()] == ["broken.mp4"]


def test_camera_times_are_kept(tmp_path: Path) -> None:
    info = SourceInfo("camera 0", (64, 48), Fraction(30), Fraction(1, 90_000), is_live=True)
    times_s = [0.013, 0.051, 0.09, 0.4, 0.44]
    image = np.zeros((48, 64, 3), np.uint8)
    save(tmp_path / "a.mp4", info, [TimedFrame(image, t, round(t * 90_000)) for t in times_s])
    assert np.diff(decode_times(tmp_path / "a.mp4")) == pytest.approx(np.diff(times_s), abs=0.001)


def test_an_unfinished_file_plays_up_to_its_last_second(write_clip: WriteClip, tmp_path: Path) -> None:
    """What a power cut leaves: nobody closed the file."""
    source_path = write_clip(tmp_path / "in.mp4", [(9, 9, 9)] * 250, rate=Fraction(25), sound="aac")
    with VideoSource(source_path) as source:
        sink = VideoSink(tmp_path / "a.mp4", source.info)
        for frame in source.frames():
            sink.write(frame)
        left = tmp_path / "left.mp4"
        left.write_bytes((tmp_path / "a.part.mp4").read_bytes())
        sink.close()
    assert len(decode_times(left)) >= 25 * 7  # x264 looks ahead, a fragment is a second
    with av.open(str(left)) as container:
        assert sum(1 for _ in container.decode(audio=0)) > 100
    assert len(decode_times(tmp_path / "a.mp4")) == 250
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "in.mp4", "left.mp4"]


def test_what_is_not_the_whole_keeps_its_part_name_and_plays_to_its_last_frame(tmp_path: Path) -> None:
    info = demo_info()
    sink = VideoSink(tmp_path / "a.mp4", info)
    for frame in timed(80, info):
        sink.write(frame)
    sink.break_off()
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.part.mp4"]
    assert len(decode_times(tmp_path / "a.part.mp4")) == 80
    content = (tmp_path / "a.part.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat") and b"moof" not in content  # a plain MP4


def test_what_appears_under_the_name_while_it_is_written_is_left_alone(tmp_path: Path) -> None:
    info = demo_info()
    sink = VideoSink(tmp_path / "a.mp4", info)
    for frame in timed(30, info):
        sink.write(frame)
    (tmp_path / "a.mp4").write_text("another's")
    with pytest.raises(TakenError, match=r"a\.mp4 was created by another program.*the result is .*a\.part\.mp4"):
        sink.close()
    assert (tmp_path / "a.mp4").read_text() == "another's"
    assert len(decode_times(tmp_path / "a.part.mp4")) == 30


def test_a_disk_that_is_full_at_the_end_keeps_the_fragments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = demo_info()
    sink = VideoSink(tmp_path / "a.mp4", info)
    for frame in timed(80, info):
        sink.write(frame)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(video, "join_fragments", fail)
    with pytest.raises(OutputError, match=r"No space left.*a\.part\.mp4 is playable"):
        sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.part.mp4"]
    assert len(decode_times(tmp_path / "a.part.mp4")) == 80


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_video_grows_in_a_file_of_its_own(link: Callable[[Path, Path], None], tmp_path: Path) -> None:
    mine, info = tmp_path / "mine.txt", demo_info()
    mine.write_text("mine")
    link(tmp_path / "a.part.mp4", mine)
    save(tmp_path / "a.mp4", info, timed(5, info))
    assert mine.read_text() == "mine" and len(decode_times(tmp_path / "a.mp4")) == 5
    assert not (tmp_path / "a.mp4").is_symlink()


def test_a_video_does_not_grow_in_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.part.mp4")
    with pytest.raises(OutputError, match=r"under its temporary name .*a\.part\.mp4: something other than a file"):
        VideoSink(tmp_path / "a.mp4", demo_info())
