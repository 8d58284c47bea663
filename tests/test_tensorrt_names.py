"""Every name of TensorRT and CUDA that our code says exists in the real Python bindings, old and new.

TensorRT's library is not needed: the bindings import beside three empty libraries that export the few functions which
they ask for.  The wheels come from the package index once and are kept in pytest's cache.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TENSORRT = (
    "tensorrt-cu12-bindings==10.3.0",
    "tensorrt-cu12-bindings==10.16.0.72",
    "tensorrt-cu13-bindings==11.4.0.106",
)
CUDA = ("cuda-python==12.6.2.post1", "cuda-bindings==12.9.4", "cuda-bindings==13.0.3")
PATHFINDER = "cuda-pathfinder==1.3.3"  # which newer cuda-bindings import
LIBRARY_FUNCTIONS = [
    *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL"),
    *("createNvOnnxParser_INTERNAL", "createNvOnnxParserRefitter_INTERNAL", "getNvOnnxParserVersion"),
    *("getPluginRegistry", "getBuilderPluginRegistry", "initLibNvInferPlugins"),
]
VARIABLES = {  # file -> variable -> the class of TensorRT that it holds; "" is the module itself
    "runtime/engines/tensorrt_bindings.py": {"trt": ""},
    "runtime/engines/tensorrt.py": {
        "trt": "",
        "runtime": "Runtime",
        "engine": "ICudaEngine",
        "context": "IExecutionContext",
    },
    "runtime/engines/tensorrt_network.py": {
        "trt": "",
        "runtime": "Runtime",
        "engine": "ICudaEngine",
        "context": "IExecutionContext",
    },
    "export/build_progress.py": {"trt": ""},
    "export/engine.py": {
        "trt": "",
        "builder": "Builder",
        "network": "INetworkDefinition",
        "parser": "OnnxParser",
        "error": "ParserError",
        "config": "IBuilderConfig",
        "profile": "IOptimizationProfile",
        "cache": "ITimingCache",
        "memory": "IHostMemory",
    },
}
Use = tuple[str, int | None, list[str], bool]
"""A dotted name, how many positional arguments it gets (None: not called), keywords, whether we override it."""


def find_uses(source: str, variables: dict[str, str]) -> list[Use]:
    """Every name that is said of these variables (`self._cudart` counts as `cudart`)."""
    tree = ast.parse(source)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    uses: list[Use] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = [dotted for base in node.bases if (dotted := resolve(base, variables))]
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name != "__init__"]
            uses += [(f"{base}.{item.name}", len(item.args.args) - 1, [], True) for base in bases for item in methods]
        dotted = resolve(node, variables) if isinstance(node, ast.Attribute) and id(node) not in inner else None
        if dotted:
            call = calls.get(id(node))
            uses.append((dotted, *describe_call(call, dotted), False))
    return uses


def resolve(node: ast.AST, variables: dict[str, str]) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or not parts:
        return None
    name = node.id
    if name == "self" and parts[0] == "_cudart":
        name = parts.pop(0)[1:]
    if name not in variables or not parts:
        return None
    return ".".join([variables[name], *parts] if variables[name] else parts)


def describe_call(call: ast.Call | None, dotted: str) -> tuple[int | None, list[str]]:
    if call is None or dotted.endswith("__init__") or any(isinstance(item, ast.Starred) for item in call.args):
        return None, []
    return len(call.args), [keyword.arg for keyword in call.keywords if keyword.arg]


def list_tensorrt_uses() -> list[Use]:
    return [use for file, names in VARIABLES.items() for use in find_uses((ROOT / file).read_text("utf-8"), names)]


def list_cuda_uses() -> list[Use]:
    return find_uses((ROOT / "runtime/engines/cuda.py").read_text("utf-8"), {"cudart": ""})


@pytest.fixture(scope="session")
def unpack(pytestconfig: pytest.Config) -> Callable[[str], Path]:
    """Fetch a wheel for this Python from the index and unpack what can be imported of it."""

    def fetch(requirement: str) -> Path:
        cache = pytestconfig.cache
        assert cache is not None
        folder = cache.mkdir(f"wheels-{requirement.replace('==', '-')}-{sys.version_info.minor}")
        if (folder / "whole").exists():
            return folder
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", requirement]
        answer = subprocess.run(
            [*command, "--timeout=5", "--retries=1", f"--dest={folder}"], capture_output=True, text=True, check=False
        )
        if answer.returncode != 0:
            pytest.skip(f"{requirement} cannot be fetched: {(answer.stderr.strip().splitlines() or ['no pip'])[-1]}")
        [wheel] = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.endswith((".py", ".so"))])
        wheel.unlink()
        (folder / "whole").touch()
        return folder

    return fetch


@pytest.fixture
def libraries(tmp_path: Path) -> Callable[[str], Path]:
    """Compile the empty libraries of one major version of TensorRT."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler for three empty libraries")

    def compile_libraries(major: str) -> Path:
        source = tmp_path / "empty.c"
        source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in LIBRARY_FUNCTIONS))
        for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
            target = f"lib{name}.so.{major}"
            subprocess.run(
                [compiler, "-shared", "-fPIC", str(source), "-o", str(tmp_path / target), f"-Wl,-soname,{target}"],
                check=True,
            )
        return tmp_path

    return compile_libraries


def set_up(*folders: Path, libraries: Path | None = None) -> dict[str, str]:
    paths = os.pathsep.join(str(folder) for folder in folders)
    return {**os.environ, "PYTHONPATH": paths, **({"LD_LIBRARY_PATH": str(libraries)} if libraries else {})}


def probe(module: str, uses: list[Use], environment: dict[str, str]) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "tensorrt_probe.py")],
        input=json.dumps({"import": module, "uses": uses}),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def test_the_names_are_found_in_our_code() -> None:
    names = {name for name, *_ in list_tensorrt_uses()}
    assert {
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
        "Builder",
        "Builder.build_serialized_network",
        "IBuilderConfig.progress_monitor",
        "IBuilderConfig.set_timing_cache",
        "IOptimizationProfile.set_shape",
        "OnnxParser.parse",
        "ParserError.node_operator",
        "IProgressMonitor.step_complete",
        "ILogger.log",
        "Runtime.deserialize_cuda_engine",
        "ICudaEngine.get_tensor_profile_shape",
        "IExecutionContext.execute_async_v3",
        "IExecutionContext.get_tensor_shape",
    } <= names
    cuda = {name for name, *_ in list_cuda_uses()}
    assert {"cudaMemGetInfo", "cudaMemcpyAsync", "cudaError_t.cudaSuccess", "cudaStreamSynchronize"} <= cuda


def test_no_other_file_speaks_to_tensorrt_or_cuda() -> None:
    checked = {*VARIABLES, "runtime/engines/cuda.py"}
    for room in ("runtime", "export", "calibration", "train"):
        for path in (ROOT / room).rglob("*.py"):
            tree = ast.walk(ast.parse(path.read_text("utf-8")))
            names = {node.id for node in tree if isinstance(node, ast.Name)}
            assert not names & {"trt", "cudart"} or path.relative_to(ROOT).as_posix() in checked, path


PLANTED: list[Use] = [
    ("BuilderFlag.STRONG", None, [], False),
    ("IBuilderConfig.set_timing_cache", 1, ["ignore"], False),
    ("IBuilderConfig.set_timing_cache", 1, [], False),
    ("Builder.create_network", 3, [], False),
    ("IExecutionContext.execute_async_v2", 1, [], False),
    ("ICudaEngine.num_io_tensors", 0, [], False),
    ("IProgressMonitor.phase_start", 2, [], True),
]


@pytest.mark.slow
@pytest.mark.parametrize("requirement", TENSORRT)
def test_tensorrt_has_what_we_name(
    requirement: str, unpack: Callable[[str], Path], libraries: Callable[[str], Path]
) -> None:
    version = requirement.split("==")[1]
    compiled = libraries(version.split(".")[0])
    environment = set_up(unpack(requirement), libraries=compiled)
    answer = probe("tensorrt_bindings", list_tensorrt_uses(), environment)
    assert answer["version"] == version and answer["wrong"] == []
    assert len(probe("tensorrt_bindings", PLANTED, environment)["wrong"]) == len(PLANTED)
    assert answer["is_theirs"] and answer["steps"] == [True, False]
    assert answer["errors"] == ["a b", "a b"]
    levels = ["ERROR", "ERROR", "WARNING", "DEBUG", "DEBUG"]
    assert [entry for entry in answer["log"] if "TensorRT" in entry[1]] == [
        [level, f"TensorRT: {text}"] for level, text in zip(levels, ["a b"] * 4 + ["c"], strict=True)
    ]
    assert "nullptr" in answer["builder"]  # what `build_plan` turns into one line


@pytest.mark.slow
@pytest.mark.parametrize("requirement", CUDA)
def test_cuda_has_what_we_name(requirement: str, unpack: Callable[[str], Path]) -> None:
    environment = set_up(unpack(requirement), unpack(PATHFINDER))
    assert probe("cuda.bindings.runtime", list_cuda_uses(), environment)["wrong"] == []
    planted: list[Use] = [("cudaMemGetInfos", 0, [], False), ("cudaMalloc", 2, [], False)]
    assert len(probe("cuda.bindings.runtime", planted, environment)["wrong"]) == 2


REFUSAL = """
import sys, tensorrt_bindings
sys.modules["tensorrt"] = tensorrt_bindings
from yoga_live.export.command import main
sys.exit(main(["engine", sys.argv[1], "--to", sys.argv[2]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("cuda", CUDA)
def test_without_a_gpu_the_real_packages_give_one_line(
    cuda: str, unpack: Callable[[str], Path], libraries: Callable[[str], Path], tmp_path: Path
) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    environment = set_up(unpack(TENSORRT[0]), unpack(cuda), unpack(PATHFINDER), libraries=libraries("10"))
    model = ROOT / "runtime" / "models" / "default.onnx"
    answer = subprocess.run(
        [sys.executable, "-c", REFUSAL, str(model), str(tmp_path / "a.engine")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2, answer.stderr
    assert answer.stderr.startswith("yoga-export: error: ") and "NVIDIA driver" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1 and not (tmp_path / "a.engine").exists()
