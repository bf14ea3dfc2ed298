"""Which kernels pass, and which nodes are named: networks on which choices matter or do not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from normdeploy.validation.gate import Gate
from normdeploy.validation.kernels.run import KernelRun
from normdeploy.validation.tolerance import Tolerance
from tests.builders import BN, Graph
from tests.validation.examinees import examinee
from tests.validation.kernels.asking import alexnet, images, verdicts

RNG = np.random.default_rng(6)
TENSORRT = ("tensorrt", "tensorrt-rtx", "onnxruntime-tensorrt")


def batch(*shape, dtype=np.float32, scale=1.0, mean=0.0):
    return [{"x": (np.random.default_rng(7).standard_normal(shape) * scale + mean).astype(dtype)}]


def test_lrn_of_a_float16_alexnet_depends_on_the_kernel():
    found = verdicts(alexnet(), [{"x": images()}])
    assert found["onnxruntime"].verdict == "safe"  # its CPU computes LRN in float32
    for backend in (*TENSORRT, "onnxruntime-cuda"):
        entry = found[backend]
        assert entry.verdict == "depends"
        assert {(node.op_type, node.choice) for node in entry.nodes} == {("LRN", "half-lrn")}
        assert len(entry.nodes) == 2
        assert all(node.alone and node.noise_ratio > 50 for node in entry.nodes)
        assert "results become 0" in entry.nodes[0].reason
        assert [tried.name for tried in entry.choices if not tried.passed] == ["half-lrn"]


@pytest.mark.parametrize("scale", [4, 16])
def test_the_same_in_balanced_ranges_is_safe(scale):
    found = verdicts(alexnet(scale=scale), [{"x": images()}])
    assert {entry.verdict for entry in found.values()} == {"safe"}
    tried = {choice.name for choice in found["tensorrt"].choices}
    assert {"half-lrn", "float16-accumulators", "together"} <= tried


def test_the_same_in_float32_is_safe():
    found = verdicts(alexnet(np.float32), [{"x": images(dtype=np.float32)}])
    assert {entry.verdict for entry in found.values()} == {"safe"}
    assert [choice.name for choice in found["onnxruntime"].choices] == ["summation-order"]


def small_float32_networks():
    graph = Graph(np.float32)
    x = graph.bn(graph.conv(graph.input("x", "N", 3, 8, 8), 3, 8, pads=[1] * 4), 8)
    x = graph.node("Flatten", graph.node("GlobalAveragePool", graph.node("Relu", x)))
    yield "conv-bn-gemm", graph.model(graph.node("Gemm", x, graph.normal(8, 4))), (4, 3, 8, 8)
    graph = Graph(np.float32)
    x = graph.conv(graph.input("x", "N", 3, 8, 8), 3, 8, pads=[1] * 4)
    yield "conv", graph.model(x), (4, 3, 8, 8)
    graph = Graph(np.float32)
    x = graph.node("MatMul", graph.input("x", "N", 64), graph.normal(64, 10))
    yield "product-softmax", graph.model(graph.node("Softmax", x)), (8, 64)


@pytest.mark.parametrize(("name", "model", "shape"), list(small_float32_networks()))
def test_small_float32_networks_are_safe(name, model, shape):
    found = verdicts(model, batch(*shape))
    assert {entry.verdict for entry in found.values()} == {"safe"}
    assert "tf32" in {choice.name for choice in found["tensorrt"].choices}


def cancelling():
    """Columns that add up to 0 on inputs of about 1000: what is left is a thousandth of the terms."""
    graph = Graph(np.float32)
    w = RNG.standard_normal((64, 10))
    return graph.model(graph.node("MatMul", graph.input("x", "N", 64), graph.weight(w - w.mean(0))))


def test_a_sum_that_cancels_depends_on_tf32():
    found = verdicts(cancelling(), batch(8, 64, mean=1000))
    assert found["onnxruntime"].verdict == "safe"
    for backend in (*TENSORRT, "onnxruntime-cuda"):
        assert found[backend].verdict == "depends"
        assert [(node.op_type, node.choice) for node in found[backend].nodes] == [("MatMul", "tf32")]


@pytest.mark.parametrize(("length", "verdict"), [(16, "safe"), (4096, "depends")], ids=["short", "long"])
def test_a_long_reduction_depends_on_float16_sums(length, verdict):
    graph = Graph(np.float16)
    model = graph.model(graph.node("ReduceMean", graph.input("x", "N", length), axes=[1]))
    data = [{"x": RNG.uniform(0, 2, (4, length)).astype(np.float16)}]
    found = verdicts(model, data)
    assert found["tensorrt"].verdict == verdict
    assert [node.choice for node in found["tensorrt"].nodes] == ["half-sums"] * (verdict == "depends")
    assert found["onnxruntime-cuda"].verdict == "safe"


@pytest.mark.parametrize(("length", "verdict"), [(64, "safe"), (8192, "depends")], ids=["short", "long"])
def test_a_long_product_depends_on_float16_accumulators(length, verdict):
    graph = Graph(np.float16)
    w = graph.normal(length, 10, scale=length**-0.5)
    model = graph.model(graph.node("MatMul", graph.input("x", "N", length), w))
    found = verdicts(model, batch(4, length, dtype=np.float16), backends=["tensorrt", "onnxruntime"])
    assert {entry.verdict for entry in found.values()} == {verdict}
    if verdict == "depends":
        assert [node.choice for node in found["tensorrt"].nodes] == ["float16-accumulators"]


def test_tiny_numbers_that_matter_depend_on_flushing():
    graph = Graph(np.float32)
    x = graph.node("Mul", graph.input("x", "N", 8), graph.weight([1e-30]))
    x = graph.node("Mul", x, graph.weight([1e-10]))  # 1e-40
    model = graph.model(graph.node("Mul", x, graph.weight([1e38])))
    found = verdicts(model, batch(8, 8))
    assert {entry.verdict for entry in found.values()} == {"depends"}
    assert found["tensorrt"].nodes[0].node == "mul_2"
    assert {node.choice for node in found["tensorrt"].nodes} == {"flush-to-zero"}


@pytest.mark.parametrize(("mean", "verdict"), [(0.1, "safe"), (1000.0, "depends")])
def test_batch_norm_with_a_large_mean_depends_on_float16(mean, verdict):
    graph = Graph(np.float16)
    parameters = [graph.weight(np.full(4, value), np.float32) for value in (1.0, 0.0, mean, 0.01)]
    model = graph.model(graph.node(BN, graph.input("x", "N", 4, 6, 6), *parameters))
    found = verdicts(model, batch(4, 4, 6, 6, dtype=np.float16, mean=mean))
    assert found["tensorrt"].verdict == verdict
    assert [node.choice for node in found["tensorrt"].nodes] == ["half-batchnorm"] * (verdict == "depends")
    assert found["onnxruntime"].verdict == found["onnxruntime-cuda"].verdict == "safe"


def test_what_overflows_between_nodes_is_broken():
    graph = Graph(np.float16)
    x = graph.input("x", "N", 10)
    model = graph.model(graph.node("Sqrt", graph.node("Mul", x, x)))
    found = verdicts(model, batch(4, 10, dtype=np.float16, scale=300))
    for entry in found.values():
        assert entry.verdict == "broken"
        assert [(node.node, node.choice) for node in entry.nodes] == [("mul_1", "")]
        assert "not finite" in entry.nodes[0].reason


def test_a_wrong_graph_is_broken_whatever_the_kernel():
    graph = Graph(np.float32)
    x = graph.input("x", "N", 4)
    model, original = graph.model(graph.node("Exp", x)), onnx.ModelProto()
    original.CopyFrom(model)
    original.graph.node[0].op_type = "Neg"
    entry = verdicts(model, batch(3, 4), original=original)["tensorrt"]
    assert entry.verdict == "broken"
    assert "12 of 12 elements are wrong" in entry.reason
    assert not entry.nodes


def test_a_tolerance_decides_instead_of_rounding():
    data = batch(8, 64, mean=1000)
    for absolute, verdict in ((0.1, "depends"), (50.0, "safe")):
        found = verdicts(cancelling(), data, tolerance=Tolerance(0.0, absolute))
        assert found["tensorrt"].verdict == verdict
        assert found["onnxruntime"].verdict == "safe"


def test_a_gate_decides_by_classes():
    data = batch(8, 64, mean=1000)
    found = verdicts(cancelling(), data, gate=Gate(max_flips=8))
    assert found["tensorrt"].verdict == "safe"
    found = verdicts(cancelling(), data, gate=Gate(max_flips=0))
    assert found["tensorrt"].verdict == "depends"
    assert "samples flip" in found["tensorrt"].reason
    assert [node.choice for node in found["tensorrt"].nodes] == ["tf32"]


def test_a_choice_counts_on_every_batch():
    right, wrong = images() / 8, images()
    found = verdicts(alexnet(), [{"x": right.astype(np.float16)}, {"x": wrong}], backends=["tensorrt"])
    assert found["tensorrt"].verdict == "depends"
    assert len(found["tensorrt"].nodes) == 2


def test_two_choices_that_pass_alone_may_fail_together():
    """The difference of two means: their errors, of which each is less than what is allowed, add up."""
    graph = Graph(np.float16)
    x = graph.input("x", "N", 2048)
    product = graph.node("MatMul", x, graph.weight(np.full((2048, 1), 2**-11)))
    model = graph.model(graph.node("Sub", graph.node("ReduceMean", x, axes=[1]), product))
    data = [{"x": np.random.default_rng(1).uniform(0.5, 1.5, (4, 2048)).astype(np.float16)}]
    entry = verdicts(model, data, tolerance=Tolerance(0.0, 0.0083), backends=["tensorrt"])["tensorrt"]
    assert [choice.name for choice in entry.choices if not choice.passed] == ["together"]
    assert entry.verdict == "depends"
    assert entry.reason.startswith("not with together")
    assert {node.op_type for node in entry.nodes} == {"ReduceMean", "MatMul"}
    assert not any(node.alone for node in entry.nodes)


def test_it_names_a_few_of_many_nodes():
    graph = Graph(np.float16)
    x = graph.input("x", "N", 8, 2, 2)
    model = graph.model(*[graph.node("LRN", x, size=3) for _ in range(12)])
    entry = verdicts(model, batch(2, 8, 2, 2, dtype=np.float16, scale=2000), backends=["tensorrt"])[
        "tensorrt"
    ]
    assert len(entry.nodes) == 3


def test_nothing_is_asked_about_no_backend():
    run = KernelRun(examinee(cancelling()), ())
    assert not run.alive
    assert run.result(None) is None


def test_without_a_finite_number_nothing_is_shown():
    graph = Graph(np.float16)
    model = graph.model(graph.node("MatMul", graph.input("x", "N", 16), graph.weight(np.full((16, 4), 1e4))))
    found = verdicts(model, batch(4, 16, dtype=np.float16, scale=0.1, mean=100))
    assert {entry.verdict for entry in found.values()} == {"unknown"}
    assert "no output has a finite number" in found["onnxruntime"].reason
