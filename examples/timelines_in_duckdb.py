"""Ask questions of many timelines in SQL: how often and for how long each pose was held.

    pip install duckdb
    yoga-live --video classes --save annotated --timeline annotated
    python examples/timelines_in_duckdb.py annotated

An archive (`--cluster`) also writes `timelines.parquet`, which DuckDB reads with read_parquet in the same way.
"""

import sys
from pathlib import Path

import duckdb  # pyright: ignore[reportMissingImports]

QUESTION = """
    SELECT pose, count(DISTINCT filename) AS videos, count(*) AS holds,
           sum(end_s - start_s) AS total_s, max(end_s - start_s) AS longest_s
    FROM read_csv(?, filename = true, header = true, columns = {
        'start_s': 'DOUBLE', 'end_s': 'DOUBLE', 'pose': 'VARCHAR', 'confidence': 'DOUBLE'})
    WHERE pose <> 'none'
    GROUP BY pose
    ORDER BY total_s DESC, pose
"""


def print_poses(folder: Path) -> None:
    print(f"{'pose':20} {'videos':>6} {'holds':>6} {'total':>9} {'longest':>9}")
    for pose, videos, holds, total_s, longest_s in duckdb.execute(QUESTION, [f"{folder}/**/*.poses.csv"]).fetchall():
        print(f"{pose:20} {videos:6} {holds:6} {total_s:7.1f} s {longest_s:7.1f} s")


if __name__ == "__main__":
    print_poses(Path(sys.argv[1]))
