"""What several files share: an engine that names colours, the same as an ONNX file, a writer of small clips."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from yoga_live.runtime.classifier import PoseClassifier
from yoga_live.runtime.cli import main
from yoga_live.runtime.core.model_metadata import ModelInfo

LABELS = ("tree", "warrior_2", "none")  # the answers to a blue, a green and a red frame


class ColourEngine:
    """Logits are the mean of blue, green and red over 16: a full colour is 16 logits ahead of the others."""

    def __init__(self, size: int = 32) -> None:
        self.info = ModelInfo(LABELS, size)
        self.device = "fake"
        self.batches: list[np.ndarray] = []

    def infer(self, frames: np.ndarray) -> np.ndarray:
        return self.infer_maps(frames)[0]

    def infer_maps(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.batches.append(frames.copy())
        logits = frames.mean(axis=(1, 2), dtype=np.float32) / 16
        return logits, logits[:, :, None, None]


def paint_photo(colour: tuple[int, int, int], size_wh: tuple[int, int]) -> Image.Image:
    """A picture of one colour, RGB, but for a darker spot: of one colour alone it would be no photo."""
    width, height = size_wh
    image = Image.new("RGB", size_wh, colour)
    image.paste(
        tuple(max(0, level - 40) for level in colour), (width // 2, height // 2, width * 3 // 4, height * 3 // 4)
    )
    return image


@pytest.fixture
def engine() -> ColourEngine:
    return ColourEngine()


@pytest.fixture
def classifier(engine: ColourEngine) -> PoseClassifier:
    return PoseClassifier.from_engine(engine)


@pytest.fixture(scope="session")
def write_model() -> Callable[..., Path]:
    """Write `ColourEngine` as an ONNX file; `document` replaces its metadata (None: no metadata at all)."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    def write(
        path: Path,
        document: str | None = ModelInfo(LABELS, 32).to_json(),
        classes: int = 3,
        element: str = "UINT8",
        *,
        features: bool = False,
    ) -> Path:
        def constant(name: str, values: list[Any], kind: int) -> Any:
            return helper.make_tensor(name, kind, [len(values)], values)

        graph = helper.make_graph(
            [
                helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
                helper.make_node("ReduceMean", ["floats", "middle"], ["means"], keepdims=1),
                helper.make_node("Transpose", ["means"], ["colours"], perm=[0, 3, 1, 2]),
                helper.make_node("Slice", ["colours", "zero", "classes", "one"], ["chosen"]),
                helper.make_node("Div", ["chosen", "sixteen"], ["maps"]),
                helper.make_node("ReduceMean", ["maps", "last"], ["logits"], keepdims=0),
                *([helper.make_node("ReduceMean", ["colours", "last"], ["features"], keepdims=0)] * features),
            ],
            "colours",
            [helper.make_tensor_value_info("frames", getattr(TensorProto, element), ["N", 32, 32, 3])],
            [
                helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes]),
                helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", classes, 1, 1]),
                *([helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3])] * features),
            ],
            [
                constant("middle", [1, 2], TensorProto.INT64),
                constant("last", [2, 3], TensorProto.INT64),
                constant("zero", [0], TensorProto.INT64),
                constant("one", [1], TensorProto.INT64),
                constant("classes", [classes], TensorProto.INT64),
                constant("sixteen", [16.0], TensorProto.FLOAT),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        if document is not None:
            helper.set_model_props(model, {"yoga_live": document})
        onnx.save(model, str(path))
        return path

    return write


@pytest.fixture(scope="session")
def model_path(write_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pose model that names colours."""
    return write_model(tmp_path_factory.mktemp("model") / "colours.onnx")


@pytest.fixture(scope="session")
def feature_model(write_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the output `features`: the means of blue, green and red, 0 to 255."""
    return write_model(tmp_path_factory.mktemp("feature_model") / "colours.onnx", features=True)


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., Path]:
    """Write frames (uint8 BGR), or plain colours, as a video; the suffix chooses the container."""

    def write(
        path: Path,
        frames: Sequence[Any],
        *,
        rate: Fraction = Fraction(25),
        pts: Sequence[int] | None = None,
        time_base: Fraction | None = None,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        size_wh: tuple[int, int] = (64, 48),
        sound: str | None = None,
        sound_rate: int = 48000,
        sound_s: float | None = None,
        options: dict[str, str] | None = None,
    ) -> Path:
        images = [paint(frame, size_wh) for frame in frames]
        base = time_base or 1 / Fraction(rate)
        with av.open(str(path), "w", options=options or {}) as container:
            stream: Any = container.add_stream(codec, rate=rate)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.time_base = stream.codec_context.time_base = base
            if codec == "libx264":
                stream.options = {"preset": "ultrafast", "crf": "10"}
            track = add_sound(container, sound, sound_rate) if sound else None
            times = list(pts) if pts is not None else list(range(len(images)))
            for image, moment in zip(images, times, strict=True):
                picture = av.VideoFrame.from_ndarray(image, format="bgr24")
                picture.pts, picture.time_base = moment, base
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
            if track is not None:
                seconds = sound_s or float((times[-1] + 1) * base)
                write_tone(container, track, sound_rate, seconds)
        return path

    return write


def paint(frame: Any, size_wh: tuple[int, int]) -> np.ndarray:
    if isinstance(frame, np.ndarray):
        return frame
    image = np.empty((size_wh[1], size_wh[0], 3), np.uint8)
    image[:] = frame
    return image


def add_sound(container: Any, codec: str, rate: int) -> Any:
    options = {"strict": "experimental"} if codec == "vorbis" else {}
    track = container.add_stream(codec, rate=rate, options=options)
    track.layout = "stereo"
    return track


def write_tone(container: Any, track: Any, rate: int, seconds: float) -> None:
    wave = np.sin(np.arange(round(rate * seconds)) * 2 * np.pi * 440 / rate).astype(np.float32) / 2
    for start in range(0, len(wave), 1024):
        part = np.stack([wave[start : start + 1024]] * 2)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        frame.rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No display; signal handlers as they were."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def live(
    bare_machine: None, model_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process with the colour model.  Returns exit code, stdout, stderr."""

    def run(*arguments: object, model: Path = model_path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main.main(["--model", str(model), *map(str, arguments)])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def assert_refused(answer: tuple[int, str, str], *parts: str) -> None:
    """Exit code 2 and exactly one line on stderr that holds the parts."""
    code, out, err = answer
    assert code == 2 and out == ""
    assert len(err.splitlines()) == 1 and err.startswith("yoga-live: error: "), err
    assert all(part in err for part in parts), err


MATRICES = {  # degrees clockwise that a player turns the picture -> a, b, c, d of ISO 14496-12's matrix
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}


def set_rotation(path: Path, degrees: int) -> None:
    """Write a phone's rotation flag into the track header."""
    set_matrix(path, *MATRICES[degrees])


def set_matrix(path: Path, a: float, b: float, c: float, d: float) -> None:
    """Write a display matrix into the track header of an MP4's picture, which comes first."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    for place, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
        content[at + place : at + place + 4] = (round(value * 0x10000) & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
