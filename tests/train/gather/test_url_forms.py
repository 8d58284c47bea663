"""URL lists from the wild: each form is read, with the right column and its labels, or refused by its name."""

from __future__ import annotations

import gzip
import io
import json
import sys
import time
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from yoga_live.runtime.errors import RunError
from yoga_live.train.cli.main import main
from yoga_live.train.gather import url_files
from yoga_live.train.gather.url_columns import Column, Taken, choose_column
from yoga_live.train.gather.url_lists import read_labelled, read_list

A, B, C = "http://a.example/1.jpg", "https://b.example/2,3.png?x=1&y=2", "http://c.example/x/3.webp"
ALL = [A, B, C]
THUMBS = [f"http://small.example/{number}.jpg" for number in range(3)]
PAIRS = [*zip(THUMBS, [A, B, C], strict=True)]
PAGES = [f"http://page.example/{number}.html" for number in range(3)]


def write_csv(columns: dict[str, list[str]], delimiter: str = ",") -> str:
    quoted = [
        [f'"{cell}"' if delimiter in cell else cell for cell in row] for row in zip(*columns.values(), strict=True)
    ]
    return "\n".join(delimiter.join(row) for row in [[*columns], *quoted]) + "\n"


def list_records(**columns: list[str]) -> list[dict[str, str]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def draw_bing_page(urls: list[str]) -> str:
    results = [json.dumps({"murl": url, "turl": f"{url}?small"}).replace('"', "&quot;") for url in urls]
    links = "".join(f'<a class="iusc" m="{m}"><img src="http://tse.example/t.jpg"></a>' for m in results)
    return f"<!DOCTYPE html><html><body><img src='http://bing.example/logo.png'>{links}</body></html>"


FORMS: dict[str, tuple[str, str, str]] = {
    # name: file's suffix, content, what must be said to have been taken
    "one URL a line": (".txt", "\n".join(ALL), "one URL a line (text)"),
    "names and tabs, Yoga-82": (".txt", "".join(f"tree/{u[-5:]}\t{u}\n" for u in ALL), "column 2 of 2"),
    "caption and tab, URL first": (".tsv", "".join(f"{u}\ta man, a mat\n" for u in ALL), "column 1 of 2"),
    "numbered in a text": (".txt", "".join(f"[{n}] {u} \n" for n, u in enumerate(ALL)), "one URL a line"),
    "a download's log": (".txt", "".join(f"Image URL: {u}\nCompleted ====> 1.jpg\n" for u in ALL), "one URL a line"),
    "CSV, url last": (".csv", write_csv({"id": ["1", "2", "3"], "title": ["a"] * 3, "URL": ALL}), "column URL of id"),
    "CSV, image_url beside a page": (".csv", write_csv({"url": PAGES, "Image_URL": ALL}), "column Image_URL of url"),
    "CSV, src": (".csv", write_csv({"alt": ["x"] * 3, "SRC": ALL}), "column SRC of"),
    "CSV, link": (".csv", write_csv({"link": ALL, "rank": ["1", "2", "3"]}), "column link of"),
    "CSV, photo beside a page": (".csv", write_csv({"url": PAGES, "photo": ALL}), "column photo of"),
    "CSV, unknown name": (".csv", write_csv({"a": ["1", "2", "3"], "fichier": ALL}), "column fichier of"),
    "CSV, thumbnail first": (".csv", write_csv({"thumbnail": THUMBS, "image": ALL}), "column image of"),
    "CSV, thumbnail_url first": (".csv", write_csv({"thumbnail_url": THUMBS, "url": ALL}), "column url of"),
    "CSV, its page ends like a picture's": (".csv", write_csv({"page_url": THUMBS, "src": ALL}), "column src of"),
    "CSV, Open Images": (
        ".csv", write_csv({"OriginalURL": ALL, "OriginalLandingURL": PAGES, "Thumbnail300KURL": THUMBS}),
        "column OriginalURL of"),
    "CSV, semicolons": (".csv", write_csv({"Name": ["x"] * 3, "Bild-URL": ALL}, ";"), "column Bild-URL of Name"),
    "TSV, Unsplash": (
        ".tsv", write_csv({"photo_id": ["1", "2", "3"], "photo_url": PAGES, "photo_image_url": ALL}, "\t"),
        "column photo_image_url of"),
    "CSV without a header": (".csv", "".join(f'{n},"{u}",x\n' for n, u in enumerate(ALL)), "column 2 of 3"),
    "CSV without a header, URL first": (".csv", "".join(f'"{u}",tree\n' for u in ALL), "column 1 of 2"),
    "JSON, texts": (".json", json.dumps(ALL), "its texts (JSON)"),
    "JSON, texts below a key": (".json", json.dumps({"query": "x", "images": ALL}), "key images[] (JSON)"),
    "JSON, objects": (".json", json.dumps(list_records(url=ALL, title=["x"] * 3), indent=2), "key [].url (JSON)"),
    "JSON, nested objects": (
        ".json", json.dumps({"data": {"images": [{"src": {"small": t, "original": u}} for t, u in PAIRS]}}),
        "key data.images[].src.original, not data.images[].src.small"),
    "JSON, records by number": (
        ".json", json.dumps({"pages": {str(n): {"imageinfo": [{"url": u, "descriptionurl": PAGES[0]}]}
                                       for n, u in enumerate(ALL)}}), "key pages.*.imageinfo[].url"),
    "JSON, URLs by name": (".json", json.dumps({f"img{n}.jpg": u for n, u in enumerate(ALL)}), "its texts (JSON)"),
    "JSON, google_images_download": (
        ".json", json.dumps(list_records(image_thumbnail_url=THUMBS, image_source=PAGES, image_link=ALL)),
        "key [].image_link, not [].image_source, [].image_thumbnail_url"),
    "JSON, Bing's service": (
        ".json", json.dumps({"value": list_records(thumbnailUrl=THUMBS, hostPageUrl=PAGES, contentUrl=ALL)}),
        "key value[].contentUrl"),
    "JSON, Bing's results": (".json", json.dumps(list_records(turl=THUMBS, purl=PAGES, murl=ALL)), "key [].murl"),
    "JSON, Google's service": (
        ".json", json.dumps({"items": [{"link": u, "image": {"contextLink": PAGES[0], "thumbnailLink": THUMBS[0]}}
                                       for u in ALL]}), "key items[].link"),
    "JSON, Unsplash": (
        ".json", json.dumps([{"urls": {"full": u, "thumb": THUMBS[0]}, "links": {"html": PAGES[0]},
                              "user": {"profile_image": {"small": THUMBS[1]}}} for u in ALL]), "key [].urls.full"),
    "JSON, COCO": (
        ".json", json.dumps({"info": {"url": PAGES[0]}, "licenses": [{"url": PAGES[1]}],
                             "images": list_records(coco_url=ALL, flickr_url=THUMBS), "annotations": []}),
        "key images[].coco_url"),
    "JSON Lines": (".jsonl", "".join(json.dumps({"url": u}) + "\n" for u in ALL), "key url (JSON Lines)"),
    "JSON Lines, img2dataset": (
        ".jsonl", "".join(json.dumps({"key": f"{n:09}", "caption": "x", "url": u}) + "\n" for n, u in enumerate(ALL)),
        "key url (JSON Lines)"),
    "JSON Lines named .txt": (".txt", "".join(json.dumps({"src": u}) + "\n" for u in ALL), "key src (JSON Lines)"),
    "JSON Lines of texts": (".ndjson", "".join(json.dumps(u) + "\n" for u in ALL), "its texts (JSON Lines)"),
    "HTML, pictures": (
        ".html", "<html><body>" + "".join(f'<p><img alt="x" src="{u}"></p>' for u in ALL), "pictures shown and linked"),
    "HTML, thumbnails that link to the pictures": (
        ".htm", "".join(f"<a href='{u}'><img src='{t}'></a>" for t, u in PAIRS), "pictures shown and linked"),
    "HTML, pictures that are loaded late": (
        ".html", "".join(f'<img src="data:image/gif;base64,R0" data-src="{u}">' for u in ALL), "pictures shown"),
    "HTML, Bing's page": (".html", draw_bing_page(ALL), "murl of Bing's results (HTML)"),
    "Markdown, pictures": (
        ".md", "# Mine\n\nsee [this](http://page.example/)\n" + "\n".join(f'![one]({u} "title")' for u in ALL),
        "pictures shown and linked to (Markdown)"),
    "Markdown, pictures that link to pages": (
        ".md", "".join(f"- [![x]({u})]({p})\n" for u, p in zip(ALL, PAGES, strict=True)), "Markdown"),
}  # fmt: skip


def read(path: Path) -> tuple[list[str], str]:
    taken = Taken()
    return list(read_list(path, Counter(), taken)), taken.describe(is_by_label=False)


@pytest.mark.parametrize("name", FORMS)
def test_each_form_gives_its_urls_and_says_where_they_stood(name: str, tmp_path: Path) -> None:
    suffix, content, taken = FORMS[name]
    path = tmp_path / f"tree{suffix}"
    path.write_text(content, encoding="utf-8")
    found, said = read(path)
    assert found == ALL
    assert taken in said


@pytest.mark.parametrize(
    "pack",
    [
        lambda text: gzip.compress(text.encode()),
        lambda text: f"\ufeff{text}".encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: gzip.compress(text.encode("utf-16")),
    ],
    ids=["gzip", "BOM", "UTF-16", "UTF-16 LE without a mark", "UTF-16 BE without a mark", "CRLF", "gzip of UTF-16"],
)
@pytest.mark.parametrize("name", ["one URL a line", "TSV, Unsplash", "JSON, objects", "JSON Lines", "HTML, pictures"])
def test_a_list_is_read_however_it_is_packed(name: str, pack: Callable[[str], bytes], tmp_path: Path) -> None:
    suffix, content, _ = FORMS[name]
    path = tmp_path / f"tree{suffix}.gz"
    path.write_bytes(pack(content))
    assert read(path)[0] == ALL


LABELLED = {
    "CSV": (".csv", write_csv({"url": ALL, "Label": ["tree", "chair", "tree"]})),
    "CSV, class first": (".csv", write_csv({"class": ["tree", "chair", "tree"], "image": ALL})),
    "JSON": (".json", json.dumps(list_records(url=ALL, category=["tree", "chair", "tree"]))),
    "JSON, lists by label": (".json", json.dumps({"tree": [A, C], "chair": [B]})),
    "JSON, labels by URL": (".json", json.dumps({A: "tree", B: "chair", C: "tree"})),
    "JSON, pictures below a label": (
        ".json", json.dumps(
            [{"pose": "tree", "images": [{"url": A}, {"url": C}]}, {"pose": "chair", "images": [{"url": B}]}])),
    "JSON Lines": (
        ".jsonl", "\n".join(json.dumps(r) for r in list_records(url=ALL, pose=["tree", "chair", "tree"]))),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELLED)
def test_labels_make_poses_where_none_is_given(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suffix, content = LABELLED[name]
    path, lists = tmp_path / f"found{suffix}", tmp_path / "lists"
    path.write_text(content)
    assert main(["collect", "--urls", str(path), "--to", str(lists)]) == 0
    assert {file.name: [*read_list(file)] for file in lists.iterdir()} == {"tree.csv": [A, C], "chair.csv": [B]}
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{path}: took ") and out[0].endswith("the poses")
    assert main(["collect", "--urls", str(path), "--pose", "plank", "--to", str(lists)]) == 0
    assert len([*read_list(lists / "plank.csv")]) == 3
    assert "is not used: the pose is given" in capsys.readouterr().out


def collect(tmp_path: Path, name: str, content: bytes | str, *options: str) -> int:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return main(["collect", "--urls", str(path), "--to", str(tmp_path / "lists"), *options])


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.xlsx", zipped("[Content_Types].xml"), "an Excel workbook; save it as CSV"),
    ("a.csv", zipped("[Content_Types].xml"), "an Excel workbook; save it as CSV"),
    ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook; save it as CSV"),
    ("a.zip", zipped("a.csv"), "a zip file; unpack it first"),
    ("a.db", b"SQLite format 3\0", "a SQLite database"),
    ("a.pdf", b"%PDF-1.7", "a PDF"),
    ("a.jpg", b"\xff\xd8\xff\xe0", "a photo, not a list of URLs"),
    ("a.json", '{"images": ["http://a.example/1.jpg"', "no valid JSON"),
    ("a.json", "[" * 100_000, "no valid JSON"),
    ("a.json", "[]", "holds no URL"),
    ("a.csv", "", "holds no URL; read as an empty file"),
    ("a.csv", "url\n", "holds no URL"),
    ("a.txt", "tree\nchair\n", "holds no URL"),
    ("a.csv", "image,label\nimg/1.jpg,tree\n", "beside the photos themselves: yoga-train add"),
    ("a.csv.gz", gzip.compress(b"http://a.example/1.jpg\n" * 99)[:-30], "damaged gzip"),
    ("a.csv", "url,title\nhttp://a.example/1.jpg,x\n", "no column or key that names poses (pose, label, "),
], ids=lambda value: value if isinstance(value, str) and len(value) < 90 else "bytes")  # fmt: skip
def test_what_gives_nothing_is_one_line_and_exit_code_2(
    name: str, content: bytes | str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect(tmp_path, name, content) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and "next:" not in said.out
    assert not (tmp_path / "lists").exists()
    photos = tmp_path / "photos"
    if "names poses" not in message:
        assert main(["download", str(tmp_path / name), "--to", str(photos)]) == 2
        assert message in capsys.readouterr().err


def test_a_folder_gives_a_list_for_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "tree.json").write_text(json.dumps([A]))
    (mine / "chair.txt.gz").write_bytes(gzip.compress(B.encode()))
    (mine / "empty.txt").write_text("")
    assert main(["collect", "--urls", str(mine), "--to", str(tmp_path / "lists")]) == 0
    assert {file.name for file in (tmp_path / "lists").iterdir()} == {"tree.csv", "chair.csv"}
    assert f"{mine / 'tree.json'}: took its texts (JSON)" in capsys.readouterr().out


def test_a_label_column_of_titles_holds_no_poses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"http://a.example/{n}.jpg,title {n}\n" for n in range(1100))
    assert collect(tmp_path, "a.csv", f"url,label\n{rows}") == 2
    assert "more than 1,000 different labels in label" in capsys.readouterr().err
    assert not (tmp_path / "lists").exists()


def test_parquet_is_read_as_img2dataset_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "00000.parquet"
    table = pyarrow.table({"caption": ["x"] * 3, "key": ["1", "2", "3"], "width": [1, 2, 3], "url": ALL,
                           "label": ["tree", "chair", "tree"]})  # fmt: skip
    parquet.write_table(table, path)
    assert read(path) == (
        ALL,
        "took column url of caption, key, width, url, label (Parquet); label is not used: the pose is given",
    )
    assert main(["collect", "--urls", str(path), "--to", str(tmp_path / "lists")]) == 0
    assert [*read_list(tmp_path / "lists" / "chair.csv")] == [B]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match=r"00000\.parquet cannot be read"):
        read(path)


def test_parquet_without_its_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert collect(tmp_path, "a.parquet", b"PAR1", "--pose", "tree") == 2
    assert "pip install pyarrow; or save it as CSV" in capsys.readouterr().err


def test_commas_inside_urls_separate_nothing(tmp_path: Path) -> None:
    urls = [f"http://a.example/{number}.jpg?w=1,200" for number in range(3)]
    path = tmp_path / "tree.txt"
    path.write_text("\n".join(urls))
    assert read(path) == (urls, "took one URL a line (text)")


@pytest.mark.parametrize("part", ["<a ", "<", "<!--", "<a href='", "&", "<script>", "<img src=x "])
def test_a_page_that_is_made_to_be_slow_is_not(part: str, tmp_path: Path) -> None:
    path = tmp_path / "tree.html"
    path.write_text(f"<html><img src='{A}'>{part * 200_000}")
    started_s = time.monotonic()
    assert A in read(path)[0]
    assert time.monotonic() - started_s < 10  # in quadratic time it takes minutes


def test_several_urls_in_one_cell_are_several(tmp_path: Path) -> None:
    path = tmp_path / "tree.csv"
    path.write_text(f"name,images\nx,{A}|{C}\ny,http://web.example/2020/http://a.example/4.jpg\n")
    assert read(path)[0] == [A, C, "http://web.example/2020/http://a.example/4.jpg"]


def test_long_labelled_lists_take_a_few_bytes_a_url(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    with path.open("w") as file:
        file.writelines(
            json.dumps({"url": f"http://x.example/{n:0120d}.jpg", "label": n % 9}) + "\n" for n in range(21_000)
        )
    entries = read_labelled(path, Counter(), Taken())
    first = sum(1 for _ in islice(entries, 1_000))
    tracemalloc.start()
    assert first + sum(1 for _ in entries) == 21_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / 20_000 < 200


def test_a_line_without_an_end_is_counted_and_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_files, "MOST_LINE", 1000)
    path, refused = tmp_path / "tree.txt", Counter[str]()
    path.write_text(f"{A}\n{'x' * 5000}\n{C}\n")
    assert list(read_list(path, refused)) == [A, C]
    assert refused == {"longer than 1,000 characters": 1}


def test_what_gzip_unpacks_to_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_files, "MOST_TEXT", 10_000)
    path = tmp_path / "tree.txt.gz"
    path.write_bytes(gzip.compress(b"\n" * 1_000_000))
    with pytest.raises(RunError, match=r"it holds more than 10,000 characters"):
        list(read_list(path))


def test_a_column_is_chosen_by_its_name_and_by_what_it_holds() -> None:
    assert choose_column([Column("url", 5, 0), Column("photo", 5, 5)]) == 1
    assert choose_column([Column("image_url", 5, 0), Column("avatar_url", 5, 5)]) == 0
    assert choose_column([Column("thumbnail", 5, 5)]) == 0
    assert choose_column([Column("url", 0, 0), Column("title", 0, 0)]) is None
