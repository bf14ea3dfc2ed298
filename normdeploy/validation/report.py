"""The result of a check, and its JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rich.console import RenderableType

from normdeploy.files import write_text
from normdeploy.results import PageResult
from normdeploy.validation import junit, page, text
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.distribution import Distribution
from normdeploy.validation.gate import Gate
from normdeploy.validation.half_precision.findings import HalfPrecision
from normdeploy.validation.localize import Divergence, Localization

if TYPE_CHECKING:
    from normdeploy.validation.graphs import Graphs
    from normdeploy.validation.invariants.result import Invariants
    from normdeploy.validation.kernels.result import Kernels
    from normdeploy.validation.power.result import Blind, Power

SCHEMA = 1

Status = Literal["pass", "mismatch", "crashed", "timeout", "unavailable"]
Verdict = Literal["pass", "mismatch", "error"]
GateOutcome = Literal["met", "missed"]


@dataclass(frozen=True)
class OutputReport:
    """One output of one backend; `dtype` is the type that the backend returned."""

    name: str
    dtype: str
    comparison: TensorComparison
    distribution: Distribution = field(default_factory=Distribution)

    def to_json(self) -> dict[str, Any]:
        """Name, type and what differs, of the plain types that JSON has."""
        return {"name": self.name, "dtype": self.dtype, **self.comparison.to_json()}


def show_nothing(outputs: Sequence[OutputReport]) -> bool:
    """Whether outputs were compared, and none has a finite number."""
    return bool(outputs) and all(output.comparison.shows_nothing for output in outputs)


@dataclass(frozen=True)
class BackendReport:
    """What became of one backend.

    Args:
        name: as in `--backend`.
        status: "pass", "mismatch", or how it failed; with a gate, whether that is met.
        reason: one line; empty for most that pass.
        requested: whether it was asked for by name.
        outputs: what was compared before the backend ended.
        accuracy: share of labels that its classes equal; None without labels.
        flips: samples whose class differs from the reference's; None without labels and without a gate.
        gate: whether the gate is met; None without one, or where nothing could be judged by it.
        unoptimized: of a quantized model, what became of it in the same backend without optimizations.
        log: the last lines that its process wrote, if it failed.
        versions: of the runtime's libraries.
        localization: the search for the first wrong node; None where there was none.
        seconds: how long its loading and its runs took, as this process saw it.
    """

    name: str
    status: Status
    reason: str = ""
    requested: bool = False
    outputs: Sequence[OutputReport] = ()
    accuracy: float | None = None
    flips: int | None = None
    gate: GateOutcome | None = None
    unoptimized: Status | None = None
    log: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    localization: Localization | None = None
    seconds: float = 0.0

    @property
    def first_divergence(self) -> Divergence | None:
        """The first wrong node, if it was searched and found."""
        return self.localization.first if self.localization else None


@dataclass(frozen=True)
class CheckReport(PageResult):
    """The result of `check`.

    Args:
        model: what was checked.
        reference: what it was compared with; the same, or the original.
        samples: how many were put through both.
        seed: of the random inputs.
        backends: one entry for each.
        reference_accuracy: share of labels that the reference's classes equal; None without labels.
        environment: the versions that can change a result.
        half_precision: what float16 would do to each normalization layer on the data; empty without data.
        gate: what was allowed to be lost; None if the numbers decide.
        remarks: how the data was taken, and which names stand for each other; a line each.
        invariants: whether backends contradict themselves; None if that was not asked.
        graphs: the deployed graph against the original, both in float64; None without a reference.
        blind: the outputs that can't show an error of 1 % in every layer.
        power: how small an error in each layer would have been called wrong; None if that was not asked.
        kernels: whether every kernel that a backend may choose gives right outputs; None if that was not
            asked.
    """

    model: str
    reference: str
    samples: int
    seed: int
    backends: Sequence[BackendReport]
    reference_accuracy: float | None
    environment: Mapping[str, Any]
    half_precision: Sequence[HalfPrecision] = ()
    gate: Gate | None = None
    remarks: Sequence[str] = ()
    invariants: Invariants | None = None
    graphs: Graphs | None = None
    blind: Sequence[Blind] = ()
    power: Power | None = None
    kernels: Kernels | None = None

    @property
    def verdict(self) -> Verdict:
        """ "mismatch" if numbers of a backend or of the deployed graph are wrong or miss the gate, if an
        invariant is broken, if some kernel may give wrong numbers, or if less is seen than was asked for;
        "error" if a backend failed, or if nothing could be judged: no output has a finite number. A backend
        that is unavailable counts only if it was named.
        """
        statuses = [backend.status for backend in self.backends]
        if self.graphs is not None:
            statuses.append("pass" if self.graphs.agree else "mismatch")
        if self.kernels is not None and (self.kernels.safe or self.kernels.may_be_wrong):
            statuses.append("pass" if self.kernels.safe else "mismatch")
        if self.power is not None and self.power.missed:
            statuses.append("mismatch")
        if "mismatch" in statuses or (self.invariants is not None and self.invariants.broken):
            return "mismatch"
        failed = (self.invariants is not None and self.invariants.failed) or any(
            backend.status in ("crashed", "timeout")
            or (backend.status == "unavailable" and backend.requested)
            for backend in self.backends
        )
        return "error" if failed or "pass" not in statuses or self.shows_nothing else "pass"

    @property
    def shows_nothing(self) -> bool:
        """Whether nothing is wrong for want of a finite number that could be."""
        compared = [backend.outputs for backend in self.backends if backend.status == "pass"]
        if self.graphs is not None and self.graphs.agree:
            compared.append(self.graphs.outputs)
        return bool(compared) and all(map(show_nothing, compared))

    def __rich__(self) -> RenderableType:
        return text.render(self)

    def html(self) -> str:
        """The whole page.

        Raises:
            MissingDependencyError: matplotlib is not installed.
        """
        return page.html(self)

    def to_junit(self, path: str | os.PathLike[str]) -> None:
        """Write JUnit XML, which continuous integration shows as tests, whole or not at all.

        Raises:
            UsageError: the file cannot be written.
        """
        write_text(path, junit.xml(self))

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has. A ratio that is infinite is null."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "reference": self.reference,
            "verdict": self.verdict,
            "samples": self.samples,
            "seed": self.seed,
            "reference_accuracy": self.reference_accuracy,
            "backends": [_backend_json(backend) for backend in self.backends],
            "gate": None if self.gate is None else self.gate.to_json(),
            "remarks": list(self.remarks),
            "graphs": None if self.graphs is None else self.graphs.to_json(),
            "blind": [blind.to_json() for blind in self.blind],
            "power": None if self.power is None else self.power.to_json(),
            "half_precision": [finding.to_json() for finding in self.half_precision],
            "kernels": None if self.kernels is None else self.kernels.to_json(),
            "invariants": None if self.invariants is None else self.invariants.to_json(),
            "environment": dict(self.environment),
        }


def _backend_json(backend: BackendReport) -> dict[str, Any]:
    return {
        "name": backend.name,
        "status": backend.status,
        "reason": backend.reason,
        "outputs": [output.to_json() for output in backend.outputs],
        "first_divergence": asdict(backend.first_divergence) if backend.first_divergence else None,
        "localize_remarks": list(backend.localization.remarks) if backend.localization else [],
        "accuracy": backend.accuracy,
        "flips": backend.flips,
        "gate": backend.gate,
        "unoptimized": backend.unoptimized,
        "log": list(backend.log),
        "versions": dict(backend.versions),
    }
