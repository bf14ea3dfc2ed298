"""onnxruntime's sessions, on each of its execution providers. The only file that imports onnxruntime."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np

from normdeploy.backends.cuda import CudaError, Gpu
from normdeploy.backends.device import Device
from normdeploy.backends.onnxruntime_layers import layer_times, with_names
from normdeploy.backends.session import LayerTime
from normdeploy.dtypes import Array
from normdeploy.errors import BackendUnavailable, MissingDependencyError
from normdeploy.files import scratch_folder

try:
    import onnxruntime
except ImportError as error:
    raise MissingDependencyError("onnxruntime", "cpu") from error

_ERRORS_ONLY = 3
_COMPILING_PROVIDER = "TensorrtExecutionProvider"
_TENSORS_FOLDER = "session.model_external_initializers_file_folder_path"
"""Where onnxruntime looks for external data of a model that comes from memory."""

_EXTENSION_TYPES = {
    "bfloat16": (16, ml_dtypes.bfloat16),
    "float8e4m3fn": (17, ml_dtypes.float8_e4m3fn),
    "float8e4m3fnuz": (18, ml_dtypes.float8_e4m3fnuz),
    "float8e5m2": (19, ml_dtypes.float8_e5m2),
    "float8e5m2fnuz": (20, ml_dtypes.float8_e5m2fnuz),
}
"""ONNX types that NumPy lacks: onnxruntime's name -> (TensorProto's number, type)."""


Provider = tuple[str, dict[str, str]]
"""An execution provider's name, and its options."""

_CPU: Provider = ("CPUExecutionProvider", {})
_CUDA: Provider = ("CUDAExecutionProvider", {"use_tf32": "0"})
_TENSORRT: Provider = ("TensorrtExecutionProvider", {})


def open_cpu(model: Path, optimize: bool = True) -> OnnxRuntimeSession:
    """A session on the CPU.

    Args:
        model: the ONNX file.
        optimize: whether onnxruntime may rewrite the graph.
    """
    return OnnxRuntimeSession(model, [_CPU], optimize=optimize)


def open_cuda(model: Path, optimize: bool = True) -> OnnxRuntimeSession:
    """A session on the first GPU, without TF32; nodes that have no kernel there run on the CPU.

    Args:
        model: the ONNX file.
        optimize: whether onnxruntime may rewrite the graph.

    Raises:
        BackendUnavailable: onnxruntime has no CUDA provider, or does not get it to work.
    """
    return _on_gpu(model, [_CUDA, _CPU], optimize)


def open_tensorrt(model: Path) -> OnnxRuntimeSession:
    """A session in TensorRT, without TF32; nodes that TensorRT does not take run in CUDA's provider.

    Args:
        model: the ONNX file.

    Raises:
        BackendUnavailable: onnxruntime has no TensorRT provider, or does not get it to work.
    """
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # the provider has no option; read when its libraries load
    return _on_gpu(model, [_TENSORRT, _CUDA, _CPU])


def _on_gpu(model: Path, providers: Sequence[Provider], optimize: bool = True) -> OnnxRuntimeSession:
    """A session that has its first provider: onnxruntime by itself would go on without it.

    Raises:
        BackendUnavailable: it does not get that provider to work.
    """
    wanted, _ = providers[0]
    if wanted not in onnxruntime.get_available_providers():
        raise BackendUnavailable(
            f"the installed onnxruntime {onnxruntime.__version__} is built without {wanted}: run  "
            f"pip uninstall onnxruntime  and then  pip install 'normdeploy[gpu]'"
        )
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: takes the CUDA libraries that pip installed
        onnxruntime.preload_dlls()
    if wanted == _TENSORRT[0]:
        with contextlib.suppress(ImportError, OSError):
            importlib.import_module("tensorrt_libs")  # loads the TensorRT libraries that pip installed
    device = _device()
    with device.at_work() if device else contextlib.nullcontext():
        session = OnnxRuntimeSession(model, providers, device, optimize)
    if wanted not in session.providers:
        raise BackendUnavailable(
            f"onnxruntime {onnxruntime.__version__} does not get its {wanted} to work: {_obstacle(wanted)}"
        )
    return session


def _device() -> Device | None:
    """The GPU; None where the driver gives none, the reason for which onnxruntime tells better."""
    try:
        return Device(Gpu())
    except CudaError:
        return None


def _obstacle(provider: str) -> str:
    """Why a provider's library does not load, in the loader's words, and what to do about it."""
    name = provider.removesuffix("ExecutionProvider").lower()
    folder = Path(onnxruntime.__file__).parent / "capi"
    for library in ("shared", name):
        try:
            ctypes.CDLL(str(folder / f"libonnxruntime_providers_{library}.so"), ctypes.RTLD_GLOBAL)
        except OSError as error:
            return f"{error}: {_remedy(str(error))}"
    return "its log has the reason"


def _remedy(obstacle: str) -> str:
    """What to do about a library that the loader does not find."""
    tensorrt = re.match(r"libnvinfer\w*\.so\.(\d+)", obstacle)
    if tensorrt is not None:
        return f"run  pip install 'tensorrt=={tensorrt[1]}.*'"
    if obstacle.startswith("libcuda.so"):
        return "install NVIDIA's driver"
    return "run  pip install 'onnxruntime-gpu[cuda,cudnn]'"


class OnnxRuntimeSession:
    """A model in onnxruntime on the given execution providers.

    Args:
        model: the ONNX file.
        providers: execution providers; a node runs on the first that takes it.
        device: the GPU that the session uses, if any.
        optimize: whether onnxruntime may rewrite the graph, as it does by default.

    Attributes:
        providers: the names of those that onnxruntime got to work.
        device: as given.
        versions: onnxruntime's version.
    """

    def __init__(
        self, model: Path, providers: Sequence[Provider], device: Device | None = None, optimize: bool = True
    ) -> None:
        self._model, self._providers, self.device = model, list(providers), device
        options = _options()
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = self._open(str(model), options)
        declared = (*self._session.get_inputs(), *self._session.get_outputs())
        self._has_extension_types = any(_element(value.type) in _EXTENSION_TYPES for value in declared)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.versions = {"onnxruntime": onnxruntime.__version__}
        self.providers: list[str] = self._session.get_providers()

    def _open(self, model: str | bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        session = onnxruntime.InferenceSession(model, options, providers=self._providers)
        session.disable_fallback()  # a provider that fails must not be replaced by the CPU unseen
        return session

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs of the model."""
        return self._run(self._session, inputs)

    def layer_times(self, inputs: Sequence[Mapping[str, Array]]) -> list[LayerTime]:
        """Each node's time by onnxruntime's own profiler, in a second session that one run warms up."""
        with scratch_folder() as folder:
            optimized = folder / "optimized.onnx"
            options = _options()
            if _COMPILING_PROVIDER not in self.providers:  # what it compiles cannot be written
                options.optimized_model_filepath = str(optimized)
            options.add_session_config_entry(_TENSORS_FOLDER, str(self._model.parent))
            options.log_severity_level = _ERRORS_ONLY  # it warns that such a file suits this machine only
            options.enable_profiling = True
            options.profile_file_prefix = str(folder / "trace")
            session = self._open(with_names(self._model), options)
            for arrays in (*inputs[:1], *inputs):
                self._run(session, arrays)
            return layer_times(Path(session.end_profiling()), optimized)

    def _run(self, session: onnxruntime.InferenceSession, inputs: Mapping[str, Array]) -> dict[str, Array]:
        results: Sequence[Array]
        if self._has_extension_types:
            values = {name: _to_value(np.ascontiguousarray(array)) for name, array in inputs.items()}
            returned = session.run_with_ort_values(self._outputs, values)
            results = [_to_array(value) for value in returned]
        else:
            results = session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, results, strict=True))


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # Idle threads would otherwise spin, and slow whatever else runs between two calls.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _element(tensor_type: str) -> str:
    """tensor(bfloat16) -> bfloat16"""
    return tensor_type.removeprefix("tensor(").removesuffix(")")


def _to_value(array: Array) -> onnxruntime.OrtValue:
    for number, dtype in _EXTENSION_TYPES.values():
        if array.dtype == dtype:
            bits = array.view(np.dtype(f"u{array.itemsize}"))
            return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, number)
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def _to_array(value: onnxruntime.OrtValue) -> Array:
    name = _element(value.data_type())
    if name not in _EXTENSION_TYPES:
        result: Array = value.numpy()
        return result
    _, dtype = _EXTENSION_TYPES[name]
    shape = tuple(value.shape())
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(ctypes.string_at(value.data_ptr(), nbytes), dtype=dtype).reshape(shape)
