"""`yoga-live --images`: a row for every photo, whatever is wrong with it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.core.model_metadata import ModelInfo
from yoga_live.runtime.people import PeopleFinder
from yoga_live.runtime.photos.decoding import decode_photo
from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure

from ...opinions import make_opinion
from ..conftest import assert_refused, paint_photo

pytest.importorskip("onnxruntime")

BLUE, GREEN, RED = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # RGB; tree, warrior_2, none
Live = Callable[..., tuple[int, str, str]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name, colour in (("b.png", RED), ("in/a.jpg", BLUE), ("in/a.png", GREEN), ("in/c.webp", BLUE)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        paint_photo(colour, (320, 240)).save(folder / name)
    (folder / "list.csv").write_text("no photo")
    return folder


def test_a_folder_is_shown_as_a_table(live: Live, photos: Path) -> None:
    code, out, err = live("--images", photos)
    assert code == 0 and "Traceback" not in err
    rows = [line.split() for line in out.splitlines()[:4]]
    assert [row[0] for row in rows] == ["b.png", "in/a.jpg", "in/a.png", "in/c.webp"]
    assert [row[1] for row in rows] == ["no", "Tree", "Warrior", "Tree"] and rows[1][-1] == "100%"
    assert out.splitlines()[4:] == ["Tree: 2", "no pose: 1", "Warrior 2: 1", "4 of 4 photos classified"]


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_a_table_is_written(live: Live, photos: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"answers{suffix}"
    code, out, _ = live("--images", photos, "--table", path)
    assert code == 0 and f"written: {path}" in out and "in/a.jpg" not in out
    rows = json.loads(path.read_text()) if suffix == ".json" else list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["file"], row["pose"]) for row in rows][1] == ("in/a.jpg", "tree")
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, "photos"]


def test_a_broken_photo_is_a_line_and_a_row(live: Live, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes((photos / "in" / "a.jpg").read_bytes()[:300])
    (photos / "page.jpg").write_text("<html>404</html>")
    code, out, err = live("--images", photos, "--table", tmp_path / "a.csv")
    assert code == 2 and err.splitlines()[-1].startswith("yoga-live: error: 2 of 6 photos could not be read")
    assert sum("page.jpg: is not a picture but an HTML page" in line for line in err.splitlines()) == 1
    rows = {row["file"]: row for row in csv.DictReader((tmp_path / "a.csv").read_text().splitlines())}
    assert len(rows) == 6 and "damaged" in rows["broken.jpg"]["reason"] and "4 of 6 photos" in out


def test_pictures_are_drawn_upon_and_never_collide(live: Live, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert live("--images", photos, "--save", out)[0] == 0
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert names == ["b.jpg", "in/a.jpg.jpg", "in/a.png.jpg", "in/c.jpg"]
    drawn, photo = decode_photo(out / "in" / "a.jpg.jpg"), decode_photo(photos / "in" / "a.jpg")
    assert drawn.shape == photo.shape
    changed = np.abs(drawn.astype(int) - photo).max(axis=(1, 2)) > 60
    assert changed[:20].all() and not changed[60:].any()
    assert_refused(live("--images", photos, "--save", out), "exists already", "3 more")
    assert live("--images", photos, "--save", out, "--force")[0] == 0
    assert_refused(live("--images", photos, "--save", photos / "in", "--force", "--roi", "1"), "--roi")


def test_copies_of_photos_named_without_an_option_go_into_a_folder_that_exists(
    live: Live, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code, _, err = live(photos / "b.png", "--save", out)
    assert code == 0, err
    assert_refused(live(photos / "b.png", "--save", out), "exists already", "--force")
    assert live(photos / "b.png", "--save", out, "--force")[0] == 0
    assert [path.name for path in out.iterdir()] == ["b.jpg"]
    assert_refused(live("0", "--save", out), f"{out} should end in .mp4")


def test_the_last_line_counts_what_was_not_read_and_what_was_not_drawn(
    live: Live, photos: Path, tmp_path: Path
) -> None:
    long = "a" * 250
    (photos / "in" / "a.jpg").rename(photos / f"{long}.jpg")  # its copy has a longer name while it is written
    (photos / "broken.jpg").write_bytes(b"no photo")
    code, out, err = live("--images", photos, "--save", tmp_path / "out")
    assert code == 2 and f"{long}.jpg: cannot be annotated: File name too long" in err
    assert err.splitlines()[-1] == (
        "yoga-live: error: 1 of 5 photos could not be read; 1 of 5 photos could not be annotated; see the lines above"
    )
    assert (
        max(len(line) for line in out.splitlines() if line[:2] == "  " and long not in line) < 90
    )  # one long name moves no other's answer


def test_photos_are_never_written_over(live: Live, photos: Path) -> None:
    (photos / "in" / "a.png").unlink()
    before = (photos / "in" / "a.jpg").read_bytes()
    assert_refused(live("--images", photos, "--save", photos, "--force"), "is the input itself")
    assert (photos / "in" / "a.jpg").read_bytes() == before


def test_single_photos_can_be_named(live: Live, photos: Path) -> None:
    code, out, _ = live("--images", photos / "b.png", photos / "in" / "a.jpg")
    assert code == 0 and str(photos / "b.png") in out and "2 of 2 photos" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--timeline", "a.csv"), ("--summary", "a.png"), ("--events",), ("--goal", "tree=3"), ("--record", "a.mp4"),
        ("--from", "3"), ("--to", "3"), ("--window",), ("--mirror",), ("--zoom", "auto"), ("--frames", 3),
        ("--explain",), ("--table", "a.txt"), ("--timeline-format", "csv"), ("--serve", "0"),
    ],
    ids=str,
)  # fmt: skip
def test_what_photos_have_no_use_for_is_one_line(live: Live, photos: Path, arguments: tuple[object, ...]) -> None:
    assert_refused(live("--images", photos, *arguments), str(arguments[0]) if arguments[0] != "--table" else ".csv")


def test_explained_copies_show_heat_and_the_skeleton_of_whom_they_are_of(live: Live, tmp_path: Path) -> None:
    figure = draw_figure(POSES["goddess"], (640, 360))
    Image.fromarray(figure[:, :, ::-1]).save(tmp_path / "a.png")
    drawn = {}
    for folder, options in (("plain", ()), ("explained", ("--explain",))):
        wish = ("--save", tmp_path / folder, "--overlay", "none", *options)
        code, _, err = live("--images", tmp_path / "a.png", *wish)
        assert code == 0, err
        [copy] = (tmp_path / folder).iterdir()
        drawn[folder] = decode_photo(copy.read_bytes()).astype(int)
    light = (drawn["explained"].min(axis=2) > 215) & (drawn["plain"].min(axis=2) < 180)
    [box] = PeopleFinder("cpu", 1).find(figure).boxes
    ys, xs = np.nonzero(light)
    assert len(ys) > 40 and box[0] - 15 < xs.min() and xs.max() < box[2] + 15 and ys.min() > box[1] - 15
    assert_refused(live("--images", tmp_path / "a.png", "--explain"), "--explain", "add --save FOLDER")


def test_photos_take_people_off_and_no_more_than_one_person(
    live: Live, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    info = ModelInfo(("tree", "warrior_2", "none"), 32, second_opinion=make_opinion().to_document())
    model, photo = write_model(tmp_path / "both.onnx", info.to_json()), tmp_path / "a.png"
    alone = write_model(tmp_path / "alone.onnx", ModelInfo(info.labels, 32).to_json())
    Image.fromarray(draw_figure(POSES["goddess"], (640, 360))[:, :, ::-1]).save(photo)
    rows = {}
    for name, used, options in (("main", model, ["main"]), ("off", model, ["off"]), ("alone", alone, ["off"])):
        table = tmp_path / f"{name}.csv"
        code, _, err = live("--images", photo, "--people", *options, "--table", table, model=used)
        assert code == 0, err
        rows[name] = table.read_text()
    assert rows["off"] == rows["alone"] != rows["main"]
    for folder, options in (("heat", ["--explain"]), ("nobody", ["--explain", "--people", "off"])):
        assert live("--images", photo, "--save", tmp_path / folder, *options)[0] == 0
    drawn = [decode_photo(tmp_path / folder / "a.jpg").astype(int) for folder in ("heat", "nobody")]
    assert ((drawn[0].min(axis=2) > 215) & (drawn[1].min(axis=2) < 180)).sum() > 40  # the skeleton is light
    for options in (["--people", "all"], ["--people", "2"], ["--mats"]):
        assert_refused(
            live("--images", photo, *options), options[0], "photos: each has one answer, for its main person"
        )
    assert_refused(live("--images", photo, "--people", "9"), "--people 9 is not known")


def test_folders_without_photos_and_taken_tables_are_one_line(live: Live, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(live("--images", tmp_path / "empty"), "has no photos")
    assert_refused(live("--images", tmp_path / "no"), "does not exist")
    (tmp_path / "a.csv").write_text("mine")
    assert_refused(live("--images", photos, "--table", tmp_path / "a.csv"), "exists already")
    assert (tmp_path / "a.csv").read_text() == "mine"


def test_what_is_no_photo_is_counted_by_kind(live: Live, photos: Path, tmp_path: Path) -> None:
    for name in ("a.mov", "b.MOV", "in/c.pdf", "notes"):
        (photos / name).write_bytes(b"nothing of a picture")
    (photos / "in" / "c.webp").rename(photos / "in" / "named_without_a_suffix")
    code, out, err = live("--images", photos)
    assert code == 0 and "4 of 4 photos" in out and "named_without_a_suffix" in out
    assert (
        "yoga-live: ignored 5 files that are not photos: 2 .mov, 1 .csv, 1 .pdf, 1 without a suffix" in err.splitlines()
    )
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mov").write_bytes(b"moving")
    assert_refused(live("--images", tmp_path / "clips"), "has no photos", "ignored 1 file that is not a photo: 1 .mov")


def test_pictures_that_show_nobody_are_rows_with_a_reason(live: Live, photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(photos / "one.png")
    Image.new("RGB", (320, 240), BLUE).save(photos / "plain.jpg")
    code, out, _ = live("--images", photos, "--table", tmp_path / "a.csv")
    rows = {row["file"]: row for row in csv.DictReader((tmp_path / "a.csv").read_text().splitlines())}
    assert code == 2 and "4 of 6 photos" in out
    assert rows["one.png"]["reason"].startswith("too small: 1 x 1 pixels") and not rows["one.png"]["pose"]
    assert rows["plain.jpg"]["reason"].startswith("of one colour: #0000f")


def test_a_photo_too_large_to_wait_in_memory_is_drawn_upon_all_the_same(
    live: Live, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert live("--images", photos, "--save", tmp_path / "kept")[0] == 0
    monkeypatch.setattr("yoga_live.runtime.pipelines.classify_photos.KEPT_PIXELS", 1000)
    assert live("--images", photos, "--save", tmp_path / "again")[0] == 0
    for path in (tmp_path / "kept").rglob("*.jpg"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(tmp_path / "kept")).read_bytes()


@pytest.mark.parametrize("name", ["x.mp4", "x.jpg", "x.csv"])
def test_a_file_s_name_is_no_folder_for_pictures(live: Live, photos: Path, tmp_path: Path, name: str) -> None:
    assert_refused(live("--images", photos, "--save", tmp_path / name), f"{name} is one file", "folder")
    assert not (tmp_path / name).exists()


def test_a_video_among_photos_is_told_where_it_belongs(
    live: Live, photos: Path, write_clip: Callable[..., Path], tmp_path: Path
) -> None:
    for kind in ("mp4", "mkv", "avi", "ts"):
        clip = write_clip(tmp_path / f"clip.{kind}", [BLUE] * 5)
        code, _, err = live("--images", photos, clip)
        assert code == 2 and f"{clip}: is a video; use --video for videos" in err


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "AVIF"])
def test_a_photo_as_a_video_is_told_where_it_belongs(live: Live, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"photo.{kind.lower()}"
    paint_photo(BLUE, (320, 240)).save(path, kind)
    assert_refused(live("--video", path, "--timeline", tmp_path / "t.csv"), "is a photo, not a video", "--images")


def test_a_region_that_fits_into_no_photo_is_told_once(live: Live, photos: Path) -> None:
    code, _, err = live("--images", photos, "--roi", "300,0,100,100")
    assert code == 2 and err.count("--roi") == 1
    assert err.splitlines()[-1].startswith("yoga-live: error: ") and "all 4 photos" in err


def test_a_region_that_fits_into_some_is_told_of_each_other(live: Live, photos: Path) -> None:
    paint_photo(BLUE, (640, 480)).save(photos / "z.png")
    code, out, err = live("--images", photos, "--roi", "300,0,100,100")
    assert code == 2 and err.count("--roi 300,0,100,100 extends beyond") == 4 and "1 of 5 photos" in out


def test_a_folder_that_cannot_be_read_is_a_line_and_the_others_go_on(
    live: Live, photos: Path, plain_rights: None
) -> None:
    (photos / "in").chmod(0)
    code, out, err = live("--images", photos)
    (photos / "in").chmod(0o700)
    assert code == 2 and "1 of 1 photo classified" in out
    assert err.count(f"the folder {photos / 'in'} cannot be read: Permission denied") == 2


def test_a_photo_that_is_missing_among_others_is_a_line_and_a_row(live: Live, photos: Path, tmp_path: Path) -> None:
    given, table = (photos / "b.jpg", photos / "b.png", photos / "in"), tmp_path / "a.csv"
    code, out, err = live(*given, "--table", table)
    assert code == 2 and "4 of 5 photos classified" in out
    assert f"yoga-live: {photos / 'b.jpg'}: does not exist; did you mean {photos / 'b.png'}?" in err
    assert err.splitlines()[-1] == "yoga-live: error: 1 of 5 photos could not be read; see the lines above"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [bool(row["pose"]) for row in rows] == [False, True, True, True, True]
    assert rows[0]["file"] == str(photos / "b.jpg") and rows[0]["reason"].startswith("does not exist")
    assert_refused(live("--images", tmp_path / "no", tmp_path / "nor.jpg"), "the photo", "no does not exist")
