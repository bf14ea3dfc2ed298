"""What fails: a graph that differs from its original, or a backend that computes a graph wrongly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from normdeploy.backends.catalog import Backend
from normdeploy.dtypes import Array
from normdeploy.reference import Evaluator
from normdeploy.validation.judge import Judge
from normdeploy.validation.localize.execution import runner
from normdeploy.validation.localize.judging import by_rounding
from normdeploy.validation.reduction.again import still_fails
from normdeploy.validation.reduction.failures import Failure, Piece, in_backend, in_graphs, like
from normdeploy.validation.reduction.graphs import GraphReduction
from normdeploy.validation.reduction.nodes import NodeReduction, Tell
from normdeploy.validation.reduction.pieces import Quarry
from normdeploy.validation.reduction.rows import RowsOf, rows_that_differ, rows_wrong_in_backend
from normdeploy.validation.reduction.shrinking import Shrinking
from normdeploy.validation.reduction.writing import SmallFiles
from normdeploy.validation.tolerance import Tolerance

Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Terms:
    """By what is judged.

    Args:
        tolerance: the user's own; None to go by rounding alone.
        seed: of the random errors in the measurement of rounding.
        timeout: seconds that a backend may take to load a model, and to run it.
    """

    tolerance: Tolerance | None
    seed: int
    timeout: float


class Subject(ABC):
    """A model that may fail.

    Args:
        deployed: the model; its types have been inferred.
        terms: by what it is judged.

    Attributes:
        backend: the one that computes it; None where graphs are compared.
        versions: of the backend's runtime; empty before it has run, and without one.
    """

    backend: Backend | None = None

    @property
    @abstractmethod
    def verdict_when_right(self) -> str:
        """What there is to say where no sample fails."""

    def __init__(self, deployed: ir.Model, terms: Terms) -> None:
        self.versions: Mapping[str, str] = {}
        self._deployed = deployed
        self._terms = terms
        self._judgement = by_rounding(terms.seed)

    @abstractmethod
    def whole(self, inputs: Arrays) -> Piece:
        """The whole model, on such inputs."""

    @abstractmethod
    def fails(self, piece: Piece) -> Failure | None:
        """How a piece fails; None if it does not.

        Raises:
            NormdeployError: nobody can tell.
        """

    @abstractmethod
    def rows(self) -> AbstractContextManager[RowsOf]:
        """Finds the rows of batches that fail."""

    @abstractmethod
    def fewer_nodes(self, piece: Piece, failure: Failure, tell: Tell) -> Iterator[tuple[Piece, Failure]]:
        """Pieces of fewer and fewer nodes that fail, from the whole model on its inputs."""

    def smaller_tensors(self, piece: Piece, failure: Failure, tell: Tell) -> Iterator[tuple[Piece, Failure]]:
        """Pieces of smaller and smaller tensors that fail, from one that does."""
        shrinking = Shrinking(piece, failure, like(failure, self.fails), tell)
        shrinking.search()
        yield from shrinking.accepted[1:]

    def again(self, files: SmallFiles) -> Failure | None:
        """How files fail in a fresh process; None if they do not."""
        terms = self._terms
        return still_fails(
            files.model, files.original, files.data, self.backend, terms.tolerance, terms.seed, terms.timeout
        )


class GraphSubject(Subject):
    """A deployed graph that may differ from its original.

    Args:
        deployed, terms: see `Subject`.
        original: the model that is right, under the deployed one's names.
    """

    def __init__(self, deployed: ir.Model, original: ir.Model, terms: Terms) -> None:
        super().__init__(deployed, terms)
        self._original = original
        self._oracle = in_graphs(self._judgement, terms.tolerance)

    @property
    def verdict_when_right(self) -> str:
        return "the two graphs compute the same"

    def fails(self, piece: Piece) -> Failure | None:
        return self._oracle(piece)

    def whole(self, inputs: Arrays) -> Piece:
        return Piece(self._deployed, self._original, inputs)

    def rows(self) -> AbstractContextManager[RowsOf]:
        ours, theirs = (Evaluator(model, keep_weights=True) for model in (self._deployed, self._original))
        judge = Judge(ours, theirs, self._terms.tolerance, self._terms.seed)
        return nullcontext(rows_that_differ(judge))

    def fewer_nodes(self, piece: Piece, failure: Failure, tell: Tell) -> Iterator[tuple[Piece, Failure]]:
        quarries = Quarry(self._deployed, piece.inputs), Quarry(self._original, piece.inputs)
        reduction = GraphReduction(*quarries, like(failure, self.fails), tell)
        reduction.search(self._judgement)
        yield from ((cut.piece, cut.failure) for cut in reduction.accepted)


class BackendSubject(Subject):
    """A backend that may compute a graph wrongly, or not at all.

    Args:
        deployed, terms: see `Subject`.
        backend: which.
        path: of the model's file.
    """

    def __init__(self, deployed: ir.Model, backend: Backend, path: Path, terms: Terms) -> None:
        super().__init__(deployed, terms)
        self.backend = backend
        self._path = path
        self._run = runner(backend, terms.timeout)
        self._oracle = in_backend(self._run, self._judgement, terms.tolerance)

    @property
    def verdict_when_right(self) -> str:
        assert self.backend is not None
        return f"{self.backend.name} computes the right numbers"

    def fails(self, piece: Piece) -> Failure | None:
        return self._oracle(piece)

    def whole(self, inputs: Arrays) -> Piece:
        return Piece(self._deployed, None, inputs)

    def rows(self) -> AbstractContextManager[RowsOf]:
        assert self.backend is not None
        evaluator = Evaluator(self._deployed, keep_weights=True)
        judge = Judge(evaluator, evaluator, self._terms.tolerance, self._terms.seed)
        return rows_wrong_in_backend(self.backend, self._path, judge, self._terms.timeout, self._note)

    def fewer_nodes(self, piece: Piece, failure: Failure, tell: Tell) -> Iterator[tuple[Piece, Failure]]:
        reduction = NodeReduction(Quarry(self._deployed, piece.inputs), like(failure, self.fails), tell)
        reduction.search(failure, self._run, self._judgement)
        yield from ((cut.piece, cut.failure) for cut in reduction.accepted)

    def _note(self, versions: Mapping[str, str]) -> None:
        self.versions = versions
