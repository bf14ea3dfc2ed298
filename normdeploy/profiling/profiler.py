"""Time models in backends, in turn, and describe what was seen."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import numpy as np
import onnx_ir as ir

from normdeploy.backends.catalog import BACKENDS, find
from normdeploy.budget import spending
from normdeploy.choices import BACKEND_TIMEOUT, PROFILE_DURATION
from normdeploy.errors import MissingDependencyError, UsageError
from normdeploy.graph.inference import inferred
from normdeploy.graph.io import ModelSource, model_name, on_disk
from normdeploy.graph.strict import refused_if_invalid
from normdeploy.inputs.declared import declared_inputs, with_shapes
from normdeploy.profiling.baseline import read_baseline
from normdeploy.profiling.comparison import compare_sessions
from normdeploy.profiling.feed import Feed, make_feed, with_batch
from normdeploy.profiling.layers import Kinds, Layer, attribute, normalization_kinds, with_rooflines
from normdeploy.profiling.machine import machine
from normdeploy.profiling.report import BackendProfile, Change, Profile
from normdeploy.profiling.roofline import with_input_shapes
from normdeploy.profiling.schedule import SESSIONS, number_of_rounds, orders, warm_up
from normdeploy.profiling.stability import disturbance
from normdeploy.profiling.statistics import summarize
from normdeploy.profiling.timed_model import TimedModel

Progress = Callable[[int, int], None]
"""Called with the number of turns done and of all turns."""

_LAYER_RUNS = 20
_UNTIMED_RUNS = 1
"""At the beginning of a turn after another model's, to bring code and weights back into the caches."""


def profile(
    model: ModelSource,
    *,
    against: ModelSource | None = None,
    backends: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batches: Sequence[int] | None = None,
    duration: float = PROFILE_DURATION,
    layers: bool = False,
    baseline: str | os.PathLike[str] | None = None,
    seed: int = 0,
    timeout: float = BACKEND_TIMEOUT,
    max_memory: float | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Time a model in backends, each in a process of its own, in turn (see `schedule`).

    Args:
        model: what to time.
        against: another model, timed in turn with it, in several sessions with fresh processes; their ratio
            is in the result's `changes`.
        backends: names; by default all that work on this machine.
        shapes: of inputs whose shape the model leaves open.
        batches: batch sizes to compare; the model must leave its batch open.
        duration: seconds that each backend, model and batch size is timed for, after its warm-up.
        layers: ask the runtime's own profiler too.
        baseline: the JSON of an earlier profile to compare with.
        seed: of the random inputs and the order of turns.
        timeout: seconds that reading the models may take, that loading one in a backend may, and each run.
        max_memory: bytes that this process may take to read the models, half of the machine's by default.
        progress: is told about each turn.

    Returns:
        Every latency, the numbers that describe them, and what is compared. It prints as the tables that
        `normdeploy profile` shows.

    Raises:
        NormdeployError: bad usage, bad input, or a package that is not installed. What a backend does wrong
            is in the result instead.

    Example:
        >>> import normdeploy as nd
        >>> found = nd.profile("models/digits/digits.onnx", backends=["onnxruntime"], batches=[1, 8],
        ...                    duration=0.1)
        >>> [(backend.batch, backend.status) for backend in found.backends]
        [(1, 'measured'), (8, 'measured')]
        >>> found.best_batch("onnxruntime").latency.mean > 0
        True
    """
    _require_usable(duration, timeout)
    chosen = [find(name) for name in dict.fromkeys(backends)] if backends else list(BACKENDS.values())
    earlier = read_baseline(baseline) if baseline is not None else None
    sources = [model] if against is None else [model, against]
    labels = _labels(sources)
    with ExitStack() as stack:
        stack.enter_context(refused_if_invalid(*sources))
        with spending(timeout, max_memory):
            graphs = {label: inferred(source) for label, source in zip(labels, sources, strict=True)}
            feeds = [_feeds(graph, shapes or {}, batches, seed) for graph in graphs.values()]
        paths = [stack.enter_context(on_disk(source)) for source in sources]
        timed_models = [
            stack.enter_context(TimedModel(backend, backends is not None, label, path, feed, batch))
            for backend in chosen
            for label, path, by_batch in zip(labels, paths, feeds, strict=True)
            for batch, feed in by_batch.items()
        ]
        _time(timed_models, 1 if against is None else SESSIONS, duration, timeout, seed, progress)
        if layers:
            for timed in timed_models:
                timed.look_into_layers(_LAYER_RUNS)
        surroundings = machine()
        found = _described(timed_models, graphs, duration, surroundings)
    return Profile(
        model=labels[0],
        seed=seed,
        duration=duration,
        inputs=next(iter(feeds[0].values())).shapes,
        backends=found,
        changes=[*_against(timed_models, labels), *(earlier.changes(found, labels[0]) if earlier else [])],
        notes=earlier.notes(found, surroundings) if earlier else [],
        environment=surroundings,
    )


def _require_usable(duration: float, timeout: float) -> None:
    for name, value in (("duration", duration), ("timeout", timeout)):
        if not (value > 0 and math.isfinite(value)):
            raise UsageError(f"{name} must be above 0, got {value}")
    if find_spec("arch") is None:
        raise MissingDependencyError("arch", "profile")


def _labels(sources: Sequence[ModelSource]) -> list[str]:
    labels = [model_name(source) for source in sources]
    return labels if len(set(labels)) == len(labels) else [labels[0], f"{labels[1]} (again)"]


def _feeds(
    graph: ir.Model, shapes: Mapping[str, Sequence[int]], batches: Sequence[int] | None, seed: int
) -> dict[int | None, Feed]:
    """The inputs for each batch size; for None where none are given."""
    inputs = declared_inputs(graph)
    if batches is None:
        return {None: make_feed(with_shapes(inputs, shapes), seed)}
    sized = {batch: with_batch(inputs, batch) for batch in dict.fromkeys(batches)}
    given = {name: tuple(shape) for name, shape in shapes.items()}
    return {
        batch: make_feed(
            with_shapes(declared, {name: (batch, *shape[1:]) for name, shape in given.items()}), seed
        )
        for batch, declared in sized.items()
    }


def _time(
    timed_models: Sequence[TimedModel],
    sessions: int,
    duration: float,
    timeout: float,
    seed: int,
    progress: Progress | None,
) -> None:
    """Warm up and measure every model, in turn."""
    rng = np.random.default_rng(seed)
    for session in range(sessions):
        slowest = 0.0
        for timed in timed_models:
            timed.open(timeout)
            if timed.alive:
                slowest = max(slowest, np.nan_to_num(warm_up(timed, duration)))
        alive = [timed for timed in timed_models if timed.alive]
        rounds = number_of_rounds(duration, slowest, sessions)
        untimed = _UNTIMED_RUNS if len(alive) > 1 else 0
        for done, order in enumerate(orders(alive, rounds, rng), 1):
            for timed in order:
                timed.measure(duration / rounds / sessions, untimed)
            if progress is not None:
                progress(session * rounds + done, sessions * rounds)


def _described(
    timed_models: Sequence[TimedModel],
    graphs: Mapping[str, ir.Model],
    duration: float,
    machine: Mapping[str, Any],
) -> list[BackendProfile]:
    kinds = normalization_kinds(list(graphs.values()))
    return _once_if_unavailable(
        [_describe(timed, graphs[timed.label], kinds, duration, machine) for timed in timed_models]
    )


def _describe(
    timed: TimedModel, graph: ir.Model, kinds: Kinds, duration: float, machine: Mapping[str, Any]
) -> BackendProfile:
    common: dict[str, Any] = {
        "name": timed.backend.name,
        "model": timed.label,
        "requested": timed.requested,
        "batch": timed.batch,
        "rows": timed.feed.rows,
        "versions": timed.versions,
    }
    failure = timed.failure
    if failure is not None:
        return BackendProfile(**common, status=failure.status, reason=failure.reason, log=failure.log)
    latency = summarize(np.concatenate(timed.measured.latency))
    compute = transfer = None
    if timed.measured.phases:
        phases = np.concatenate(timed.measured.phases)
        compute, transfer = summarize(phases[:, 1]), summarize(phases[:, 0] + phases[:, 2])
    return BackendProfile(
        **common,
        status="measured",
        latency=latency,
        compute=compute,
        transfer=transfer,
        build_ms=timed.build_ms,
        first_ms=timed.first_ms,
        warm_up=timed.warm_up,
        peak_memory_bytes=timed.peak_memory_bytes,
        disturbance=disturbance(latency, timed.measured, timed.warm_up, duration, machine),
        peak_device_memory_bytes=timed.peak_device_memory_bytes,
        cuda_graph=timed.cuda_graph,
        cuda_graph_refusal=timed.cuda_graph_refusal,
        layers=_layers(timed, graph, kinds),
        copy_bandwidth=timed.copy_bandwidth,
        measured=timed.measured,
    )


def _layers(timed: TimedModel, graph: ir.Model, kinds: Kinds) -> list[Layer] | None:
    """The runtime's steps, with rooflines where the device's bandwidth is known."""
    if timed.layers is None:
        return None
    layers = attribute(timed.layers, graph, kinds)
    if timed.copy_bandwidth is None:
        return layers
    return with_rooflines(layers, with_input_shapes(graph, timed.feed.shapes), timed.copy_bandwidth)


def _once_if_unavailable(found: Sequence[BackendProfile]) -> list[BackendProfile]:
    """Without the second and later entries of a backend that is not there for any model."""
    missing: set[str] = set()
    kept = []
    for backend in found:
        if backend.name not in missing:
            kept.append(backend)
        if backend.status == "unavailable":
            missing.add(backend.name)
    return kept


def _against(timed_models: Sequence[TimedModel], labels: Sequence[str]) -> list[Change]:
    """The first model against the second, in each backend and at each batch size."""
    if len(labels) < 2:
        return []
    alive = {(timed.backend.name, timed.batch, timed.label): timed for timed in timed_models if timed.alive}
    return [
        Change(
            name,
            batch,
            labels[1],
            [
                compare_sessions(
                    alive[name, batch, labels[1]].measured.latency_by_session(),
                    timed.measured.latency_by_session(),
                )
            ],
        )
        for (name, batch, label), timed in alive.items()
        if label == labels[0] and (name, batch, labels[1]) in alive
    ]
