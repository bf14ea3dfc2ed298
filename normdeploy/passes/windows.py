"""Find out over which window of which axes a subgraph takes the mean of squares.

Between the square and the mean there may be nodes that only move elements (Reshape, Squeeze, Unsqueeze,
Identity), zero padding, and average pools. `trace_mean_square` collects them from the mean upwards;
`windows` follows them from the square downwards, keeping account of which axes of x each dimension of the
current tensor stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from normdeploy.passes.constants import Constants
from normdeploy.passes.report import Refused

_MOVES = ("Reshape", "Squeeze", "Unsqueeze", "Identity")
Axes = list[tuple[int, ...]]
"""For each dimension of a tensor, the axes of x that it holds, in order; () for a dimension of 1."""


@dataclass(frozen=True)
class Chain:
    """The nodes from the square of `source` (included) to its mean, in order of computation."""

    source: ir.Value
    nodes: tuple[ir.Node, ...]


@dataclass
class _State:
    axes: Axes
    padding: dict[int, tuple[int, int]] = field(default_factory=dict)  # dimension -> zeros before, after
    extents: dict[int, tuple[int, int]] = field(default_factory=dict)  # axis of x -> window


def trace_mean_square(mean: ir.Value) -> Chain | None:
    """The chain of nodes that computes `mean` from a square, or None where there is none."""
    nodes: list[ir.Node] = []
    value: ir.Value | None = mean
    while value is not None and (node := value.producer()) is not None and node.domain in ("", "ai.onnx"):
        nodes.append(node)
        if node.op_type == "Mul" and node.inputs[0] is node.inputs[1] and node.inputs[0] is not None:
            return Chain(node.inputs[0], tuple(reversed(nodes)))
        if node.op_type not in (*_MOVES, "Pad", "AveragePool"):
            return None
        value = node.inputs[0]
    return None


def windows(chain: Chain, constants: Constants) -> dict[int, tuple[int, int]]:
    """For each axis of the source that is averaged, how far the window reaches before and after.

    Raises:
        Refused: it is not a mean over a box around each element, or the shapes do not tell.
    """
    rank = len(_dims(chain.source))
    state = _State([(axis,) for axis in range(rank)])
    for node in chain.nodes[1:]:
        if node.op_type in ("Reshape", "Squeeze", "Unsqueeze"):
            if state.padding:
                raise Refused(f"{node.op_type} '{node.name}' moves padded elements")
            assert node.inputs[0] is not None
            state.axes = _regroup(
                state.axes, _dims(node.inputs[0]), _dims(node.outputs[0]), _dims(chain.source)
            )
        elif node.op_type == "Pad":
            _pad(node, state, constants)
        elif node.op_type == "AveragePool":
            _pool(node, state)
    if state.padding or state.axes != [(axis,) for axis in range(rank)]:
        raise Refused("its mean has another shape than its input")
    if not state.extents:
        raise Refused("it takes no mean over a window")
    return state.extents


Dim = int | str


def _dims(value: ir.Value) -> list[Dim]:
    """The declared dimensions of a tensor.

    Raises:
        Refused: the model does not tell them.
    """
    if value.shape is None:
        raise Refused(f"the shape of '{value.name}' is not known")
    dims: list[Dim] = []
    for dim in value.shape:
        known = dim if isinstance(dim, int) else dim.value
        if known is None:
            raise Refused(f"the shape of '{value.name}' is not known")
        dims.append(known)
    return dims


def _regroup(axes: Axes, source: list[Dim], target: list[Dim], original: list[Dim]) -> Axes:
    """The axes after a node that only moves elements from one shape to another."""
    result: Axes = []
    position = 0
    for index, dim in enumerate(target):
        if position < len(source) and source[position] == dim:
            result.append(axes[position])
            position += 1
            continue
        while position < len(source) and source[position] == 1 and not axes[position] and dim != 1:
            position += 1
        if position < len(source) and source[position] == dim:
            result.append(axes[position])
            position += 1
        elif dim == 1:
            result.append(())
        elif index == len(target) - 1:  # the last dimension holds all that is left
            result.append(tuple(axis for group in axes[position:] for axis in group))
            position = len(source)
        elif position == len(source) - 1 and [original[axis] for axis in axes[position]] == target[index:]:
            return [*result, *((axis,) for axis in axes[position])]
        else:
            raise Refused(f"the reshape from {source} to {target} mixes axes")
    if any(axes[position:]):
        raise Refused(f"the reshape from {source} to {target} mixes axes")
    return result


def _pad(node: ir.Node, state: _State, constants: Constants) -> None:
    if node.attributes.get_string("mode", "constant") != "constant":
        raise Refused(f"Pad '{node.name}' does not pad with zeros")
    inputs = [*node.inputs, None, None, None][:4]
    value = constants.scalar(inputs[2]) if inputs[2] is not None else node.attributes.get_float("value", 0.0)
    if value != 0:
        raise Refused(f"Pad '{node.name}' does not pad with zeros")
    attribute = node.attributes.get_ints("pads", ())
    array = constants.array(inputs[1]) if inputs[1] is not None else None
    pads = list(attribute) if array is None else [int(item) for item in array]
    rank = len(state.axes)
    if inputs[3] is not None or len(pads) != 2 * rank:
        raise Refused(f"the pads of Pad '{node.name}' are not constant")
    for dim in range(rank):
        _add_padding(state, dim, pads[dim], pads[dim + rank])


def _add_padding(state: _State, dim: int, before: int, after: int) -> None:
    if before or after:
        old = state.padding.get(dim, (0, 0))
        state.padding[dim] = (old[0] + before, old[1] + after)


def _pool(node: ir.Node, state: _State) -> None:
    attributes = node.attributes
    kernel = attributes.get_ints("kernel_shape", ())
    spatial = len(kernel)
    for name in ("strides", "dilations"):
        if any(item != 1 for item in attributes.get_ints(name, ())):
            raise Refused(f"AveragePool '{node.name}' has {name} {list(attributes.get_ints(name, ()))}")
    pads = list(attributes.get_ints("pads", [0] * (2 * spatial)))
    auto_pad = attributes.get_string("auto_pad", "NOTSET")
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        small, large = [(size - 1) // 2 for size in kernel], [size // 2 for size in kernel]
        pads = [*large, *small] if auto_pad == "SAME_LOWER" else [*small, *large]
    if any(pads) and not attributes.get_int("count_include_pad", 0):
        raise Refused(f"AveragePool '{node.name}' divides by the elements inside the border only")
    for index, size in enumerate(kernel):
        dim = index + 2
        _add_padding(state, dim, pads[index], pads[index + spatial])
        before, after = state.padding.pop(dim, (0, 0))
        if size == 1 and not (before or after):
            continue
        if before + after + 1 != size:
            raise Refused(f"AveragePool '{node.name}' changes the size of its input")
        if len(state.axes[dim]) != 1 or state.axes[dim][0] in state.extents:
            raise Refused(f"AveragePool '{node.name}' averages over mixed axes")
        state.extents[state.axes[dim][0]] = (before, after)
