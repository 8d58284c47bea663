"""Data sets in every layout that people download: read to path, label and split, or one line that says what to do."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from yoga_live.runtime.errors import RunError
from yoga_live.train.layouts.labelled_photos import Layout
from yoga_live.train.layouts.read import read_layout

WANTED = {
    "train": {"1": "tree", "2": "tree", "3": "chair"},
    "validation": {"4": "tree", "5": "chair"},
    "test": {"6": "tree", "7": "chair"},
}
"""What each layout below holds: split -> name of the photo -> label."""
FLAT = {name: label for own in WANTED.values() for name, label in own.items()}
CLASSES = ["chair", "tree"]


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\xd8\xff")
    return path


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def image_folder(root: Path, *names: str) -> None:
    for name, own in zip(names or ("train", "val", "test"), WANTED.values(), strict=True):
        for photo, label in own.items():
            touch(root / name / label / f"{photo}.jpg")


def wrapped_kaggle(root: Path) -> None:
    image_folder(root / "Yoga Dataset" / "DATASET", "TRAIN", "VALID", "TEST")
    write(root / "Yoga Dataset" / "README.md", "hello")


def roboflow_one_hot(root: Path) -> None:
    for name, own in zip(("train", "valid", "test"), WANTED.values(), strict=True):
        rows = [f"{photo}.jpg, {int(label == 'chair')}, {int(label == 'tree')}" for photo, label in own.items()]
        write(root / name / "_classes.csv", "\n".join(["filename, chair, tree", *rows]))
        for photo in own:
            touch(root / name / f"{photo}.jpg")


def coco(folder: str, name: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for split, own in zip(("train", "valid", "test"), WANTED.values(), strict=True):
            document = {
                "images": [{"id": int(photo), "file_name": f"{photo}.jpg"} for photo in own],
                "categories": [{"id": 0, "name": "poses"}, *({"id": n + 1, "name": c} for n, c in enumerate(CLASSES))],
                "annotations": [
                    {"id": n, "image_id": int(photo), "category_id": CLASSES.index(label) + 1, "bbox": [0, 0, 1, 1]}
                    for photo, label in own.items() for n in range(2)
                ],
            }  # fmt: skip
            write(root / folder.format(split) / name.format(split), json.dumps(document))
            for photo in own:
                touch(root / split / f"{photo}.jpg")

    return make


def yolo(images: str, labels: str, names: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        write(root / "data.yaml", f"train: ../train/images\nnc: 2\n{names}\nroboflow:\n  license: x\n")
        for split, own in zip(("train", "valid", "test"), WANTED.values(), strict=True):
            for photo, label in own.items():
                touch(root / images.format(split) / f"{photo}.jpg")
                write(root / labels.format(split) / f"{photo}.txt", f"{CLASSES.index(label)} 0.5 0.5 0.1 0.2\n" * 2)

    return make


def one_csv(root: Path) -> None:
    rows = [f"{photo}.jpg,{label},{split}" for split, own in WANTED.items() for photo, label in own.items()]
    write(root / "labels.csv", "\n".join(["Image Name,Label,Data Set", *rows]))
    for photo in FLAT:
        touch(root / "images" / f"{photo}.jpg")


def csv_per_split(root: Path) -> None:
    for split, own in zip(("train", "val", "test"), WANTED.values(), strict=True):
        write(root / f"{split}.csv", "id;breed\n" + "".join(f"{photo};{label}\n" for photo, label in own.items()))
        for photo in own:
            touch(root / split / f"{photo}.jpg")
    write(root / "sample_submission.csv", "id,label\n6,chair\n7,chair\n")


def paths_in_csv(root: Path) -> None:
    names = {"train": "train", "validation": "valid", "test": "test"}
    rows = []
    for split, own in WANTED.items():
        for photo, label in own.items():
            touch(
                root / names[split] / label / "1.jpg" if photo in "13" else root / names[split] / label / f"{photo}.jpg"
            )
            rows.append(f"0,{names[split]}/{label}/{'1' if photo in '13' else photo}.jpg,{label},{names[split]}")
    write(root / "sports.csv", "\n".join(["class id,filepaths,labels,data set", *rows]))


def hugging_face(suffix: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for split, own in zip(("train", "validation", "test"), WANTED.values(), strict=True):
            records = [{"file_name": f"{photo}.jpg", "label": label} for photo, label in own.items()]
            lines = [f"{r['file_name']},{r['label']}" for r in records]
            text = "\n".join(map(json.dumps, records) if suffix == "jsonl" else ["file_name,label", *lines])
            write(root / split / f"metadata.{suffix}", text)
            for photo in own:
                touch(root / split / f"{photo}.jpg")

    return make


LAYOUTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "ImageFolder": (image_folder, "folders test/, train/, val/ with a folder per class"),
    "Kaggle, wrapped": (wrapped_kaggle, "folders TEST/, TRAIN/, VALID/ with a folder per class"),
    "Roboflow, _classes.csv": (roboflow_one_hot, "one column per class (2)"),
    "COCO, Roboflow's export": (coco("{}", "_annotations.coco.json"), "COCO, test/_annotations.coco.json"),
    "COCO, annotations apart": (
        coco("annotations", "instances_{}2017.json"),
        "COCO, annotations/instances_test2017.json",
    ),
    "YOLO, Roboflow's export": (yolo("{}/images", "{}/labels", "names: ['chair', 'tree']"), "YOLO, names of data.yaml"),
    "YOLO, Ultralytics": (yolo("images/{}", "labels/{}", "names:\n  0: chair\n  1: tree # a tree"), "YOLO"),
    "YOLO, a list of names": (yolo("images/{}", "labels/{}", 'names:\n- "chair"\n- tree'), "YOLO"),
    "YOLO, boxes beside photos": (yolo("{}", "{}", "names: {0: chair, 1: tree}"), "YOLO"),
    "one CSV with a split": (
        one_csv,
        "labels.csv (file in column Image Name, label in column Label, split in Data Set)",
    ),
    "a CSV per split, Kaggle": (csv_per_split, "label in column breed"),
    "Hugging Face, metadata.csv": (
        hugging_face("csv"),
        "metadata.csv (file in column file_name, label in column label)",
    ),
    "Hugging Face, metadata.jsonl": (hugging_face("jsonl"), "metadata.jsonl"),
}


def by_split(layout: Layout) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for photo in layout.photos:
        found.setdefault(photo.split, {})[photo.path.stem] = photo.label
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_is_read_with_its_labels_and_its_split(name: str, tmp_path: Path) -> None:
    make, words = LAYOUTS[name]
    make(tmp_path)
    touch(tmp_path / "__MACOSX" / "train" / "tree" / "._1.jpg")
    layout = read_layout(tmp_path)
    assert by_split(layout) == WANTED
    assert words in layout.name and layout.has_splits and not layout.left_out
    assert layout.describe().endswith("7 photos of 2 classes; train 3, validation 2, test 2")


def test_paths_in_a_csv_tell_files_of_one_name_apart(tmp_path: Path) -> None:
    paths_in_csv(tmp_path)
    layout = read_layout(tmp_path)
    labels = {(photo.split, photo.path.parent.name) for photo in layout.photos if photo.path.name == "1.jpg"}
    assert labels == {("train", "tree"), ("train", "chair")} and len(layout.photos) == 7
    assert all(photo.label == photo.path.parent.name for photo in layout.photos)


def test_many_files_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    names = [f"{number}/1.jpg" for number in range(2500)]
    for name in names:
        touch(tmp_path / "images" / name)
    for table, count in (("\n".join(f"images/{name},{name[0]}" for name in names), 2500), ("1.jpg,tree\n" * 2500, 0)):
        write(tmp_path / "labels.csv", f"file,label\n{table}")
        started_s = time.monotonic()
        if count:
            layout = read_layout(tmp_path)
            assert {photo.label == photo.path.parent.name[0] for photo in layout.photos} == {True}
            assert len(layout.photos) == count
        else:
            with pytest.raises(RunError, match="2500 x several files have this name"):
                read_layout(tmp_path)
        assert time.monotonic() - started_s < 8  # in quadratic time 20 s


def test_a_folder_per_class_has_no_splits(tmp_path: Path) -> None:
    for photo, label in FLAT.items():
        touch(tmp_path / label / "inside" / f"{photo}.jpg")
    touch(tmp_path / "loose.jpg")
    layout = read_layout(tmp_path)
    assert by_split(layout) == {"": FLAT} and not layout.has_splits
    assert layout.left_out == {"no folder of a class": 1}
    assert layout.describe() == "a folder per class: 7 photos of 2 classes"


def test_one_folder_alone_may_be_a_wrapping_and_is_asked_about(tmp_path: Path) -> None:
    touch(tmp_path / "my photos" / "1.jpg")
    with pytest.raises(RunError, match="one folder with photos, my photos/; if that is what they show, give --pose"):
        read_layout(tmp_path)


def test_photos_with_boxes_of_several_categories_or_none_are_counted(tmp_path: Path) -> None:
    yolo("{}/images", "{}/labels", "names: [chair, tree]")(tmp_path)
    (tmp_path / "train" / "labels" / "1.txt").write_text("0 0.5 0.5 1 1\n1 0.5 0.5 1 1\n")
    (tmp_path / "train" / "labels" / "2.txt").write_text("")
    (tmp_path / "train" / "labels" / "3.txt").unlink()
    layout = read_layout(tmp_path)
    assert len(layout.photos) == 4
    assert layout.left_out == {
        "boxes of several categories": 1, "no box, so no label": 1, "no text file of boxes": 1
    }  # fmt: skip


def test_coco_photos_without_one_category_are_counted(tmp_path: Path) -> None:
    coco("{}", "_annotations.coco.json")(tmp_path)
    path = tmp_path / "train" / "_annotations.coco.json"
    document = json.loads(path.read_text())
    document["annotations"] = [{"image_id": 1, "category_id": 1}, {"image_id": 1, "category_id": 2}, {"image_id": 2}]
    path.write_text(json.dumps(document))
    (tmp_path / "test" / "6.jpg").unlink()
    layout = read_layout(tmp_path)
    assert len(layout.photos) == 3
    assert layout.left_out == {
        "boxes of several categories": 1, "no box, so no label": 2, "the file is missing": 1
    }  # fmt: skip


def test_rows_without_a_clear_label_are_counted_by_reason(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "a/4", "b/4"):
        touch(tmp_path / "images" / f"{name}.jpg")
    rows = ["1.jpg,tree", "1.jpg,tree", "2.jpg,tree", "2.jpg,chair", "3.jpg,", "4.jpg,tree", "5.jpg,tree"]
    write(tmp_path / "labels.csv", "\n".join(["file,label", *rows]))
    layout = read_layout(tmp_path)
    assert [(photo.path.name, photo.label) for photo in layout.photos] == [("1.jpg", "tree")]
    assert layout.left_out == Counter(
        {"several labels": 1, "no label": 1, "several files have this name": 1, "the file is missing": 1}
    )


def test_a_table_names_no_file_outside_the_data_set(tmp_path: Path) -> None:
    outside = touch(tmp_path / "secret" / "out.jpg")
    for name in ("1", "2"):
        touch(tmp_path / "set" / f"{name}.jpg")
    rows = [f"{name},tree" for name in ("1.jpg", "2.jpg", "../secret/out.jpg", outside)]
    write(tmp_path / "set" / "labels.csv", "\n".join(["file,label", *rows]))
    layout = read_layout(tmp_path / "set")
    assert {photo.path.name for photo in layout.photos} == {"1.jpg", "2.jpg"}
    assert layout.left_out == {"the file is missing": 2}


@pytest.mark.parametrize(("files", "message"), [
    (["1.jpg", "2.jpg"], r"2 photos and no folder \(2 in it\), and no table of labels; give --pose NAME"),
    (["train/1.jpg", "test/2.jpg"], "2 photos without a folder per class"),
    (["train-0001.tfrecord"], "TFRecord files"),
    (["data/train-00000.parquet"], "Parquet with the pictures inside"),
    (["JPEGImages/1.jpg", "Annotations/1.xml"], "Pascal VOC's XML"),
    (["notes.txt"], "no photos: 1 .txt"),
    ([], "no files"),
])  # fmt: skip
def test_what_is_not_clear_is_one_line(files: list[str], message: str, tmp_path: Path) -> None:
    for name in files:
        touch(tmp_path / name)
    with pytest.raises(RunError, match=message) as error:
        read_layout(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("table", "message"), [
    ("file,width,height\n1.jpg,7,8\n", "has the columns file, width, height; none of them is called label"),
    ("file,label\n1.jpg,\n", "no photo with a clear label .*1 x no label"),
    ("file,label\n1.jpg,tree\n" + "x" * 2 + "\0,\n", ""),
])  # fmt: skip
def test_a_table_without_clear_labels_is_one_line(table: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path / "1.jpg")
    write(tmp_path / "labels.csv", table)
    if not message:
        assert len(read_layout(tmp_path).photos) == 1
        return
    with pytest.raises(RunError, match=message):
        read_layout(tmp_path)


def test_broken_json_of_coco_is_one_line(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "1.jpg")
    for content in ('{"images": [', "[" * 100_000):
        write(tmp_path / "train" / "_annotations.coco.json", content)
        with pytest.raises(RunError, match=r"_annotations\.coco\.json cannot be read"):
            read_layout(tmp_path)


def test_captions_are_no_labels(tmp_path: Path) -> None:
    for photo, label in FLAT.items():
        touch(tmp_path / "train" / label / f"{photo}.jpg")
    rows = [f"{label}/{photo}.jpg,a person" for photo, label in FLAT.items()]
    write(tmp_path / "train" / "metadata.csv", "\n".join(["file_name,text", *rows]))
    assert by_split(read_layout(tmp_path)) == {"train": FLAT}
