"""Running a model in TensorRT or TensorRT-RTX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normdeploy.backends.cuda import CudaError, Gpu
from normdeploy.backends.device import Device
from normdeploy.backends.session import LayerTime
from normdeploy.backends.tensorrt.engine import build_engine, deserialize
from normdeploy.backends.tensorrt.execution import BoundExecution, Phases
from normdeploy.backends.tensorrt.layers import layer_recorder, layer_times
from normdeploy.backends.tensorrt.libraries import LIBRARIES, Library
from normdeploy.backends.tensorrt.model import ParsedModel, as_dtype, dtype_of
from normdeploy.dtypes import Array
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
        self.device = Device(self._gpu)
        self._plugins = plugins
        with self.device.at_work():
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
        self._bound: BoundExecution | None = None
        static = {name: tuple(tensor.shape) for name, tensor in self._model.inputs.items()}
        if not any(-1 in shape for shape in static.values()):
            with self.device.at_work():
                self._bound = self._prepare(static)

    @property
    def cuda_graph(self) -> bool:
        """Whether `run_phases` launches the computation as a CUDA graph."""
        return self._bound is not None and self._bound.has_graph

    @property
    def cuda_graph_refusal(self) -> str:
        """Why the computation could not be captured, if so."""
        return self._bound.graph_refusal if self._bound is not None else ""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs of the model."""
        bound, arrays = self._bind(inputs)
        outputs, _ = bound.run(arrays, with_graph=False)
        return outputs

    def run_phases(self, inputs: Mapping[str, Array]) -> Phases:
        """Run once, as a CUDA graph where it can be captured: milliseconds of each phase."""
        bound, arrays = self._bind(inputs)
        if not bound.has_graph and not bound.graph_refusal:
            bound.run(arrays, with_graph=False)
            bound.try_graph()
        _, phases = bound.run(arrays, with_graph=True)
        return phases

    def layer_times(self, inputs: Sequence[Mapping[str, Array]]) -> list[LayerTime]:
        """Each layer's time by TensorRT's own profiler, which slows this session from then on."""
        bound, _ = self._bind(inputs[0])
        recorder = layer_recorder(self._model.trt)
        self.run(inputs[0])
        bound.context.profiler = recorder
        for arrays in inputs:
            self.run(arrays)
        return layer_times(recorder.total_ms, len(inputs))

    def _bind(self, inputs: Mapping[str, Array]) -> tuple[BoundExecution, dict[str, Array]]:
        """A context for these inputs' shapes, and the inputs in the engine's types."""
        arrays = {name: as_dtype(inputs[name], self._dtypes[name], name) for name in self._model.inputs}
        shapes = {name: array.shape for name, array in arrays.items()}
        if self._bound is None or shapes != self._shapes:
            self._bound = self._prepare(shapes)
        return self._bound, arrays

    def _prepare(self, shapes: Mapping[str, tuple[int, ...]]) -> BoundExecution:
        """Make an engine for exactly these shapes, and a context of it in the place of the last one."""
        model = self._model
        if self._bound is not None:
            self._bound.close()
        self._bound, self._shapes = None, dict(shapes)
        exact = {name: (shape, shape, shape) for name, shape in shapes.items()}
        engine = deserialize(model.trt, build_engine(model, exact).plan, model.messages, self._plugins)
        context = engine.create_execution_context()
        if context is None:
            raise RuntimeError(f"the engine gives no context: {model.messages.reason}")
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise RuntimeError(f"input '{name}' of shape {shape} is refused: {model.messages.reason}")
        return BoundExecution(
            self._gpu,
            context,
            {name: (shape, self._dtypes[name]) for name, shape in shapes.items()},
            {name: (_fixed_shape(context, name), self._dtypes[name]) for name in model.outputs},
            model.messages,
        )


def _fixed_shape(context: Any, name: str) -> tuple[int, ...]:
    shape = tuple(context.get_tensor_shape(name))
    if -1 in shape:
        raise ModelError(f"output '{name}' has a shape that depends on the data, which is not supported")
    return shape
