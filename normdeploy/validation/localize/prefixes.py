"""The model's first nodes in the backend, ever fewer of them: nodes that are wrong only together.

The model is cut after half of its nodes, a quarter, ..., until one node decides. What the reference and its
disturbed runs say of the tensors at many cuts is computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import BackendTimeout
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.localize.execution import Progress, RunModel, outputs_of
from normdeploy.validation.localize.judging import Judgement
from normdeploy.validation.localize.result import Divergence
from normdeploy.validation.localize.submodels import CHUNK_BYTES, cut_tensors, prefix, with_outputs

Arrays = Mapping[str, Array]

_MOST_CUTS = 16
"""Of a model whose tensors are computed at once: four steps of the bisection."""


class Prefixes:
    """The model's first nodes, ever fewer of them."""

    def __init__(
        self,
        model: ir.Model,
        inputs: Arrays,
        run: RunModel,
        judgement: Judgement,
        constant: set[str],
        sizes: Mapping[str, int],
        shapes: Mapping[str, Sequence[int]],
    ) -> None:
        self.remarks: list[str] = []
        self._model = model
        self._inputs = inputs
        self._run = run
        self._judgement = judgement
        self._constant = constant
        self._sizes = sizes
        self._shapes = shapes
        self._refused = 0

    def search(self, tell: Progress) -> Divergence | None:
        """The last node of the shortest prefix that is wrong, if the whole model is wrong.

        Raises:
            NormdeployError: the reference cannot compute the model, or the backend cannot run it.
        """
        nodes = list(self._model.graph)
        right, wrong, tensor = 0, len(nodes), None
        while wrong - right > 1 or tensor is None:
            restart_clock()
            cuts = self._cuts(right, wrong)
            names = {name for cut in cuts for name in cut_tensors(self._model, cut, self._constant)}
            judge = self._judgement(with_outputs(self._model, names), self._model, self._inputs)
            if tensor is None:  # the whole model first
                tensor = self._wrong_tensor(wrong, judge.compare)
                if tensor is None:
                    self.remarks.append(
                        "no node is wrong by more than its rounding, and neither is the model on these inputs"
                    )
                    return None
            cuts = [cut for cut in cuts if right < cut < wrong]
            while cuts:
                count = cuts[len(cuts) // 2]
                found = self._wrong_tensor(count, judge.compare)
                if found is None:
                    right = count
                else:
                    wrong, tensor = count, found
                cuts = [cut for cut in cuts if right < cut < wrong]
                tell(len(nodes) - (wrong - right), len(nodes))
        if self._refused:
            self.remarks.append(f"{self._refused} of the model's prefixes did not run, and count as right")
        return Divergence.at(nodes[wrong - 1], tensor, "fused")

    def _cuts(self, right: int, wrong: int) -> list[int]:
        """Places between two others, even apart, and the second one; as many as there is room for."""
        for number in range(_MOST_CUTS, 2, -1):
            steps = np.linspace(right, wrong, number, dtype=int)[1:]
            cuts = sorted({int(step) for step in steps if step > right})
            names = {name for cut in cuts for name in cut_tensors(self._model, cut, self._constant)}
            if sum(self._sizes.get(name, 0) for name in names) <= CHUNK_BYTES:
                return cuts
        return sorted({(right + wrong) // 2, wrong} - {right})

    def _wrong_tensor(self, count: int, compare: Callable[[str, Array], TensorComparison]) -> str | None:
        """The first wrong output of a prefix; None if all are right, or if the backend refuses it."""
        part = prefix(self._model, count, self._constant, self._shapes)
        if not part.outputs:
            return None
        inputs = {name: self._inputs[name] for name in part.inputs}
        try:
            actual = outputs_of(part, self._run(part.model, inputs))
        except Exception as error:  # of any kind: the part may be one that nothing can write or run
            if isinstance(error, BackendTimeout) or count == len(self._model.graph):
                raise
            self._refused += 1
            return None
        return next((name for name, array in actual.items() if compare(name, array).wrong), None)
