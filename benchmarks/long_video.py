"""Memory over a long recording: `python benchmarks/long_video.py [--minutes 120] [--size 640x360]`.

The drawn demo, with a tone, is encoded once and repeated by copying its packets until it lasts as long as was asked:
real key frames, B-frames and sound, written in seconds.  `yoga-live --video LONG.mp4 --save --timeline` then
annotates it in a process of its own (Linux), whose memory, threads and open files are read every two seconds.

Printed: what it held once it was warm (a twentieth of the run), in the middle and at the end, and the slope of a line
through the rest, per hour of video; and whether the copy has every frame of the source, its sound and its length.
Returns 1 where memory grows by more than `--most-mb-per-hour`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from yoga_live.runtime.sources.demo import RATE, DemoSource
from yoga_live.runtime.system.progress import Progress, format_duration, track

SAMPLE_S = 2.0
WARM_SHARE, WARM_SAMPLES = 0.05, 10
SOUND_RATE = 48_000


def write_unit(path: Path, size_wh: tuple[int, int]) -> Fraction:
    """Encode the demo once, with B-frames and a tone.  Returns its length in seconds."""
    source = DemoSource(size_wh)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = *size_wh, "yuv420p"
        track_: Any = container.add_stream("aac", rate=SOUND_RATE)
        track_.layout = "mono"
        count = 0
        for frame in track(source.frames(), "drawing", float(source.info.duration_s or 0) * float(RATE)):
            picture = av.VideoFrame.from_ndarray(frame.image_bgr, format="bgr24")
            picture.pts, picture.time_base = count, 1 / RATE
            container.mux(stream.encode(picture))
            count += 1
        container.mux(stream.encode(None))
        wave = np.sin(np.arange(round(count / RATE * SOUND_RATE)) * 2 * np.pi * 220 / SOUND_RATE).astype(np.float32) / 8
        for start in range(0, len(wave), 1024):
            part = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
            part.rate, part.pts, part.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
            container.mux(track_.encode(part))
        container.mux(track_.encode(None))
    return count / RATE


def repeat(unit: Path, to: Path, length_s: Fraction, times: int) -> None:
    """Copy the unit's packets again and again, each time later by its length."""
    with av.open(str(unit)) as first, av.open(str(to), "w") as container:
        streams: dict[int, Any] = {
            stream.index: container.add_stream_from_template(stream)  # pyright: ignore[reportArgumentType]
            for stream in first.streams
        }
        for number in track(range(times), "repeating", times):
            with av.open(str(unit)) as again:
                for packet in again.demux():
                    if packet.pts is None or packet.dts is None:
                        continue
                    length = length_s / packet.time_base
                    if packet.stream.type == "audio" and not 0 <= packet.pts < length:
                        continue  # what AAC has before its beginning would lie over the end of the unit before
                    shift = round(number * length)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream.index]
                    container.mux(packet)


def read_process(pid: int) -> tuple[float, int, int] | None:
    """Memory in MB, threads, open files of a process; None once it has ended."""
    folder = Path("/proc") / str(pid)
    try:
        status = (folder / "status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        files = sum(1 for _ in (folder / "fd").iterdir())
        return int(fields["VmRSS"].split()[0]) / 1024, int(fields["Threads"]), files
    except (OSError, KeyError):
        return None


def watch_process(command: list[str], log: Path) -> list[tuple[float, float, int, int]]:
    """Run a command.  Returns (seconds, MB, threads, files) while it ran."""
    states: list[tuple[float, float, int, int]] = []
    started_s = time.monotonic()
    with log.open("w") as said, Progress("annotating", None, "s") as progress:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            if (state := read_process(process.pid)) is not None:
                states.append((time.monotonic() - started_s, *state))
                progress.advance(SAMPLE_S, f"{state[0]:.0f} MB")
            time.sleep(SAMPLE_S)
    if process.returncode:
        sys.exit(f"yoga-live ended with code {process.returncode}: {log.read_text()[-500:]}")
    return states


def count_packets(path: Path) -> tuple[int, float, float]:
    """Pictures, and the seconds that the picture and the sound last; nothing is decoded."""
    with av.open(str(path)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        lengths = [float((stream.duration or 0) * (stream.time_base or 0)) for stream in (picture, sound)]
        count = sum(1 for packet in container.demux(picture) if packet.size)
    return count, lengths[0], lengths[1]


def main() -> int:
    """Make the video, annotate it, print how memory went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--size", default="640x360", metavar="WxH")
    parser.add_argument("--most-mb-per-hour", type=float, default=15)
    args = parser.parse_args()
    width, _, height = args.size.partition("x")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        long, out, timeline = folder / "long.mp4", folder / "annotated.mp4", folder / "long.csv"
        length_s = write_unit(folder / "unit.mp4", (int(width), int(height)))
        repeat(folder / "unit.mp4", long, length_s, max(round(60 * args.minutes / length_s), 1))
        before = count_packets(long)
        command = [sys.executable, "-m", "yoga_live.runtime", "--video", str(long), "--no-window"]
        states = watch_process([*command, "--save", str(out), "--timeline", str(timeline)], folder / "log.txt")
        after, rows = count_packets(out), len(timeline.read_text().splitlines()) - 1
    seconds, memory_mb, threads, files = np.array(states).T
    warm = min(max(int(len(seconds) * WARM_SHARE), WARM_SAMPLES), len(seconds) // 2)
    hours = before[1] / 3600 * seconds / seconds[-1]  # of video, at an even pace
    slope = float(np.polyfit(hours[warm:], memory_mb[warm:], 1)[0])
    middle = float(np.median(memory_mb[warm:]))
    print(f"{args.size}, {format_duration(before[1])} of video annotated in {format_duration(seconds[-1])}")
    print(
        f"memory: {memory_mb[warm]:.0f} MB once warm, median {middle:.0f}, {memory_mb[-1]:.0f} at the end, "
        f"at most {memory_mb.max():.0f}; {slope:+.1f} MB per hour of video"
    )
    print(f"threads: {threads[warm]:.0f} to {threads[-1]:.0f}; open files: {files[warm]:.0f} to {files[-1]:.0f}")
    tenths = [round(float(part.mean())) for part in np.array_split(memory_mb[warm:], 10)]
    print(f"memory, means of the tenths of the run: {', '.join(map(str, tenths))} MB")
    print(f"source: {before[0]} pictures, {before[1]:.2f} s, sound {before[2]:.2f} s")
    print(f"copy:   {after[0]} pictures, {after[1]:.2f} s, sound {after[2]:.2f} s; {rows} rows in the timeline")
    return int(slope > args.most_mb_per_hour or before[0] != after[0])


if __name__ == "__main__":
    sys.exit(main())
