"""Run a model in its backends and in the reference, and compare."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir

from normdeploy.backends.catalog import BACKENDS, Backend, find
from normdeploy.backends.tensorrt.plugins import plugin_libraries
from normdeploy.choices import BACKEND_TIMEOUT
from normdeploy.environment import environment
from normdeploy.errors import InputError, ModelError, UsageError
from normdeploy.graph.inference import inferred
from normdeploy.graph.io import ModelSource, load, model_name, on_disk
from normdeploy.inputs.declared import declared_inputs, with_shapes
from normdeploy.inputs.samples import Batch, Data, Samples, open_samples
from normdeploy.reference import Evaluator
from normdeploy.validation.accuracy import Tally, predicted_classes, scores_output
from normdeploy.validation.backend_run import BackendRun
from normdeploy.validation.half_precision.findings import OverflowWatch
from normdeploy.validation.judge import Judge
from normdeploy.validation.localize import (
    CompareTensors,
    Localization,
    comparison_by,
    runner,
    search_divergence,
)
from normdeploy.validation.report import CheckReport
from normdeploy.validation.tolerance import Tolerance, given_tolerance

Progress = Callable[[int, int], None]
"""Called with the number of samples done and of all samples."""


def check(
    model: ModelSource,
    *,
    reference: ModelSource | None = None,
    backends: Sequence[str] | None = None,
    data: Data | None = None,
    samples: int | None = None,
    seed: int = 0,
    shapes: Mapping[str, Sequence[int]] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    localize: bool = False,
    plugins: Sequence[str | os.PathLike[str]] = (),
    timeout: float = BACKEND_TIMEOUT,
    progress: Progress | None = None,
) -> CheckReport:
    """Compare what backends make of a model with the float64 reference.

    Args:
        model: the deployed model.
        reference: the original; by default the deployed model itself.
        backends: names; by default all that work on this machine.
        data: an .npz file, or arrays by name; the first axis counts samples. By default random inputs.
            An array `labels` that is no input adds accuracies.
        samples: how many; by default all of the data, or 8 random ones.
        seed: of the random inputs.
        shapes: of inputs whose shape the model leaves open.
        rtol, atol: allow rtol · |reference| + atol; by default rounding is measured.
        localize: whether to search the first wrong node of each backend whose numbers are wrong.
        plugins: plugin libraries, loaded where a backend can use them, instead of the model's functions.
        timeout: seconds that a backend may take to load the model, and for each batch.
        progress: is told about each batch.

    Returns:
        What each backend made of it, and the verdict. It prints as the table that `normdeploy check` shows.

    Raises:
        NormdeployError: bad usage or bad input. What a backend does wrong is in the report instead.

    Example:
        >>> import normdeploy as nd
        >>> report = nd.check("models/digits/digits.onnx", reference="models/digits/original.onnx",
        ...                   backends=["onnxruntime"], data="models/digits/heldout.npz")
        >>> report.verdict
        'pass'
        >>> print(f"{report.backends[0].accuracy:.2%} of {report.samples} images")
        99.33% of 450 images
    """
    if not timeout > 0:
        raise UsageError(f"timeout must be above 0, got {timeout}")
    libraries = plugin_libraries(plugins)
    chosen = [find(name).with_plugins(libraries) for name in dict.fromkeys(backends or BACKENDS)]
    deployed = inferred(model)
    original = deployed if reference is None else load(reference)
    _require_comparable(deployed, original)
    inputs = with_shapes(declared_inputs(deployed), shapes or {})
    tolerance = given_tolerance(rtol, atol)
    watch = OverflowWatch(deployed) if data is not None else None
    with ExitStack() as stack:
        opened = stack.enter_context(open_samples(inputs, data, samples, seed))
        path = stack.enter_context(on_disk(model))
        runs = [stack.enter_context(BackendRun(backend, backends is not None)) for backend in chosen]
        for run in runs:
            run.start(path, timeout)
        accuracy = _stream(_judge(deployed, original, tolerance, seed), runs, opened, watch, progress)
        reports = [run.report(opened.labelled) for run in runs]
    if localize:
        found = _localizations(deployed, original, runs, chosen, timeout, comparison_by(tolerance, seed))
        reports = [replace(report, localization=each) for report, each in zip(reports, found, strict=True)]
    return CheckReport(
        model=model_name(model),
        reference=model_name(model if reference is None else reference),
        samples=opened.count,
        seed=seed,
        backends=reports,
        reference_accuracy=accuracy,
        environment=environment(),
        half_precision=watch.findings() if watch else (),
    )


def _judge(deployed: ir.Model, original: ir.Model, tolerance: Tolerance | None, seed: int) -> Judge:
    evaluator = Evaluator(deployed, keep_weights=True)
    right = evaluator if original is deployed else Evaluator(original, keep_weights=True)
    return Judge(evaluator, right, tolerance, seed)


def _stream(
    judge: Judge,
    runs: Sequence[BackendRun],
    samples: Samples,
    watch: OverflowWatch | None,
    progress: Progress | None,
) -> float | None:
    """Put every batch through the reference and the runs; the reference's accuracy, with labels."""
    tally, scores, done = Tally(), None, 0
    for batch in samples.batches:
        if not any(run.alive for run in runs):
            break
        if watch is not None:
            watch.start(batch.inputs)
        with np.errstate(all="ignore"):  # NaN and overflow are what is compared, not news
            case = judge.on(batch.inputs, watch.on_node if watch else None)
        predicted = None
        if batch.labels is not None:
            scores = scores or _scores(case.expected, batch)
            predicted = predicted_classes(case.expected, scores, batch.samples)
            tally.add(predicted, batch.labels, predicted)
        for run in runs:
            run.judge(batch, case, scores, predicted)
        done += batch.samples
        if progress is not None:
            progress(done, samples.count)
    return tally.accuracy


def _localizations(
    deployed: ir.Model,
    original: ir.Model,
    runs: Sequence[BackendRun],
    backends: Sequence[Backend],
    timeout: float,
    compare: CompareTensors,
) -> Iterator[Localization | None]:
    """The first wrong node of each backend; None for one whose numbers are right."""
    for run, backend in zip(runs, backends, strict=True):
        if run.wrong_on is None:
            yield None
        else:
            execute = runner(backend, timeout)
            yield search_divergence(deployed, original, run.wrong_on, execute, compare)


def _scores(expected: Mapping[str, Any], batch: Batch) -> str:
    rows = max((array.shape[0] for array in batch.inputs.values() if array.ndim), default=1)
    output = scores_output(expected, rows)
    if output is None:
        raise InputError("the data has 'labels', but the model has no output with class scores per sample")
    return output


def _require_comparable(deployed: ir.Model, original: ir.Model) -> None:
    if original is not deployed:
        _require_same_interface(deployed, original)
    for value in deployed.graph.outputs:
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise ModelError(f"output '{value.name}' is {value.type}: only tensors can be checked")


def _require_same_interface(deployed: ir.Model, original: ir.Model) -> None:
    pairs = (
        (
            "inputs",
            {item.name for item in declared_inputs(deployed)},
            {item.name for item in declared_inputs(original)},
        ),
        ("outputs", _output_names(deployed), _output_names(original)),
    )
    for what, ours, theirs in pairs:
        if ours != theirs:
            raise InputError(
                f"the model and its reference have different {what}: {_listed(ours)} and {_listed(theirs)}; "
                f"rename them so that they agree"
            )


def _output_names(model: ir.Model) -> set[str]:
    return {str(value.name) for value in model.graph.outputs}


def _listed(names: set[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
