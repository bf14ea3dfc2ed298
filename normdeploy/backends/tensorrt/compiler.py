"""The worker's side of `normdeploy build`: parses a model, and builds its engine into a file when run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normdeploy.backends.cuda import CudaError, Gpu
from normdeploy.backends.tensorrt.engine import ShapeRange, build_engine
from normdeploy.backends.tensorrt.libraries import LIBRARIES
from normdeploy.backends.tensorrt.model import ParsedModel
from normdeploy.dtypes import Array
from normdeploy.errors import BackendUnavailable

DESCRIPTION = "description"
"""The one output of a compiler: JSON text."""


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
        library: name of the one to build with.
        engine: the file to write.
        shapes: of each input whose shape the model leaves open.
        plugins: libraries whose operators replace the model's functions.
        timing_cache: a file to read, if it is there, and one to write; or nothing.
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
    """A `Session` that takes no inputs and describes the engine that it built."""

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

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Build the engine, write its file, and describe it."""
        cache = None
        if self._timing_cache:
            earlier, _ = self._timing_cache
            cache = earlier.read_bytes() if earlier.is_file() else b""
        built = build_engine(self._model, self._shapes, cache)
        self._engine.write_bytes(built.plan)
        if self._timing_cache and built.timing_cache is not None:
            _, later = self._timing_cache
            later.write_bytes(built.timing_cache)
        return {DESCRIPTION: np.array(json.dumps(self._description()), dtype=object)}

    def _description(self) -> dict[str, Any]:
        model = self._model
        return {
            "inputs": [_described(tensor, self._shapes) for tensor in model.inputs.values()],
            "outputs": [_described(tensor, {}) for tensor in model.outputs.values()],
            "plugins": [vars(operator) for operator in model.plugins],
            "network": model.layers,
            "engine": model.messages.plan,
        }


def _described(tensor: Any, shapes: Mapping[str, ShapeRange]) -> dict[str, Any]:
    shape = [size if size >= 0 else None for size in tensor.shape]
    described = {"name": tensor.name, "dtype": tensor.dtype.name, "shape": shape}
    if None in shape and tensor.name in shapes:
        described |= dict(zip(("min", "opt", "max"), map(list, shapes[tensor.name]), strict=True))
    return described
