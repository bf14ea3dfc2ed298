"""onnxruntime. The only module that imports it; its execution providers share everything here."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np

from normdeploy.backends.base import Array, LayerTime
from normdeploy.backends.onnxruntime_layers import layer_times
from normdeploy.errors import MissingDependencyError

try:
    import onnxruntime
except ImportError as error:
    raise MissingDependencyError("onnxruntime", "cpu") from error

_ERRORS_ONLY = 3

_EXTENSION_TYPES = {
    "bfloat16": (16, ml_dtypes.bfloat16),
    "float8e4m3fn": (17, ml_dtypes.float8_e4m3fn),
    "float8e4m3fnuz": (18, ml_dtypes.float8_e4m3fnuz),
    "float8e5m2": (19, ml_dtypes.float8_e5m2),
    "float8e5m2fnuz": (20, ml_dtypes.float8_e5m2fnuz),
}
"""ONNX types that NumPy lacks: onnxruntime's name -> (TensorProto's number, type)."""


def open_cpu(model: Path) -> OnnxRuntimeSession:
    """A session on the CPU."""
    return OnnxRuntimeSession(model, ["CPUExecutionProvider"])


class OnnxRuntimeSession:
    """A model in onnxruntime, with its default optimizations, on the given execution providers."""

    def __init__(self, model: Path, providers: Sequence[str]) -> None:
        self._model, self._providers = model, list(providers)
        self._session = self._open(_options())
        declared = (*self._session.get_inputs(), *self._session.get_outputs())
        self._has_extension_types = any(_element(value.type) in _EXTENSION_TYPES for value in declared)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.versions = {"onnxruntime": onnxruntime.__version__}

    def _open(self, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(str(self._model), options, providers=self._providers)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs of the model."""
        return self._run(self._session, inputs)

    def layer_times(self, inputs: Sequence[Mapping[str, Array]]) -> list[LayerTime]:
        """Each node's time by onnxruntime's own profiler, in a second session; the first run warms it up."""
        with tempfile.TemporaryDirectory(prefix="normdeploy-") as folder:
            optimized = Path(folder) / "optimized.onnx"
            options = _options()
            options.optimized_model_filepath = str(optimized)
            options.log_severity_level = _ERRORS_ONLY  # it warns that such a file suits this machine only
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "trace")
            session = self._open(options)
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
