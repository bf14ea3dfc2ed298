"""Ever fewer nodes of a model that still fail in a backend.

The search for the first wrong node says where to begin. Nodes before it are added until the piece fails, two
for one, and then each is taken away again without which it still does (delta debugging: Zeller & Hildebrandt,
"Simplifying and isolating failure-inducing input", 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from normdeploy.errors import BackendFailure
from normdeploy.validation.localize.execution import RunModel
from normdeploy.validation.localize.in_backend import localize_in_backend
from normdeploy.validation.localize.judging import Judgement
from normdeploy.validation.reduction.failures import Failure, Oracle, Piece
from normdeploy.validation.reduction.pieces import Quarry

Tell = Callable[[str], None]
"""Called with what is being done."""

_MOST_TRIES = 200
"""Pieces that are tried at most; each takes a process."""


@dataclass(frozen=True)
class Cut:
    """Nodes that fail.

    Args:
        positions: of the nodes in the model's graph.
        piece: the nodes as a model.
        failure: how they fail.
    """

    positions: frozenset[int]
    piece: Piece
    failure: Failure


class NodeReduction:
    """Looks for the fewest nodes.

    Args:
        quarry: the model that fails, on inputs on which it does.
        oracle: whether a piece fails as the model does.
        tell: is told what is being done.
    """

    def __init__(self, quarry: Quarry, oracle: Oracle, tell: Tell) -> None:
        self._quarry = quarry
        self._oracle = oracle
        self._tell = tell
        self._tried: dict[tuple[frozenset[int], tuple[str, ...]], Cut | None] = {}
        self.accepted: list[Cut] = []
        """Every piece that failed, the smallest last."""

    def search(self, failure: Failure, run: RunModel, judgement: Judgement) -> Cut | None:
        """The fewest nodes that were found to fail; None if no part of the model does by itself.

        Args:
            failure: of the whole model.
            run, judgement: for the search of the first wrong node.
        """
        wrong_numbers = failure.status == "mismatch"
        output = self._wrong_tensor(run, judgement) if wrong_numbers else self._ending_tensor()
        found = self._grown(output) if output else None
        if found is None:
            everything = range(len(self._quarry.nodes))
            found = self._try(everything, self._quarry.ends(everything))
        return None if found is None else self._minimal(found)

    def _wrong_tensor(self, run: RunModel, judgement: Judgement) -> str | None:
        def progress(done: int, total: int | None) -> None:
            self._tell(f"searching the first wrong node, {done} of {total}")

        quarry = self._quarry
        first = localize_in_backend(quarry.model, quarry.inputs, run, judgement, progress).first
        return first.output if first else None

    def _ending_tensor(self) -> str | None:
        """A tensor of the last node of the shortest prefix that ends as the model does."""
        right, wrong = 0, len(self._quarry.nodes)
        while wrong - right > 1:
            middle = (right + wrong) // 2
            if self._try(range(middle), self._quarry.ends(range(middle))):
                wrong = middle
            else:
                right = middle
        return next(iter(self._quarry.ends([wrong - 1])), None)

    def _grown(self, output: str) -> Cut | None:
        """A tensor's node with those before it, as few as fail."""
        cone = self._quarry.cone([output])
        right, wrong, found = 0, 1, self._try(cone[:1], [output])
        while found is None and wrong < len(cone):
            right, wrong = wrong, min(2 * wrong, len(cone))
            found = self._try(cone[:wrong], [output])
        while found is not None and wrong - right > 1:
            middle = (right + wrong) // 2
            smaller = self._try(cone[:middle], [output])
            if smaller is None:
                right = middle
            else:
                wrong, found = middle, smaller
        return found

    def _minimal(self, found: Cut) -> Cut:
        """Take nodes away, many at once and then single ones, until each is needed."""
        size = max(1, len(found.positions) // 2)
        while True:
            before = found
            order = sorted(found.positions)
            for start in range(0, len(order), size):
                rest = found.positions.difference(order[start : start + size])
                outputs = [str(value.name) for value in found.piece.model.graph.outputs]
                computed = {value.name for position in rest for value in self._quarry.nodes[position].outputs}
                kept = [name for name in outputs if name in computed]
                found = self._try(rest, kept or self._quarry.ends(rest)) or found
            if size == 1 and found is before:
                return found
            size = max(1, size // 2)

    def _try(self, positions: Collection[int], outputs: Sequence[str]) -> Cut | None:
        """These nodes, as far as the outputs need them, with as few of the outputs as fail."""
        quarry = self._quarry
        needed = frozenset(quarry.cone(outputs, within=positions))
        key = (needed, tuple(outputs))
        if not needed or len(self._tried) >= _MOST_TRIES:
            return None
        if key not in self._tried:
            self._tell(f"trying {len(needed)} of {len(quarry.nodes)} nodes")
            self._tried[key] = self._cut(needed, outputs)
            found = self._tried[key]
            if found is not None:
                self.accepted.append(found)
                wrong = list(found.failure.outputs)[:1] or list(outputs)[-1:]
                if len(outputs) > 1:
                    self._tried[key] = self._try(needed, wrong) or found
        return self._tried[key]

    def _cut(self, positions: frozenset[int], outputs: Sequence[str]) -> Cut | None:
        try:
            model, inputs = self._quarry.cut(positions, outputs)
        except BackendFailure:
            raise
        except Exception:  # of any kind: not every set of nodes can be cut out
            return None
        piece = Piece(model, None, inputs)
        failure = self._oracle(piece)
        return None if failure is None else Cut(positions, piece, failure)
