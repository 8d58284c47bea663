"""Media files as they really are: odd names and tags, damaged packets, times that begin anew."""

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.pipelines.annotate import read_length_s
from yoga_live.runtime.sinks.video import VideoSink
from yoga_live.runtime.sources.demux import Damage, decode_packets, follow_jumps, open_media, read_packets
from yoga_live.runtime.sources.time_range import TimeRange
from yoga_live.runtime.sources.video import VideoSource

WriteClip = Callable[..., Path]
RATE = 25


def read_numbers(
    path: Path, time_range: TimeRange | None = None, threads: int | None = None
) -> tuple[list[int], list[float], VideoSource]:
    """Frame i of `shades` is read as i; their times; the source."""
    with VideoSource(path, time_range=time_range, threads=threads) as source:
        frames = list(source.frames())
    return [round((f.image_bgr.mean() - 20) / 4) for f in frames], [f.time_s for f in frames], source


def shades(count: int) -> list[tuple[int, int, int]]:
    return [(shade, shade, shade) for shade in range(20, 20 + 4 * count, 4)]


def save(path: Path, to: Path, time_range: TimeRange | None = None) -> Any:
    """Copy a video through source and sink, as annotating does.  Returns the opened copy."""
    with VideoSource(path, time_range=time_range) as source:
        sink = VideoSink(to, source.info)
        for frame in source.frames():
            sink.write(frame.move(frame.time_s - source.info.start_s, frame.pts - source.info.start_pts))
        sink.complete()
        sink.close()
    return open_media(to)


def overwrite(path: Path, kind: str, numbers: range, content: bytes) -> None:
    """Overwrite the beginning of some packets of a stream, where they lie in the file."""
    with av.open(str(path)) as container:
        packets = [bytes(p) for p in container.demux(getattr(container.streams, kind)[0]) if p.size]
    whole, at = bytearray(path.read_bytes()), 0
    for number, packet in enumerate(packets):
        at = whole.index(packet, at)
        if number in numbers:
            whole[at : at + len(content)] = content
        at += len(packet)
    path.write_bytes(whole)


def count_sound_s(container: Any) -> float:
    """Seconds of sound that can be decoded."""
    return sum(frame.samples / frame.rate for frame in container.decode(audio=0))


@pytest.mark.parametrize("name", ["Yoga: class.mp4", "file:class.mp4", "-class.mp4", "50 %d.mp4"])
def test_a_name_is_a_name_whatever_ffmpeg_reads_in_it(
    write_clip: WriteClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_clip(tmp_path / "a.mp4", shades(5), sound="aac").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(read_numbers(Path(name))[0]) == 5 and read_length_s(Path(name)) > 0
    saved = Path(f"Saved: {name}")
    with save(Path(name), saved) as container:
        assert container.streams.audio and len(list(container.decode(video=0))) == 5
    assert saved.is_file()


def test_a_name_that_is_no_utf8_is_read(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(5)).rename(
        tmp_path / b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    )
    numbers, _, source = read_numbers(path)
    assert len(numbers) == 5 and source.info.name == "caf\\udce9.mp4"


def is_all_utf8(path: Path) -> bool:
    """Whether PyAV reads every tag as UTF-8; up to version 18 it raises for one that is not."""
    try:
        with av.open(str(path)) as container:
            tags = [*container.metadata.values(), *(tag for s in container.streams for tag in s.metadata.values())]
    except UnicodeDecodeError:
        return False
    return all(tag.isprintable() for tag in tags)  # a surrogate is not


@pytest.mark.parametrize("where", ["container", "stream"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_tags_of_another_encoding_are_no_reason_not_to_read(tmp_path: Path, suffix: str, where: str) -> None:
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        if where == "container":
            container.metadata["title"] = "Cafe"
        stream: Any = container.add_stream("libx264" if suffix != ".avi" else "mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        track: Any = container.add_stream("mp3", rate=48_000)
        if where == "stream":  # its name is the one tag of a stream that all three containers have
            track.metadata["handler_name" if suffix == ".mp4" else "title"] = "Cafe"
        picture = av.VideoFrame(64, 48, "yuv420p")
        for pts in range(3):
            picture.pts = pts
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        silence = av.AudioFrame("fltp", "mono", 1152)
        silence.rate = 48_000
        container.mux(track.encode(silence))
        container.mux(track.encode(None))
    content = path.read_bytes()
    assert b"Cafe" in content
    path.write_bytes(content.replace(b"Cafe", b"Caf\xe9"))
    assert not is_all_utf8(path)
    assert read_length_s(path) > 0
    with save(path, tmp_path / "saved.mp4") as container:
        assert len(list(container.decode(video=0))) == 3 and container.streams.audio


def test_a_damaged_packet_costs_its_own_frames_alone(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(50), sound="aac")
    overwrite(path, "video", range(20, 22), b"\xff" * 6)
    numbers, times_s, source = read_numbers(path)
    assert 45 <= len(numbers) < 50 and times_s[-1] == pytest.approx(49 / RATE)
    assert "skipped 2 damaged packets of the picture" in source.damage
    with save(path, tmp_path / "saved.mp4") as container:
        assert len(list(container.decode(video=0))) == len(numbers)


def test_what_is_damaged_to_its_end_is_said_to_be(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(50))
    overwrite(path, "video", range(40, 50), b"\xff" * 6)
    with VideoSource(path) as source, pytest.raises(SourceError, match=r"is damaged after 1\.\d s"):
        list(source.frames())
    path = write_clip(tmp_path / "b.mp4", shades(50))
    overwrite(path, "video", range(50), b"\xff" * 6)
    with pytest.raises(SourceError, match="is damaged at its first frame"):
        VideoSource(path)


def test_a_file_that_was_cut_off_is_told_by_its_own_length(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(50) * 4, options={"movflags": "+faststart"})
    assert read_numbers(path)[2].damage == ""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert re.search(
        r"a\.mp4 ends after [345]\.\d s instead of 8\.0 s as its header says", read_numbers(path)[2].damage
    )
    ends = [read_numbers(path, threads=number)[2].damage.rpartition("; ")[0][-40:] for number in (1, None)]
    assert (
        "instead of 8.0 s as its header says" in ends[0] and ends[0] == ends[1]
    )  # the cut packet itself is met by one thread alone
    assert read_numbers(path, TimeRange(0.0, 2.0))[2].damage == ""


def test_a_last_packet_that_is_damaged_costs_no_more_than_itself(write_clip: WriteClip, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(20))
    overwrite(path, "video", range(19, 20), b"\xff" * 6)
    for threads in (1, None):
        assert len(read_numbers(path, threads=threads)[0]) in (18, 19)  # PyAV 17 loses the one before it too


def test_there_is_an_end_to_the_patience(write_clip: WriteClip, tmp_path: Path) -> None:
    damage = Damage()
    with open_media(write_clip(tmp_path / "a.mp4", shades(5))) as container:
        broken = [av.Packet(b"\0\0\0\x01\xff") for _ in range(2000)]
        for packet in broken:
            packet.stream, packet.dts, packet.pts = container.streams.video[0], 0, 0
        with pytest.raises(av.FFmpegError):
            list(decode_packets(broken, damage))
    assert damage.packets == 1000


@pytest.mark.parametrize(("suffix", "sound"), [(".mkv", "flac"), (".mp4", "aac")])
def test_damaged_sound_costs_neither_picture_nor_the_rest_of_the_sound(
    write_clip: WriteClip, tmp_path: Path, suffix: str, sound: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_clip(tmp_path / f"a{suffix}", shades(50), sound=sound)
    overwrite(path, "audio", range(3, 6), b"\xff" * 12)
    with save(path, tmp_path / "saved.mp4") as container:
        assert len(list(container.decode(video=0))) == 50
        assert float(container.streams.audio[0].duration * container.streams.audio[0].time_base) > 1.9
    if sound == "flac":
        assert "skipped 3 damaged packets of the sound" in caplog.text


def join(path: Path, *parts: Path) -> Path:
    """As `cat` does."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize(("suffix", "codec", "sound"), [(".ts", "libx264", "aac"), (".mpg", "mpeg2video", "mp2")])
def test_times_that_begin_anew_go_on_with_sound_and_picture_together(
    write_clip: WriteClip, tmp_path: Path, suffix: str, codec: str, sound: str
) -> None:
    part = write_clip(tmp_path / f"a{suffix}", shades(50), codec=codec, sound=sound)
    path = join(tmp_path / f"joined{suffix}", part, part, part)
    numbers, times_s, source = read_numbers(path)
    assert len(times_s) == 150 and numbers[-3:] == numbers[47:50]
    assert [b - a for a, b in pairwise(times_s)] == pytest.approx([1 / RATE] * 149, abs=0.025)
    assert [float(jump_s) for jump_s in source.info.seen.jumps_s] == pytest.approx([2, 4], abs=0.1)
    with save(path, tmp_path / "saved.mp4") as container:
        packets = [p for p in container.demux(audio=0) if p.pts is not None]
        heard_s = [float(p.pts * p.time_base) for p in packets]
        assert heard_s == sorted(heard_s) and heard_s[-1] == pytest.approx(6, abs=0.1)
        assert max(b - a for a, b in pairwise(heard_s)) < 0.1


def test_a_part_of_a_file_whose_times_begin_anew_is_found(write_clip: WriteClip, tmp_path: Path) -> None:
    path = join(tmp_path / "joined.ts", *[write_clip(tmp_path / "a.ts", shades(50), sound="aac")] * 3)
    whole_numbers, whole_times_s, _ = read_numbers(path)
    numbers, times_s, source = read_numbers(path, TimeRange(4.5, 5.5))
    inside = [n for n, time_s in enumerate(whole_times_s) if 4.499 < time_s < 5.499]
    assert times_s == pytest.approx([whole_times_s[n] for n in inside]) and len(inside) == 25
    assert numbers == [whole_numbers[n] for n in inside]
    assert not source.info.seeks
    with save(path, tmp_path / "part.mp4", TimeRange(4.5, 5.5)) as container:
        assert count_sound_s(container) == pytest.approx(1, abs=0.1)


def follow(*times: int | None) -> list[tuple[int | None, int]]:
    """In tenths of a second."""
    return [
        (pts, jumps) for _, pts, jumps in follow_jumps(list(enumerate(times)), lambda item: item[1], Fraction(1, 10))
    ]


def test_a_damaged_time_is_no_jump() -> None:
    assert follow(0, 1, 2) == [(0, 0), (1, 0), (2, 0)]
    assert follow(50, 51, 0, 1) == [(50, 0), (51, 0), (0, 1), (1, 1)]
    assert follow(50, 51, 0, 53) == [(50, 0), (51, 0), (52, 0), (53, 0)]  # back, and here again
    assert follow(50, 51, 9000, 53) == [(50, 0), (51, 0), (52, 0), (53, 0)]
    assert follow(50, 51, 9000, 9001) == [(50, 0), (51, 0), (9000, 0), (9001, 0)]  # a long pause
    assert follow(50, 48, None, 51) == [(50, 0), (48, 0), (None, 0), (51, 0)]
    assert follow(50, 0) == [(50, 0), (0, 1)]
    assert follow() == []


def test_every_frame_comes_out_of_the_decoder(write_clip: WriteClip, tmp_path: Path) -> None:
    with open_media(write_clip(tmp_path / "a.mp4", shades(50))) as container:
        stream, damage = container.streams.video[0], Damage()
        stream.thread_type = "AUTO"
        assert len(list(decode_packets(read_packets(container, stream, damage), damage))) == 50
