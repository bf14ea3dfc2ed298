"""Run a model in its backends and in the reference, and compare."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

import onnx_ir as ir

from normdeploy.backends.catalog import BACKENDS, Backend, find
from normdeploy.backends.tensorrt.plugins import plugin_libraries
from normdeploy.budget import budgeted
from normdeploy.choices import BACKEND_TIMEOUT
from normdeploy.environment import environment
from normdeploy.errors import ModelError, UsageError
from normdeploy.graph.inference import inferred
from normdeploy.graph.io import ModelSource, load, model_name, on_disk
from normdeploy.inputs.declared import declared_inputs, with_shapes
from normdeploy.inputs.images import ImageOptions
from normdeploy.inputs.preprocess import Function
from normdeploy.inputs.samples import Samples, open_samples
from normdeploy.inputs.sources import Data, Preparation
from normdeploy.reference import Evaluator
from normdeploy.validation.backend_run import BackendRun
from normdeploy.validation.gate import Gate, given_gate
from normdeploy.validation.half_precision.findings import OverflowWatch
from normdeploy.validation.judge import Judge
from normdeploy.validation.localize import (
    Judgement,
    Localization,
    by_rounding,
    runner,
    search_divergence,
)
from normdeploy.validation.pairing import pair_interfaces
from normdeploy.validation.quantization import is_quantized, output_steps, with_unoptimized
from normdeploy.validation.report import CheckReport
from normdeploy.validation.stream import Progress, stream
from normdeploy.validation.tolerance import Tolerance, given_tolerance


@budgeted
def check(
    model: ModelSource,
    *,
    reference: ModelSource | None = None,
    backends: Sequence[str] | None = None,
    data: Data | None = None,
    preprocess: Function | str | ImageOptions | None = None,
    labels: str | os.PathLike[str] | None = None,
    samples: int | None = None,
    seed: int = 0,
    shapes: Mapping[str, Sequence[int]] | None = None,
    map: Mapping[str, str] | None = None,  # noqa: A002
    rtol: float | None = None,
    atol: float | None = None,
    max_flips: int | str | None = None,
    max_accuracy_drop: float | None = None,
    localize: bool = False,
    plugins: Sequence[str | os.PathLike[str]] = (),
    timeout: float = BACKEND_TIMEOUT,
    max_memory: float | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Compare what backends make of a model with the float64 reference.

    Args:
        model: the deployed model.
        reference: the original; by default the deployed model itself.
        backends: names; by default all that work on this machine.
        data: an .npz or .npy file, a folder of them or of images, FILE.py:FUNCTION that yields {name: array},
            or arrays by name; the first axis counts samples. By default random inputs. An array `labels`
            that is no input, or the names of a folder's subfolders, add accuracies.
        preprocess: a function or FILE.py:FUNCTION that makes of one sample what the model takes, an image
            being uint8 [H, W, 3]; or what becomes of images, an ImageOptions.
        labels: a CSV file with two columns, a file of the folder and its class.
        samples: how many; by default all of the data, or 8 random ones.
        seed: of the random inputs.
        shapes: of inputs whose shape the model leaves open.
        map: names of inputs and outputs of the model -> those of the reference, where they differ.
        rtol, atol: allow rtol · |reference| + atol; by default rounding is measured.
        max_flips: samples whose class may differ from the reference's, a number or "0.5%". It, and
            max_accuracy_drop, then decide in place of the numbers.
        max_accuracy_drop: how far the accuracy may lie below the reference's, as a share; needs labels.
        localize: whether to search the first wrong node of each backend whose numbers are wrong.
        plugins: plugin libraries, loaded where a backend can use them, instead of the model's functions.
        timeout: seconds that a backend may take to load the model, and for each batch; the reference may take
            as long if it is given, 600 if not.
        max_memory: bytes that this process may take, half of the machine's memory by default.
        progress: is told about each batch; with `localize`, then about the nodes that have been looked at.

    Returns:
        What each backend made of it, and the verdict. It prints as the table that `normdeploy check` shows.

    Raises:
        NormdeployError: bad usage or bad input; BudgetExceeded where the work would take too much. What a
            backend does wrong is in the report instead.

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
    original, remarks = _paired(deployed, reference, map)
    inputs = with_shapes(declared_inputs(deployed), shapes or {})
    tolerance = given_tolerance(rtol, atol)
    gate = given_gate(max_flips, max_accuracy_drop)
    watch = OverflowWatch(deployed) if data is not None else None
    quantized = is_quantized(deployed)
    with ExitStack() as stack:
        preparation = Preparation(preprocess, labels)
        opened = stack.enter_context(open_samples(inputs, data, samples, seed, preparation))
        _require_labels(gate, opened)
        path = stack.enter_context(on_disk(model))
        runs = [stack.enter_context(BackendRun(backend, backends is not None)) for backend in chosen]
        plain = _unoptimized(runs, chosen, stack) if quantized else {}
        for run in (*runs, *plain.values()):
            run.start(path, timeout)
        judge = _judge(deployed, original, tolerance, seed)
        done = stream(judge, (*runs, *plain.values()), opened, watch, progress, classify=gate is not None)
        reports = [run.report(opened.labelled, gate, done.accuracy) for run in runs]
        plain_reports = [plain[run].report(labelled=False) if run in plain else None for run in runs]
    if quantized:
        against = None if original is deployed else "the reference"
        remarks.append(f"the model is quantized, and held against {against or 'its own graph in float64'}")
        steps = output_steps(deployed)
        reports = [
            with_unoptimized(report, other, steps, against)
            for report, other in zip(reports, plain_reports, strict=True)
        ]
    if localize:
        found = _localizations(deployed, original, runs, chosen, timeout, by_rounding(seed), progress)
        reports = [replace(report, localization=each) for report, each in zip(reports, found, strict=True)]
    return CheckReport(
        model=model_name(model),
        reference=model_name(model if reference is None else reference),
        samples=done.samples,
        seed=seed,
        backends=reports,
        reference_accuracy=done.accuracy,
        environment=environment(),
        half_precision=watch.findings() if watch else (),
        gate=gate,
        remarks=[*remarks, *opened.remarks],
    )


def _paired(
    deployed: ir.Model, reference: ModelSource | None, names: Mapping[str, str] | None
) -> tuple[ir.Model, list[str]]:
    """The reference under the deployed model's names, and which names differ in its file."""
    original, remarks = deployed, []
    if reference is not None:
        original = load(reference)
        if original is reference:
            original = original.clone()
        remarks = pair_interfaces(deployed, original, names or {})
    elif names:
        raise UsageError("map tells the names of a reference: give --reference too")
    for value in deployed.graph.outputs:
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise ModelError(f"output '{value.name}' is {value.type}: only tensors can be checked")
    return original, remarks


def _unoptimized(
    runs: Sequence[BackendRun], backends: Sequence[Backend], stack: ExitStack
) -> dict[BackendRun, BackendRun]:
    """For each run whose backend can do without optimizations, one that does."""
    variants = {run: backend.unoptimized() for run, backend in zip(runs, backends, strict=True)}
    return {
        run: stack.enter_context(BackendRun(variant, requested=False))
        for run, variant in variants.items()
        if variant is not None
    }


def _require_labels(gate: Gate | None, opened: Samples) -> None:
    if gate is not None and gate.max_accuracy_drop is not None and not opened.labelled:
        raise UsageError("max accuracy drop needs data with labels")


def _judge(deployed: ir.Model, original: ir.Model, tolerance: Tolerance | None, seed: int) -> Judge:
    evaluator = Evaluator(deployed, keep_weights=True)
    right = evaluator if original is deployed else Evaluator(original, keep_weights=True)
    return Judge(evaluator, right, tolerance, seed)


def _localizations(
    deployed: ir.Model,
    original: ir.Model,
    runs: Sequence[BackendRun],
    backends: Sequence[Backend],
    timeout: float,
    judgement: Judgement,
    progress: Progress | None,
) -> Iterator[Localization | None]:
    """The first wrong node of each backend; None for one whose numbers are right."""
    for run, backend in zip(runs, backends, strict=True):
        if run.wrong_on is None:
            yield None
        else:
            execute = runner(backend, timeout)
            yield search_divergence(deployed, original, run.wrong_on, execute, judgement, progress)
