"""What a model consists of, its normalization layers, and what half precision would do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from normdeploy.budget import budgeted
from normdeploy.graph.inference import inferred
from normdeploy.graph.inventory import Inventory, inventory
from normdeploy.graph.io import ModelSource, model_name
from normdeploy.graph.normalizations import Normalization, normalizations
from normdeploy.graph.shapes import format_dims
from normdeploy.graph.strict import blames_invalid
from normdeploy.inputs.images import ImageOptions
from normdeploy.inputs.preprocess import Function
from normdeploy.inputs.sources import Data, Preparation
from normdeploy.native_support import RUNTIMES
from normdeploy.results import Result, finite
from normdeploy.terminal import counts_table, stacked
from normdeploy.validation.half_precision.findings import HalfPrecision, findings_on_data, static_findings
from normdeploy.validation.text import warnings

SCHEMA = 1

Progress = Callable[[int, int | None], None]
"""Called with the number of samples done and of all samples, None where that is not known."""


@dataclass(frozen=True)
class ModelInspection(Result):
    """The result of `inspect`.

    Args:
        model: what was inspected.
        contents: inputs, outputs, weights, operators.
        normalizations: every normalization layer, those in subgraphs and functions too.
        half_precision: what float16 would do to those of the main graph.
        remarks: how the data was taken, a line each.
    """

    model: str
    contents: Inventory
    normalizations: Sequence[Normalization]
    half_precision: Sequence[HalfPrecision]
    remarks: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        document = {
            "schema": SCHEMA,
            "model": self.model,
            "ir_version": self.contents.ir_version,
            "opsets": dict(self.contents.opsets),
            "inputs": [port.to_json() for port in self.contents.inputs],
            "outputs": [port.to_json() for port in self.contents.outputs],
            "initializers": [asdict(weights) for weights in self.contents.initializers],
            "nodes": self.contents.nodes,
            "operators": [
                {"operator": operator, "count": count} for operator, count in self.contents.operators.items()
            ],
            "normalizations": [layer.to_json() for layer in self.normalizations],
            "half_precision": [finding.to_json() for finding in self.half_precision],
            "remarks": list(self.remarks),
        }
        return {name: finite(value) for name, value in document.items()}

    def __rich__(self) -> RenderableType:
        return Group(*_parts(self))


@blames_invalid
@budgeted
def inspect(
    model: ModelSource,
    *,
    data: Data | None = None,
    preprocess: Function | str | ImageOptions | None = None,
    timeout: float | None = None,
    max_memory: float | None = None,
    progress: Progress | None = None,
) -> ModelInspection:
    """Say what a model takes, gives and consists of, and list every normalization layer of it.

    Args:
        model: a path, or a loaded model, which is not changed.
        data: an .npz or .npy file, a folder of them or of images, FILE.py:FUNCTION that yields {name: array},
            or arrays by name; the first axis counts samples. By these inputs it is judged what half
            precision would do; without them, by the weights alone.
        preprocess: makes of one sample what the model takes; see `check`.
        timeout: seconds that reading the model may take, and each batch of the data; 600 by default.
        max_memory: bytes that this process may take, half of the machine's memory by default.
        progress: is told about each batch of the data.

    Returns:
        Inputs, outputs, weights and operators; and the layers, in subgraphs and functions too: kind,
        parameters in ONNX's terms and the AlexNet paper's, how many numbers training changes, which runtimes
        have an operator of their own for it.

    Raises:
        ModelError: not a model that is accepted.
        BudgetExceeded: it would take, or has taken, more time or memory than it may.
        InputError: data that does not fit the model.

    Example:
        >>> import normdeploy as nd
        >>> found = nd.inspect("models/digits/original.onnx")
        >>> [layer.kind for layer in found.normalizations][:2]
        ['batch normalization', 'LRN across channels']
        >>> sum(layer.trainable for layer in found.normalizations)
        288
        >>> [(port.name, port.type, port.dims) for port in found.contents.inputs]
        [('image', 'float32', ('batch', 1, 8, 8))]
        >>> found.contents.operators["Conv"]
        3
    """
    graph = inferred(model)
    remarks: Sequence[str] = ()
    if data is None:
        found = static_findings(graph)
    else:
        found, remarks = findings_on_data(graph, data, progress, Preparation(preprocess))
    return ModelInspection(model_name(model), inventory(graph), normalizations(graph), found, remarks)


def _parts(found: ModelInspection) -> Iterator[RenderableType]:
    yield Text(f"{found.model}: {_versions(found.contents)}")
    yield from _contents(found.contents)
    if found.normalizations:
        yield _layers(found.normalizations)
        yield _comparison(found.normalizations)
    else:
        yield Text("no normalization layers")
    for remark in found.remarks:
        yield Text(f"note: {remark}")
    yield from warnings(found.half_precision)


def _versions(contents: Inventory) -> str:
    opsets = (f"{domain or 'opset'} {version}" for domain, version in contents.opsets.items())
    return ", ".join([f"IR version {contents.ir_version}", *opsets, f"{contents.nodes} nodes"])


def _contents(contents: Inventory) -> Iterator[RenderableType]:
    for kind, ports in (("input", contents.inputs), ("output", contents.outputs)):
        for port in ports:
            yield Text(f"{kind} {port.name}: {port.type} {format_dims(port.dims)}")
    for weights in contents.initializers:
        tensors = f"{weights.tensors:,} tensor{'s' * (weights.tensors != 1)}"
        elements = f"{weights.elements:,} element{'s' * (weights.elements != 1)}"
        yield Text(f"initializers: {tensors} of {weights.type}, {elements}, {_size(weights.bytes)}")
    yield counts_table("operator", {"nodes": contents.operators})


def _size(nbytes: int) -> str:
    """In the largest unit of which it has one at least."""
    size, unit = float(nbytes), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{nbytes} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"


def _layers(layers: Sequence[Normalization]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("node", overflow="fold")
    table.add_column("layer", overflow="fold")
    table.add_column("trainable", justify="right")
    for layer in layers:
        place = (layer.node, f"({layer.where})") if layer.where else (layer.node,)
        trainable = "?" if layer.trainable is None else str(layer.trainable)
        table.add_row(stacked(*place), stacked(*_account(layer)), trainable)
    return table


def _account(layer: Normalization) -> Iterator[str]:
    """A layer in a few lines: kind, parameters twice, and where it runs natively."""
    yield layer.kind
    yield f"ONNX: {_listed(layer.parameters)}"
    if layer.paper is not None:
        yield f"paper: {_listed(layer.paper)}"
    elif layer.is_lrn:
        yield "paper: no n has this window"
    if layer.not_native is None:
        return
    native = [runtime for runtime in RUNTIMES if runtime not in layer.not_native]
    if native:
        yield f"native in {', '.join(native)}"
    for reason in dict.fromkeys(layer.not_native.values()):
        runtimes = [runtime for runtime in RUNTIMES if layer.not_native.get(runtime) == reason]
        yield f"not native in {', '.join(runtimes)}: {reason}"


def _listed(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in parameters.items())


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _comparison(layers: Sequence[Normalization]) -> Table:
    """The two kinds side by side; the number of trained parameters is this model's."""
    lrn = [layer for layer in layers if layer.is_lrn]
    batchnorm = [layer for layer in layers if layer.op_type == "BatchNormalization"]
    unknown = any(layer.trainable is None for layer in batchnorm)
    count = "unknown" if unknown else str(sum(layer.trainable or 0 for layer in batchnorm))
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("", "LRN", "batch normalization"):
        table.add_column(heading)
    table.add_row("layers", str(len(lrn)), str(len(batchnorm)))
    table.add_row("trainable", "no", "yes")
    table.add_row("trained parameters", "0", f"{count} (scale and shift, 2 per channel)")
    table.add_row("purpose", "lateral inhibition (local contrast)", "against internal covariate shift")
    table.add_row("regularizes", "no", "yes")
    return table
