"""The first node of a deployed graph that does not compute what the original does, both in float64.

The tensors that both graphs compute by name are compared, constants aside: a weight that differs is an error
of the nodes that use it, not of an Identity or a Transpose that hands it on. A tensor of the same name may
mean something else after an optimization (a convolution with a BatchNorm folded into it). So the search goes
backwards from outputs that differ, through tensors that differ: a tensor on which no wrong output depends is
no error.

Each graph is computed once to see which tensors differ at all. Only these are judged, since each judgement
takes several disturbed runs; and where they are too many to be held at once, some that are spread over the
graph come first, then those around the place where the error begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.folded_constants import as_stored
from normdeploy.validation.localize.differences import Differences, differences
from normdeploy.validation.localize.execution import Progress
from normdeploy.validation.localize.judging import Judgement
from normdeploy.validation.localize.result import Divergence, Localization, NodeError
from normdeploy.validation.localize.submodels import CHUNK_BYTES, tensors_read, with_outputs


def localize_in_graph(
    deployed: ir.Model,
    original: ir.Model,
    inputs: Mapping[str, Array],
    judgement: Judgement,
    progress: Progress | None = None,
) -> Localization:
    """Compare the tensors that two graphs have in common, and name the first that is wrong.

    Args:
        deployed: the model whose node is named; its types have been inferred.
        original: the model that is right.
        inputs: of both.
        judgement: judges what the reference computes of the deployed graph by what it does of the original.
        progress: is told how many of the tensors have been looked at.

    Raises:
        NormdeployError: the reference cannot compute one of the graphs.
    """
    computed_by = producers(deployed)
    common = common_tensors(deployed, original)
    tell = progress or (lambda done, total: None)
    right = as_stored(original, deployed)
    found = differences(Evaluator(deployed), Evaluator(right), inputs, common, CHUNK_BYTES)
    search = _Backwards(deployed, computed_by, found)
    waiting = search.begin(CHUNK_BYTES)
    while waiting:
        restart_clock()
        model = with_outputs(deployed, waiting)
        judge = judgement(model, right, inputs)
        search.judged.update({name: judge.compare_graph(name) for name in waiting})
        waiting = search.undecided(CHUNK_BYTES)
        tell(len(common) - len(found.differing) + len(search.judged), len(common))
    compared = {**found.same, **search.judged}
    first = search.first()
    return Localization(
        None if first is None else Divergence.at(computed_by[first], first, "reference"),
        [NodeError.of(computed_by[name], name, compared[name]) for name in common if name in compared],
    )


def producers(model: ir.Model) -> dict[str, ir.Node]:
    """The node of the main graph that computes each tensor, in the graph's order."""
    return {str(value.name): node for node in model.graph for value in node.outputs if value.name}


def common_tensors(deployed: ir.Model, original: ir.Model) -> list[str]:
    """The tensors that nodes of both main graphs compute from inputs, by name, in the first one's order."""
    constant = ConstantAnalysis(deployed).names() | ConstantAnalysis(original).names()
    theirs = producers(original)
    return [name for name in producers(deployed) if name in theirs and name not in constant]


class _Backwards:
    """The walk from wrong outputs to the first wrong tensors, over those that have been judged so far."""

    def __init__(self, deployed: ir.Model, computed_by: Mapping[str, ir.Node], found: Differences) -> None:
        self.judged: dict[str, TensorComparison] = {}
        self.outputs = [str(value.name) for value in deployed.graph.outputs if value.name in found.differing]
        """Outputs that differ."""
        self._found = found
        self._computed_by = computed_by
        self._order = {name: position for position, name in enumerate(computed_by)}

    def begin(self, limit: int) -> list[str]:
        """Tensors to judge first: the outputs, and of the others some that are spread over the graph."""
        others = [name for name in self._order if name in self._found.differing and name not in self.outputs]
        return [*_spread(others, self._found.differing, limit), *self.outputs] if self.outputs else []

    def first(self) -> str | None:
        """The first wrong tensor on which a wrong output depends and that depends on no wrong one itself."""
        return min(self._walk(), key=self._order.__getitem__, default=None)

    def undecided(self, limit: int) -> list[str]:
        """Tensors to judge next: some of those around the first wrong one.

        Args:
            limit: bytes that they may take; one is given in any case.
        """
        reached_from = self._walk()
        first = min(reached_from, key=self._order.__getitem__, default=None)
        if first is None:
            return []
        around = [first, *reached_from[first]]
        waiting = {name for each in around for name in self._nearest(each)[1]}
        return _spread(sorted(waiting, key=self._order.__getitem__), self._found.differing, limit)

    def _walk(self) -> dict[str, set[str]]:
        """Wrong tensors without a wrong one before them -> the wrong ones from which the walk came there."""
        ends: dict[str, set[str]] = {}
        came_from: dict[str, set[str]] = {}
        stack = [name for name in self.outputs if self._is_wrong(name)]
        seen = set(stack)
        while stack:
            name = stack.pop()
            before = {source for source in self._nearest(name)[0] if self._is_wrong(source)}
            for source in before:
                came_from.setdefault(source, set()).add(name)
            if not before:
                ends[name] = came_from.setdefault(name, set())
            stack.extend(before - seen)
            seen |= before
        return ends

    def _nearest(self, name: str) -> tuple[set[str], set[str]]:
        """Of the tensors that one is computed from: the nearest that are known, and others up to these."""
        known: set[str] = set()
        unknown: set[str] = set()
        seen: set[str] = set()
        stack = [name]
        while stack:
            node = self._computed_by.get(stack.pop())
            for source in tensors_read(node) - seen if node is not None else ():
                seen.add(source)
                if source in self.judged or source in self._found.same:
                    known.add(source)
                    continue
                stack.append(source)
                if source in self._found.differing:
                    unknown.add(source)
        return known, unknown

    def _is_wrong(self, name: str) -> bool:
        return name in self.judged and self.judged[name].wrong > 0


def _spread(names: Sequence[str], sizes: Mapping[str, int], limit: int) -> list[str]:
    """Some of the names, evenly, that take no more than a limit; all, if these do not."""
    step = 1
    while step < len(names) and sum(sizes[name] for name in names[step // 2 :: step]) > limit:
        step += 1
    return list(names[step // 2 :: step])
