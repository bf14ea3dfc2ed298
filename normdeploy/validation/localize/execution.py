"""How a search runs submodels in a backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir

from normdeploy.backends.catalog import Backend
from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.files import scratch_folder
from normdeploy.graph.io import save

Arrays = Mapping[str, Array]

RunModel = Callable[[ir.Model, Arrays], Arrays]
"""Called with a model and its inputs; gives its outputs. Raises BackendFailure."""


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
            save(model, path)
            with backend.start(path, timeout) as session:
                session.ready()
                return session.run(inputs)

    return run
