"""No message of a command repeats a password that was given to it."""

import pytest

from yoga_live.runtime.cli.main import main as watch
from yoga_live.runtime.system.addresses import hide_in_text
from yoga_live.train.cli.main import main as train

CAMERA, MODEL = "rtsp://admin:S3CRET@127.0.0.1:1/x", "http://u:S3CRET@127.0.0.1:1/x.onnx"


@pytest.mark.parametrize(
    "arguments",
    [
        [CAMERA],
        ["--demo", CAMERA],
        ["--camera", CAMERA, CAMERA],
        ["--demo", "--serve", CAMERA],
        ["--video", __file__, "--from", CAMERA],
        ["--demo", "--model", MODEL],
        ["--demo", f"--model={MODEL}"],
        ["--images", MODEL],
        ["--demo", "--save", MODEL],
        ["--demo", "--goal", CAMERA],
        ["--demo", "--device", "rtsp://admin:my S3CRET@127.0.0.1:1/x"],
        ["--video", "admin:S3CRET@127.0.0.1.list"],
    ],
)
def test_watching_tells_no_password(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = watch(arguments)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr().err
    assert code == 2 and "127.0.0.1" in said and "S3CRET" not in said
    assert said.startswith("yoga-live: error: ") and said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [CAMERA],
        ["capture", CAMERA, "--pose", "tree", "--to", "photos"],
        ["fit", "photos", "--to", "run", "--seed", CAMERA],
        ["stats", MODEL],
    ],
)
def test_training_tells_no_password(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    try:
        code = train(arguments)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr().err
    assert code == 2 and "127.0.0.1" in said and "S3CRET" not in said and said.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "me@home.jpg is no photo; give another one",
        "https://example.org/a/b.jpg: HTTP 404",
        "file:///home/me@work/a%20b.mp4 cannot be opened",
        "runs/a:1/x does not exist; give pip's name: numpy==1.26 or me@x",
        r"C:\Users\me@home\a.mp4 is a folder",
    ],
)
def test_a_message_without_a_secret_stays_as_it_is(text: str) -> None:
    assert hide_in_text(text, ["me@home.jpg", "photos"]) == text


def test_an_address_of_a_cluster_is_told_without_its_password() -> None:
    told = hide_in_text("no Ray answers at admin:S3CRET@127.0.0.1:1; start it", [])
    assert told == "no Ray answers at 127.0.0.1:1; start it"


def test_the_question_after_an_address_stays() -> None:
    assert hide_in_text("no such file; did you mean me:geheim@host.mp4?", []) == "no such file; did you mean host.mp4?"
    assert hide_in_text("is it rtsp://h/x?key=geheim?", []) == "is it rtsp://h/x?"
