"""What became of the kernels, and their JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["safe", "depends", "broken", "unknown"]


@dataclass(frozen=True)
class Culprit:
    """A node whose result depends on the kernel.

    Args:
        node, op_type: which.
        choice: of its kernel; "" where the best kernel fails already.
        reason: what becomes of its results, in a few words.
        alone: whether the choice for this node alone is too much.
        noise_ratio: largest error of an output / what is allowed, with the choice made for this node alone;
            for all nodes where that passes.
    """

    node: str
    op_type: str
    choice: str
    reason: str
    alone: bool
    noise_ratio: float

    def to_json(self) -> dict[str, Any]:
        """The fields as a dictionary for `json.dumps`; a ratio that is infinite is null."""
        return {
            "node": self.node,
            "op_type": self.op_type,
            "choice": self.choice,
            "reason": self.reason,
            "alone": self.alone,
            "noise_ratio": _finite(self.noise_ratio),
        }

    def __str__(self) -> str:
        how = self.choice or "any kernel"
        return f"{self.node} ({self.op_type}, {how}): {self.reason}"


@dataclass(frozen=True)
class Tried:
    """A choice, made for every node that it concerns.

    Args:
        name: of the choice; "together" for all of a backend at once.
        passed: whether the outputs are right with it.
        reason: one line where they are not.
        noise_ratio: largest error of an output / what is allowed.
    """

    name: str
    passed: bool
    reason: str
    noise_ratio: float

    def to_json(self) -> dict[str, Any]:
        """The fields as a dictionary for `json.dumps`; a ratio that is infinite is null."""
        return {
            "name": self.name,
            "passed": self.passed,
            "reason": self.reason,
            "noise_ratio": _finite(self.noise_ratio),
        }


@dataclass(frozen=True)
class KernelVerdict:
    """What the kernels of one backend may do to the model.

    Args:
        backend: as in `--backend`.
        verdict: "safe" if every choice passes, "depends" if some do not, "broken" if the best kernel fails,
            "unknown" if nothing is wrong for want of a finite number that could be.
        reason: one line.
        nodes: whose kernels matter, the worst first; a few.
        choices: those that concern the model.
    """

    backend: str
    verdict: Outcome
    reason: str
    nodes: Sequence[Culprit] = ()
    choices: Sequence[Tried] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields as a dictionary for `json.dumps`."""
        return {
            "backend": self.backend,
            "verdict": self.verdict,
            "reason": self.reason,
            "nodes": [node.to_json() for node in self.nodes],
            "choices": [choice.to_json() for choice in self.choices],
        }


@dataclass(frozen=True)
class Kernels:
    """Every backend that was asked about.

    Args:
        entries: one for each.
    """

    entries: Sequence[KernelVerdict]

    @property
    def safe(self) -> bool:
        """Whether every kernel of every backend passes."""
        return all(entry.verdict == "safe" for entry in self.entries)

    @property
    def may_be_wrong(self) -> bool:
        """Whether a kernel of any backend does not pass."""
        return any(entry.verdict in ("depends", "broken") for entry in self.entries)

    def to_json(self) -> list[dict[str, Any]]:
        """One dictionary for each entry."""
        return [entry.to_json() for entry in self.entries]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
