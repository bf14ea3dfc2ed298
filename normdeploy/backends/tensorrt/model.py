"""An ONNX model as a TensorRT network, and the types of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx

from normdeploy.backends.tensorrt.libraries import Library
from normdeploy.backends.tensorrt.messages import Messages
from normdeploy.backends.tensorrt.plugins import load_plugins, prefer_plugins
from normdeploy.dtypes import Array
from normdeploy.errors import BackendUnavailable, ModelError
from normdeploy.plugin.library import PluginOperator

_DTYPES: Mapping[str, Any] = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "FP8": ml_dtypes.float8_e4m3fn,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
"""TensorRT's name of an element type -> NumPy's type. Its 4-bit types have none."""

_ASSERTION = re.compile(r'^\w+ && "(.*)"$')
_REJECTED_NODE = re.compile(r"^Invalid Node - .*$")


class ParsedModel:
    """An ONNX model as a network, strongly typed: every layer computes in the types that the model says.

    Args:
        library: TensorRT or TensorRT-RTX.
        trt: its Python module.
        path: the ONNX file.
        plugins: plugin libraries, whose operators replace the model's functions of the same names.

    Attributes:
        builder, network: TensorRT's `IBuilder` and `INetworkDefinition`.
        messages: TensorRT's log.
        plugins: the operators of plugins that the model uses.

    Raises:
        ModelError: the parser refuses the model; the message names the node.
        BackendUnavailable: TensorRT gives no builder on this machine, or a plugin library does not load.
    """

    def __init__(self, library: Library, trt: Any, path: Path, plugins: Sequence[Path]) -> None:
        self.trt = trt
        self.library = library
        self.messages = Messages(trt)
        try:
            self.builder = trt.Builder(self.messages.logger)
        except TypeError as error:  # what the bindings make of a null pointer
            raise BackendUnavailable(f"there is no builder: {self.messages.reason}") from error
        strongly_typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        self.network = self.builder.create_network(strongly_typed)
        self._parser = trt.OnnxParser(self.network, self.messages.logger)  # the network's weights are its
        self.plugins: list[PluginOperator] = []
        if not self._parse(path, plugins):
            raise ModelError(f"the parser refuses {self._refusal()}")
        for name, tensor in self.inputs.items():
            if tensor.is_shape_tensor:
                raise ModelError(f"input '{name}' decides shapes by its values, which is not supported")

    def _parse(self, path: Path, plugins: Sequence[Path]) -> bool:
        if not plugins or not self.library.takes_plugins:
            return bool(self._parser.parse_from_file(str(path)))
        operators = load_plugins(self.builder.get_plugin_registry(), plugins, self.messages)
        proto = onnx.load(path, load_external_data=False)
        self.plugins = prefer_plugins(proto, operators)
        return bool(self._parser.parse(proto.SerializeToString(), str(path)))

    def _refusal(self) -> str:
        """The node that the parser refuses, and why, in one line."""
        if self._parser.num_errors == 0:
            return f"the model: {self.messages.reason}"
        error = self._parser.get_error(0)
        lines = [line for line in error.desc().splitlines() if not _REJECTED_NODE.match(line)]
        reason = _ASSERTION.sub(r"\1", lines[0]) if lines else "no reason is given"
        if reason == "false":  # a check of the parser's that has no text
            reason = "not supported"
        callers = "".join(f" in {caller}" for caller in error.local_function_stack())
        where = f"node '{error.node_name()}' ({error.node_operator()}){callers}"
        advice = ": run  normdeploy optimize --target tensorrt" if error.node_operator() == "LRN" else ""
        return f"{where}: {reason}{advice}"

    @property
    def inputs(self) -> dict[str, Any]:
        """TensorRT's input tensors by name; a size that the model leaves open is -1 in their shapes."""
        return _by_name(self.network.get_input(index) for index in range(self.network.num_inputs))

    @property
    def outputs(self) -> dict[str, Any]:
        """TensorRT's output tensors by name."""
        return _by_name(self.network.get_output(index) for index in range(self.network.num_outputs))

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Every layer of the network: name, type, the ONNX node that it comes from, types of its outputs."""
        layers = (self.network.get_layer(index) for index in range(self.network.num_layers))
        return [
            {
                "name": layer.name,
                "type": layer.type.name,
                "origin": layer.metadata,
                "datatypes": [layer.get_output(index).dtype.name for index in range(layer.num_outputs)],
            }
            for layer in layers
        ]


def dtype_of(tensor_type: Any, name: str) -> np.dtype[Any]:
    """NumPy's element type for TensorRT's.

    Args:
        tensor_type: TensorRT's `DataType`.
        name: the tensor's, for the error.

    Raises:
        ModelError: NumPy has none for it.
    """
    if tensor_type.name not in _DTYPES:
        raise ModelError(f"tensor '{name}' is {tensor_type.name}, which arrays cannot hold")
    dtype: np.dtype[Any] = np.dtype(_DTYPES[tensor_type.name])
    return dtype


def as_dtype(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    """The array in the engine's type and contiguous; TensorRT lacks some types, such as float64.

    Args:
        array: an input of the model.
        dtype: the engine's type of it.
        name: the input's, for the error.

    Raises:
        ModelError: a value would change by more than rounding.
    """
    converted = np.ascontiguousarray(array, dtype=dtype)
    if dtype.kind in "iub" and (converted != array).any():
        raise ModelError(f"input '{name}' has values that {dtype} cannot hold")
    return converted


def _by_name(tensors: Any) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in tensors}
