"""One photo that makes its decoder raise anything at all is a row with its reason; the rest is done, also next time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from yoga_live.calibration import runs
from yoga_live.calibration.runs import load_frames, load_run
from yoga_live.runtime.photos import decoding as photo_decoding
from yoga_live.train.clean import previews
from yoga_live.train.clean.previews import Previews
from yoga_live.train.cli.main import main
from yoga_live.train.gather import download as downloading
from yoga_live.train.gather.image_search import ImageSearch, SearchOutcome
from yoga_live.train.photos import folder as photo_folder
from yoga_live.train.photos import identify, stats
from yoga_live.train.photos.manifest import read_manifest
from yoga_live.train.report import contact_sheet, pictures

from .photo_bench import Bench, PhotoServer, draw

DECODERS = (identify, photo_folder, stats, contact_sheet, previews, pictures, runs)
ODD_WIDTH = 97  # of the photo that breaks its decoder


class ForeignError(Exception):
    """What a package raises that nobody has read."""


STRANGE = (MemoryError("no 4.9 TiB"), RecursionError("too deep"), AssertionError(), ForeignError("odd"))
strange = pytest.mark.parametrize("error", STRANGE, ids=lambda error: type(error).__name__)


@pytest.fixture
def break_decoders(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """From now on a picture of an odd width raises this, wherever it is decoded."""

    def break_all(error: Exception) -> None:
        decode = photo_decoding.decode_photo

        def decode_or_fail(source: Path | bytes, **options: Any) -> np.ndarray:
            if photo_decoding.read_size_wh(source.read_bytes() if isinstance(source, Path) else source)[0] == ODD_WIDTH:
                raise error
            return decode(source, **options)

        for module in DECODERS:
            monkeypatch.setattr(module, "decode_photo", decode_or_fail)

    return break_all


def save(path: Path, seed: int, width: int = 120) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    blotches = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(blotches).resize((width, 90), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two poses of four photos; the second one of `tree` is odd."""
    for number, pose in enumerate(("tree", "plank")):
        for seed in range(4):
            width = ODD_WIDTH if (pose, seed) == ("tree", 1) else 120
            save(tmp_path / "photos" / pose / f"{seed}.png", 10 * number + seed, width)
    return tmp_path / "photos"


@strange
def test_add_gives_it_a_row_and_a_second_time_gets_past_it(
    ask: Any, folder: Path, tmp_path: Path, break_decoders: Any, error: Exception
) -> None:
    break_decoders(error)
    for _ in range(2):
        answer = ask(main, "add", folder / "tree", "--pose", "tree", "--to", tmp_path / "to")
        assert answer.code == 0, answer.err
        rows = {Path(row.url).name: row for row in read_manifest(tmp_path / "to")}
        assert {name: row.status for name, row in rows.items()} == {
            "0.png": "ok", "1.png": "failed", "2.png": "ok", "3.png": "ok"
        }  # fmt: skip
        assert rows["1.png"].reason.startswith(type(error).__name__)


@strange
def test_download_gives_it_a_row_and_the_retry_gets_past_it(
    tmp_path: Path, break_decoders: Any, error: Exception
) -> None:
    with PhotoServer() as server:
        bench = Bench(tmp_path, server)
        server.pages.update({"/a.jpg": draw(1), "/odd.jpg": draw(2, size_wh=(ODD_WIDTH, 60)), "/b.jpg": draw(3)})
        bench.list("/a.jpg", "/odd.jpg", "/b.jpg")
        break_decoders(error)
        kind = type(error).__name__
        assert bench.run().outcomes == {("ok", ""): 2, ("failed", kind): 1}
        assert bench.run().outcomes == {("failed", kind): 1}
        break_decoders(ForeignError("none now"))
        assert {row.status for row in bench.rows().values()} == {"ok", "failed"}


def test_a_url_that_breaks_the_client_is_a_row_and_the_others_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = downloading.fetch

    async def fetch_or_fail(session: Any, url: str, *arguments: Any) -> Any:
        if url.endswith("odd.jpg"):
            raise IndexError("list index out of range")
        return await fetch(session, url, *arguments)

    monkeypatch.setattr(downloading, "fetch", fetch_or_fail)
    with PhotoServer() as server:
        bench = Bench(tmp_path, server)
        server.pages.update({"/a.jpg": draw(1), "/b.jpg": draw(3)})
        bench.list("/a.jpg", "/odd.jpg", "/b.jpg")
        assert bench.run().outcomes == {("ok", ""): 2, ("failed", "IndexError"): 1}


@strange
def test_stats_lists_it_among_the_unreadable(ask: Any, folder: Path, break_decoders: Any, error: Exception) -> None:
    break_decoders(error)
    answer = ask(main, "stats", folder)
    assert answer.code == 0 and "1 file is not a readable photo" in answer.out
    assert "tree/1.png" in (folder / "stats.html").read_text() and type(error).__name__ in answer.err


@strange
def test_fit_reads_the_others_and_looks_at_it_again_next_time(
    folder: Path, break_decoders: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with monkeypatch.context():
        break_decoders(error)
        read = photo_folder.read_photos(folder, 64)
        assert [name for name, _ in read.broken] == ["tree/1.png"] and len(read.photos) == 7
        assert type(error).__name__ in read.broken[0][1]
    monkeypatch.undo()
    assert not photo_folder.read_photos(folder, 64).broken


@strange
def test_contact_sheets_and_contents_pass_over_it(
    ask: Any, folder: Path, tmp_path: Path, break_decoders: Any, error: Exception
) -> None:
    break_decoders(error)
    answer = ask(main, "show", folder, "--to", tmp_path / "sheet.png", "--plain", "--size", 64)
    assert answer.code == 0 and "7 photos of" in answer.out
    assert len(photo_folder.read_contents(folder, 64)) == 8


@strange
def test_a_preview_is_refused_as_a_broken_photo_is(folder: Path, break_decoders: Any, error: Exception) -> None:
    break_decoders(error)
    with pytest.raises(photo_folder.PhotoError, match=type(error).__name__):
        Previews().read(1, folder / "tree" / "1.png", 100)


@pytest.fixture
def odd_run(trained_run: Path, drawn_photos: Path, tmp_path: Path) -> Iterator[runs.Run]:
    """The tiny run, with one test photo that is as wide as no other."""
    photos = Path(shutil.copytree(drawn_photos, tmp_path / "photos"))
    folder = Path(shutil.copytree(trained_run, tmp_path / "run", copy_function=os.link))
    run = load_run(folder, photos)
    odd = next(photo for photo in run.photos if photo.split == "test")
    save(photos / odd.path, 99, ODD_WIDTH)
    digest = runs.hashlib.sha256((photos / odd.path).read_bytes()).hexdigest()
    table = folder / "photos.csv"
    text = table.read_text().replace(odd.sha256, digest)
    table.unlink()  # it is the shared run's
    table.write_text(text)
    yield load_run(folder, photos)


@strange
def test_calibration_leaves_it_out_and_says_so(
    odd_run: runs.Run, break_decoders: Any, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    whole = load_frames(odd_run, "test")
    break_decoders(error)
    frames, targets, rows = load_frames(odd_run, "test")
    assert len(frames) == len(targets) == len(rows) == len(whole[0]) - 1
    assert type(error).__name__ in caplog.text and f"1 of {len(whole[0])} test photos" in caplog.text


@strange
def test_a_report_shows_the_others(ask: Any, odd_run: runs.Run, break_decoders: Any, error: Exception) -> None:
    break_decoders(error)
    answer = ask(main, "report", odd_run.folder, "--photos", odd_run.photo_folder)
    assert answer.code == 0 and type(error).__name__ in answer.err
    assert (odd_run.folder / "report" / "report.html").is_file()


@strange
def test_one_search_that_breaks_does_not_end_the_others(error: Exception) -> None:
    class Engine:
        def search(self, query: str, page: int) -> list[str]:
            if query == "odd":
                raise error
            return [f"https://a.example/{query}.jpg"] if page == 1 else []

    found = list(ImageSearch({"engine": Engine()}, 10, pause_s=0).run(["tree", "odd", "plank"]))
    assert [bool(outcome.urls) for outcome in found] == [True, False, True]
    assert isinstance(found[1], SearchOutcome) and found[1].reason.startswith(type(error).__name__)
