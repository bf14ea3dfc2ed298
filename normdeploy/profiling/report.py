"""The result of `profile`, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import RenderableType

from normdeploy.choices import LIMITED_PERCENTILE
from normdeploy.profiling import page, text
from normdeploy.profiling.comparison import LatencyComparison
from normdeploy.profiling.layers import Layer
from normdeploy.profiling.statistics import Summary
from normdeploy.profiling.timed_model import Measured, WarmUp
from normdeploy.results import PageResult

SCHEMA = 1

Status = Literal["measured", "crashed", "timeout", "unavailable"]


@dataclass(frozen=True)
class BackendProfile:
    """A model in a backend, at one batch size.

    Args:
        name: the backend's, as in `--backend`.
        model: which model.
        status: "measured", or how it failed.
        reason: of a failure, one line.
        requested: whether the backend was asked for by name.
        batch: samples per run where several sizes are compared; else None.
        rows: samples per run, as far as the inputs tell.
        latency: of whole runs, from arrays to arrays, by the monotonic clock.
        compute, transfer: on the device and between host and device, where the runtime tells.
        build_ms: loading the model, without importing the runtime.
        first_ms: the first run.
        warm_up: what was run before anything counted.
        peak_memory_bytes: the largest resident set of its process, Python and the runtime included, the
            inputs that it holds to rotate through excluded.
        peak_device_memory_bytes: the most of the GPU's memory that the process was seen to have taken after
            loading the model or after a turn, without CUDA's own context; None without a GPU. See
            `normdeploy.backends.device.Device`.
        cuda_graph: whether the timed runs launched the computation as a captured CUDA graph, or kernel by
            kernel because it could not be captured; None for a runtime that does not tell.
        cuda_graph_refusal: why it could not be captured; else empty.
        disturbance: why the numbers are not stable and what to do; empty if they are.
        layers: the runtime's own steps, if asked for and told.
        copy_bandwidth: bytes per second, read and written together, of copies within the GPU's memory, that
            the layers' rooflines were made with.
        log: the last lines that its process wrote, if it failed.
        versions: of the runtime's libraries.
        measured: every run.
    """

    name: str
    model: str
    status: Status
    reason: str = ""
    requested: bool = False
    batch: int | None = None
    rows: int = 1
    latency: Summary | None = None
    compute: Summary | None = None
    transfer: Summary | None = None
    build_ms: float = 0.0
    first_ms: float = 0.0
    warm_up: WarmUp | None = None
    peak_memory_bytes: int | None = None
    peak_device_memory_bytes: int | None = None
    cuda_graph: bool | None = None
    cuda_graph_refusal: str = ""
    disturbance: str = ""
    layers: Sequence[Layer] | None = None
    copy_bandwidth: float | None = None
    log: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    measured: Measured = field(default_factory=Measured)

    @property
    def throughput_per_s(self) -> float | None:
        """Samples per second of one caller that waits for each run: rows / mean latency."""
        return self.rows * 1000 / self.latency.mean if self.latency else None

    def to_json(self) -> dict[str, Any]:
        """As in the JSON of `profile`."""
        return {
            "name": self.name,
            "model": self.model,
            "status": self.status,
            "reason": self.reason,
            "batch": self.batch,
            "rows": self.rows,
            "runs": self.latency.runs if self.latency else 0,
            "latency_ms": _json(self.latency),
            "throughput_per_s": self.throughput_per_s,
            "compute_ms": _json(self.compute),
            "transfer_ms": _json(self.transfer),
            "peak_memory_bytes": self.peak_memory_bytes,
            "peak_device_memory_bytes": self.peak_device_memory_bytes,
            "cuda_graph": self.cuda_graph,
            "cuda_graph_refusal": self.cuda_graph_refusal,
            "build_ms": self.build_ms if self.latency else None,
            "first_ms": self.first_ms if self.latency else None,
            "warm_up": asdict(self.warm_up) if self.warm_up else None,
            "stable": self.latency is not None and not self.disturbance,
            "disturbance": self.disturbance,
            "layers": None if self.layers is None else [layer.to_json() for layer in self.layers],
            "copy_bandwidth_bytes_per_s": self.copy_bandwidth,
            "log": list(self.log),
            "versions": dict(self.versions),
        }


@dataclass(frozen=True)
class Change:
    """How one backend's latencies differ from something else.

    Args:
        name: the backend.
        batch: where several sizes are compared; else None.
        against: the other model, or the baseline's file.
        quantities: what was compared.
    """

    name: str
    batch: int | None
    against: str
    quantities: Sequence[LatencyComparison]

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "name": self.name,
            "batch": self.batch,
            "against": self.against,
            "quantities": [quantity.to_json() for quantity in self.quantities],
        }


@dataclass(frozen=True)
class Profile(PageResult):
    """The result of `profile`.

    Args:
        model: what was profiled.
        seed: of the random inputs and of the order of the rounds.
        duration: seconds that each backend was timed for.
        inputs: shapes of the inputs, by name; those of the first batch size where several are compared.
        backends: one entry for each backend, model and batch size.
        changes: against another model, timed in turn with this one, and against a baseline.
        notes: what a reader should know before comparing, such as a baseline from another machine.
        environment: the machine.
    """

    model: str
    seed: int
    duration: float
    inputs: Mapping[str, Sequence[int]]
    backends: Sequence[BackendProfile]
    changes: Sequence[Change]
    notes: Sequence[str]
    environment: Mapping[str, Any]

    @property
    def failed(self) -> bool:
        """Whether a backend crashed, timed out or was asked for and is not there, or none was measured.

        A backend that is unavailable counts only if it was asked for by name.
        """
        return not any(backend.latency for backend in self.backends) or any(
            backend.status in ("crashed", "timeout")
            or (backend.status == "unavailable" and backend.requested)
            for backend in self.backends
        )

    def label(self, backend: BackendProfile) -> str:
        """The backend's name, with its batch size, and with its model's where there are several."""
        sized = backend.name if backend.batch is None else f"{backend.name} batch {backend.batch}"
        models = list(dict.fromkeys(other.model for other in self.backends))
        if len(models) == 1:
            return sized
        names = [Path(model).name for model in models]
        short = Path(backend.model).name if len(set(names)) == len(names) else backend.model
        return f"{sized}, {short}"

    def regressions(self, percent: float) -> list[tuple[Change, LatencyComparison]]:
        """What has become slower by more than this, beyond what noise explains."""
        return [
            (change, quantity)
            for change in self.changes
            for quantity in change.quantities
            if quantity.regressed(percent)
        ]

    def best_batch(self, name: str, limit_ms: float | None = None) -> BackendProfile | None:
        """The batch size with the highest throughput of a backend, among those within a latency limit.

        Args:
            name: the backend.
            limit_ms: for the 99th percentile; None for no limit.
        """
        within = [
            backend
            for backend in self.backends
            if backend.name == name
            and backend.model == self.model
            and backend.batch is not None
            and backend.latency is not None
            and (limit_ms is None or backend.latency.percentiles[LIMITED_PERCENTILE] <= limit_ms)
        ]
        return max(within, key=lambda backend: backend.throughput_per_s or 0.0, default=None)

    def __rich__(self) -> RenderableType:
        return text.render(self)

    def html(self, max_latency: float | None = None) -> str:
        """The whole page.

        Args:
            max_latency: milliseconds, for the choice of a batch size.

        Raises:
            MissingDependencyError: matplotlib is not installed.
        """
        return page.html(self, max_latency)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "seed": self.seed,
            "duration_s": self.duration,
            "inputs": {name: list(shape) for name, shape in self.inputs.items()},
            "backends": [backend.to_json() for backend in self.backends],
            "changes": [change.to_json() for change in self.changes],
            "notes": list(self.notes),
            "environment": dict(self.environment),
        }


def _json(summary: Summary | None) -> dict[str, Any] | None:
    return summary.to_json() if summary else None
