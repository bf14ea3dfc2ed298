"""The first wrong node: of the deployed graph itself, or else of the backend."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.validation.localize.execution import RunModel
from normdeploy.validation.localize.in_backend import localize_in_backend
from normdeploy.validation.localize.in_graph import localize_in_graph
from normdeploy.validation.localize.judging import CompareTensors
from normdeploy.validation.localize.result import Localization


def search_divergence(
    deployed: ir.Model,
    original: ir.Model,
    inputs: Mapping[str, Array],
    run: RunModel,
    compare: CompareTensors,
) -> Localization:
    """Search the graph first, if it has an original of its own, and the backend if the graph is right.

    Args:
        deployed: the model that the backend gets wrong; its types have been inferred.
        original: the model that is right, often the same object.
        inputs: of both, on which the backend is wrong.
        run: runs submodels of the deployed model in the backend.
        compare: judges tensors.
    """
    if original is not deployed:
        found = localize_in_graph(deployed, original, inputs, compare)
        if found.first is not None:
            return found
    return localize_in_backend(deployed, inputs, run, compare)
