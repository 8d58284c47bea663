"""Ctrl-C while photos are downloaded."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from yoga_live.train.gather.download import _Downloader

from ..photo_bench import Bench, PhotoServer, draw


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with PhotoServer() as server:
        yield Bench(tmp_path, server)


def test_ctrl_c_in_a_download_ends_it_without_a_word_of_its_tasks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is raised wherever Python is: here in the task that keeps a photo."""
    pages = {f"/{number}": draw(number) for number in range(8)}
    bench.server.pages.update(pages)
    bench.list(*pages)
    keep = _Downloader._keep

    def keep_four(self: _Downloader, *arguments: object) -> None:
        if self._summary.outcomes.total() == 4:
            raise KeyboardInterrupt
        keep(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(_Downloader, "_keep", keep_four)
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    gc.collect()
    assert caplog.text == "" and capsys.readouterr().err.strip() == ""
    monkeypatch.undo()
    bench.run()
    assert {row.status for row in bench.rows().values()} == {"ok"} and len(bench.files()) == 8
