"""Each node cut out of a model, in the backend, on the reference's tensors.

The reference computes the model once, and nodes are run as soon as it has passed enough of them: many side by
side in one submodel, so that a whole graph takes one process as a rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import BackendTimeout
from normdeploy.graph.scopes import node_name
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.localize.attempts import Attempts, GivenUp
from normdeploy.validation.localize.execution import Progress, RunModel, outputs_of
from normdeploy.validation.localize.judging import Judgement
from normdeploy.validation.localize.result import Divergence, NodeError
from normdeploy.validation.localize.submodels import (
    CHUNK_BYTES,
    as_declared,
    is_separable,
    isolated_nodes,
    last_readers,
    tensors_read,
)

Arrays = Mapping[str, Array]

CLEARLY_WRONG = 4.0
"""Error over allowed error from which a node alone is named. Hundreds of nodes are judged in turn, and one
that merely rounds badly, ahead of the wrong one, would be named in its place."""


class _Decided(Exception):
    """Ends the reference's run: the node is found, or too much fails."""


class NodesAlone:
    """Each node by itself, on the reference's tensors."""

    def __init__(
        self,
        model: ir.Model,
        inputs: Arrays,
        run: RunModel,
        judgement: Judgement,
        constant: set[str],
        tell: Progress,
    ) -> None:
        self.first: Divergence | None = None
        self.errors: list[NodeError] = []
        self.sizes: dict[str, int] = {}
        """Bytes, in the reference, of what the nodes compute that it has passed."""
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._model = model
        self._inputs = inputs
        self._run = run
        self._judgement = judgement
        self._constant = constant
        self._tell = tell
        self._nodes = list(model.graph)
        self._last = last_readers(self._nodes)
        self._attempts = Attempts()
        self._tensors: dict[str, Array] = {}
        self._group: list[int] = []
        self._held: set[str] = set()
        self._of_constants: list[int] = []

    @property
    def remarks(self) -> list[str]:
        """The nodes that could not be run."""
        return self._attempts.remarks

    def search(self) -> None:
        """Look at the nodes in order, until one is clearly wrong; at those that compute constants last.

        Runtimes fold these when they load a model, and the reference's constants, which the others are given,
        may be large.

        Raises:
            NormdeployError: the reference cannot compute the model.
        """
        places = {node: position for position, node in enumerate(self._nodes)}
        types = {str(value.name): value.dtype for value in self._model.graph.inputs}
        self._tensors = {
            name: as_declared(np.asarray(array), types.get(name)) for name, array in self._inputs.items()
        }

        def pass_node(node: ir.Node, results: Sequence[Array]) -> None:
            self._pass(places[node], results)

        try:
            Evaluator(self._model).run(self._inputs, on_node=pass_node)
            self._flush()
            for position in self._of_constants:
                self._wait(position)
            self._flush()
        except _Decided:
            pass

    def _pass(self, position: int, results: Sequence[Array]) -> None:
        node = self._nodes[position]
        for value, array in zip(node.outputs, results, strict=False):
            if value.name:
                self.sizes[value.name] = getattr(array, "nbytes", 0)
                self.shapes[value.name] = np.shape(array)
                self._tensors[value.name] = as_declared(array, value.dtype)
        if is_separable(node):
            if all(value.name in self._constant for value in node.outputs if value.name):
                self._of_constants.append(position)
            else:
                self._wait(position)

    def _wait(self, position: int) -> None:
        """Let a node wait for others; run them if they are enough."""
        node = self._nodes[position]
        self._group.append(position)
        self._held |= tensors_read(node) | {str(value.name) for value in node.outputs}
        if sum(self.sizes.get(name, 0) for name in self._held) > CHUNK_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Run the nodes that wait; forget what no later node reads."""
        restart_clock()
        group, self._group, self._held = self._group, [], set()
        try:
            for position, name, comparison in self._apart(group):
                node = self._nodes[position]
                self.errors.append(NodeError.of(node, name, comparison))
                if comparison.wrong and comparison.noise_ratio > CLEARLY_WRONG:
                    self.first = Divergence.at(node, name, "alone")
                    raise _Decided
        except GivenUp:
            raise _Decided from None
        done = max(group, default=-1) + 1
        for name in [name for name in self._tensors if self._last.get(name, -1) < done]:
            if name not in self._constant:
                del self._tensors[name]
        self._tell(done, len(self._nodes))

    def _apart(self, positions: Sequence[int]) -> Iterator[tuple[int, str, TensorComparison]]:
        """Node, tensor and comparison, in order, without nodes that fail by themselves."""
        if not positions:
            return
        try:
            found = self._judged(positions)
        except Exception as error:  # of any kind: the part may be one that nothing can write or run
            if len(positions) == 1:
                self._attempts.name(node_name(self._nodes[positions[0]]), error)
            if len(positions) == 1 and not isinstance(error, BackendTimeout):
                return
            self._attempts.count(error)
            if len(positions) > 1:
                middle = len(positions) // 2
                yield from self._apart(positions[:middle])
                yield from self._apart(positions[middle:])
            return
        for position in positions:
            for value in self._nodes[position].outputs:
                if value.name in found:
                    yield position, value.name, found[value.name]

    def _judged(self, positions: Sequence[int]) -> dict[str, TensorComparison]:
        """The nodes' tensors, by name."""
        names = {name for position in positions for name in tensors_read(self._nodes[position])}
        tensors = {name: self._tensors[name] for name in names & self._tensors.keys()}
        part = isolated_nodes(self._model, positions, tensors, self._embedded(tensors), self.shapes)
        inputs = {name: tensors[name] for name in part.inputs}
        actual = outputs_of(part, self._run(part.model, inputs))
        judge = self._judgement(part.model, part.model, inputs)
        return {part.outputs[name]: judge.compare(name, array) for name, array in actual.items()}

    def _embedded(self, tensors: Arrays) -> set[str]:
        """Constants, and what may be a shape: runtimes need these before they see any data."""
        shapes = {name for name, array in tensors.items() if array.dtype.kind in "iu" and array.ndim < 2}
        return self._constant | shapes
