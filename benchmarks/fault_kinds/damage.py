"""Damaged and cut-off recordings: said, with numbers that are true, and never more than what is damaged is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from fault_kinds import ffmpeg
from fault_kinds.bench import Bench
from fault_kinds.formats import compare_media
from fault_kinds.outcome import Answer, Outcome, find_refusal_fault, judge_done, judge_either, judge_refusal
from fault_kinds.shape_model import draw_quadrants

KIND = "damage, cuts and times"
SECONDS = 8.0
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")
TIMED = {
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-c:a", "libvorbis"),
    "mkv": (*H264, "-c:a", "aac"),
    "flv": (*H264, "-c:a", "aac"),
}
"""Containers that say in front how long they are."""
CUTS = (0.3, 0.5, 0.7, 0.85)
SHORT_S, DAMAGED_S = 0.6, 0.5
"""By how much the seconds that are told may differ from those that ffprobe counts; and those of damage."""
ENDS_EARLY = re.compile(r"ends after (\d+(?:\.\d+)?) s, not (\d+(?:\.\d+)?) s", re.IGNORECASE)
SECONDS_DAMAGED = re.compile(r"(\d+(?:\.\d+)?) s\b[^\n]*damag|damag[^\n]*?(\d+(?:\.\d+)?) s\b", re.IGNORECASE)
NO_TIMES = r"no times|without times|holds no times|has no time"
UNFINISHED = r"finish|index|moov"


def run(bench: Bench) -> Iterator[Outcome]:
    """Each sort of damage."""
    yield from try_cuts(bench)
    yield from try_unfinished(bench)
    yield from try_smears(bench)
    yield from try_raw(bench)
    yield from try_lengths(bench)
    yield from try_noise(bench)


def try_cuts(bench: Bench) -> Iterator[Outcome]:
    """Files that stop before the end that they name, and whole ones, of which nothing may be said."""
    for kind, encode in TIMED.items():
        whole = ffmpeg.draw_moving(bench.folder / f"whole.{kind}", *encode, seconds=SECONDS)
        content = whole.read_bytes()
        for share in bench.choose((*CUTS, 1.0)):
            clip = bench.folder / f"cut_{round(share * 100)}.{kind}"
            clip.write_bytes(content[: round(len(content) * share)])
            name = f"{kind}, the first {share:.0%} of it" if share < 1 else f"{kind}, whole"
            yield judge_cut(bench, name, clip, is_whole=share == 1)


def judge_cut(bench: Bench, name: str, clip: Path, *, is_whole: bool) -> Outcome:
    """The line must be there, and its seconds true; or not be there."""
    answer = bench.watch(clip, "--save", ffmpeg.name_copy(clip))
    media = ffmpeg.measure(clip)
    said = ENDS_EARLY.search(answer.err + answer.out)
    if is_whole:
        fault = f"it is said: {said[0]}" if said else ""
        return judge_done(KIND, name, answer, fault, "nothing is said of a whole file")
    right = f"ends after {media.picture_s:.1f} s, not {SECONDS:.1f} s"
    if said and abs(float(said[1]) - media.picture_s) <= SHORT_S and abs(float(said[2]) - SECONDS) <= SHORT_S:
        return judge_either(KIND, name, answer)
    return Outcome(KIND, name, "wrong", said[0] if said else f"not a word, exit code {answer.code}", right)


def try_unfinished(bench: Bench) -> Iterator[Outcome]:
    """MP4 and MOV whose index was never written; a fragmented one is fine without its end."""
    for kind in ("mp4", "mov", "m4v", "3gp"):
        whole = ffmpeg.draw_moving(bench.folder / f"index.{kind}", *H264, "-c:a", "aac", seconds=2)
        content = whole.read_bytes()
        for share in bench.choose((0.4, 0.9)):
            clip = bench.folder / f"unfinished_{round(share * 100)}.{kind}"
            clip.write_bytes(content[: round(content.index(b"moov") * share)])
            name = f"{kind} without its index, {share:.0%} of the rest"
            answer = bench.watch(clip, "--save", ffmpeg.name_copy(clip))
            yield judge_refusal(KIND, name, answer, says=UNFINISHED)
    pieces = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")
    whole = ffmpeg.draw_moving(bench.folder / "pieces.mp4", *H264, "-c:a", "aac", *pieces, seconds=4)
    clip = whole.with_name("pieces_cut.mp4")
    clip.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    yield judge_either(KIND, "fragmented mp4, cut", bench.watch(clip, "--save", ffmpeg.name_copy(clip)))


def try_smears(bench: Bench) -> Iterator[Outcome]:
    """Bytes of MPEG-TS overwritten inside packets: the decoder conceals it, and marks the frames."""
    encode = (*H264, "-x264-params", "slices=4", "-b:v", "800k", "-c:a", "aac")
    whole = ffmpeg.draw_moving(bench.folder / "clean.ts", *encode, size="320x240", seconds=4)
    rng = bench.make_random("smears")
    for number in range(bench.count(20)):
        content = bytearray(whole.read_bytes())
        for _ in range(rng.choice((3, 20, 60))):
            packet = rng.randrange(40, len(content) // 188 - 4) * 188
            content[packet + 40 : packet + 150] = rng.randbytes(110)
        clip = bench.folder / f"smeared_{number}.ts"
        clip.write_bytes(content)
        yield judge_smear(bench, f"a smeared MPEG-TS, number {number}", clip)
    yield judge_smear(bench, "an MPEG-TS without damage", whole)


def judge_smear(bench: Bench, name: str, clip: Path) -> Outcome:
    """The run must say how many seconds are damaged, if any frame is marked."""
    answer = bench.watch(clip, "--timeline", ffmpeg.name_copy(clip, ".csv"))
    damaged, rate = count_marked(clip), 25
    said = SECONDS_DAMAGED.search(answer.err + answer.out)
    if not damaged:
        return judge_either(KIND, name, answer)
    right = f"{damaged / rate:.1f} s are said to be damaged"
    if said is None:
        return judge_done(KIND, name, answer, "not a word of seconds that are damaged", right)
    told_s = float(said[1] or said[2])
    fault = "" if abs(told_s - damaged / rate) <= DAMAGED_S else f"{told_s:.1f} s are said to be damaged"
    return judge_done(KIND, name, answer, fault, right)


def count_marked(clip: Path) -> int:
    """Frames that the decoder marks as damaged, by PyAV alone; decoding slices in threads would lose marks."""
    import av
    import av.error

    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type, marked = "NONE", 0
        for packet in container.demux(stream):
            try:
                marked += sum(bool(frame.is_corrupt) for frame in packet.decode())  # pyright: ignore[reportAttributeAccessIssue]
            except av.error.FFmpegError:  # noqa: PERF203 - once a damaged packet
                continue
    return marked


def try_raw(bench: Bench) -> Iterator[Outcome]:
    """Elementary streams: their rate stands in the stream, their times stand nowhere."""
    cases = [(codec, rate) for codec in ("h264", "hevc", "m2v") for rate in (24, 30, 50)]
    for codec, rate in bench.choose(cases):
        clip = bench.folder / f"raw_{rate}.{codec}"
        encoder = {"h264": H264, "hevc": ("-c:v", "libx265", "-preset", "ultrafast"), "m2v": ("-c:v", "mpeg2video")}
        source = ("-f", "lavfi", "-t", "3", "-i", f"testsrc2=s=192x144:r={rate}")
        ffmpeg.run_ffmpeg(*source, *encoder[codec], clip)
        copy = ffmpeg.name_copy(clip)
        answer = bench.watch(clip, "--save", copy)
        if answer.code or not copy.exists():
            yield judge_done(KIND, f"raw {codec} at {rate} FPS", answer, "no copy")
            continue
        media = ffmpeg.measure(copy)
        faults = [] if abs(media.picture_s - 3) < 0.1 else [f"{media.picture_s:.2f} s"]
        faults += [] if media.frames == 3 * rate else [f"{media.frames} frames"]
        lines = len(re.findall(NO_TIMES, answer.err, re.IGNORECASE))
        faults += [] if lines == 1 else [f"{lines} lines that say that it has no times"]
        right = f"{3 * rate} frames, 3.00 s, once: this file has no times"
        yield judge_done(KIND, f"raw {codec} at {rate} FPS", answer, ", ".join(faults), right)


def try_lengths(bench: Bench) -> Iterator[Outcome]:
    """Frames that last differently, the last one too, as phones' slow motion and screen recordings have them."""
    rng = bench.make_random("lengths")
    for number in range(bench.count(10)):
        lasts = [rng.choice((1, 2, 3, 5, 8)) * 20 for _ in range(rng.randrange(5, 15))]
        clip = draw_lengths(bench.folder / f"lengths_{number}.mp4", lasts)
        copy = ffmpeg.name_copy(clip)
        answer = bench.watch(clip, "--save", copy)
        wanted = ffmpeg.Media(len(lasts), sum(lasts) / 1000, 0.0, 0.0)
        fault = compare_media(ffmpeg.measure(copy), wanted) if copy.exists() else "no copy"
        right = f"{wanted.frames} frames, {wanted.picture_s:.3f} s"
        yield judge_done(KIND, f"frames of {min(lasts)} to {max(lasts)} ms, the last {lasts[-1]}", answer, fault, right)


def draw_lengths(path: Path, lasts_ms: list[int]) -> Path:
    """An MP4 whose frames last so many milliseconds."""
    import av

    with av.open(str(path), "w", options={"video_track_timescale": "1000"}) as container:
        stream: Any = container.add_stream("mpeg4", rate=50)
        stream.width, stream.height, stream.pix_fmt = 192, 144, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, lasts_ms_ in enumerate(lasts_ms):
            frame = av.VideoFrame.from_ndarray(draw_quadrants(192, 144), format="rgb24")
            frame.pts, frame.time_base = sum(lasts_ms[:number]), Fraction(1, 1000)
            for packet in stream.encode(frame):
                packet.duration = lasts_ms_
                container.mux(packet)
        container.mux(stream.encode(None))
    return path


def try_noise(bench: Bench) -> Iterator[Outcome]:
    """Random bytes overwritten anywhere in files of many kinds: an answer or one line, soon."""
    kinds = {**TIMED, "mp4": (*H264, "-c:a", "aac"), "ts": (*H264, "-c:a", "aac"), "mov": (*H264, "-c:a", "aac")}
    kinds |= {"avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"), "mpg": ("-c:v", "mpeg2video", "-c:a", "mp2")}
    kinds |= {"wmv": ("-c:v", "wmv2", "-c:a", "wmav2"), "gif": ("-an",)}
    rng = bench.make_random("noise")
    for kind, encode in bench.choose(list(kinds.items())):
        content = ffmpeg.draw_moving(bench.folder / f"noise.{kind}", *encode, seconds=2).read_bytes()
        for number in range(6):
            damaged = bytearray(content)
            for _ in range(rng.choice((1, 5, 50))):
                at = rng.randrange(len(damaged) - 16) if number % 3 else rng.randrange(min(1000, len(damaged) - 16))
                damaged[at : at + 8] = rng.randbytes(8)
            clip = bench.folder / f"noise_{number}.{kind}"
            clip.write_bytes(damaged)
            copy = ffmpeg.name_copy(clip)
            answer = bench.watch(clip, "--save", copy)
            yield judge_noise(f"{kind} with random bytes, number {number}", answer, copy)


def judge_noise(name: str, answer: Answer, copy: Path) -> Outcome:
    """Whatever is left under the final name must play."""
    outcome = judge_either(KIND, name, answer)
    if outcome.verdict == "wrong" or not copy.exists():
        return outcome
    if not ffmpeg.measure(copy).frames:
        return Outcome(KIND, name, "wrong", f"a copy that does not play; {find_refusal_fault(answer)}", "it plays")
    return outcome
