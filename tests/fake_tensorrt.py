"""TensorRT and CUDA's runtime played by this machine: the few calls that we make, with real memory and real numbers.

"GPU memory" is memory of its own that only copies reach; a stream runs nothing before it is waited for; an engine is
the ONNX file itself, run by ONNX Runtime.  What is wrong on a GPU (another buffer, a batch outside the profile, an
output read too early, something freed twice) is therefore wrong here.
"""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

PLAN = b"plan "


class FakeGpu:
    """A GPU: what it is, what it has free, and what is held of it (`live`: address -> memory)."""

    def __init__(self) -> None:
        self.name, self.major, self.minor, self.multiprocessors = b"Fake GPU\0", 8, 7, 16
        self.integrated, self.free, self.count, self.driver = 0, 8_000_000_000, 1, 13000
        self.version = "10.3.0"
        self.live: dict[int, Any] = {}
        self.streams: set[int] = set()
        self.log: list[str] = []  # what happened, in order
        self.timings = b""  # what the builder's timing cache began with
        self.builds = 0
        self.kernel_error = 0.0  # what a wrong kernel adds to the first logit
        self.cudart, self.trt = make_cudart(self), make_trt(self)

    @property
    def bindings(self) -> Any:
        from yoga_live.runtime.engines.tensorrt_bindings import Bindings

        return Bindings(self.trt, self.cudart)

    def memory(self, address: int) -> Any:
        if address not in self.live:
            raise AssertionError(f"{address} was never allocated, or is freed already")
        return self.live[address]

    def allocate(self, size: int, what: str) -> int:
        memory = ctypes.create_string_buffer(b"\xa5" * size, size)
        self.live[ctypes.addressof(memory)] = memory
        self.log.append(f"{what} {size}")
        return ctypes.addressof(memory)

    def release(self, address: int) -> None:
        self.memory(address)
        del self.live[address]


class Error(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700


class Stream:
    """Work that is done when it is waited for."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def __int__(self) -> int:
        return id(self)


def make_cudart(gpu: FakeGpu) -> Any:
    """cuda.bindings.runtime: every call gives a tuple that begins with an error code."""
    streams: dict[int, Stream] = {}

    def allocate(what: str) -> Callable[[int], tuple[Error, int | None]]:
        def call(size: int) -> tuple[Error, int | None]:
            if size > gpu.free:
                return Error.cudaErrorMemoryAllocation, None
            return Error.cudaSuccess, gpu.allocate(size, what)

        return call

    def release(address: int) -> tuple[Error]:
        gpu.release(address)
        return (Error.cudaSuccess,)

    def create_stream() -> tuple[Error, Stream]:
        stream = Stream()
        streams[int(stream)] = stream
        gpu.streams.add(int(stream))
        return Error.cudaSuccess, stream

    def destroy_stream(stream: Stream) -> tuple[Error]:
        gpu.streams.remove(int(stream))
        return (Error.cudaSuccess,)

    def copy(target: int, source: int, size: int, kind: str, stream: Stream) -> tuple[Error]:
        on_gpu = target if kind == "to gpu" else source
        assert size <= len(gpu.memory(on_gpu))

        def move() -> None:
            ctypes.memmove(target, source, size)

        stream.work.append(move)
        gpu.log.append(f"copy {kind} {size}")
        return (Error.cudaSuccess,)

    def synchronise(stream: Stream) -> tuple[Error]:
        work, stream.work = stream.work, []
        for step in work:
            step()
        gpu.log.append("wait")
        return (Error.cudaSuccess,)

    def get_properties(device: int) -> tuple[Error, Any]:
        return Error.cudaSuccess, SimpleNamespace(
            name=gpu.name,
            major=gpu.major,
            minor=gpu.minor,
            integrated=gpu.integrated,
            multiProcessorCount=gpu.multiprocessors,
        )

    def count_devices() -> tuple[Error, int | None]:
        if gpu.driver < 13000:
            return Error.cudaErrorInsufficientDriver, None
        return Error.cudaSuccess, gpu.count

    return SimpleNamespace(
        streams=streams,
        cudaError_t=Error,
        cudaMemcpyKind=SimpleNamespace(cudaMemcpyHostToDevice="to gpu", cudaMemcpyDeviceToHost="from gpu"),
        cudaGetDeviceCount=count_devices,
        cudaSetDevice=lambda device: (Error.cudaSuccess,),
        cudaGetDeviceProperties=get_properties,
        cudaMemGetInfo=lambda: (Error.cudaSuccess, gpu.free, 2 * gpu.free),
        cudaMalloc=allocate("malloc"),
        cudaFree=release,
        cudaMallocHost=allocate("pin"),
        cudaFreeHost=release,
        cudaStreamCreate=create_stream,
        cudaStreamDestroy=destroy_stream,
        cudaMemcpyAsync=copy,
        cudaStreamSynchronize=synchronise,
        cudaDriverGetVersion=lambda: (Error.cudaSuccess, gpu.driver),
        cudaRuntimeGetVersion=lambda: (Error.cudaSuccess, 13000),
        cudaGetErrorString=lambda error: (Error.cudaSuccess, error.name.encode()),
    )


class Severity(enum.Enum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    Severity = Severity


class IProgressMonitor:
    pass


def make_trt(gpu: FakeGpu) -> Any:
    """The module tensorrt."""

    class Builder:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def create_network(self, flags: int) -> Any:
            assert flags == 1 << 1  # STRONGLY_TYPED alone
            return SimpleNamespace(model=None)

        def create_builder_config(self) -> Any:
            return FakeConfig(gpu)

        def create_optimization_profile(self) -> Any:
            return FakeProfile()

        def build_serialized_network(self, network: Any, config: FakeConfig) -> Any:
            return build(gpu, self.logger, network, config)

    class OnnxParser:
        def __init__(self, network: Any, logger: Any) -> None:
            self.network, self.errors = network, []

        def parse(self, model: bytes) -> bool:
            import onnx

            nodes = onnx.load_from_string(model).graph.node
            strange = [node for node in nodes if node.op_type == "Celu"]
            self.errors = [ParserError(node) for node in strange]
            self.network.model = model
            return not strange

        @property
        def num_errors(self) -> int:
            return len(self.errors)

        def get_error(self, index: int) -> Any:
            return self.errors[index]

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, plan: bytes) -> FakeEngine | None:
            if not plan.startswith(PLAN):
                self.logger.log(Severity.ERROR, "Error Code 1:\n  magic tag does not match")
                return None
            return FakeEngine(gpu, plan[len(PLAN) :])

    return SimpleNamespace(
        __version__=gpu.version,
        ILogger=ILogger,
        IProgressMonitor=IProgressMonitor,
        Builder=Builder,
        OnnxParser=OnnxParser,
        Runtime=Runtime,
        NetworkDefinitionCreationFlag=enum.IntEnum("NetworkDefinitionCreationFlag", {"STRONGLY_TYPED": 1}),
        MemoryPoolType=enum.Enum("MemoryPoolType", ["WORKSPACE"]),
        TensorIOMode=enum.Enum("TensorIOMode", ["INPUT", "OUTPUT"]),
        DataType=DataType,
    )


class DataType(enum.Enum):
    UINT8 = "tensor(uint8)"
    FLOAT = "tensor(float)"
    HALF = "tensor(float16)"


class ParserError:
    def __init__(self, node: Any) -> None:
        self.node = node

    def desc(self) -> str:
        return "No importer registered for op:\n  Celu"

    def node_name(self) -> str:
        return self.node.name

    def node_operator(self) -> str:
        return self.node.op_type


class FakeProfile:
    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self.name, self.shapes = input, (min, opt, max)


class FakeConfig:
    def __init__(self, gpu: FakeGpu) -> None:
        self.gpu, self.workspace, self.profiles, self.progress_monitor = gpu, 0, [], None
        self.cache: Any = None

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        assert pool.name == "WORKSPACE"
        self.workspace = size

    def add_optimization_profile(self, profile: FakeProfile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, content: bytes) -> Any:
        return None if content == b"damaged" else SimpleNamespace(content=content)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        if cache.content == b"another GPU's" and not ignore_mismatch:
            return False
        self.cache, self.gpu.timings = cache, cache.content
        return True

    def get_timing_cache(self) -> Any:
        return SimpleNamespace(serialize=lambda: memoryview(self.cache.content + b"timed "))


def build(gpu: FakeGpu, logger: Any, network: Any, config: FakeConfig) -> Any:
    """Tell of two phases, one inside the other; the plan is the model."""
    monitor: Any = config.progress_monitor
    monitor.phase_start("Building", None, 2)
    monitor.phase_start("Timing", "Building", 4)
    goes_on = all(monitor.step_complete("Timing", step) for step in range(4))
    monitor.phase_finish("Timing")
    goes_on = goes_on and monitor.step_complete("Building", 0)
    monitor.phase_finish("Building")
    if not goes_on:
        return None
    if config.workspace < 1 << 20:
        logger.log(Severity.INTERNAL_ERROR, "no tactic")
    if config.workspace < 2 << 20:
        logger.log(Severity.ERROR, "Error Code 10:  could not find any implementation for node conv1")
        return None
    gpu.builds += 1
    [profile] = config.profiles
    assert profile.name == "frames"
    return memoryview(PLAN + repr(profile.shapes).encode() + b"\n" + network.model)


class FakeEngine:
    """ONNX Runtime on the model inside the plan."""

    def __init__(self, gpu: FakeGpu, plan: bytes) -> None:
        import ast

        import onnxruntime

        shapes, model = plan.split(b"\n", 1)
        self.gpu, self.shapes = gpu, ast.literal_eval(shapes.decode())
        options = onnxruntime.SessionOptions()  # its optimiser spoils Q/DQ nodes whose scales are FP16
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        self.tensors = {item.name: item for item in (*inputs, *outputs)}
        self.inputs = {item.name for item in inputs}

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self.gpu.trt.TensorIOMode["INPUT" if name in self.inputs else "OUTPUT"]

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType(self.tensors[name].type)

    def get_tensor_shape(self, name: str) -> list[int]:
        return [size if isinstance(size, int) else -1 for size in self.tensors[name].shape]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> Any:
        assert (name, profile_index) == ("frames", 0)
        return list(self.shapes)

    def measure(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        names = [name for name in self.tensors if name not in self.inputs]
        outputs: Any = self.session.run(names, {"frames": np.zeros(shape, np.uint8)})
        return {name: output.shape for name, output in zip(names, outputs, strict=True)}

    def create_execution_context(self) -> Any:
        return FakeContext(self)


class FakeContext:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine, self.shape, self.addresses = engine, None, {}
        self.sizes: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self.engine.shapes
        is_inside = name == "frames" and all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))
        self.shape = shape if is_inside else self.shape
        self.engine.gpu.log.append(f"shape {shape[0]}")
        return is_inside

    def get_tensor_shape(self, name: str) -> list[int]:
        """With an input shape that is set, no side is left open."""
        assert self.shape is not None
        if self.shape not in self.sizes:
            self.sizes[self.shape] = self.engine.measure(self.shape)
        return list(self.sizes[self.shape][name])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return name in self.engine.tensors

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert self.shape is not None and set(self.addresses) == set(self.engine.tensors)
        shape = self.shape
        self.engine.gpu.cudart.streams[stream_handle].work.append(lambda: self.execute(shape))
        self.engine.gpu.log.append("execute")
        return True

    def execute(self, shape: tuple[int, ...]) -> None:
        memory = self.engine.gpu.memory
        size = int(np.prod(shape))
        frames = np.frombuffer(memory(self.addresses["frames"]), np.uint8)[:size].reshape(shape)
        names = [name for name in self.engine.tensors if name != "frames"]
        outputs: Any = self.engine.session.run(names, {"frames": frames})
        for name, output in zip(names, outputs, strict=True):
            if name in ("logits", "center"):
                output[:, 0] += self.engine.gpu.kernel_error
            target = memory(self.addresses[name])
            assert output.nbytes <= len(target)
            ctypes.memmove(target, output.tobytes(), output.nbytes)
