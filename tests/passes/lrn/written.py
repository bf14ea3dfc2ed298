"""How tests write LRN as onnx.parser text: a model around a body, and the pieces that bodies share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

ALPHA, BETA, K = 0.3, 0.75, 2.0
SHAPE = (2, 6, 5, 7)


def model(
    body: str,
    constants: dict[str, object],
    shape: Sequence[int | str] = SHAPE,
    opset: int = 17,
    type_: str = "float",
    output: Sequence[int | str] | None = None,
) -> onnx.ModelProto:
    """A model from x to y, which has the shape of x unless another is given."""
    dims, output_dims = (",".join(map(str, item)) for item in (shape, shape if output is None else output))
    text = (
        f'<ir_version: 8, opset_import: ["" : {opset}, "normdeploy" : 1]> '
        f"lrn ({type_}[{dims}] x) => ({type_}[{output_dims}] y) {{ {body} }}"
    )
    parsed = onnx.parser.parse_model(text)
    real = {"float": np.float32, "float16": np.float16, "double": np.float64}[type_]
    for name, value in constants.items():
        array = np.asarray(value)
        array = array.astype(real if array.dtype.kind == "f" else np.int64)
        parsed.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.checker.check_model(parsed, full_check=True)
    return parsed


SCALARS: dict[str, object] = {"alpha": ALPHA, "beta": BETA, "k": K, "one": [1]}
END = "m = Mul(v, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)"
"""From the window's mean v to y, as torch writes it."""


def band(channels: int, before: int, after: int) -> np.ndarray:
    """1.0 where j is in [i − before, i + after]."""
    return np.tri(channels, k=after) - np.tri(channels, k=-before - 1)


def slices(n: int, axis: int, length: int) -> tuple[str, dict[str, object]]:
    """t = the sum of n slices of p along an axis."""
    cuts = "  ".join(f"t{i} = Slice(p, st{i}, en{i}, ax)" for i in range(n))
    sums = "  ".join(
        f"{'t' if i == n - 1 else f'u{i}'} = Add({'t0' if i == 1 else f'u{i - 1}'}, t{i})"
        for i in range(1, n)
    )
    constants: dict[str, object] = {"ax": [axis]}
    for i in range(n):
        constants |= {f"st{i}": [i], f"en{i}": [i + length]}
    return f"{cuts}  {sums}", constants


POOL = (
    "s = Mul(x, x)  u = Unsqueeze(s, one)  "
    "a = AveragePool <kernel_shape=[3,1,1], pads=[1,0,0,1,0,0], count_include_pad=1> (u) "
    " v = Squeeze(a, one)  "
)
"""From x to v, the mean of three squares across channels, where `one` is [1]."""
