"""What became of the invariants, and their JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["pass", "broken", "skipped", "crashed", "timeout", "unavailable"]

Name = Literal[
    "equal-rows", "permuted-rows", "batch-sizes", "shape-corners", "repeated-runs", "extra-outputs"
]
NAMES: tuple[Name, ...] = (
    "equal-rows", "permuted-rows", "batch-sizes", "shape-corners", "repeated-runs", "extra-outputs",
)  # fmt: skip


@dataclass(frozen=True)
class Invariant:
    """One invariant of one backend.

    Args:
        backend: as in `--backend`.
        name: of the invariant.
        status: "pass", "broken", "skipped" where the model does not have it, or how the backend failed.
        reason: one line: what differs, why it is not asked, or how equal the answers are; empty for some.
        noise_ratio: largest difference / what two roundings explain; None where nothing was compared.
    """

    backend: str
    name: Name
    status: Outcome
    reason: str = ""
    noise_ratio: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields as a dictionary for `json.dumps`; a ratio that is infinite is null."""
        known = self.noise_ratio is not None and math.isfinite(self.noise_ratio)
        return {
            "backend": self.backend,
            "name": self.name,
            "status": self.status,
            "noise_ratio": self.noise_ratio if known else None,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        """A line without the backend: the name, the status, and why."""
        return f"{self.name} {self.status}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True)
class Invariants:
    """Every invariant of every backend that could be asked, in order.

    Args:
        entries: one for each of `NAMES` and each backend.
    """

    entries: Sequence[Invariant]

    @property
    def broken(self) -> bool:
        """Whether a backend contradicts itself."""
        return any(entry.status == "broken" for entry in self.entries)

    @property
    def failed(self) -> bool:
        """Whether a backend gave no answer to what it was asked."""
        return any(entry.status in ("crashed", "timeout", "unavailable") for entry in self.entries)

    def to_json(self) -> list[dict[str, Any]]:
        """One dictionary for each entry."""
        return [entry.to_json() for entry in self.entries]
