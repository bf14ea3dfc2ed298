"""What the passes did to each normalization, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.console import RenderableType

from normdeploy.passes import text
from normdeploy.results import Result

SCHEMA = 1


@dataclass(frozen=True)
class BatchNormRecord:
    """One BatchNormalization node: folded into another node, or kept with the reason.

    Args:
        node: its name.
        status: what became of it.
        into: the nodes that took it up; none where nothing uses it.
        reason: why it was kept, or why nothing had to take it up.
        where: "" in the main graph; else the function, or the subgraph's node and attribute.
    """

    node: str
    status: Literal["folded", "kept"]
    into: str = ""
    reason: str = ""
    where: str = ""


@dataclass(frozen=True)
class LRNRecord:
    """One local response normalization: the nodes that computed it, what became of them, and why."""

    nodes: tuple[str, ...]
    status: Literal["recovered", "lowered", "kept"]
    reason: str = ""


@dataclass
class OptimizationReport(Result):
    """What a run of the passes did.

    Args:
        nodes_before, nodes_after: of the main graph.
        operators_before, operators_after: operator -> how many nodes, in subgraphs too.
        batchnorm: what became of each BatchNormalization, in subgraphs and functions too.
        lrn: what became of each LRN, written as one node or as many.
    """

    nodes_before: int = 0
    nodes_after: int = 0
    operators_before: dict[str, int] = field(default_factory=dict)
    operators_after: dict[str, int] = field(default_factory=dict)
    batchnorm: list[BatchNormRecord] = field(default_factory=list)
    lrn: list[LRNRecord] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        names = dict.fromkeys([*self.operators_before, *self.operators_after])
        return {
            "schema": SCHEMA,
            "nodes_before": self.nodes_before,
            "nodes_after": self.nodes_after,
            "operators": [
                {
                    "operator": name,
                    "before": self.operators_before.get(name, 0),
                    "after": self.operators_after.get(name, 0),
                }
                for name in names
            ],
            "batchnorm": [asdict(record) for record in self.batchnorm],
            "lrn": [asdict(record) for record in self.lrn],
        }

    def __rich__(self) -> RenderableType:
        return text.render(self)


class Refused(Exception):
    """A transform does not apply; the message is the reason that the report gives."""
