"""The transforms in order."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import MappingProxyType
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass
from rich.console import RenderableType

from normdeploy.budget import budgeted, restart_clock
from normdeploy.choices import Target
from normdeploy.graph.external_data import external_files
from normdeploy.graph.inference import infer
from normdeploy.graph.initializers import free_initializers
from normdeploy.graph.inventory import count_operators
from normdeploy.graph.io import ModelSource, load, save, to_proto
from normdeploy.graph.strict import blames_invalid
from normdeploy.passes.batchnorm import FoldBatchNorm
from normdeploy.passes.fold_constants import FoldConstants
from normdeploy.passes.lower_lrn import LowerLRN
from normdeploy.passes.merge_duplicates import MergeDuplicates
from normdeploy.passes.recover_lrn import RecoverLRN
from normdeploy.passes.remove_identities import RemoveIdentities
from normdeploy.passes.report import OptimizationReport
from normdeploy.passes.resolve_cast_like import ResolveCastLike
from normdeploy.passes.verify import verify_equal
from normdeploy.results import Result

Progress = Callable[[str], None]
"""Called with what is being done from now on: "verifying"."""

_NAMES = ("BatchNorm", "LRN")


def silent(_: str) -> None:
    """Nobody wants to know."""


class Optimized(Result):
    """The result of `optimize`: a rewritten model, and what was done to it.

    Args:
        graph: the model.
        report: what became of each normalization.
        external_data: whether the model's tensors go into a file of their own.
        unverified: outputs without a finite number on the inputs of the verification.
    """

    def __init__(
        self,
        graph: ir.Model,
        report: OptimizationReport,
        *,
        external_data: bool = False,
        unverified: Sequence[str] = (),
    ) -> None:
        self.graph = graph
        self.report = report
        self.unverified = unverified
        self._external_data = external_data

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The model as one message with all of its data.

        Raises:
            ModelError: it is too large for that; `save` takes any size.
        """
        with _garbage_collection_paused():
            return to_proto(self.graph)

    def to_json(self) -> dict[str, Any]:
        """That of the report."""
        return self.report.to_json()

    def __rich__(self) -> RenderableType:
        return self.report.__rich__()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model whole or not at all; tensors go into a file beside it if they were in one before,
        or are too large for one file.

        Raises:
            ModelError: onnx.checker refuses the model.
            UsageError: the file cannot be written.
        """
        save(self.graph, path, external_data=self._external_data)
        if not all(file.exists() for file in external_files(self.graph)):
            self.graph = load(path)  # it took the place of the model that its tensors were read from


@blames_invalid
@budgeted
def optimize(
    model: ModelSource,
    *,
    target: Target = "portable",
    verify: bool = True,
    shapes: Mapping[str, Sequence[int]] = MappingProxyType({}),
    timeout: float | None = None,
    max_memory: float | None = None,
    progress: Progress = silent,
) -> Optimized:
    """Fold BatchNorm, recover LRN and tidy up; the model given is not changed.

    Tensors stay in their files until they are used. A model of IR version 3, which has to list every
    initializer as an input, becomes one of version 4 whose inputs are those that a caller has to give.

    Args:
        model: a path, or a loaded model.
        target: what the result is for.
        verify: whether to compute the model before and after on random inputs, and compare.
        shapes: of inputs whose shape the model leaves open, for `verify`.
        timeout: seconds that rewriting may take, and as many for `verify`; 600 by default.
        max_memory: bytes that this process may take, half of the machine's memory by default.
        progress: is told what is being done.

    Returns:
        The rewritten model, and a report of what became of each BatchNorm and LRN, which it prints as.

    Raises:
        ModelError: not a model that `load` accepts; or the result would differ by more than rounding, cannot
            be computed in the reference, or has no finite number there that could differ.
        BudgetExceeded: it would take, or has taken, more time or memory than it may.
        UsageError, InputError: a shape that does not fit, or one that is missing.

    Example:
        >>> import normdeploy as nd
        >>> result = nd.optimize("models/digits/original.onnx")
        >>> for line in str(result).splitlines()[:7]:
        ...     print(line)
        23 -> 19 nodes, BatchNorm 4 folded, LRN 2 kept
          BatchNorm features.1: folded into features.0
          BatchNorm features.5: folded into features.4
          BatchNorm features.10: folded into features.9
          BatchNorm classifier.2: folded into classifier.1
          LRN features.3: kept: the standard operator
          LRN features.7: kept: the operator within a channel, which carries its body
        >>> len(result.model.graph.node)
        19
    """
    with _garbage_collection_paused():
        progress("reading the model")
        original = load(model)
        external_data = bool(external_files(original))
        graph = original.clone() if verify or isinstance(model, ir.Model) else original
        report = rewrite(graph, target=target, progress=progress)
    unverified: Sequence[str] = ()
    if verify:
        progress("verifying")
        restart_clock()
        unverified = verify_equal(original, graph, shapes)
    return Optimized(graph, report, external_data=external_data, unverified=unverified)


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """A graph is a great many small objects, which the collector would go through again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def rewrite(
    model: ir.Model, *, target: Target = "portable", fold: bool = True, progress: Progress = silent
) -> OptimizationReport:
    """Recover LRN, fold BatchNorm and tidy up in a graph, in place.

    Args:
        model: an inference graph.
        target: what the result is for.
        fold: whether to fold BatchNorm.
        progress: is told the name of each pass before it runs.
    """
    report = OptimizationReport(nodes_before=len(model.graph), operators_before=count_operators(model))
    free_initializers(model)
    progress("inferring shapes")
    infer(model)
    folding, merging = FoldBatchNorm(model), MergeDuplicates()
    recovering = (RemoveIdentities(), ResolveCastLike(), RecoverLRN(report, target), RemoveUnusedNodesPass())
    tidying = (*([folding] if fold else []), FoldConstants(), RemoveUnusedNodesPass())
    _run((*recovering, LowerLRN(target, report), *tidying), model, progress)
    while _run([merging], model, progress):  # one node where there were two: what it reads may take up a map
        _run(tidying, model, progress)
    if fold:
        report.batchnorm = folding.records()
    report.nodes_after = len(model.graph)
    report.operators_after = count_operators(model)
    return report


def _run(passes: Iterable[ir.passes.PassBase], model: ir.Model, progress: Progress) -> bool:
    """Whether one of the passes has changed the model."""
    modified = False
    for transform in passes:
        progress(f"rewriting: {_words(type(transform).__name__)}")
        modified |= transform(model).modified
    return modified


def _words(name: str) -> str:
    """FoldBatchNorm -> fold BatchNorm."""
    verb, *rest = re.findall(r"^[A-Z][a-z]+|.+", name.removesuffix("Pass"))
    return " ".join([verb.lower(), *(word if word in _NAMES else word.lower() for word in rest)])
