"""The text for whoever mends it: what is wrong, in which versions, and how to see it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from normdeploy.graph.scopes import node_name
from normdeploy.graph.shapes import format_dims

if TYPE_CHECKING:
    from normdeploy.validation.compare import TensorComparison
    from normdeploy.validation.reduction.failures import Failure, Piece
    from normdeploy.validation.reduction.result import Reduction
    from normdeploy.validation.reduction.writing import SmallFiles

_PROVIDERS = {
    "onnxruntime": "CPUExecutionProvider",
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
}

_LARGE = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS, ir.AttributeType.TENSOR)
"""Types of attributes whose values are not shown."""

_IN_BACKEND = """\
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession({model!r}, providers=[{provider!r}])
inputs, expected = dict(np.load({data!r})), np.load({expected!r})
for value, actual in zip(session.get_outputs(), session.run(None, inputs)):
    right = expected[value.name]
    error = np.abs(actual.astype(np.float64) - right)
    worst = np.unravel_index(error.argmax(), error.shape)
    print(value.name, "max abs error", error.max(), "got", actual[worst], "expected", right[worst])
"""

_CRASH = """\
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession({model!r}, providers=[{provider!r}])
print(session.run(None, dict(np.load({data!r}))))
"""

_IN_GRAPHS = """\
import numpy as np, onnxruntime

inputs, found = dict(np.load({data!r})), []
for path in {model!r}, {original!r}:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found.append(session.run(None, inputs))
for value, actual, right in zip(session.get_outputs(), *found):
    error = np.abs(actual.astype(np.float64) - right.astype(np.float64))
    print(value.name, "max abs error", error.max(), "of", np.abs(right).max())
"""


def issue_text(reduction: Reduction, piece: Piece, failure: Failure, files: SmallFiles) -> str:
    """The text, in Markdown.

    Args:
        reduction: what it is of.
        piece: that fails.
        failure: how.
        files: the piece's.
    """
    return "\n".join(_lines(reduction, piece, failure, files)) + "\n"


def script(backend: str | None, failure: Failure, files: SmallFiles) -> str | None:
    """A few lines of Python that show it with onnxruntime and NumPy alone; None where they cannot.

    Args:
        backend: which one fails; None if the graphs differ.
        failure: how.
        files: to be read from the working folder.
    """
    names = {"model": files.model.name, "data": files.data.name, "expected": files.expected.name}
    if backend is None:
        assert files.original is not None
        return _IN_GRAPHS.format(original=files.original.name, **names)
    if backend not in _PROVIDERS:
        return None
    text = _IN_BACKEND if failure.outputs and files.has_expected else _CRASH
    return text.format(provider=_PROVIDERS[backend], **names)


def _lines(reduction: Reduction, piece: Piece, failure: Failure, files: SmallFiles) -> Iterator[str]:
    who = reduction.backend
    operators = ", ".join(dict.fromkeys(node.op_type for node in piece.model.graph))
    if who is None:
        yield f"# {operators}: the deployed graph computes something else than the original"
    elif failure.status == "mismatch":
        yield f"# {operators}: {who} computes wrong numbers"
    else:
        yield f"# {operators}: {who} {'does not end' if failure.status == 'timeout' else 'crashes'}"
    yield ""
    yield (
        f"`{files.model.name}` is what is left of a model of {reduction.nodes_before} nodes; "
        f"`{files.data.name}` holds its inputs."
    )
    if files.original is not None:
        yield f"`{files.original.name}` is the piece of the original that it stands for."
    if files.has_expected:
        yield f"`{files.expected.name}` holds the right outputs, computed in float64 with NumPy."
    yield ""
    if failure.outputs:
        yield "| output | wrong elements | max abs error | max rel error | so large |"
        yield "|---|---|---|---|---|"
        for name, found in failure.outputs.items():
            yield (
                f"| `{name}` | {found.wrong} of {found.elements} | {found.max_abs_error:.3g} | "
                f"{found.max_rel_error:.3g} | {_times(found)} |"
            )
    else:
        yield f"What it says: {failure.reason}"
    yield ""
    yield from _nodes("Nodes", piece.model)
    if piece.original is not None:
        yield from _nodes("Nodes of the original", piece.original)
    yield from _reproduce(reduction, failure, files)
    yield "## Versions"
    yield ""
    for name, version in {**reduction.environment, **reduction.versions}.items():
        yield f"- {name}: {version}"


def _nodes(heading: str, model: ir.Model) -> Iterator[str]:
    yield f"## {heading}"
    yield ""
    yield "| node | operator | inputs | attributes |"
    yield "|---|---|---|---|"
    for node in model.graph:
        inputs = ", ".join("none" if value is None else _tensor(value) for value in node.inputs)
        attributes = ", ".join(f"{name}={_attribute(item)}" for name, item in node.attributes.items())
        yield f"| `{node_name(node)}` | {node.op_type} | {inputs} | {attributes} |"
    opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in model.opset_imports.items())
    yield ""
    yield f"Opset: {opsets}"
    yield ""


def _tensor(value: ir.Value) -> str:
    dtype = value.dtype.name.lower() if value.dtype is not None else "?"
    shape = (
        None if value.shape is None else tuple(dim if isinstance(dim, int) else None for dim in value.shape)
    )
    return f"{dtype} {format_dims(shape)}"


def _attribute(item: ir.Attr) -> str:
    if item.is_ref() or item.type in _LARGE:
        return item.type.name.lower()
    values = item.value if isinstance(item.value, tuple | list) else [item.value]
    shown = ", ".join(str(np.float32(value)) if isinstance(value, float) else str(value) for value in values)
    return shown if values is not item.value else f"[{shown}]"


def _reproduce(reduction: Reduction, failure: Failure, files: SmallFiles) -> Iterator[str]:
    yield "## Reproduce"
    yield ""
    text = script(reduction.backend, failure, files)
    if text is not None:
        yield "```python"
        yield from text.splitlines()
        yield "```"
        yield ""
        yield "Or, with normdeploy:"
        yield ""
    yield "```"
    yield " ".join(_command(reduction, files))
    yield "```"
    yield ""


def _command(reduction: Reduction, files: SmallFiles) -> Iterator[str]:
    yield f"normdeploy check {files.model.name} --data {files.data.name}"
    if files.original is not None:
        yield f"--reference {files.original.name}"
    if reduction.backend is not None:
        yield f"--backend {reduction.backend}"


def numbers(outputs: Mapping[str, TensorComparison]) -> Iterator[str]:
    """A line for each wrong output."""
    for name, found in outputs.items():
        yield (
            f"output {name}: {found.wrong} of {found.elements} elements are wrong, max abs error "
            f"{found.max_abs_error:.2e}, max rel error {found.max_rel_error:.2e}, {_times(found)}"
        )


def _times(found: TensorComparison) -> str:
    if not math.isfinite(found.noise_ratio):
        return "where rounding explains none"
    return f"{found.noise_ratio:.3g} times what rounding explains"
