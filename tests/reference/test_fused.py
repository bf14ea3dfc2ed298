"""onnxruntime's fused operators: each against onnxruntime itself, on random shapes and attributes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from normdeploy.errors import ModelError, UnsupportedOperator
from normdeploy.reference import evaluate
from tests.builders import parsed
from tests.reference.against_onnxruntime import assert_as_onnxruntime, in_onnxruntime, single_node

FLOAT = TensorProto.FLOAT
SEEDS = range(6)


def normal(random, *shape, scale=1.0):
    return (random.standard_normal(shape) * scale).astype(np.float32)


ACTIVATIONS = [
    ("", ()),
    ("Relu", ()),
    ("Tanh", ()),
    ("Sigmoid", ()),
    ("LeakyRelu", (0.2,)),
    ("Clip", (-0.5, 1.5)),
    ("HardSigmoid", (0.3, 0.4)),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda item: item[0] or "none")
@pytest.mark.parametrize("seed", SEEDS)
def test_fused_conv(activation, seed):
    random = np.random.default_rng(seed)
    group = int(random.choice([1, 2, 3]))
    channels, to = group * int(random.integers(1, 4)), group * int(random.integers(1, 4))
    kernel = [int(k) for k in random.integers(1, 4, 2)]
    strides = [int(k) for k in random.integers(1, 3, 2)]
    x = normal(random, 2, channels, 9, 8)
    w = normal(random, to, channels // group, *kernel)
    attributes = {"group": group, "kernel_shape": kernel, "strides": strides, "pads": [1, 0, 1, 0]}
    name, parameters = activation
    if name:
        attributes |= {"activation": name}
    if parameters:
        attributes |= {"activation_params": list(parameters)}
    inputs = [x, w, normal(random, to)]
    assert_as_onnxruntime("FusedConv", inputs, **attributes)
    if name in ("", "Relu"):  # all that onnxruntime's kernel takes with a sum
        model, feeds = single_node("FusedConv", inputs, rank=4, **attributes)
        z = normal(random, *evaluate(model, feeds)["y0"].shape)
        assert_as_onnxruntime("FusedConv", [*inputs, z], **attributes)
        assert_as_onnxruntime("FusedConv", [x, w, None, z], **attributes)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid"])
def test_fused_gemm(seed, activation):
    random = np.random.default_rng(seed)
    m, n, k = (int(size) for size in random.integers(1, 9, 3))
    trans_a, trans_b = (int(flag) for flag in random.integers(0, 2, 2))
    a = normal(random, *((k, m) if trans_a else (m, k)))
    b = normal(random, *((n, k) if trans_b else (k, n)))
    attributes = {"transA": trans_a, "transB": trans_b, "alpha": 0.7, "beta": 1.3, "activation": activation}
    if activation in ("LeakyRelu", "HardSigmoid"):
        attributes["activation_alpha"] = 0.3
    if activation == "HardSigmoid":
        attributes["activation_beta"] = 0.6
    assert_as_onnxruntime("FusedGemm", [a, b, normal(random, n)], **attributes)


@pytest.mark.parametrize("op_type", ["FusedMatMul", "TransposeMatMul"])
@pytest.mark.parametrize("seed", range(12))
def test_fused_matmul(op_type, seed):
    random = np.random.default_rng(seed)
    m, n, k = (int(size) for size in random.integers(1, 6, 3))
    batch = [int(size) for size in random.integers(1, 4, int(random.integers(0, 3)))]
    attributes = {name: int(random.integers(0, 2)) for name in ("transA", "transB")}
    batch_last = dict.fromkeys(("transBatchA", "transBatchB"), 0)
    if op_type == "FusedMatMul" and batch:
        batch_last = {name: int(random.integers(0, 2)) for name in batch_last}

    def operand(rows, columns, side):
        tail = [columns, rows] if attributes[f"trans{side}"] else [rows, columns]
        if batch_last[f"transBatch{side}"]:  # its rows stand before the batch
            return normal(random, tail[0], *batch, tail[1])
        return normal(random, *batch, *tail)

    inputs = [operand(m, k, "A"), operand(k, n, "B")]
    given = attributes | (batch_last if op_type == "FusedMatMul" else {})
    assert_as_onnxruntime(op_type, inputs, alpha=float(random.uniform(0.1, 2)), **given)


@pytest.mark.parametrize("seed", SEEDS)
def test_gelus(seed):
    random = np.random.default_rng(seed)
    x, bias = normal(random, 2, 3, 5, scale=3), normal(random, 5)
    assert_as_onnxruntime("Gelu", [x])
    assert_as_onnxruntime("BiasGelu", [x, bias])
    assert_as_onnxruntime("FastGelu", [x])
    assert_as_onnxruntime("FastGelu", [x, bias])
    assert_as_onnxruntime("QuickGelu", [x])
    assert_as_onnxruntime("QuickGelu", [x], alpha=float(random.uniform(0.5, 2)))
    assert_as_onnxruntime("QuickGelu", [x], alpha=1.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_skip_layer_normalizations(seed):
    random = np.random.default_rng(seed)
    hidden = int(random.integers(2, 40))
    x, skip = normal(random, 2, 3, hidden), normal(random, 2, 3, hidden)
    gamma, beta, bias = (normal(random, hidden) for _ in range(3))
    sums = (FLOAT, 0, 0, FLOAT)
    for outputs in ((FLOAT,), sums):
        assert_as_onnxruntime("SkipLayerNormalization", [x, skip, gamma, beta, bias], outputs, epsilon=1e-3)
        assert_as_onnxruntime("SkipLayerNormalization", [x, skip, gamma, None, None], outputs)
        assert_as_onnxruntime(
            "SkipSimplifiedLayerNormalization", [x, skip, gamma, bias], outputs, epsilon=1e-3
        )
        assert_as_onnxruntime("SkipSimplifiedLayerNormalization", [x, skip, gamma], outputs)


@pytest.mark.parametrize("op_type", ["SimplifiedLayerNormalization", "LayerNormalization"])
@pytest.mark.parametrize("axis", [-1, -2])
def test_normalizations_that_onnxruntime_writes_into_the_standard_domain(op_type, axis):
    """The first is in no opset, the second in those from 17 on; both are written into files of opset 13."""
    random = np.random.default_rng(0)
    x, scale = normal(random, 3, 4, 6), normal(random, *(3, 4, 6)[axis:])
    keywords = {"domain": "", "standard_opset": 13, "axis": axis, "epsilon": 1e-3}
    outputs = (FLOAT, FLOAT) if op_type == "SimplifiedLayerNormalization" else (FLOAT, FLOAT, FLOAT)
    assert_as_onnxruntime(op_type, [x, scale], outputs, **keywords)
    assert_as_onnxruntime(op_type, [x, scale], **keywords)


@pytest.mark.parametrize("masked", [False, True])
def test_embed_layer_normalization(masked):
    random = np.random.default_rng(0)
    ids = random.integers(0, 9, (2, 4)).astype(np.int32)
    segments = random.integers(0, 2, (2, 4)).astype(np.int32)
    words, positions, kinds = normal(random, 9, 8), normal(random, 7, 8), normal(random, 2, 8)
    gamma, beta = normal(random, 8), normal(random, 8)
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.int32) if masked else None
    inputs = [ids, segments, words, positions, kinds, gamma, beta, mask]
    outputs = (FLOAT, TensorProto.INT32, FLOAT)
    assert_as_onnxruntime("EmbedLayerNormalization", inputs, outputs, epsilon=1e-6)
    inputs = [ids, None, words, positions, None, gamma, beta]
    assert_as_onnxruntime("EmbedLayerNormalization", inputs, outputs[:2])


def test_a_body_errs_as_its_operators_do():
    """FusedConv with Relu has the rounding of a Conv: outputs of both spread alike."""
    from normdeploy.reference import Evaluator
    from normdeploy.reference.rounding import RandomRounding

    random = np.random.default_rng(0)
    inputs = [normal(random, 2, 6, 9, 9), normal(random, 5, 6, 3, 3), normal(random, 5)]
    fused, feeds = single_node("FusedConv", inputs, rank=4, kernel_shape=[3, 3])
    plain, _ = single_node("Conv", inputs, domain="", rank=4, kernel_shape=[3, 3])
    spread = {}
    for name, model in (("fused", fused), ("plain", plain)):
        evaluator = Evaluator(model)
        exact = evaluator.run(feeds)["y0"]
        runs = [evaluator.run(feeds, rounding=RandomRounding(seed))["y0"] - exact for seed in range(8)]
        spread[name] = float(np.sqrt(np.mean(np.square(runs))))
    assert spread["fused"] == pytest.approx(spread["plain"], rel=0.1)
    assert spread["plain"] > 0


def test_an_unknown_activation_is_named():
    random = np.random.default_rng(0)
    model, feeds = single_node(
        "FusedConv", [normal(random, 1, 1, 3, 3), normal(random, 1, 1, 1, 1)], rank=4, activation="Foo"
    )
    with pytest.raises(
        UnsupportedOperator, match=r"node 'node' \(FusedConv, domain 'com.microsoft', .*'Foo'"
    ):
        evaluate(model, feeds)


def test_a_node_without_what_it_needs_is_the_models_fault():
    model = parsed(
        "g (float[1] x) => (float[1] y) { [skip] y = com.microsoft.SkipLayerNormalization (x) }",
        opsets='"": 21, "com.microsoft": 1',
    )
    with pytest.raises(ModelError, match=r"node 'skip' .*do not fit the operator"):
        evaluate(model, {"x": np.ones(1)})


def test_inside_a_branch():
    model = parsed(
        """
        g (bool c, float[2] x) => (float[2] y) {
            y = If (c) <
                then_branch = a () => (float[2] t) { t = com.microsoft.QuickGelu <alpha = 1.0> (x) },
                else_branch = b () => (float[2] e) { e = com.microsoft.Gelu (x) }
            >
        }""",
        opsets='"": 21, "com.microsoft": 1',
    )
    x = np.array([1.0, -2.0], np.float32)
    for condition in (True, False):
        feeds = {"c": np.array(condition), "x": x}
        np.testing.assert_allclose(evaluate(model, feeds)["y"], in_onnxruntime(model, feeds)["y"], rtol=1e-5)


def test_an_attribute_that_refers_to_a_function_is_refused():
    node = helper.make_node("QuickGelu", ["a"], ["b"], domain="com.microsoft", name="quick")
    node.attribute.add(name="alpha", type=1, ref_attr_name="slope")
    model = parsed(
        "g (float[1] x) => (float[1] y) { y = local.F <slope = 2.0> (x) }",
        opsets='"": 21, "local": 1, "com.microsoft": 1',
    )
    model.functions.add(
        name="F",
        domain="local",
        input=["a"],
        output=["b"],
        attribute=["slope"],
        node=[node],
        opset_import=[helper.make_opsetid("com.microsoft", 1)],
    )
    with pytest.raises(UnsupportedOperator, match=r"node 'quick' .*'alpha' refers to one of the function"):
        evaluate(model, {"x": np.ones(1, np.float32)})


@pytest.mark.parametrize("op_type", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
def test_the_epsilon_of_fused_normalizations_is_1e_12_by_default(op_type):
    """Small inputs, so that another one shows."""
    random = np.random.default_rng(0)
    inputs = [normal(random, 2, 3, 30, scale=1e-3), normal(random, 2, 3, 30, scale=1e-3), normal(random, 30)]
    assert_as_onnxruntime(op_type, inputs, rtol=1e-5)
