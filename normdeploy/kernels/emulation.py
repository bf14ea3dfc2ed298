"""A node computed as a kernel would that makes a certain choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from normdeploy.batchnorm import ONNX_EPSILON
from normdeploy.dtypes import Array
from normdeploy.kernels import normalizations, sums
from normdeploy.kernels.accumulators import BACKWARDS, HALF, Accumulator
from normdeploy.kernels.number_types import FLOAT32, NumberType
from normdeploy.lrn import LRN
from normdeploy.reference.execution_plan import OperatorCall

Arguments = Sequence[Array | None]

Emulation = Callable[[OperatorCall, Arguments, Sequence[Array], NumberType], Sequence[Array] | None]
"""(the call of a node, its inputs, its outputs in float64, the type that these are stored in) -> its outputs
as the kernel computes them; None where the choice makes no difference to this node."""


def _products(accumulator: Accumulator) -> Mapping[str, Emulation]:
    def conv(call: OperatorCall, inputs: Arguments, exact: Sequence[Array], _: NumberType) -> list[Array]:
        return [accumulator.conv(*inputs, **call.keywords)]  # type: ignore[arg-type]

    def gemm(call: OperatorCall, inputs: Arguments, exact: Sequence[Array], _: NumberType) -> list[Array]:
        return [accumulator.gemm(*inputs, **call.keywords)]  # type: ignore[arg-type]

    def matmul(
        call: OperatorCall, inputs: Arguments, exact: Sequence[Array], _: NumberType
    ) -> list[Array] | None:
        if exact[0].dtype.kind in "iu":
            return None
        return [accumulator.matmul(*inputs)]  # type: ignore[arg-type]

    return {"Conv": conv, "Gemm": gemm, "MatMul": matmul}


HALF_PRODUCTS = _products(HALF)
BACKWARD_PRODUCTS = _products(BACKWARDS)


def lrn(call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType) -> list[Array]:
    """Squares, window sums and powers in the tensor's type."""
    x = _given(inputs, 0)
    return [normalizations.lrn(x, LRN.from_onnx(call.node), kept_in)]


def batch_norm(
    call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType
) -> list[Array] | None:
    """A scale and a shift in the tensor's type. None for training mode, and for statistics of each place."""
    if len(exact) != 1 or call.keywords.get("training_mode") or any(_rank(item) != 1 for item in inputs[1:]):
        return None
    x, scale, bias, mean, var = (_given(inputs, index) for index in range(5))
    epsilon = call.keywords.get("epsilon", ONNX_EPSILON)
    return [normalizations.batch_norm(x, scale, bias, mean, var, epsilon, kept_in)]


def layer_norm(
    call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType
) -> list[Array]:
    """LayerNormalization and RMSNormalization."""
    x, scale = _given(inputs, 0), _given(inputs, 1)
    axes = range(call.keywords.get("axis", -1) % x.ndim, x.ndim)
    centred = call.node.op_type == "LayerNormalization"
    epsilon = call.keywords.get("epsilon", ONNX_EPSILON)
    y = normalizations.standardized(x, axes, epsilon, kept_in, centred=centred)
    y = kept_in.rounded(y * scale)
    if len(inputs) > 2 and inputs[2] is not None:
        y = kept_in.rounded(y + inputs[2])
    return [y, *exact[1:]]


def mean_variance(
    call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType
) -> list[Array]:
    """Each step in the tensor's type, as the standard's function body of it has them."""
    x = _given(inputs, 0)
    axes = [axis % x.ndim for axis in call.keywords.get("axes", (0, 2, 3))]
    return [normalizations.mean_variance(x, axes, kept_in)]


def lp_norm(
    call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType
) -> list[Array]:
    """Powers and their sum in the tensor's type."""
    return [
        normalizations.lp_norm(
            _given(inputs, 0), call.keywords.get("axis", -1), call.keywords.get("p", 2), kept_in
        )
    ]


def softmax(
    call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType
) -> list[Array] | None:
    """Exponentials and their sum in the tensor's type; below opset 13 over all axes from `axis` on."""
    x = _given(inputs, 0)
    if not x.size or not x.ndim:
        return None
    logarithm = call.node.op_type == "LogSoftmax"
    if call.operator.since >= 13:
        return [sums.softmax(x, call.keywords.get("axis", -1), kept_in, logarithm=logarithm)]
    rows = x.reshape(*x.shape[: call.keywords.get("axis", 1) % x.ndim], -1)
    return [sums.softmax(rows, -1, kept_in, logarithm=logarithm).reshape(x.shape)]


def reduction(
    call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType
) -> list[Array] | None:
    """A sum in the tensor's type, one term after the other."""
    if exact[0].dtype.kind in "iu":
        return None
    axes = sums.reduced_axes(call.node.op_type, inputs, call.keywords)
    if axes is None:
        return None
    return [sums.reduction(call.node.op_type, _given(inputs, 0), exact[0], axes, kept_in)]


def squared_sum(
    call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType
) -> list[Array] | None:
    """ReduceSumSquare with squares in the tensor's type, and a good sum of them."""
    x = _given(inputs, 0)
    axes = sums.reduced_axes(call.node.op_type, inputs, call.keywords)
    if exact[0].dtype.kind in "iu" or axes is None:
        return None
    return [kept_in.rounded(np.square(x)).sum(axis=tuple(axes)).reshape(exact[0].shape)]


def average_pool(
    call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType
) -> list[Array]:
    """Sums of windows in the tensor's type."""
    return [sums.average_pool(_given(inputs, 0), kept_in, **call.keywords)]


def backward_sum(
    call: OperatorCall, inputs: Arguments, exact: Sequence[Array], kept_in: NumberType
) -> list[Array] | None:
    """A sum in float32, the last term first."""
    axes = sums.reduced_axes(call.node.op_type, inputs, call.keywords)
    if exact[0].dtype.kind in "iu" or not axes:
        return None
    x = _given(inputs, 0)
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    terms = x.transpose(*axes, *rest).reshape(-1, *[x.shape[axis] for axis in rest])
    y = sums.running_sum(terms, 0, FLOAT32, backwards=True)
    if call.node.op_type != "ReduceSum":
        y = y / max(len(terms), 1)
    return [y.reshape(exact[0].shape)]


def _given(inputs: Arguments, index: int) -> Array:
    """An input that the operator cannot be without."""
    array = inputs[index]
    assert array is not None
    return array


def _rank(array: Array | None) -> int:
    return 0 if array is None else array.ndim
