"""Run a model in its backends and in the reference, and compare."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from normdeploy.backends.catalog import BACKENDS, find
from normdeploy.backends.tensorrt.plugins import plugin_libraries
from normdeploy.budget import budgeted
from normdeploy.choices import BACKEND_TIMEOUT
from normdeploy.environment import environment
from normdeploy.errors import UsageError
from normdeploy.graph.io import ModelSource, model_name, on_disk
from normdeploy.graph.strict import blames_invalid
from normdeploy.inputs.declared import declared_inputs, with_shapes
from normdeploy.inputs.images import ImageOptions
from normdeploy.inputs.preprocess import Function
from normdeploy.inputs.ranges import Range, usual_shapes
from normdeploy.inputs.samples import Samples, open_samples
from normdeploy.inputs.sources import Data, Preparation
from normdeploy.reference import Evaluator
from normdeploy.validation.backend_runs import BackendRuns
from normdeploy.validation.examinee import Examinee, paired_models
from normdeploy.validation.gate import Gate, given_gate
from normdeploy.validation.graphs import GraphRun
from normdeploy.validation.half_precision.findings import OverflowWatch
from normdeploy.validation.invariants.ask import ask
from normdeploy.validation.judge import Judge
from normdeploy.validation.kernels.run import KernelRun, asked_about
from normdeploy.validation.power.blindness import Blindness
from normdeploy.validation.power.measure import BATCHES, measure
from normdeploy.validation.power.result import given_min_power
from normdeploy.validation.report import CheckReport
from normdeploy.validation.stand_in import computable
from normdeploy.validation.stream import Progress, Run, stream
from normdeploy.validation.tolerance import given_tolerance


@blames_invalid
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
    shapes: Mapping[str, Sequence[int] | Range] | None = None,
    map: Mapping[str, str] | None = None,  # noqa: A002
    rtol: float | None = None,
    atol: float | None = None,
    max_flips: int | str | None = None,
    max_accuracy_drop: float | None = None,
    localize: bool = False,
    invariants: bool = False,
    kernels: str = "here",
    power: bool = False,
    min_power: float | str | None = None,
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
        shapes: of inputs whose shape the model leaves open; with `invariants` a `normdeploy.engine.Range`
            of them too.
        map: names of inputs and outputs of the model -> those of the reference, where they differ.
        rtol, atol: allow rtol · |reference| + atol; by default rounding is measured.
        max_flips: samples whose class may differ from the reference's, a number or "0.5%". It, and
            max_accuracy_drop, then decide in place of the numbers.
        max_accuracy_drop: how far the accuracy may lie below the reference's, as a share; needs labels.
        localize: whether to search the first wrong node of each backend whose numbers are wrong.
        invariants: whether to ask each backend if it contradicts itself: on equal rows, in another order, in
            other batches and shapes, when it runs again, and with inner tensors as further outputs.
        kernels: "any" to ask whether the outputs are right with every kernel that a backend may choose,
            here or elsewhere: those named by `backends`, by default all that there are. They are emulated.
        power: whether to measure, for each layer, the smallest error that the check would have called wrong.
        min_power: the relative error that has to be seen in every layer, 0.01 or "1%"; needs `power`.
        plugins: plugin libraries, loaded where a backend can use them, instead of the model's functions.
        timeout: seconds that a backend may take to load the model, and for each batch; the reference may take
            as long if it is given, 600 if not.
        max_memory: bytes that this process may take, half of the machine's memory by default.
        progress: is told about each batch; then with `invariants` about the questions that have been asked,
            with `localize` about the nodes that have been looked at, and with `power` about the layers.

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
    deployed, original, pairing = paired_models(model, reference, map)
    declared = declared_inputs(deployed, pairing.inputs)
    usual, ranges = usual_shapes(declared, shapes or {})
    if ranges and not invariants:
        raise UsageError("a range of shapes is for the invariants: give one shape, or --invariants too")
    tolerance, gate = given_tolerance(rtol, atol), given_gate(max_flips, max_accuracy_drop)
    least = given_min_power(power, min_power, gated=gate is not None)
    ours = Evaluator(deployed, keep_weights=True)
    right = ours if original is deployed else Evaluator(original, keep_weights=True)
    computed, unsupported = computable(ours, right)
    judge = Judge(computed, right, tolerance, seed)
    watch = OverflowWatch(computed.model) if data is not None else None
    with ExitStack() as stack:
        inputs, preparation = with_shapes(declared, usual), Preparation(preprocess, labels)
        opened = stack.enter_context(open_samples(inputs, data, samples, seed, preparation))
        _require_labels(gate, opened)
        path = stack.enter_context(on_disk(model))
        examinee = Examinee(path, ours, right, judge, declared, usual, opened, tolerance, gate, seed, timeout)
        with BackendRuns(examinee, chosen, requested=backends is not None) as runs:
            graphs, blindness = GraphRun(examinee), Blindness(judge, BATCHES if power else 0)
            emulated = KernelRun(examinee, asked_about(kernels, backends))
            observers: list[Run] = [graphs, *runs.all, blindness, emulated]
            done = stream(judge, observers, opened, watch, progress, classify=gate is not None)
        compared, reports = graphs.result(done.accuracy), runs.reports(done.accuracy)
        asked = ask(examinee, done.first, ranges, runs.alive, progress) if invariants else None
    if localize:
        compared = graphs.localized(compared, progress)
        reports = runs.localized(reports, compared, progress)
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
        remarks=[*pairing.remarks, *unsupported, *runs.remarks, *opened.remarks, *_of_power(power, gate)],
        graphs=compared,
        invariants=asked,
        blind=blindness.result(),
        power=measure(judge, blindness, least, progress) if power else None,
        kernels=emulated.result(done.accuracy),
    )


def _of_power(power: bool, gate: Gate | None) -> list[str]:
    if not power or gate is None:
        return []
    return ["power is about numbers: the gate decides by classes, and may pass larger errors"]


def _require_labels(gate: Gate | None, opened: Samples) -> None:
    if gate is not None and gate.max_accuracy_drop is not None and not opened.labelled:
        raise UsageError("max accuracy drop needs data with labels")
