"""The body of IntraChannelLRN computes what nd.lrn says, in every runtime that takes the model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

import normdeploy as nd
from normdeploy import LRN
from normdeploy.errors import ModelError
from normdeploy.graph.intra_channel_lrn import DOMAIN, add_function, intra_channel_lrn, match_function

SIZES = (1, 2, 3, 4, 5, 6, 15)
SHAPES = [(2, 3, 9), (2, 3, 7, 8), (1, 2, 5, 4, 6)]


def model(
    sizes: tuple[int, ...], shape: tuple[int | str, ...], dtype: type = np.float32, opset: int = 17
) -> onnx.ModelProto:
    """One IntraChannelLRN for each size, all of x, named y1, y2, ..."""
    x = ir.val("x", ir.DataType.from_numpy(np.dtype(dtype)), shape)
    nodes = [intra_channel_lrn(x, spec(size), len(shape) - 2, f"lrn{size}") for size in sizes]
    for size, node in zip(sizes, nodes, strict=True):
        (y,) = node.outputs
        y.name, y.type, y.shape = f"y{size}", x.type, x.shape
    outputs = [node.outputs[0] for node in nodes]
    graph = ir.Graph([x], outputs, nodes=nodes, opset_imports={"": opset, DOMAIN: 1}, name="g")
    made = ir.Model(graph, ir_version=8)
    add_function(made)
    return ir.to_proto(made)


def spec(size: int) -> LRN:
    return LRN(size, 0.7, 0.75, 1.5, "within", "torch")


@pytest.mark.parametrize("opset", [15, 17, 18, 21])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", SHAPES, ids=["rank3", "rank4", "rank5"])
def test_body(shape: tuple[int, ...], dtype: type, opset: int) -> None:
    """Sizes, even ones too, side by side in one model, with dynamic shapes."""
    made = model(SIZES, tuple(f"d{axis}" for axis in range(len(shape))), dtype, opset)
    onnx.checker.check_model(made, full_check=True)
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    outputs = session.run(None, {"x": x})
    reference = nd.evaluate(made, {"x": x})
    for size, y in zip(SIZES, outputs, strict=True):
        expected = nd.lrn(x.astype(np.float64), spec(size))
        np.testing.assert_allclose(y, expected, rtol=1e-3 if dtype == np.float16 else 3e-6, atol=1e-7)
        np.testing.assert_allclose(
            reference[f"y{size}"], expected, rtol=1e-3 if dtype == np.float16 else 3e-7
        )


def test_half_precision_does_not_overflow() -> None:
    x = np.full((1, 1, 4, 4), 300, np.float16)
    session = onnxruntime.InferenceSession(model((3,), (1, 1, 4, 4), np.float16).SerializeToString())
    (y,) = session.run(None, {"x": x})
    np.testing.assert_allclose(y, nd.lrn(x, spec(3)), rtol=1e-3)
    assert y.min() > 0


_BUILD = """
import sys
import tensorrt_rtx_bindings as trt
warnings = []
class Log(trt.ILogger):
    def log(self, severity, text):
        if severity <= trt.ILogger.WARNING:
            warnings.append(text)
log = Log()
builder = trt.Builder(log)
for path in sys.argv[1:]:
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    assert parser.parse(open(path, "rb").read()), parser.get_error(0).desc()
    assert builder.build_serialized_network(network, builder.create_builder_config()) is not None
print("built", sum("already exists" in text for text in warnings))
"""


def test_tensorrt_rtx_builds_it(tmp_path: Path) -> None:
    """In a process of its own, which the parser may abort; without a GPU engines are built, not run."""
    pytest.importorskip("tensorrt_rtx_bindings")
    paths = []
    for number, (shape, dtype) in enumerate([((1, 2, 8, 8), np.float32), ((1, 2, 8, 8), np.float16)]):
        paths.append(str(tmp_path / f"{number}.onnx"))
        onnx.save(model((3, 5), shape, dtype), paths[-1])
    command = [sys.executable, "-c", _BUILD, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2] == "built"


def test_the_body_follows_the_operator() -> None:
    made = ir.from_proto(model((3,), (1, 2, 4, 4)))
    match_function(made)
    assert len(made.functions) == 1
    made.graph.remove([node for node in made.graph if node.domain == DOMAIN], safe=False)
    match_function(made)
    assert not made.functions
    assert DOMAIN not in made.opset_imports


def test_an_old_opset_is_refused() -> None:
    with pytest.raises(ModelError, match="needs opset 15 or newer, the model has 14"):
        model((3,), (1, 2, 4, 4), opset=14)
