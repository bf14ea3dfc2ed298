"""The nodes in which two graphs differ: a piece of the deployed graph, and the original's that it stands for.

Both are cut at tensors that they have by name and of which they agree. The pieces are given the original's
tensors there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.graph.initializers import required_inputs
from normdeploy.validation.localize.in_graph import common_tensors, localize_in_graph
from normdeploy.validation.localize.judging import Judgement
from normdeploy.validation.localize.submodels import as_declared, tensors_read
from normdeploy.validation.reduction.failures import Oracle, Piece
from normdeploy.validation.reduction.nodes import Cut, Tell
from normdeploy.validation.reduction.pieces import Quarry


class GraphReduction:
    """Looks for the fewest nodes in which two graphs differ.

    Args:
        deployed, original: the graphs, on inputs on which they do.
        oracle: whether a pair of pieces differs.
        tell: is told what is being done.
    """

    def __init__(self, deployed: Quarry, original: Quarry, oracle: Oracle, tell: Tell) -> None:
        self._deployed = deployed
        self._original = original
        self._oracle = oracle
        self._tell = tell
        self.accepted: list[Cut] = []
        """Every pair of pieces that differs, the smallest last."""

    def search(self, judgement: Judgement) -> Cut | None:
        """The fewest nodes that were found to differ; None if no part of the graphs does by itself.

        Args:
            judgement: for the search of the first wrong node.
        """

        def progress(done: int, total: int | None) -> None:
            self._tell(f"comparing the graphs' tensors, {done} of {total}")

        ours, theirs = self._deployed, self._original
        found = localize_in_graph(ours.model, theirs.model, ours.inputs, judgement, progress)
        if found.first is None:
            return None
        right = {error.output for error in found.nodes if not error.comparison.wrong}
        shared = set(common_tensors(ours.model, theirs.model))
        output = found.first.output
        order = [name for name in ours.producer if name in right & shared and name != output]
        # An error may need several steps to exceed what rounding explains: ever fewer places to cut at.
        kept = len(order)
        while True:
            piece = self._try(output, order[:kept])
            if piece is not None or kept == 0:
                return piece
            nearest = self._nearest(output, set(order[:kept]))
            kept = min((order.index(name) for name in nearest), default=0)

    def _nearest(self, output: str, known: Collection[str]) -> set[str]:
        """The known tensors at which the deployed graph is cut."""
        nodes = self._deployed.nodes
        positions = self._deployed.cone([output], known)
        return {name for position in positions for name in tensors_read(nodes[position]) if name in known}

    def _try(self, output: str, known: Collection[str]) -> Cut | None:
        positions = frozenset(self._deployed.cone([output], set(known)))
        self._tell(f"trying {len(positions)} of {len(self._deployed.nodes)} nodes")
        try:
            model, given = self._deployed.cut(positions, [output])
            original, further = self._original.cut(self._original.cone([output], set(known)), [output])
            inputs = {**given, **further}
            inputs |= {
                name: as_declared(array, _dtype(model, original, name))
                for name, array in self._original.tensors(inputs).items()
            }
            for part in (model, original):
                _declare(part, (model, original), inputs)
            piece = Piece(model, original, inputs)
        except Exception:  # of any kind: not every pair of pieces can be cut out
            return None
        failure = self._oracle(piece)
        if failure is None:
            return None
        self.accepted.append(Cut(positions, piece, failure))
        return self.accepted[-1]


def _dtype(deployed: ir.Model, original: ir.Model, name: str) -> ir.DataType | None:
    """The type of an input, as the deployed piece has it where that takes it."""
    values = [*required_inputs(deployed.graph), *required_inputs(original.graph)]
    return next((value.dtype for value in values if value.name == name), None)


def _declare(part: ir.Model, both: tuple[ir.Model, ir.Model], inputs: Mapping[str, Array]) -> None:
    """Give a piece all inputs of the pair, unused ones too, in the same order."""
    declared = {value.name: value for model in reversed(both) for value in required_inputs(model.graph)}
    own = {value.name: value for value in required_inputs(part.graph)}
    values = []
    for name in inputs:
        like = declared[name]
        values.append(own.get(name) or ir.Value(name=name, type=like.type, shape=like.shape))
    part.graph.inputs[:] = values
