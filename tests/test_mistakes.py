"""Mistakes that people make on the command line: each is one line that says what to do, and exit code 2."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("onnxruntime")

MISTAKES = """
yoga-live                                              | no INPUT given; give a video, a folder, a photo, a camera
yoga-live clas.mp4                                     | clas.mp4 does not exist; did you mean class.mp4\\?
yoga-live class                                        | did you mean class.mp4\\?
yoga-live Class.MP4                                    | did you mean class.mp4\\?
yoga-live videos/missing.mp4                           | give an existing file or folder
yoga-live photo.jpg --people all                       | --people all cannot be used with photos: each has one answer
yoga-live class.mp4 --output out.mp4                   | did you mean --save\\?
yoga-live class.mp4 -o out.mp4                         | did you mean --save\\?
yoga-live class.mp4 --timeline t.csv --overwrite       | did you mean --force\\?
yoga-live class.mp4 --sumary s.png                     | did you mean --summary\\?
yoga-live --webcam 0                                   | did you mean --camera\\?
yoga-live --camera                                     | --camera: expected one argument
yoga-live 47                                           | check that it is plugged in and permitted
yoga-live --camera front                               | give a number, /dev/video2
yoga-live rtsp://127.0.0.1:1/x --save o.mp4            | cannot open rtsp://127.0.0.1:1/x: Connection refused
yoga-live class.mp4 0                                  | cannot be combined with other inputs; leave class
yoga-live class.mp4 photo.jpg                          | photos and videos cannot be mixed
yoga-live notes.txt                                    | no file of the list notes.txt exists
yoga-live empty                                        | the folder empty has no videos
yoga-live empty.mp4                                    | the file is empty
yoga-live notes.md                                     | cannot open notes.md as a video
yoga-live bench                                        | did you mean benchmark\\?
yoga-live --device cpu poses                           | poses is a command, which comes first: yoga-live poses
yoga-live class.mp4 --force benchmark                  | benchmark is a command, which comes first
yoga-live RTSP://127.0.0.1:1/x --save o.mp4            | cannot open rtsp://127.0.0.1:1/x: Connection refused
yoga-live class.mp4 --goal none=3                      | no pose 'none'; give one of [^;]*$
yoga-live help                                         | did you mean --help\\?
yoga-live train photos                                 | did you mean yoga-train\\?
yoga-live --demo --save ''                             | argument --save: the value is empty
yoga-live --demo --summary=                            | argument --summary: the value is empty
yoga-live class.mp4 --timeline ''                      | argument --timeline: the value is empty
yoga-live 0 --record '' --no-window                    | argument --record: the value is empty
yoga-live --video '' --timeline o                      | argument --video: the value is empty
yoga-live --images ''                                  | argument --images: the value is empty
yoga-live archive photos --to ''                       | argument --to: the value is empty
yoga-live benchmark ''                                 | argument VIDEO: the value is empty
yoga-live class.mp4 --save a.mp4 --save b.mp4          | --save: given twice, a.mp4 and b.mp4; give only one
yoga-live --camera 0 --camera 1                        | --camera: given twice, 0 and 1
yoga-live class.mp4 --save .mp4                        | .mp4 is a suffix alone; .* such as class.mp4
yoga-live class.mp4 --save out.avi                     | should end in .mp4
yoga-live class.mp4 --save class.mp4                   | class.mp4 is the input itself
yoga-live class.mp4 --save nofolder/out.mp4            | mkdir -p nofolder
yoga-live class.mp4 --timeline x.pdf                   | use one of .csv, .json, .vtt
yoga-live class.mp4 --timeline taken.csv               | taken.csv exists already; give another name, or --force
yoga-live class.mp4 --from 99:00                       | is after the end of class.mp4, which lasts 0:01
yoga-live class.mp4 --from 2 --to 1                    | is not before
yoga-live class.mp4 --from abc                         | give seconds \\(90, 90.5\\), minutes \\(1:30\\)
yoga-live --demo --from 10 --save o.mp4                | can only be used with videos
yoga-live class.mp4 --model missing.onnx               | give an .onnx or .engine file
yoga-live class.mp4 --model photo.jpg                  | photo.jpg is a photo, not a model
yoga-live class.mp4 --model run                        | yoga-export onnx run --to run.onnx
yoga-live class.mp4 --model model.pth                  | PyTorch weights, not a pose model
yoga-live class.mp4 --device gpu                       | choose one of auto, cpu, cuda
yoga-live class.mp4 --goal tree                        | such as tree=30
yoga-live class.mp4 --goal Tree=30                     | did you mean tree\\?
yoga-live class.mp4 --goal unicorn=30                  | give one of chair, down_dog
yoga-live 0 --serve 80800                              | such as 8080 or 0.0.0.0:8080
yoga-live 0 --serve 0.0.0.0                            | such as 8080 or 0.0.0.0:8080
yoga-live class.mp4 --roi 1,2,3                        | is not four numbers; give X,Y,W,H
yoga-live class.mp4 --rotate 45                        | choose from 90, 180, 270
yoga-live class.mp4 --record raw.mp4                   | --record saves a camera's picture
yoga-live archive empty                                | required: --to
yoga-live archive empty --to out                       | the folder empty has no videos
yoga-live /dev/null                                    | the video /dev/null is a device; give a file
yoga-live loop.mp4                                     | loop.mp4 is a link that leads to itself; give a file
yoga-live broken.mp4                                   | broken.mp4 is a link to gone.mp4, which does not exist
yoga-live benchmark .                                  | the video . is a folder; give a file
yoga-live poses .                                      | yoga-export onnx . --to mistakes[0-9]*.onnx
yoga-live poses loop.mp4                               | the model loop.mp4 is a link that leads to itself
yoga-live poses tree                                   | the model tree does not exist
yoga-live --images empty --table t.csv                 | the folder empty has no photos
yoga-live --video photo.jpg                            | photo.jpg is a photo, not a video; use --images
yoga-live photo.jpg --timeline t.csv                   | use --table FILE.csv
yoga-live class.mp4 --table t.csv                      | use --timeline FILE.csv
yoga-live @missing.txt                                 | @missing.txt: cannot read the file: No such file
yoga-live env:MISSING                                  | the environment variable 'MISSING' is not set
yoga-train                                             | required: COMMAND
yoga-train train photos                                | did you mean fit\\?
yoga-train fit photos                                  | required: --to
yoga-train fit photos --to ''                          | argument --to: the value is empty
yoga-train fit photos --output r                       | required: --to
yoga-train fit photos --to r --lr 3                    | did you mean --rate\\?
yoga-train fit photos --to r --force                   | arguments: --force; only other commands have it
yoga-train fit missing --to r                          | give a folder with one folder per pose, such as missing/tree/
yoga-train fit flat --to r                             | put each pose's photos into a folder of its own
yoga-train fit photos --to run                         | run exists already; give the run another name with --to
yoga-train fit photos --to r --arch resnet999          | choose from 'resnet18'
yoga-train fit photos --to r --weights nope.pth        | nope.pth: no such file
yoga-train report missing                              | make one with: yoga-train fit PHOTOS --to missing
yoga-train predict run                                 | required: RUN
yoga-train predict photo.jpg missing                   | make one with: yoga-train fit PHOTOS --to missing
yoga-train predict run photos                          | run is a run, which comes last: yoga-train predict photos run
yoga-train stats empty                                 | make one folder per pose, such as tree/
yoga-train collect tree --to lists                     | required: --pose
yoga-train download missing --to photos                | missing has no URL list
yoga-train add nope --pose tree --to photos            | nope does not exist
yoga-train add photo.jpg --pose ../x --to photos       | use letters, digits and _, such as down_dog
yoga-train capture --pose tree --to photos --camera 47 | check that it is plugged in and permitted
yoga-export onnx missing --to x.onnx                   | missing is not a finished run
yoga-export info photo.jpg                             | photo.jpg is a photo, not a model
yoga-export fp16 photo.jpg --to x.onnx                 | required: --run
yoga-export onnx '' --to x.onnx                        | argument run: the value is empty
yoga-calibrate int8 x.onnx --run r --to ''             | argument --to: the value is empty
yoga-calibrate int8 x.onnx --to y.onnx                 | required: --run
yoga-calibrate confidence x.onnx --run r --to y.onnx   | x.onnx does not exist
"""
ROWS = [tuple(part.strip() for part in line.split("|")) for line in MISTAKES.strip().splitlines()]
PROGRAMS = {
    "yoga-live": "runtime.cli.main",
    "yoga-train": "train.cli.main",
    "yoga-export": "export.command",
    "yoga-calibrate": "calibration.command",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What somebody may have lying around: a video, photos, a run that is none, and files of other kinds."""
    av = pytest.importorskip("av")
    from PIL import Image

    folder = tmp_path_factory.mktemp("mistakes")
    for name in ("empty", "flat", "photos/tree", "photos/chair", "run"):
        (folder / name).mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for name in ("photo.jpg", "flat/tree.jpg", "flat/chair.jpg", "photos/tree/a.jpg", "photos/chair/a.jpg"):
        Image.fromarray(noise).save(folder / name)
    with av.open(str(folder / "class.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="bgr24")))
        container.mux(stream.encode(None))
    for name, text in {"notes.txt": "hello world", "notes.md": "# a title", "model.pth": "x", "empty.mp4": ""}.items():
        (folder / name).write_text(text)
    for name, target in {"loop.mp4": "loop.mp4", "broken.mp4": "gone.mp4"}.items():
        (folder / name).symlink_to(target)
    (folder / "taken.csv").write_text("mine")
    (folder / "run" / "run.json").write_text("{}")
    return folder


@pytest.mark.parametrize(("command", "helps"), ROWS, ids=[command for command, _ in ROWS])
def test_a_mistake_is_one_line_that_helps(
    command: str, helps: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *words = shlex.split(command)
    if program == "yoga-train":
        pytest.importorskip("torch")
    if words[:1] == ["archive"]:
        pytest.importorskip("ray")
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    main = importlib.import_module(f"yoga_live.{PROGRAMS[program]}").main
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    err = capsys.readouterr().err
    lines = [line for line in err.splitlines() if "loading PyTorch" not in line]
    assert code == 2, err
    assert len(lines) == 1 and lines[0].startswith(program) and ": error: " in lines[0], err
    assert re.search(helps, lines[0]), lines[0]
    assert sorted(folder.rglob("*")) == before and (folder / "taken.csv").read_text() == "mine"


def test_there_are_enough_of_them() -> None:
    assert len(ROWS) >= 63 and len(set(ROWS)) == len(ROWS)
