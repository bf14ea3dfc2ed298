"""evaluate(optimize(m)) == evaluate(m) for random graphs of the layers around BatchNormalization."""

import ml_dtypes
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import BN, Graph
from tests.equivalence import optimized

LAYERS = (
    "conv", "conv", "grouped", "transposed", "bn", "bn", "bn", "scale", "offset", "relu", "identity",
    "average", "average_counting_pad", "max", "concat", "residual", "shared", "reshape",
)  # fmt: skip


class Builder:
    """Grows a graph from the tensors that it has, (2, C, 8, 8) each."""

    def __init__(self, draw, dtype) -> None:
        self._draw = draw
        self.graph = Graph(dtype, opset=22, seed=draw(st.integers(0, 99)))
        self.values = [(self.graph.input("x", 2, 3, 8, 8), 3)]

    def pick(self) -> tuple[str, int]:
        recent = self.values[-3:]
        return recent[-1 if self._draw(st.integers(0, 3)) else self._draw(st.integers(0, len(recent) - 1))]

    def grow(self, layer: str) -> None:
        g, (x, channels) = self.graph, self.pick()
        out = channels
        match layer:
            case "conv":
                out = self._draw(st.sampled_from([2, 3, 4]))
                bias = self._draw(st.booleans())
                padded, dilation = self._draw(st.sampled_from([(1, 1), (2, 2), (0, 0)]))
                size = {"kernel": 3, "pads": [padded] * 4, "dilations": [dilation] * 2}
                y = g.conv(x, channels, out, bias=bias, **(size if padded else {"kernel": 1}))
            case "grouped":
                y = g.conv(x, channels, 2 * channels, group=channels, pads=[1] * 4)
                out = 2 * channels
            case "transposed":
                y = g.node("ConvTranspose", x, g.normal(channels, 2, 3, 3, scale=0.3), pads=[1] * 4)
                out = 2
            case "bn":
                y = g.bn(x, channels)
            case "scale":
                y = g.node("Mul", g.normal(channels, 1, 1), x)
            case "offset":
                y = g.node(self._draw(st.sampled_from(["Add", "Sub"])), x, g.normal(1, channels, 1, 1))
            case "relu":
                y = g.node("Relu", x)
            case "identity":
                y = g.node(self._draw(st.sampled_from(["Identity", "Dropout"])), x)
            case "average" | "average_counting_pad":
                count = int(layer == "average_counting_pad")
                y = g.node("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=count)
            case "max":
                y = g.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)
            case "concat":
                other, more = self.pick()
                y, out = g.node("Concat", x, other, axis=1), channels + more
            case "residual":
                other, more = self.pick()
                y = g.node("Add", x, other) if more == channels else g.node("Relu", x)
            case "shared":
                weight = g.normal(channels, channels, 1, 1, scale=channels**-0.5)
                y = g.node("Conv", g.node("Conv", x, weight), weight)
            case "reshape":
                flat = g.node("Reshape", x, g.weight([0, channels, -1], np.int64))
                flat = g.bn(flat, channels) if self._draw(st.booleans()) else flat
                y = g.node("Reshape", flat, g.weight([2, channels, 8, 8], np.int64))
        self.values.append((y, out))

    def finish(self):
        g, (x, channels) = self.graph, self.values[-1]
        outputs = []
        for name, _ in self.values[1:-1]:
            if not self._draw(st.integers(0, 4)):
                outputs.append(name)
        if self._draw(st.booleans()):
            x = g.node("Flatten", g.node("GlobalAveragePool", x))
            x = g.bn(x, channels) if self._draw(st.booleans()) else x
            weight = g.normal(5, channels)
            x = g.node(
                "Gemm",
                x,
                weight,
                g.normal(5),
                transB=1,
                alpha=0.5,
                beta=self._draw(st.sampled_from([0.5, 1.0])),
            )
            x = g.bn(x, 5) if self._draw(st.booleans()) else x
            x = g.node("MatMul", x, g.normal(5, 4)) if self._draw(st.booleans()) else x
        return g.model(x, *outputs)


@st.composite
def models(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64, np.float16, ml_dtypes.bfloat16]))
    builder = Builder(draw, dtype)
    for layer in draw(st.lists(st.sampled_from(LAYERS), min_size=2, max_size=9)):
        builder.grow(layer)
    return builder.finish()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(models())
def test_the_optimized_graph_computes_the_same(model):
    result = optimized(model)
    count = sum(node.op_type == BN for node in model.graph.node)
    assert len(result.report.batchnorm) == count
    kept = [record for record in result.report.batchnorm if record.status == "kept"]
    assert all(record.reason for record in kept)
    assert sum(node.op_type == BN for node in result.model.graph.node) == len(kept)
    assert len(result.model.graph.node) <= len(model.graph.node)
