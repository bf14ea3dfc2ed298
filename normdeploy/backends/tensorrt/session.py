"""Running a model in TensorRT or TensorRT-RTX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from normdeploy.backends.base import Array, LayerTime
from normdeploy.backends.cuda import CudaError, Gpu
from normdeploy.backends.tensorrt.engine import build_engine, deserialize
from normdeploy.backends.tensorrt.layers import layer_recorder, layer_times
from normdeploy.backends.tensorrt.libraries import LIBRARIES, Library
from normdeploy.backends.tensorrt.model import ParsedModel, as_dtype, dtype_of
from normdeploy.errors import BackendUnavailable, ModelError


def open_tensorrt(model: Path, plugins: Sequence[str] = ()) -> TensorRtSession:
    """A session in TensorRT; the libraries' plugins replace the model's functions of the same names."""
    return TensorRtSession(LIBRARIES["tensorrt"], model, [Path(plugin) for plugin in plugins])


def open_tensorrt_rtx(model: Path) -> TensorRtSession:
    """A session in TensorRT-RTX."""
    return TensorRtSession(LIBRARIES["tensorrt-rtx"], model, [])


class TensorRtSession:
    """A model on the first GPU, in an engine for the shapes that come; other shapes get a new engine.

    Raises:
        MissingDependencyError, BackendUnavailable: it cannot work on this machine.
        ModelError: the parser refuses the model.
        RuntimeError: no engine can be built.
    """

    def __init__(self, library: Library, model: Path, plugins: Sequence[Path]) -> None:
        trt = library.load()
        try:
            self._gpu = Gpu()
        except CudaError as error:
            raise BackendUnavailable(str(error)) from error
        self._plugins = plugins
        self._model = ParsedModel(library, trt, model, plugins)
        self._dtypes = {
            name: dtype_of(tensor.dtype, name)
            for name, tensor in (*self._model.inputs.items(), *self._model.outputs.items())
        }
        self.versions = {
            library.name: trt.__version__,
            "driver's CUDA": self._gpu.driver_version,
            "GPU": self._gpu.name,
        }
        self._shapes: dict[str, tuple[int, ...]] | None = None
        self._context: Any = None
        static = {name: tuple(tensor.shape) for name, tensor in self._model.inputs.items()}
        if not any(-1 in shape for shape in static.values()):
            self._prepare(static)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs of the model."""
        outputs, _ = self._run(inputs)
        return outputs

    def run_phases(self, inputs: Mapping[str, Array]) -> tuple[float, float, float]:
        """Run once: milliseconds from host to device, computing, and back, by CUDA's events."""
        _, phases = self._run(inputs)
        return phases

    def layer_times(self, inputs: Sequence[Mapping[str, Array]]) -> list[LayerTime]:
        """Each layer's time by TensorRT's own profiler, which slows this session from then on."""
        self.run(inputs[0])
        recorder = layer_recorder(self._model.trt)
        self._context.profiler = recorder
        for arrays in inputs:
            self.run(arrays)
        return layer_times(recorder.total_ms, len(inputs))

    def _run(self, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[float, float, float]]:
        arrays = {name: as_dtype(inputs[name], self._dtypes[name], name) for name in self._model.inputs}
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes != self._shapes:
            self._prepare(shapes)
        gpu, context, messages = self._gpu, self._context, self._model.messages
        outputs = {
            name: np.empty(self._output_shape(name), self._dtypes[name]) for name in self._model.outputs
        }
        with ExitStack() as stack:
            addresses = {
                name: stack.enter_context(gpu.memory(array.nbytes))
                for name, array in (*arrays.items(), *outputs.items())
            }
            for name, address in addresses.items():
                if not context.set_tensor_address(name, address):
                    raise RuntimeError(f"tensor '{name}' takes no address: {messages.reason}")
            begun, uploaded, computed, downloaded = stack.enter_context(gpu.events(4))
            gpu.record(begun)
            for name, array in arrays.items():
                gpu.upload(array, addresses[name])
            gpu.record(uploaded)
            if not context.execute_async_v3(gpu.stream):
                raise RuntimeError(f"running the engine fails: {messages.reason}")
            gpu.record(computed)
            for name, array in outputs.items():
                gpu.download(addresses[name], array)
            gpu.record(downloaded)
            gpu.synchronize()
            phases = (
                gpu.milliseconds(begun, uploaded),
                gpu.milliseconds(uploaded, computed),
                gpu.milliseconds(computed, downloaded),
            )
        return outputs, phases

    def _prepare(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Make an engine for exactly these shapes, and a context of it."""
        model = self._model
        self._shapes = self._context = None
        exact = {name: (shape, shape, shape) for name, shape in shapes.items()}
        engine = deserialize(model.trt, build_engine(model, exact).plan, model.messages, self._plugins)
        context = engine.create_execution_context()
        if context is None:
            raise RuntimeError(f"the engine gives no context: {model.messages.reason}")
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise RuntimeError(f"input '{name}' of shape {shape} is refused: {model.messages.reason}")
        self._context, self._shapes = context, dict(shapes)

    def _output_shape(self, name: str) -> tuple[int, ...]:
        shape = tuple(self._context.get_tensor_shape(name))
        if -1 in shape:
            raise ModelError(f"output '{name}' has a shape that depends on the data, which is not supported")
        return shape
