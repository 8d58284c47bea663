"""URL lists in every form that people have them."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections import Counter
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yoga_live.runtime.errors import OptionError, OutputError, RunError
from yoga_live.train.gather.url_lists import (
    URL_COLUMNS,
    RefusedUrl,
    check_pose,
    clean_url,
    find_lists,
    merge_list,
    parse_list,
    read_list,
)

steady = settings(deadline=None)  # a busy machine is no failure

A, B, C = "http://a.example/1.jpg", "https://b.example/2,3.png?x=1&y=2", "http://c.example/%20.gif"

urls = st.builds(
    "{}://{}.example/{}{}".format,
    st.sampled_from(["http", "https"]),
    st.text("abcdefghij0123456789", min_size=1, max_size=8),
    st.text("abcXYZ019-_.~%,;:@!$&'()*+=/", max_size=20),
    st.sampled_from(["", "?q=1,2;3", "?a=b&c=d"]),
)
lines_of_anything = st.lists(
    st.one_of(
        st.text(max_size=40), urls, st.sampled_from(["url,title", "#", '"', '"http://x/', "\ufeff", "a\thttp://x/y"])
    ),
    max_size=12,
)


def parse(text: str) -> tuple[list[str], Counter[str]]:
    refused: Counter[str] = Counter()
    return list(parse_list(io.StringIO(text), refused)), refused


@steady
@given(lines_of_anything)
def test_parsing_never_raises_and_gives_clean_urls_once(lines: list[str]) -> None:
    found = list(parse_list(lines, Counter()))
    assert len(set(found)) == len(found)
    for url in found:
        assert url.startswith(("http://", "https://")) and "#" not in url and url.isprintable() and " " not in url
        assert clean_url(url) == url


@steady
@given(st.binary(max_size=300))
def test_any_bytes_in_a_file_are_read_without_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("lists") / "tree.csv"
    path.write_bytes(content)
    with suppress(RunError):  # a zip file, broken JSON, ...: one line that names it
        assert all(url.startswith("http") for url in read_list(path))


@steady
@given(st.lists(urls, min_size=1, unique=True), st.sampled_from(",;\t|"), st.sampled_from(URL_COLUMNS), st.data())
def test_a_csv_of_any_dialect_gives_its_url_column(
    found: list[str], delimiter: str, name: str, data: st.DataObject
) -> None:
    column = data.draw(st.integers(0, 2))
    quoting: Any = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting)
    writer.writerow([name.upper() if i == column else f"column {i}" for i in range(3)])
    for url in found:
        writer.writerow([url if i == column else f'a "title",\nwith; all|of\tit {i}' for i in range(3)])
    assert parse(text.getvalue().replace("\r\n", "\n"))[0] == list(dict.fromkeys(clean_url(url) for url in found))


@steady
@given(st.lists(urls, unique=True), st.lists(urls, unique=True))
def test_merging_twice_changes_nothing_more(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str]
) -> None:
    path = tmp_path_factory.mktemp("lists") / "tree.csv"
    clean_first, clean_second = (list(dict.fromkeys(map(clean_url, found))) for found in (first, second))
    merge_list(clean_first, path)
    merged = merge_list(clean_second, path)
    content = path.read_bytes()
    assert list(read_list(path)) == list(dict.fromkeys([*clean_first, *clean_second]))
    assert merged.added + merged.known == len(clean_second)
    assert merge_list(clean_second, path).added == 0
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n{B}\n{C}\n",
        f"\ufeff{A}\r\n{B}\r\n\r\n# a comment\r\n{C}",
        f"url\n{A}\n{B}\n{C}\n",
        f'url\n{A}\n"{B}"\n{C}\n',
        f"tree/1.jpg\t{A}\ntree/2.jpg\t{B}\ntree/3.jpg\t{C}\n",
        f"url;image url\nhttp://page/;{A}\nhttp://page/;{B}\nhttp://page/;{C}\n",
        f'1,{A},x\n2,"{B}",y\n3,{C},z\n',
        f"{A}#top\n{A}\n{A}#end\n{B}\n<{C}>\n{B}\n",
    ],
)
def test_each_known_form_gives_the_same_urls(text: str) -> None:
    assert parse(text) == ([A, B, C], Counter())


def test_utf_16_as_spreadsheets_write_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tree.csv"
    path.write_bytes(f"image_url\tname\r\n{A}\tx\r\n".encode("utf-16"))
    assert list(read_list(path)) == [A]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://a.example/1.jpg", "not http or https"),
        ("data:image/png;base64,AAAA", "not http or https"),
        ("file:///etc/passwd", "not http or https"),
        ("//a.example/1.jpg", "not http or https"),
        ("just words", "not http or https"),
        ("http://", "malformed"),
        ("http://[::1/x", "malformed"),
        ("http://a.example:99999/", "malformed"),
        ("http://user:secret@a.example/", "contains a user name or password"),
        ("http://a.example/\x07", "control or unreadable characters"),
        ("http://a.example/" + "x" * 9000, "longer than 8192 characters"),
    ],
)
def test_what_is_no_url_is_refused_and_counted_by_reason(text: str, reason: str) -> None:
    with pytest.raises(RefusedUrl, match=reason):
        clean_url(text)
    assert parse(f"{A}\n{text}\n{B}\n") == ([A, B], Counter({reason: 1}))


def test_a_quote_that_never_closes_is_counted_not_silent() -> None:
    found, refused = parse(f'title,url\nx,{A}\n"open,{B}\n' + f"y,{C}\n" * 9000)
    assert found[0] == A
    assert refused.total() > 1000


def test_yoga_82_lists_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "Tree_Pose_or_Vrksasana_.txt"
    path.write_text("".join(f"Tree_Pose_or_Vrksasana_/{i}.jpg\thttp://x.example/a b/{i}.jpg\n" for i in range(250)))
    (found,) = find_lists(path)
    assert found.pose == "Tree_Pose_or_Vrksasana_"
    assert list(read_list(found.path))[249] == "http://x.example/a%20b/249.jpg"


def test_merging_keeps_every_byte_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "tree.csv"
    mine = f"# mine\ntree/1.jpg\t{A}\nno url here\n"
    path.write_text(mine)
    assert merge_list([A, C], path).added == 1
    assert path.read_text() == f"{mine}{C}\n"


def test_a_list_with_other_columns_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "tree.csv"
    path.write_text(f"title,url\nx,{A}\n")
    with pytest.raises(OutputError, match="more columns than url"):
        merge_list([B], path)
    assert path.read_text() == f"title,url\nx,{A}\n"


def test_lists_are_found_by_pose_and_a_missing_one_is_named(tmp_path: Path) -> None:
    for name in ("tree.csv", "plank.txt", ".hidden.csv", "notes.md"):
        (tmp_path / name).write_text(f"{A}\n")
    assert [found.pose for found in find_lists(tmp_path)] == ["plank", "tree"]
    with pytest.raises(RunError, match="has no URL list"):
        find_lists(tmp_path / "missing")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "_removed", ".hidden", "tree.", "a\nb", "x" * 101, "C:\\x"])
def test_a_name_that_could_leave_the_folder_is_no_pose(name: str) -> None:
    with pytest.raises(OptionError, match="cannot be the name of a pose"):
        check_pose(name)


def test_a_long_list_takes_a_few_bytes_a_url(tmp_path: Path) -> None:
    path = tmp_path / "tree.csv"
    path.write_text("".join(f"http://host{i % 999}.example/{i:0120d}.jpg\n" for i in range(21_000)))
    urls = read_list(path)
    first = sum(1 for _ in islice(urls, 1_000))  # fills the caches of urllib and re, which are no cost of a URL
    tracemalloc.start()
    assert first + sum(1 for _ in urls) == 21_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / 20_000 < 200  # the URLs themselves take as much, and more in a list


@pytest.mark.parametrize(
    "mine",
    [
        f"# mine\r\n{A}\r\n".encode(),
        f"\ufeffurl\n{A}\n".encode(),
        f"# Men\u00fc\n{A}\n".encode("latin-1"),
        f"# mine\r\n{A}".encode("utf-16"),
        b"\xfe\xff" + f"url\n{A}\n".encode("utf-16-be"),
        f"{A}".encode(),
    ],
    ids=["CRLF", "BOM", "Latin-1", "UTF-16", "UTF-16 BE", "no end"],
)
def test_merging_keeps_a_list_as_its_editor_wrote_it(mine: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tree.csv"
    path.write_bytes(mine)
    assert merge_list([A, B, C], path).added == 2
    assert path.read_bytes().startswith(mine) and list(read_list(path)) == [A, B, C]
    assert merge_list([A, B, C], path).added == 0
    if b"\r\n" in mine:
        assert path.read_bytes() == mine + f'"{B}"\r\n{C}\r\n'.encode()
