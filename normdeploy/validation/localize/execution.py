"""How a search runs submodels in a backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir

from normdeploy.backends.catalog import Backend
from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import BackendCrashed, ModelError
from normdeploy.files import scratch_folder
from normdeploy.graph.io import save
from normdeploy.validation.localize.submodels import Submodel

Arrays = Mapping[str, Array]

RunModel = Callable[[ir.Model, Arrays], Arrays]
"""Called with a model and its inputs; gives its outputs. Raises BackendFailure, or ModelError where the model
cannot be written."""

Progress = Callable[[int, int | None], None]
"""Called with the number of nodes that have been looked at, and of all."""


def runner(backend: Backend, timeout: float) -> RunModel:
    """Runs models in a backend, each in a process of its own.

    Args:
        backend: which one.
        timeout: seconds that it may take to load a model, and to run it.
    """

    def run(model: ir.Model, inputs: Arrays) -> Arrays:
        restart_clock()
        with scratch_folder() as folder:
            path = folder / "submodel.onnx"
            try:
                save(model, path)
            except ModelError as error:  # without the name of a file that nobody will find
                raise type(error)(str(error).removeprefix(f"{path}: ")) from error
            with backend.start(path, timeout) as session:
                session.ready()
                return session.run(inputs)

    return run


def outputs_of(part: Submodel, given: Arrays) -> Arrays:
    """What a backend gave, in the order of a part's outputs.

    Raises:
        BackendCrashed: an output is missing.
    """
    missing = [name for name in part.outputs if name not in given]
    if missing:
        raise BackendCrashed(f"it gave no output '{missing[0]}'")
    return {name: given[name] for name in part.outputs}
