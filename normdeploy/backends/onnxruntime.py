"""onnxruntime. The only module that imports it; its execution providers share everything here."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np

from normdeploy.backends.base import Array
from normdeploy.errors import MissingDependencyError

try:
    import onnxruntime
except ImportError as error:
    raise MissingDependencyError("onnxruntime", "cpu") from error

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
        options = onnxruntime.SessionOptions()
        # Idle threads would otherwise spin, and slow whatever else runs between two calls.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=list(providers))
        declared = (*self._session.get_inputs(), *self._session.get_outputs())
        self._has_extension_types = any(_element(value.type) in _EXTENSION_TYPES for value in declared)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.versions = {"onnxruntime": onnxruntime.__version__}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs of the model."""
        results: Sequence[Array]
        if self._has_extension_types:
            values = {name: _to_value(np.ascontiguousarray(array)) for name, array in inputs.items()}
            returned = self._session.run_with_ort_values(self._outputs, values)
            results = [_to_array(value) for value in returned]
        else:
            results = self._session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, results, strict=True))


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
