"""What several rooms test with: a folder of drawn photos, one tiny run trained from it, and the models made from it.

Session-wide folders are read only and shared by all processes of pytest-xdist: a test that changes a file, or takes
hold of one, copies it first.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoga_live.runtime.system.telemetry import silence_telemetry

silence_telemetry()  # before a test imports onnxruntime or openvino

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts `pytest &` deaf to Ctrl-C, and programs that tests start and stop by it would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # before torch is imported: its threads share the cores with the others
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

DRAWINGS_PER_POSE = 16
SMALLEST = "resnet18"  # half of what is trained by default: to write, read, hash and export
DRAWN = {  # pose -> the figure, and its lamp's colour (BGR), so that even a tiny network can tell the poses apart
    "tree": ("tree", (0.3, 0.3, 1.0)),
    "down_dog": ("down_dog", (1.0, 0.3, 0.3)),
    "warrior_2": ("warrior_2", (0.3, 1.0, 0.3)),
    "none": ("standing", (0.9, 0.9, 0.9)),
}


def draw_photo(pose: str, seed: int) -> np.ndarray:
    """Draw one person before large random blotches: no two of these pictures are near-duplicates."""
    import cv2

    from yoga_live.runtime.sources.drawn_figure import POSES, draw_figure, jitter_pose, random_appearance

    figure, lamp = DRAWN[pose]
    size_wh = (176, 128) if seed % 3 else (120, 160)
    rng = np.random.default_rng([seed, *pose.encode()])
    image = draw_figure(jitter_pose(POSES[figure], rng), size_wh, random_appearance(rng)).astype(float)
    blotches = cv2.resize(rng.normal(0, 40, (5, 6, 3)), size_wh, interpolation=cv2.INTER_CUBIC)
    return ((image + blotches).clip(0, 255) * lamp).astype(np.uint8)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


LONGEST_WAIT_S = 600.0
MakeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """Make a folder that all processes of pytest-xdist share: the first that asks fills it, the others wait for it."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    shared.mkdir(exist_ok=True)

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, whole, turn = shared / name, shared / f"{name}.whole", shared / f"{name}.turn"
        deadline_s = time.monotonic() + LONGEST_WAIT_S
        while not whole.exists():
            try:
                os.close(os.open(turn, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                assert time.monotonic() < deadline_s, f"another process did not make {folder}"
                time.sleep(0.1)
                continue
            try:
                if not whole.exists():  # the other one may just have ended
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir()
                    fill(folder)
                    whole.touch()
            finally:
                turn.unlink()
        return folder

    return make


@pytest.fixture(scope="session")
def drawn_photos(make_once: MakeOnce) -> Path:
    """A folder per pose: three poses and `none`, sixteen drawings each, PNG and JPEG."""

    def draw(folder: Path) -> None:
        import cv2

        for pose in DRAWN:
            (folder / "photos" / pose).mkdir(parents=True)
            for seed in range(DRAWINGS_PER_POSE):
                path = folder / "photos" / pose / f"{seed:02d}.{'jpg' if seed % 2 else 'png'}"
                assert cv2.imwrite(str(path), draw_photo(pose, seed))

    return make_once("drawn", draw) / "photos"


@pytest.fixture(scope="session")
def start_weights(drawn_photos: Path, make_once: MakeOnce) -> Path:
    """Random weights that let colours through: quiet residual branches, batch-norm statistics of the drawings."""
    torch = pytest.importorskip("torch")  # the runtime is tested without it too
    import torchvision

    from yoga_live.train.fit.network import PoseNetwork, normalise, save_weights
    from yoga_live.train.photos.folder import read_photos

    def settle(folder: Path) -> None:
        torch.manual_seed(0)
        network = PoseNetwork(7, arch=SMALLEST)  # a head of another size, as ImageNet's is
        frames = torch.from_numpy(read_photos(drawn_photos, 64).frames[::2].copy())
        torch.nn.Module.train(network)
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = None  # pyright: ignore[reportArgumentType]  # the plain mean of what it sees
                if isinstance(module, torchvision.models.resnet.BasicBlock):
                    torch.nn.init.constant_(module.bn2.weight, 0.1)
            network.features(normalise(frames))
        save_weights(network, folder / "start.safetensors")

    return make_once("weights", settle) / "start.safetensors"


@pytest.fixture(scope="session")
def trained_run(drawn_photos: Path, start_weights: Path, make_once: MakeOnce) -> Path:
    """The folder of a tiny run."""
    from yoga_live.train.fit.config import FitConfig
    from yoga_live.train.fit.run import fit_run

    config = FitConfig(str(start_weights), 400, 1, size=64, batch=16, rate=1e-4, device="cpu", arch=SMALLEST)
    return make_once("runs", lambda folder: fit_run(drawn_photos, folder / "tiny", config)) / "tiny"


@pytest.fixture(scope="session")
def exported_model(trained_run: Path, make_once: MakeOnce) -> Path:
    """The tiny run as ONNX, FP32."""
    from yoga_live.calibration.runs import load_run
    from yoga_live.export.onnx_export import export_run

    return make_once("models", lambda folder: export_run(load_run(trained_run), folder / "tiny.onnx")) / "tiny.onnx"


@pytest.fixture(scope="session")
def int8_model(exported_model: Path, trained_run: Path, make_once: MakeOnce) -> Path:
    """The tiny run as INT8, made by the command."""
    from yoga_live.calibration.command import main

    def quantize(folder: Path) -> None:
        to = folder / "tiny.int8.onnx"
        assert main(["int8", str(exported_model), "--run", str(trained_run), "--to", str(to)]) == 0

    return make_once("small_models", quantize) / "tiny.int8.onnx"


@pytest.fixture
def gpu() -> Any:
    """A GPU with TensorRT, played by this machine (tests/fake_tensorrt.py)."""
    pytest.importorskip("onnxruntime")
    spec = importlib.util.spec_from_file_location("fake_tensorrt", Path(__file__).with_name("fake_tensorrt.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FakeGpu()


@dataclass(frozen=True)
class CommandAnswer:
    """What a command left: its exit code and what it wrote."""

    code: object
    out: str
    err: str

    def refusal(self) -> str:
        """The one error line of a command that refused its input; progress lines may stand before it."""
        assert self.code == 2, (self.code, self.err)
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert sum("error:" in line for line in lines) == 1 and "error:" in lines[-1], self.err
        return lines[-1]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Callable[..., CommandAnswer]:
    """Run a command's main in this process: ask(main, "fit", folder, ...)."""

    def run(main: Callable[[list[str]], int], *arguments: object) -> CommandAnswer:
        capsys.readouterr()
        try:
            code: object = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            code = error.code
        said = capsys.readouterr()
        return CommandAnswer(code, said.out, said.err)

    return run


@pytest.fixture
def plain_rights() -> Iterator[None]:
    """The rights of a plain user: root may read what nobody else may (capabilities(7))."""
    if os.name == "nt":
        pytest.skip("Windows has other permissions")
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root may read everything")
    libc = ctypes.CDLL(None, use_errno=True)
    version, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(version, sets) == 0
    effective = sets[0]
    sets[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(version, sets) == 0
    yield
    sets[0] = effective
    assert libc.capset(version, sets) == 0


@pytest.fixture(autouse=True)
def restore_process() -> Iterator[None]:
    """Take back what commands set up: a log handler that outlives the captured stream it writes to, SIGTERM.

    A fixture of the whole session may have run a command before; its log level would stay for all that follows.
    """
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    handlers, on_terminate = list(root.handlers), signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, on_terminate)
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("yoga_live").setLevel(logging.NOTSET)  # --debug
