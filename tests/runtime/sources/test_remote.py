"""Remote files: read as local ones, in spite of a network that breaks."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from yoga_live.runtime.archive.shards import Shard, observe_shard
from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.errors import SourceError
from yoga_live.runtime.pipelines.annotate import AnnotateConfig
from yoga_live.runtime.sources.remote import TRIES, RemoteFile, RetryingReader

BLUE, RED = (255, 0, 0), (0, 0, 255)


class ShakyFile(io.BytesIO):
    """Breaks at every n-th read."""

    def __init__(self, content: bytes, every: int, count: list[int]) -> None:
        super().__init__(content)
        self.every, self.count = every, count

    def read(self, size: int | None = -1) -> bytes:
        self.count[0] += 1
        if self.count[0] % self.every == 0:
            raise ConnectionResetError("the network is down")
        return super().read(size)


def test_reads_that_fail_are_tried_again_at_the_same_place() -> None:
    content, count, opened = np.random.default_rng(0).bytes(50_000), [0], []

    def opens() -> ShakyFile:
        opened.append(1)
        return ShakyFile(content, 2, count)

    with io.BufferedReader(RetryingReader(opens, wait_s=0.0), 1000) as file:
        assert file.read(10_000) == content[:10_000]
        assert file.seek(-20_000, io.SEEK_END) == 30_000 and file.read() == content[30_000:]
        assert file.seek(5) == 5 and file.read(3) == content[5:8] and file.read(0) == b""
    assert len(opened) > 3


def test_a_network_that_stays_down_is_an_error() -> None:
    count = [0]
    reader = RetryingReader(lambda: ShakyFile(b"123", 1, count), wait_s=0.0)
    with pytest.raises(OSError, match="ConnectionResetError: the network is down"):
        reader.read(2)
    assert count[0] == TRIES
    reader.close()


def test_what_is_not_there_is_not_tried_again() -> None:
    opened = []

    def opens() -> io.BytesIO:
        opened.append(1)
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError):
        RetryingReader(opens)
    assert len(opened) == 1


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "gif"])
def test_a_remote_video_answers_as_the_local_one(
    write_clip: Callable[..., Path], classifier: PoseClassifier, tmp_path: Path, suffix: str
) -> None:
    fsspec = pytest.importorskip("fsspec")
    if suffix == "gif":
        from PIL import Image

        path = tmp_path / "a.gif"
        pictures = [Image.new("RGB", (64, 48), colour) for colour in ((0, 0, 255), (255, 0, 0)) * 20]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=200)
    else:
        path = write_clip(tmp_path / f"a.{suffix}", [RED] * 60 + [BLUE] * 120, rate=Fraction(20), sound="aac")
    url = f"memory://clips-{uuid.uuid4().hex}/a.{suffix}"
    fs, inner = fsspec.core.url_to_fs(url)
    fs.pipe_file(inner, path.read_bytes())
    for piece in (Shard(0.0, None), Shard(3.0, 5.0)):
        local, remote = (observe_shard(classifier, each, AnnotateConfig(), piece) for each in (path, RemoteFile(url)))
        assert len(local.times_s) > 5
        assert np.array_equal(local.times_s, remote.times_s) and np.array_equal(local.rows, remote.rows)


def test_a_remote_animated_webp_is_a_video_too(classifier: PoseClassifier, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    from PIL import Image

    pictures = [Image.new("RGB", (64, 48), colour) for colour in ((255, 0, 0), (0, 0, 255), (0, 255, 0))]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], duration=400, lossless=True)
    url = f"memory://clips-{uuid.uuid4().hex}/a.webp"
    fs, inner = fsspec.core.url_to_fs(url)
    fs.pipe_file(inner, (tmp_path / "a.webp").read_bytes())
    assert len(observe_shard(classifier, RemoteFile(url), AnnotateConfig(), Shard(0.0, None)).times_s) == 3


def test_a_remote_file_that_is_not_there_or_no_video_is_one_error(classifier: PoseClassifier) -> None:
    fsspec = pytest.importorskip("fsspec")
    url = f"memory://clips-{uuid.uuid4().hex}"
    with pytest.raises(SourceError, match=r"cannot open .*gone.mp4"):
        observe_shard(classifier, RemoteFile(f"{url}/gone.mp4"), AnnotateConfig(), Shard(0.0, None))
    fs, inner = fsspec.core.url_to_fs(f"{url}/notes.mp4")
    fs.pipe_file(inner, b"buy a mat")
    with pytest.raises(SourceError, match=r"cannot open .*notes.mp4"):
        observe_shard(classifier, RemoteFile(f"{url}/notes.mp4"), AnnotateConfig(), Shard(0.0, None))
