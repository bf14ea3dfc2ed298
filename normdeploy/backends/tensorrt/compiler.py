"""Building the engine of one model, in the worker process of `normdeploy build`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from normdeploy.backends.cuda import CudaError, Gpu
from normdeploy.backends.tensorrt.engine import ShapeRange, build_engine
from normdeploy.backends.tensorrt.libraries import LIBRARIES
from normdeploy.backends.tensorrt.model import ParsedModel
from normdeploy.errors import BackendUnavailable


def open_compiler(
    model: Path,
    library: str,
    engine: str,
    shapes: Mapping[str, ShapeRange],
    plugins: Sequence[str],
    timing_cache: Sequence[str],
) -> Compiler:
    """A compiler for one model.

    Args:
        model: the ONNX file.
        library: name of the library to build with, as in `LIBRARIES`.
        engine: the file to write.
        shapes: the smallest, best and largest shape of each input whose shape the model leaves open.
        plugins: plugin libraries, whose operators replace the model's functions of the same names.
        timing_cache: a file to read, if it is there, and one to write; empty to keep no timing cache.

    Raises:
        MissingDependencyError, BackendUnavailable: the library cannot build on this machine.
        ModelError: its parser refuses the model.
    """
    return Compiler(
        model,
        library,
        Path(engine),
        shapes,
        [Path(plugin) for plugin in plugins],
        [Path(file) for file in timing_cache],
    )


class Compiler:
    """An `EngineBuilder`; takes the arguments of `open_compiler`."""

    def __init__(
        self,
        model: Path,
        library: str,
        engine: Path,
        shapes: Mapping[str, ShapeRange],
        plugins: Sequence[Path],
        timing_cache: Sequence[Path],
    ) -> None:
        self._library = LIBRARIES[library]
        trt = self._library.load()
        self.versions = {library: trt.__version__}
        if not self._library.builds_without_gpu:
            try:
                gpu = Gpu()
            except CudaError as error:
                raise BackendUnavailable(str(error)) from error
            self.versions |= {"driver's CUDA": gpu.driver_version, "GPU": gpu.name}
        self._model = ParsedModel(self._library, trt, model, plugins)
        self._engine, self._shapes, self._timing_cache = engine, shapes, timing_cache

    def build(self) -> dict[str, Any]:
        """Build the engine, write its file and the timing cache's, and describe the engine.

        Returns:
            inputs, outputs: name, dtype and shape of each tensor, with its range where the shape is open.
            plugins: the operators that plugins compute.
            network: the layers as parsed, see `ParsedModel.layers`.
            engine: the engine's layers, see `Messages.engine_layers`.

        Raises:
            ModelError: an input does not take its shapes.
            BackendUnavailable: the timing cache comes from elsewhere.
            BackendCrashed: the library gives no engine.
        """
        cache = None
        if self._timing_cache:
            earlier, _ = self._timing_cache
            cache = earlier.read_bytes() if earlier.is_file() else b""
        built = build_engine(self._model, self._shapes, cache)
        self._engine.write_bytes(built.plan)
        if self._timing_cache and built.timing_cache is not None:
            _, later = self._timing_cache
            later.write_bytes(built.timing_cache)
        model = self._model
        return {
            "inputs": [_described(tensor, self._shapes) for tensor in model.inputs.values()],
            "outputs": [_described(tensor, {}) for tensor in model.outputs.values()],
            "plugins": [asdict(operator) for operator in model.plugins],
            "network": model.layers,
            "engine": model.messages.engine_layers,
        }


def _described(tensor: Any, shapes: Mapping[str, ShapeRange]) -> dict[str, Any]:
    """Name, dtype and shape of a TensorRT tensor; null is an open size, whose range is min to max."""
    shape = [size if size >= 0 else None for size in tensor.shape]
    described = {"name": tensor.name, "dtype": tensor.dtype.name, "shape": shape}
    if None in shape and tensor.name in shapes:
        described |= dict(zip(("min", "opt", "max"), map(list, shapes[tensor.name]), strict=True))
    return described
