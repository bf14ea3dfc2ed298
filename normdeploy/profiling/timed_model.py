"""A model in a backend, at a batch size, that is timed in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normdeploy.backends.catalog import Backend
from normdeploy.backends.session import LayerTime
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.errors import BackendFailure
from normdeploy.profiling.feed import Feed
from normdeploy.profiling.statistics import Floats

_NS_PER_MS = 1e6


@dataclass(frozen=True)
class WarmUp:
    """What was run before anything counted.

    Args:
        runs: how many.
        seconds: how long.
        settled: whether latencies had stopped falling by then.
    """

    runs: int
    seconds: float
    settled: bool


@dataclass
class Measured:
    """Everything that was seen of a model, by round.

    Args:
        session: number of the process that each round ran in.
        began: seconds on this machine's monotonic clock, at which each run began.
        latency: milliseconds of each run.
        phases: milliseconds of (copying in, computing, copying out) of each run, on a device that tells.
    """

    session: list[int] = field(default_factory=list)
    began: list[Floats] = field(default_factory=list)
    latency: list[Floats] = field(default_factory=list)
    phases: list[NDArray[np.float64]] = field(default_factory=list)

    def latency_by_session(self) -> list[list[Floats]]:
        """Session -> round -> latencies in milliseconds."""
        grouped: dict[int, list[Floats]] = {}
        for session, latency in zip(self.session, self.latency, strict=True):
            grouped.setdefault(session, []).append(latency)
        return list(grouped.values())


class TimedModel:
    """Use it as a context manager: leaving it ends the process. The first failure ends it too, and stays in
    `failure`; whatever is asked of it afterwards does nothing.

    Args:
        backend: what runs the model.
        requested: whether the backend was asked for by name.
        label: the model's name for reports.
        model: its file.
        feed: its inputs.
        batch: samples per run, where sizes are compared; else None.
    """

    def __init__(
        self, backend: Backend, requested: bool, label: str, model: Path, feed: Feed, batch: int | None
    ) -> None:
        self.backend, self.requested, self.label, self.model = backend, requested, label, model
        self.feed, self.batch = feed, batch
        self.failure: BackendFailure | None = None
        self.measured = Measured()
        self.build_ms = self.first_ms = 0.0
        self.warm_up: WarmUp | None = None
        self.peak_memory_bytes: int | None = None
        self.peak_device_memory_bytes: int | None = None
        self.cuda_graph: bool | None = None
        self.cuda_graph_refusal = ""
        self.layers: list[LayerTime] | None = None
        self.copy_bandwidth: float | None = None
        self._session: WorkerSession | None = None
        self._opened = 0

    def __enter__(self) -> TimedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.__exit__(kind, error, trace)

    @property
    def alive(self) -> bool:
        """Whether it can still be timed."""
        return self.failure is None

    @property
    def versions(self) -> Mapping[str, str]:
        """Of the runtime's libraries."""
        return self._session.versions if self._session else {}

    def open(self, timeout: float) -> None:
        """Load the model in a fresh process, hand over the inputs and run the first.

        What loading and the first run took is known from the first process that this opened.

        Args:
            timeout: seconds that loading the model may take, and each run.
        """
        if not self.alive:
            return
        try:
            if self._session is not None:
                self._session.close()
            self._session = self.backend.start(self.model, timeout)
            self._session.ready()
        except BackendFailure as failure:
            self.failure = failure
            return
        self._opened += 1
        header, _ = self._ask({"request": "hold"}, "running the model for the first time", self.feed.stacks)
        if self._opened == 1:
            self.build_ms = self._session.build_ns / _NS_PER_MS
            self.first_ms = header.get("first_ns", 0) / _NS_PER_MS

    def run_for(self, seconds: float, untimed: int = 0) -> Floats:
        """Run for a time, once at least.

        Args:
            seconds: how long.
            untimed: runs before those.

        Returns:
            The latencies in milliseconds; none after a failure.
        """
        return self._run(seconds, untimed)["latency_ns"] / _NS_PER_MS

    def measure(self, seconds: float, untimed: int) -> None:
        """Run for a time, once at least, and keep what was seen as one round.

        Args:
            seconds: how long.
            untimed: runs before those.
        """
        seen = self._run(seconds, untimed)
        if not self.alive:
            return
        self.measured.session.append(self._opened)
        self.measured.began.append(seen["began_ns"] / 1e9)
        self.measured.latency.append(seen["latency_ns"] / _NS_PER_MS)
        if "phases_ms" in seen:
            self.measured.phases.append(seen["phases_ms"])

    def look_into_layers(self, runs: int) -> None:
        """Ask the runtime's profiler; `layers` stays None where there is none.

        Args:
            runs: how many to profile.
        """
        header, _ = self._ask({"request": "layers", "runs": runs}, "profiling the layers")
        if header.get("layers") is not None:
            self.layers = [LayerTime(**layer) for layer in header["layers"]]
            self.copy_bandwidth = header["copy_bandwidth"]

    def _run(self, seconds: float, untimed: int) -> dict[str, NDArray[Any]]:
        header, seen = self._ask(
            {"request": "measure", "seconds": seconds, "untimed": untimed},
            "running the model",
            seconds=seconds,
        )
        self.peak_memory_bytes = _larger(self.peak_memory_bytes, header.get("peak_memory_bytes"))
        self.peak_device_memory_bytes = _larger(
            self.peak_device_memory_bytes, header.get("peak_device_memory_bytes")
        )
        self.cuda_graph = header.get("cuda_graph", self.cuda_graph)
        self.cuda_graph_refusal = header.get("cuda_graph_refusal", self.cuda_graph_refusal)
        return seen or {"latency_ns": np.empty(0), "began_ns": np.empty(0)}

    def _ask(
        self,
        header: Mapping[str, Any],
        doing: str,
        arrays: Mapping[str, NDArray[Any]] | None = None,
        seconds: float = 0.0,
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        if self._session is None or self.failure is not None:
            return {}, {}
        try:
            return self._session.ask(header, arrays or {}, doing, seconds)
        except BackendFailure as failure:
            self.failure = failure
            return {}, {}


def _larger(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)
