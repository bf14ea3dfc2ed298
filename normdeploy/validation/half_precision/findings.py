"""Warns of normalization layers that half precision would spoil, before anybody builds such an engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from normdeploy.batchnorm import ONNX_EPSILON
from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.graph.normalizations import is_lrn, is_normalization, lrn_of
from normdeploy.graph.scopes import node_name
from normdeploy.inputs.declared import declared_inputs
from normdeploy.inputs.samples import open_samples
from normdeploy.inputs.sources import Data, Preparation
from normdeploy.reference import Evaluator
from normdeploy.validation.half_precision import extents
from normdeploy.validation.half_precision.extents import LARGEST, Extent

Problem = Literal["overflow", "underflow"]

_PARAMETERS = ("scale", "shift", "mean", "variance")
_PASS_THROUGH = ("Relu", "Identity", "Dropout", "MaxPool")
"""What may stand between a BatchNorm and an LRN: they make no value larger."""


@dataclass(frozen=True)
class HalfPrecision:
    """One layer in half precision.

    Args:
        node: its name, or that of its first output.
        op_type: its operator.
        quantity: what `extent.largest` is, in words.
        extent: what the layer met.
        problem: None if half precision is no problem here.
        consequence: of the problem, and how many outputs it reaches.
        fix: what to do.
    """

    node: str
    op_type: str
    quantity: str
    extent: Extent
    problem: Problem | None = None
    consequence: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.node} ({self.op_type}) in float16: {self.consequence}. {self.fix}"

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        numbers = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self.extent).items()
        }
        return {
            "node": self.node,
            "op_type": self.op_type,
            "quantity": self.quantity,
            **numbers,
            "problem": self.problem,
            "consequence": self.consequence,
            "fix": self.fix,
        }


class OverflowWatch:
    """Looks at what the normalization layers of a model's main graph are given while the reference runs.

    Call `start` with each batch's inputs, pass what it gives to `Evaluator.run`, and `add` it afterwards. No
    tensor is held.

    Args:
        model: whose layers are watched; the reference has to run the same model.
    """

    def __init__(self, model: ir.Model) -> None:
        self._layers = [node for node in model.graph if _is_watched(node)]
        self._extents: dict[ir.Node, Extent] = {}
        self._readers: dict[str, list[ir.Node]] = {}
        self._parameters: dict[str, Array | None] = {}
        for node in self._layers:
            self._readers.setdefault(str(node.inputs[0].name), []).append(node)  # type: ignore[union-attr]
            self._parameters.update((str(value.name), _constant(value)) for value in node.inputs[1:] if value)

    def start(self, inputs: Mapping[str, Array]) -> BatchWatch:
        """What sees the nodes of one batch, and has seen its inputs."""
        return BatchWatch(self._readers, self._parameters, inputs)

    def add(self, batch: BatchWatch) -> None:
        """Count what was met in a batch that has been computed."""
        for node, extent in batch.extents.items():
            self._extents[node] = self._extents.get(node, Extent()) + extent

    def findings(self) -> list[HalfPrecision]:
        """Every layer that was met, in the graph's order."""
        return [_finding(node, self._extents[node]) for node in self._layers if node in self._extents]


class BatchWatch:
    """What an `OverflowWatch` sees of one batch; see `normdeploy.reference.evaluator.NodeObserver`.

    Args:
        readers: the layers, by the names of the tensors that they normalize.
        parameters: of the layers, by name; None for those that the graph computes.
        inputs: the batch.

    Attributes:
        extents: what each layer met.
    """

    def __init__(
        self,
        readers: Mapping[str, Sequence[ir.Node]],
        parameters: Mapping[str, Array | None],
        inputs: Mapping[str, Array],
    ) -> None:
        self._readers, self._parameters = readers, dict(parameters)
        self.extents: dict[ir.Node, Extent] = {}
        for name, array in inputs.items():
            self._see(name, array)

    def __call__(self, node: ir.Node, results: Sequence[Array]) -> None:
        for value, array in zip(node.outputs, results, strict=False):
            self._see(str(value.name), array)

    def _see(self, name: str, array: Array) -> None:
        if name in self._parameters:
            self._parameters[name] = array
        for node in self._readers.get(name, ()):
            extent = _measured(node, array.astype(np.float64), self._parameters)
            if extent is not None:
                self.extents[node] = extent


def static_findings(model: ir.Model) -> list[HalfPrecision]:
    """What the weights alone say of the main graph's BatchNorm and LRN layers.

    A BatchNorm's variances and factors are in the file. Behind one (and a Relu, a MaxPool, ...) the
    channels of an LRN's input have mean squares of about γ² + β²; the expected sum of squares in a window is
    their window sum.

    Args:
        model: a loaded model.
    """
    found = []
    for node in model.graph:
        if not _is_watched(node):
            continue
        if node.op_type == "BatchNormalization":
            parameters = _batch_norm_parameters(node)
            extent = None if parameters is None else extents.of_batch_norm(**parameters)
        else:
            extent = _expected_lrn(node)
        if extent is not None:
            found.append(_finding(node, extent))
    return found


def findings_on_data(
    model: ir.Model,
    data: Data,
    progress: Callable[[int, int | None], None] | None = None,
    preparation: Preparation | None = None,
) -> tuple[list[HalfPrecision], list[str]]:
    """What the reference meets on a user's inputs.

    Args:
        model: whose layers are watched.
        data: what the user brings.
        progress: called with the number of samples done and of all samples, None where that is not known.
        preparation: what is done to the data first.

    Returns:
        The findings, and what a user should know of how the data was taken.

    Raises:
        InputError: arrays that do not fit the model.
    """
    watch, evaluator, done = OverflowWatch(model), Evaluator(model), 0
    with open_samples(declared_inputs(model), data, None, 0, preparation) as samples:
        for batch in samples.batches:
            restart_clock()
            seen = watch.start(batch.inputs)
            evaluator.run(batch.inputs, on_node=seen)
            watch.add(seen)
            done += batch.samples
            if progress is not None:
                progress(done, samples.count)
    return watch.findings(), samples.remarks


def _is_watched(node: ir.Node) -> bool:
    return is_normalization(node) and bool(node.inputs) and node.inputs[0] is not None


def _measured(node: ir.Node, x: Array, parameters: Mapping[str, Array | None]) -> Extent | None:
    """None for a layer that cannot be judged: training mode, or a malformed node."""
    if not x.size:
        return None
    with np.errstate(all="ignore"):
        if is_lrn(node):
            spec = lrn_of(node)
            return None if spec is None or x.ndim < 3 else extents.of_lrn(x, spec)
        if node.op_type == "BatchNormalization":
            known = _batch_norm_parameters(node, parameters)
            return None if known is None or x.ndim < 2 else extents.of_batch_norm(**known, x=x)
        return _of_groups(node, x)


def _of_groups(node: ir.Node, x: Array) -> Extent | None:
    epsilon = node.attributes.get_float("epsilon", ONNX_EPSILON)
    spatial = range(2, x.ndim)
    axis = node.attributes.get_int("axis", -1) % max(x.ndim, 1)
    match node.op_type:
        case "InstanceNormalization":
            return extents.of_groups(x, spatial, epsilon, centred=True)
        case "GroupNormalization":
            groups = x.reshape(x.shape[0], node.attributes.get_int("num_groups"), -1)
            return extents.of_groups(groups, [2], epsilon, centred=True)
        case "LayerNormalization":
            return extents.of_groups(x, range(axis, x.ndim), epsilon, centred=True)
        case "RMSNormalization":
            return extents.of_groups(x, range(axis, x.ndim), epsilon, centred=False)
        case "MeanVarianceNormalization":
            return extents.of_groups(x, node.attributes.get_ints("axes", (0, 2, 3)), 0.0, centred=True)
        case "LpNormalization" if node.attributes.get_int("p", 2) == 2:
            return extents.of_groups(x, [axis], 0.0, centred=False)
    return None


def _batch_norm_parameters(
    node: ir.Node, computed: Mapping[str, Array | None] | None = None
) -> dict[str, Any] | None:
    if node.attributes.get_int("training_mode", 0) or len(node.inputs) < 5:
        return None
    arrays = {}
    for role, value in zip(_PARAMETERS, node.inputs[1:5], strict=True):
        array = computed.get(str(value and value.name)) if computed is not None else _constant(value)
        if array is None:
            return None
        arrays[role] = array.astype(np.float64)
    return {**arrays, "epsilon": node.attributes.get_float("epsilon", ONNX_EPSILON)}


def _expected_lrn(node: ir.Node) -> Extent | None:
    """The sums of squares that an LRN has to expect behind a BatchNorm; None behind anything else."""
    spec, source = lrn_of(node), node.inputs[0]
    while source is not None and (before := source.producer()) is not None:
        if before.op_type == "BatchNormalization":
            parameters = _batch_norm_parameters(before)
            if spec is None or parameters is None:
                return None
            size = np.sqrt(np.square(parameters["scale"]) + np.square(parameters["shift"]))
            planes = size.reshape(1, -1, 1, 1)
            if spec.region == "within":
                width = sum(spec.window) + 1
                planes = np.broadcast_to(planes, (1, size.size, width, width))
            return extents.of_lrn(planes, spec)
        if before.op_type not in _PASS_THROUGH:
            return None
        source = before.inputs[0]
    return None


def _constant(value: ir.Value | None) -> Array | None:
    return None if value is None or value.const_value is None else value.const_value.numpy()


def _finding(node: ir.Node, extent: Extent) -> HalfPrecision:
    quantity = "the sum of squares"
    unit = "outputs"
    if is_lrn(node):
        quantity = "the sum of squares in a window"
    elif node.op_type == "BatchNormalization":
        quantity, unit = "variance + epsilon", "channels"
    problem, consequence, fix = _judged(node, extent, quantity, unit)
    return HalfPrecision(node_name(node), node.op_type, quantity, extent, problem, consequence, fix)


def _judged(node: ir.Node, extent: Extent, quantity: str, unit: str) -> tuple[Problem | None, str, str]:
    fix = "Keep this node in float32, or use bfloat16, which has the range of float32."
    reaches = f"{quantity} reaches {extent.largest:.4g}"
    if extent.max_abs:
        reaches += f" (largest |x| is {extent.max_abs:.4g})"
    if extent.overflow:
        where = f"{extent.overflow} of {extent.elements} {unit}"
        if extent.largest <= LARGEST:
            return "overflow", f"values beyond {LARGEST:.0f} become infinite in {where}; {reaches}", fix
        if is_lrn(node):
            scale = 2 ** math.ceil(math.log2(extent.largest / LARGEST) / 2)
            return (
                "overflow",
                f"{reaches}, more than {LARGEST:.0f}: {where} become 0",
                f"Keep this node in float32; or divide its input by {scale}, multiply alpha by {scale**2} "
                f"and its output by {scale}.",
            )
        return "overflow", f"{reaches}, more than {LARGEST:.0f}: {where} lose all but the shift", fix
    if extent.underflow:
        where = f"{extent.underflow} of {extent.elements} {unit}"
        return "underflow", f"small numbers vanish from the denominator of {where}; {reaches}", fix
    return None, "", ""
