"""The sessions of the backends `tensorrt` and `tensorrt-rtx`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normdeploy.backends.cuda import CudaError, Gpu
from normdeploy.backends.device import Device
from normdeploy.backends.session import LayerTime
from normdeploy.backends.tensorrt.engine import ShapeRange, build_engine, deserialize
from normdeploy.backends.tensorrt.execution import Execution, Phases
from normdeploy.backends.tensorrt.layers import layer_recorder, layer_times
from normdeploy.backends.tensorrt.libraries import LIBRARIES, Library
from normdeploy.backends.tensorrt.model import ParsedModel, as_dtype, dtype_of
from normdeploy.dtypes import Array
from normdeploy.errors import BackendCrashed, BackendUnavailable, ModelError


def open_tensorrt(
    model: Path, plugins: Sequence[str] = (), shapes: Mapping[str, ShapeRange] | None = None
) -> TensorRtSession:
    """A session in TensorRT.

    Args:
        model: the ONNX file.
        plugins: plugin libraries, whose operators replace the model's functions of the same names.
        shapes: see `TensorRtSession`.

    Raises:
        MissingDependencyError, BackendUnavailable, ModelError, BackendCrashed: see `TensorRtSession`.
    """
    return TensorRtSession(LIBRARIES["tensorrt"], model, [Path(plugin) for plugin in plugins], shapes)


def open_tensorrt_rtx(model: Path, shapes: Mapping[str, ShapeRange] | None = None) -> TensorRtSession:
    """A session in TensorRT-RTX.

    Args:
        model: the ONNX file.
        shapes: see `TensorRtSession`.

    Raises:
        MissingDependencyError, BackendUnavailable, ModelError, BackendCrashed: see `TensorRtSession`.
    """
    return TensorRtSession(LIBRARIES["tensorrt-rtx"], model, [], shapes)


class TensorRtSession:
    """A model on the first GPU, in an engine for exactly the shapes of its inputs.

    Inputs of other shapes than before get a new engine, which takes the place of the last one; unless ranges
    of shapes are given: then one engine and one context serve all of them, as a deployment has it.

    Args:
        library: TensorRT or TensorRT-RTX.
        model: the ONNX file.
        plugins: plugin libraries, whose operators replace the model's functions of the same names.
        shapes: the range of shapes of each input whose shape is open; None for engines of one shape.

    Raises:
        MissingDependencyError, BackendUnavailable: it cannot work on this machine.
        ModelError: the parser refuses the model.
        BackendCrashed: no engine can be built.
    """

    def __init__(
        self,
        library: Library,
        model: Path,
        plugins: Sequence[Path],
        shapes: Mapping[str, ShapeRange] | None = None,
    ) -> None:
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
        self._ranges = shapes
        self._context: Any = None
        self._shapes: dict[str, tuple[int, ...]] | None = None
        self._execution: Execution | None = None
        static = {name: tuple(tensor.shape) for name, tensor in self._model.inputs.items()}
        if not any(-1 in shape for shape in static.values()):
            with self.device.at_work():
                self._execution = self._build(static)

    @property
    def cuda_graph(self) -> bool:
        """Whether `run_phases` launches the computation as a captured CUDA graph."""
        return self._execution is not None and self._execution.has_graph

    @property
    def cuda_graph_refusal(self) -> str:
        """Why the computation could not be captured; empty if it was, or if nobody has tried yet."""
        return self._execution.graph_refusal if self._execution is not None else ""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs of the model."""
        execution, arrays = self._prepare(inputs)
        outputs, _ = execution.run(arrays, with_graph=False)
        return outputs

    def run_phases(self, inputs: Mapping[str, Array]) -> Phases:
        """Run once, as a CUDA graph if it can be captured, and give the milliseconds of each phase."""
        execution, arrays = self._prepare(inputs)
        if not execution.has_graph and not execution.graph_refusal:
            execution.run(arrays, with_graph=False)
            execution.try_graph()
        _, phases = execution.run(arrays, with_graph=True)
        return phases

    def layer_times(self, inputs: Sequence[Mapping[str, Array]]) -> list[LayerTime]:
        """Each layer's time by TensorRT's own profiler, which slows this session from then on."""
        execution, _ = self._prepare(inputs[0])
        recorder = layer_recorder(self._model.trt)
        self.run(inputs[0])
        execution.context.profiler = recorder
        for arrays in inputs:
            self.run(arrays)
        return layer_times(recorder.total_ms, len(inputs))

    def _prepare(self, inputs: Mapping[str, Array]) -> tuple[Execution, dict[str, Array]]:
        """An execution for the inputs' shapes, and the inputs in the engine's types."""
        arrays = {name: as_dtype(inputs[name], self._dtypes[name], name) for name in self._model.inputs}
        shapes = {name: array.shape for name, array in arrays.items()}
        if self._execution is None or shapes != self._shapes:
            self._execution = self._build(shapes)
        return self._execution, arrays

    def _build(self, shapes: Mapping[str, tuple[int, ...]]) -> Execution:
        """Memory for these shapes in the place of the last, and an engine for them if there is none."""
        model = self._model
        if self._execution is not None:
            self._execution.close()
        self._execution, self._shapes = None, dict(shapes)
        if self._ranges is None:
            self._context = None
        if self._context is None:
            exact = {name: (shape, shape, shape) for name, shape in shapes.items()}
            self._context = self._new_context(self._ranges or exact)
        context = self._context
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise BackendCrashed(f"input '{name}' of shape {shape} is refused: {model.messages.reason}")
        return Execution(
            self._gpu,
            context,
            {name: (shape, self._dtypes[name]) for name, shape in shapes.items()},
            {name: (_fixed_shape(context, name), self._dtypes[name]) for name in model.outputs},
            model.messages,
        )

    def _new_context(self, ranges: Mapping[str, ShapeRange]) -> Any:
        """TensorRT's `IExecutionContext` of a new engine."""
        model = self._model
        engine = deserialize(model.trt, build_engine(model, ranges).plan, model.messages, self._plugins)
        context = engine.create_execution_context()
        if context is None:
            raise BackendCrashed(f"the engine gives no context: {model.messages.reason}")
        return context


def _fixed_shape(context: Any, name: str) -> tuple[int, ...]:
    shape = tuple(context.get_tensor_shape(name))
    if -1 in shape:
        raise ModelError(f"output '{name}' has a shape that depends on the data, which is not supported")
    return shape
