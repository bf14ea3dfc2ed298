"""The result of a reduction: what is left, how it fails, and where it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from normdeploy.results import Result, finite
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.reduction.failures import Status, shown_numbers
from normdeploy.validation.reduction.issue import numbers

SCHEMA = 1


@dataclass(frozen=True)
class NodeLeft:
    """A node of the small model, or of the original's piece.

    Args:
        node: its name, or that of its first output.
        op_type: its operator.
    """

    node: str
    op_type: str


@dataclass(frozen=True)
class Reduction(Result):
    """The smallest failing file.

    Args:
        model: what was reduced.
        reference: the original; None without one.
        backend: which one fails; None if the graphs themselves differ.
        status: how it fails.
        reason: one line.
        nodes_before: of the model's main graph.
        nodes: those that are left.
        original_nodes: those of the original's piece; empty without one.
        outputs: the wrong ones of the small model; empty where there are no numbers.
        samples: the numbers of those whose data the small files come from, counted from 0: the first one
            that fails, or the first batch, if its samples do not by themselves.
        files: what was written, the model first.
        versions: of the backend's runtime.
        environment: the versions that can change a result.
    """

    model: str
    reference: str | None
    backend: str | None
    status: Status
    reason: str
    nodes_before: int
    nodes: Sequence[NodeLeft]
    original_nodes: Sequence[NodeLeft]
    outputs: Mapping[str, TensorComparison]
    samples: Sequence[int]
    files: Sequence[str]
    versions: Mapping[str, str]
    environment: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has. A ratio that is infinite is null."""
        document = {
            "schema": SCHEMA,
            "model": self.model,
            "reference": self.reference,
            "backend": self.backend,
            "status": self.status,
            "reason": self.reason,
            "nodes_before": self.nodes_before,
            "nodes": [asdict(node) for node in self.nodes],
            "original_nodes": [asdict(node) for node in self.original_nodes],
            "outputs": [{"name": name, **shown_numbers(found)} for name, found in self.outputs.items()],
            "samples": list(self.samples),
            "files": list(self.files),
            "versions": dict(self.versions),
            "environment": dict(self.environment),
        }
        found: dict[str, Any] = finite(document)
        return found

    def __rich__(self) -> RenderableType:
        return Group(*map(Text, self._lines()))

    def _lines(self) -> Iterator[str]:
        against = f" against {self.reference}" if self.reference else ""
        first, last = self.samples[0], self.samples[-1]
        data = f"sample {first}" if first == last else f"samples {first} to {last} together"
        who = "the graphs differ" if self.backend is None else f"{self.backend} {self.status}"
        yield f"{self.model}{against}: {who}, first at {data}"
        yield f"left: {len(self.nodes)} of {self.nodes_before} nodes"
        for node in self.nodes:
            yield f"  {node.node} ({node.op_type})"
        if self.original_nodes:
            yield "in the original:"
        for node in self.original_nodes:
            yield f"  {node.node} ({node.op_type})"
        yield from numbers(self.outputs) if self.outputs else [self.reason]
        yield f"written: {', '.join(self.files)}"
