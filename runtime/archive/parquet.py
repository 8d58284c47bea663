"""All timelines of an archive as one Parquet table, which DuckDB and pandas read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .records import Record
from .store import Store

TABLE_NAME = "timelines.parquet"
ROWS_AT_ONCE = 100_000


def write_table(records: Iterable[Record], store: Store) -> int:
    """Write a row for each segment; rows are never all in memory.  Returns how many there are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("video", pa.string()),
            ("start_s", pa.float64()),
            ("end_s", pa.float64()),
            ("pose", pa.string()),
            ("confidence", pa.float64()),
            ("complete", pa.bool_()),
            ("model", pa.string()),
            ("person", pa.int32()),
            ("side", pa.string()),
        ]
    )
    count = 0
    with tempfile.TemporaryDirectory(prefix="yoga-live-") as folder:
        path = Path(folder) / TABLE_NAME
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            rows: list[dict[str, Any]] = []
            for record in records:
                rows += _make_rows(record)
                if len(rows) >= ROWS_AT_ONCE:
                    writer.write_table(pa.Table.from_pylist(rows, schema))
                    count, rows = count + len(rows), []
            writer.write_table(pa.Table.from_pylist(rows, schema))
        store.write_file(TABLE_NAME, path)
    return count + len(rows)


def _make_rows(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "video": record.input,
            "start_s": segment.start_s,
            "end_s": segment.end_s,
            "pose": segment.pose,
            "confidence": segment.confidence,
            "complete": record.trouble is None,
            "model": record.recipe.model_sha256,
            "person": segment.person,
            "side": segment.side,
        }
        for segment in record.segments
    ]
