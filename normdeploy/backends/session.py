"""What a backend is, and how one fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from normdeploy.backends.device import Device
from normdeploy.dtypes import Array


class Session(Protocol):
    """A runtime that has loaded one model. It lives in the worker process."""

    versions: Mapping[str, str]
    """The runtime's name and version, and those of the libraries that decide its results."""

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """All outputs of the model, each in its own type (those that NumPy lacks as in ml_dtypes)."""
        ...


@runtime_checkable
class PhasedSession(Session, Protocol):
    """A session on a device that can tell copying from computing, by the device's own events."""

    @property
    def cuda_graph(self) -> bool:
        """Whether `run_phases` launches the computation as a captured CUDA graph."""
        ...

    @property
    def cuda_graph_refusal(self) -> str:
        """Why it could not be captured; empty where it was, or was not tried yet."""
        ...

    def run_phases(self, inputs: Mapping[str, Array]) -> tuple[float, float, float]:
        """Run once, and wait for the end: milliseconds from host to device, computing, and back."""
        ...


@runtime_checkable
class DeviceSession(Session, Protocol):
    """A session that may use a GPU."""

    device: Device | None
    """Where it does, what watches the GPU's memory."""


@dataclass(frozen=True)
class LayerTime:
    """One step of a runtime's own plan.

    Args:
        name: the runtime's name for it.
        op_type: what it executes.
        inputs, outputs: names of its tensors as far as the runtime tells, in its own graph.
        ms: mean time of one run in milliseconds.
    """

    name: str
    op_type: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    ms: float

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


@runtime_checkable
class LayeredSession(Session, Protocol):
    """A session whose runtime has a profiler of its own."""

    def layer_times(self, inputs: Sequence[Mapping[str, Array]]) -> Sequence[LayerTime]:
        """Run once on each set of inputs, under the profiler, and give each step in order of execution."""
        ...


class SessionFactory(Protocol):
    """Loads a model; named `module:function` in the catalog and imported in the worker process.

    What a backend takes besides the model it takes as keyword arguments.

    Raises:
        BackendUnavailable, MissingDependencyError: the runtime cannot work on this machine.
    """

    def __call__(self, model: Path, **options: Any) -> Session: ...
