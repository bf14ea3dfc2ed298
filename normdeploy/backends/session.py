"""What a worker process can open for a model, as protocols.

Every backend opens a `Session`, which runs the model. What else it can do it says by its methods:
`PhasedSession` times copying and computing apart, `DeviceSession` watches a GPU's memory, `LayeredSession`
times each layer. `normdeploy build` opens an `EngineBuilder` instead, which runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from normdeploy.backends.device import Device
from normdeploy.dtypes import Array


class Session(Protocol):
    """One model, loaded by a runtime and ready to run."""

    versions: Mapping[str, str]
    """The runtime's name and version, and those of the libraries that decide its results."""

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """All outputs of the model, each in its own type (those that NumPy lacks as in ml_dtypes)."""
        ...


@runtime_checkable
class PhasedSession(Session, Protocol):
    """A session on a GPU that times copying and computing apart, by the GPU's own events."""

    @property
    def cuda_graph(self) -> bool:
        """Whether `run_phases` launches the computation as a captured CUDA graph."""
        ...

    @property
    def cuda_graph_refusal(self) -> str:
        """Why the computation could not be captured; empty if it was, or if nobody has tried yet."""
        ...

    def run_phases(self, inputs: Mapping[str, Array]) -> tuple[float, float, float]:
        """Run once, and wait for the end: milliseconds from host to device, computing, and back."""
        ...


@runtime_checkable
class DeviceSession(Session, Protocol):
    """A session that may use a GPU."""

    device: Device | None
    """The GPU that it uses, which tells how much of its memory is taken; None on the CPU."""


@dataclass(frozen=True)
class LayerTime:
    """How long one layer takes, as the runtime divides the model: fused nodes are one layer.

    Args:
        name: the runtime's name of the layer.
        op_type: the operator that it computes; empty where the runtime does not tell.
        inputs, outputs: names of its tensors in the runtime's own graph; empty where it does not tell.
        ms: milliseconds of one run, as a mean.
    """

    name: str
    op_type: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    ms: float

    def to_json(self) -> dict[str, Any]:
        """The fields as a dictionary for `json.dumps`."""
        return asdict(self)


@runtime_checkable
class LayeredSession(Session, Protocol):
    """A session whose runtime has a profiler of its own."""

    def layer_times(self, inputs: Sequence[Mapping[str, Array]]) -> Sequence[LayerTime]:
        """Run once on each set of inputs, under the profiler, and give the layers in order of execution."""
        ...


@runtime_checkable
class EngineBuilder(Protocol):
    """One model, parsed by a library that builds engines."""

    versions: Mapping[str, str]
    """The library's name and version, and those of the GPU and its driver where building takes them."""

    def build(self) -> dict[str, Any]:
        """Build the engine, write its file, and describe it in types that JSON has."""
        ...


class Factory(Protocol):
    """Loads a model in a worker process, which imports it by its name, `module:function`.

    Options are keyword arguments of types that JSON has.

    Raises:
        BackendUnavailable, MissingDependencyError: the runtime cannot work on this machine.
    """

    def __call__(self, model: Path, **options: Any) -> Session | EngineBuilder:
        """Load the model in this file."""
        ...
