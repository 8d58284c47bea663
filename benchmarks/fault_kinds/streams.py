"""Files with more than one stream: covers, thumbnails, other languages; ffmpeg's own choice is the right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from fault_kinds import ffmpeg
from fault_kinds.bench import Bench
from fault_kinds.outcome import Outcome, judge_done, judge_either, judge_refusal
from fault_kinds.shape_model import draw_quadrants, name_shapes, turn
from fault_kinds.shapes import H264, compare_pictures, read_longest

KIND = "streams"
FRAMES, SECONDS = 20, 2.0
TONES = (300, 1000)
"""Hz of the sound that is not wanted, and of the one that is."""
PITCH, LENGTH_S = 0.05, 0.15
"""By how much a tone (a share) and the length of sound may differ."""
AAC = ("-c:a", "aac", "-b:a", "64k")

Draw = Callable[[Path, Path], Path]


def run(bench: Bench) -> Iterator[Outcome]:
    """Draw the parts once, then join them in many ways."""
    parts = draw_parts(bench.make_folder("parts"))
    for number, (name, suffix, draw) in enumerate(bench.choose(list_joins())):
        clip = draw(bench.folder / f"{number}.{suffix}", parts)
        yield judge_streams(bench, name, clip)
    for number, (name, suffix, draw) in enumerate(bench.choose(list_empty())):
        clip = draw(bench.folder / f"empty_{number}.{suffix}", parts)
        answer = bench.watch(clip, "--timeline", ffmpeg.name_copy(clip, ".csv"))
        if "cover" in name:  # FFmpeg shows a cover where there is nothing else
            yield judge_either(KIND, name, answer)
        else:
            yield judge_refusal(KIND, name, answer, says="no video")


def draw_parts(folder: Path) -> Path:
    """The video that is wanted, another one, covers, and two tones."""
    Image.fromarray(draw_quadrants(192, 108)).save(folder / "wanted.png")
    Image.fromarray(turn(draw_quadrants(96, 96), "down")).save(folder / "cover.png")
    Image.fromarray(turn(draw_quadrants(96, 96), "down")).save(folder / "cover.jpg", quality=95)
    encode = [*H264, "-g", "10"]
    ffmpeg.draw_clip(folder / "wanted.mp4", folder / "wanted.png", *encode, seconds=SECONDS)
    ffmpeg.draw_clip(folder / "small.mp4", folder / "cover.png", *encode, seconds=SECONDS)
    for name, tone in zip(("other", "sound"), TONES, strict=True):
        source = ["-f", "lavfi", "-t", str(SECONDS), "-i", f"sine={tone}:r=44100"]
        ffmpeg.run_ffmpeg(*source, *AAC, folder / f"{name}.m4a")
    (folder / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,500\nbreathe in\n")
    return folder


def join(*options: str, inputs: tuple[str, ...]) -> Draw:
    """Join parts by copying their streams."""

    def draw(path: Path, parts: Path) -> Path:
        given = [text for name in inputs for text in ("-i", str(parts / name))]
        ffmpeg.run_ffmpeg(*given, "-c", "copy", *options, path)
        return path

    return draw


def _map(*streams: str) -> list[str]:
    return [text for stream in streams for text in ("-map", stream)]


def list_joins() -> list[tuple[str, str, Draw]]:
    """Name, suffix and how it is drawn; each holds the wanted picture, and the wanted sound or none."""
    cover = ("-disposition:v:0", "attached_pic")
    plain = ("wanted.mp4", "sound.m4a", "cover.png", "cover.jpg")
    joins: list[tuple[str, str, Draw]] = []
    for suffix in ("mp4", "mov", "m4v"):
        for number, kind in ((2, "PNG"), (3, "JPEG")):
            streams = _map(f"{number}:v", "0:v", "1:a")
            joins.append((f"a {kind} cover first in {suffix}", suffix, join(*streams, *cover, inputs=plain)))
        last = [*_map("0:v", "1:a", "3:v"), "-disposition:v:1", "attached_pic"]
        joins.append((f"a cover last in {suffix}", suffix, join(*last, inputs=plain)))
    joins.append(("a cover as a track, first, in mp4", "mp4", _cover_track))
    attached = ["-attach", "{parts}/cover.jpg", "-metadata:s:t", "mimetype=image/jpeg"]
    joins.append(("a cover attached in mkv", "mkv", _attach(attached)))
    both = ("wanted.mp4", "small.mp4", "sound.m4a", "other.m4a", "words.srt")
    for suffix in ("mp4", "mkv", "mov", "ts"):
        first_small = [*_map("1:v", "0:v", "2:a"), "-disposition:v:0", "0", "-disposition:v:1", "default"]
        joins.append((f"a smaller video first in {suffix}", suffix, join(*first_small, inputs=both)))
        joins.append((f"sound first in {suffix}", suffix, join(*_map("2:a", "0:v"), inputs=both)))
        joins.append((f"no sound in {suffix}", suffix, join(*_map("0:v"), inputs=both)))
    for suffix in ("mp4", "mkv", "mov"):
        order = [*_map("0:v", "3:a", "2:a"), "-disposition:a:0", "0", "-disposition:a:1", "default"]
        joins.append((f"the second sound is the default in {suffix}", suffix, join(*order, inputs=both)))
        order = [*_map("0:v", "2:a", "3:a"), "-disposition:a:0", "default", "-disposition:a:1", "0"]
        joins.append((f"the first sound is the default in {suffix}", suffix, join(*order, inputs=both)))
    words = [*_map("4:s", "0:v", "2:a"), "-c:s", "mov_text"]
    joins.append(("subtitles first in mp4", "mp4", join(*words, inputs=both)))
    words = [*_map("4:s", "2:a", "0:v"), "-c:s", "srt"]
    joins.append(("subtitles and sound first in mkv", "mkv", join(*words, inputs=both)))
    return joins


def _attach(options: list[str]) -> Draw:
    def draw(path: Path, parts: Path) -> Path:
        given = ["-i", str(parts / "wanted.mp4"), "-i", str(parts / "sound.m4a"), *_map("0:v", "1:a"), "-c", "copy"]
        ffmpeg.run_ffmpeg(*given, *(text.format(parts=parts) for text in options), path)
        return path

    return draw


def _cover_track(path: Path, parts: Path) -> Path:
    """A track of a picture before the video, off by default, as some editors and cameras write a thumbnail."""
    still = path.with_suffix(".still.mp4")
    ffmpeg.run_ffmpeg("-i", parts / "cover.png", "-frames:v", "1", *H264, still)
    given = ["-i", still, "-i", parts / "wanted.mp4", "-i", parts / "sound.m4a", *_map("0:v", "1:v", "2:a")]
    ffmpeg.run_ffmpeg(*given, "-c", "copy", "-disposition:v:0", "0", "-disposition:v:1", "default", path)
    return path


def list_empty() -> list[tuple[str, str, Draw]]:
    """Files without a video, a cover aside."""
    cover = [*_map("0:a", "1:v"), "-disposition:v:0", "attached_pic"]
    return [
        ("sound alone in m4a", "m4a", join(*_map("0:a"), inputs=("sound.m4a",))),
        ("sound alone in mp4", "mp4", join(*_map("0:a"), inputs=("sound.m4a",))),
        ("sound alone in mkv", "mkv", join(*_map("0:a"), inputs=("sound.m4a",))),
        ("sound with a cover in m4a", "m4a", join(*cover, inputs=("sound.m4a", "cover.jpg"))),
    ]


def judge_streams(bench: Bench, name: str, clip: Path) -> Outcome:
    """Watch it; the wanted picture must be seen and saved, whole, with the wanted sound."""
    copy, table = ffmpeg.name_copy(clip), ffmpeg.name_copy(clip, ".csv")
    answer = bench.watch(clip, "--save", copy, "--timeline", table)
    wanted = draw_quadrants(192, 108)
    right = f"{FRAMES} frames of the large picture; {TONES[1]} Hz where there is sound"
    if answer.code or not copy.exists():
        return judge_done(KIND, name, answer, "no copy", right)
    faults = []
    if (seen := read_longest(table)) not in name_shapes(wanted):
        faults.append(f"the network saw {seen}")
    if difference := compare_pictures(ffmpeg.read_shown(copy, 0.3), wanted):
        faults.append(f"the copy {difference}")
    media = ffmpeg.measure(copy)
    if media.frames != FRAMES:
        faults.append(f"{media.frames} frames")
    faults += list_sound_faults(copy, media, "no sound" not in name)
    return judge_done(KIND, name, answer, "; ".join(faults), right)


def list_sound_faults(copy: Path, media: ffmpeg.Media, has_sound: bool) -> list[str]:
    """What is wrong with the copy's sound."""
    if not has_sound:
        return ["sound from nowhere"] if media.sound_s else []
    faults = []
    if abs(media.sound_s - SECONDS) > LENGTH_S:
        faults.append(f"{media.sound_s:.2f} s of sound")
    elif abs((pitch := ffmpeg.measure_pitch(copy)) / TONES[1] - 1) > PITCH:
        faults.append(f"a tone of {pitch:.0f} Hz")
    return faults
