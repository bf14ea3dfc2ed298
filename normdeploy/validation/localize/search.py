"""The first wrong node: of the deployed graph itself, or else of the backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.validation.localize.attempts import remarked
from normdeploy.validation.localize.execution import Progress, RunModel
from normdeploy.validation.localize.in_backend import localize_in_backend
from normdeploy.validation.localize.in_graph import localize_in_graph
from normdeploy.validation.localize.judging import Judgement
from normdeploy.validation.localize.result import Localization


def localize_graphs(
    deployed: ir.Model,
    original: ir.Model,
    inputs: Mapping[str, Array],
    judgement: Judgement,
    progress: Progress | None = None,
) -> Localization:
    """Search the deployed graph alone, against the original; see `search_divergence`."""
    remarks: list[str] = []
    with remarked("the two graphs were not compared tensor by tensor", remarks):
        return localize_in_graph(deployed, original, inputs, judgement, progress)
    return Localization(None, remarks=remarks)


def search_divergence(
    deployed: ir.Model,
    original: ir.Model,
    inputs: Mapping[str, Array],
    run: RunModel,
    judgement: Judgement,
    progress: Progress | None = None,
) -> Localization:
    """Search the graph first, if it has an original of its own, and the backend if the graph is right.

    Nothing that fails on the way is raised: a remark of the result says what could not be searched.

    Args:
        deployed: the model that the backend gets wrong; its types have been inferred.
        original: the model that is right, often the same object.
        inputs: of both, on which the backend is wrong.
        run: runs submodels of the deployed model in the backend.
        judgement: judges tensors.
        progress: is told how many nodes have been looked at.
    """
    remarks: list[str] = []
    if original is not deployed:
        found = localize_graphs(deployed, original, inputs, judgement, progress)
        if found.first is not None:
            return found
        remarks += found.remarks
    found = Localization(None)
    with remarked("no node was searched", remarks):
        found = localize_in_backend(deployed, inputs, run, judgement, progress)
    return replace(found, remarks=[*remarks, *found.remarks])
