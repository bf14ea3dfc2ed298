"""The model before and after on random inputs: what is found, what is guessed, what is refused."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

import normdeploy as nd
from normdeploy.errors import InputError, ModelError
from normdeploy.graph.io import load
from normdeploy.passes import pipeline, verify
from normdeploy.passes.verify import verify_equal
from normdeploy.reference import Evaluator
from normdeploy.validation.judge import Judge
from tests.builders import FLOAT, WITHOUT_NUMBERS, Graph, conv_lrn, model, parsed
from tests.equivalence import operators


def conv_bn():
    g = Graph()
    return g.model(g.node("Relu", g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 4), 4)))


class _Spoil(pipeline.RemoveIdentities):
    """A pass with a defect: it doubles the first weight."""

    def call(self, model):
        value = next(iter(model.graph.initializers.values()))
        value.const_value = ir.tensor(2 * value.const_value.numpy())
        return super().call(model)


def test_a_result_that_differs_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline, "RemoveIdentities", _Spoil)
    with pytest.raises(
        ModelError, match=r"not the same: of output 'relu_3_out', \d+ of 144 elements are off"
    ):
        nd.optimize(conv_bn())
    assert nd.optimize(conv_bn(), verify=False).report.batchnorm


def test_a_dimension_that_the_model_leaves_open_is_guessed():
    g = Graph()
    y = g.bn(g.conv(g.input("x", "N", 3, "H", "W"), 3, 4), 4)
    assert operators(nd.optimize(g.model(y)).model) == {"Conv": 1}


def test_a_shape_can_be_given():
    g = Graph()
    x = g.input("x", "N", 3, "H", "W")
    y = g.node("Reshape", g.bn(g.conv(x, 3, 4, kernel=1), 4), g.weight([0, 4 * 5 * 5], np.int64))
    with pytest.raises(ModelError, match="cannot be verified"):
        nd.optimize(g.model(y))
    assert operators(nd.optimize(g.model(y), shapes={"x": (1, 3, 5, 5)}).model)["Conv"] == 1
    with pytest.raises(InputError, match="does not fit"):
        nd.optimize(g.model(y), shapes={"x": (1, 4, 5, 5)})


def test_what_the_reference_cannot_compute_is_refused_unless_verification_is_skipped():
    g = Graph()
    y = g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 4), 4)
    model = g.model(y)
    model.graph.node.append(helper.make_node("Mystery", [y], ["z"], name="m", domain="com.example"))
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.output.append(helper.make_tensor_value_info("z", FLOAT, ["N", 4, 6, 6]))
    with pytest.raises(ModelError, match=r"cannot be verified: node 'm' \(Mystery, domain 'com.example'"):
        nd.optimize(model)
    assert operators(nd.optimize(model, verify=False).model) == {"Conv": 1, "Mystery": 1}


def test_a_model_equals_itself_and_a_rounded_copy():
    original, rounded = conv_bn(), load(conv_bn())
    for value in rounded.graph.initializers.values():
        assert value.const_value is not None
        array = value.const_value.numpy()
        value.const_value = ir.tensor(np.nextafter(array, np.inf), name=value.name)
    verify_equal(load(original), load(original), {})
    verify_equal(load(original), rounded, {})


def test_another_shape_is_a_difference():
    padded, cut = (
        model(
            [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[pads] * 4)],
            {"x": (FLOAT, [1, 2, 6, 6])},
            {"y": (FLOAT, [1, 2, 4 + 2 * pads, 4 + 2 * pads])},
        )
        for pads in (1, 0)
    )
    with pytest.raises(
        ModelError, match=r"of output 'y', the shape is \(1, 2, 4, 4\), instead of \(1, 2, 6, 6\)"
    ):
        verify_equal(load(padded), load(cut), {})


@pytest.mark.parametrize("factor", [1.001, 0.999])
def test_a_small_error_in_the_alpha_of_alexnet_is_found(factor, monkeypatch):
    """It is 5e-4 in ONNX's convention, with n = 5 and k = 2. At magnitude 1 the error goes unseen."""

    def lrn(alpha: float):
        node = helper.make_node("LRN", ["x"], ["y"], size=5, alpha=alpha, beta=0.75, bias=2.0)
        return load(model([node], {"x": (FLOAT, [1, 8, 12, 12])}, {"y": (FLOAT, [1, 8, 12, 12])}))

    with pytest.raises(ModelError, match=r"of output 'y', \d+ of 1152 elements are off"):
        verify_equal(lrn(5e-4), lrn(factor * 5e-4), {})
    monkeypatch.setattr(verify, "_MAGNITUDE", 0)
    verify_equal(lrn(5e-4), lrn(factor * 5e-4), {})


def striding(smallest: int):
    """A network of open height and width that runs from a size on: its kernel is as large."""
    g = Graph()
    x = g.input("x", "N", 3, "H", "W")
    kernel = g.normal(2, 3, smallest, smallest, scale=0.1)
    return g.model(g.bn(g.node("Conv", x, kernel, strides=[smallest] * 2), 2))


@pytest.mark.parametrize(("smallest", "taken"), [(3, 8), (8, 8), (9, 32), (33, 64), (63, 64), (65, 224)])
def test_the_first_size_that_runs_is_taken(smallest, taken, monkeypatch):
    shapes = []
    drawn = verify.random_array

    def random_array(declared, shape, *rest):
        shapes.append(shape)
        return drawn(declared, shape, *rest)

    monkeypatch.setattr(verify, "random_array", random_array)
    assert operators(nd.optimize(striding(smallest)).model) == {"Conv": 1}
    assert shapes[-1] == (1, 3, taken, taken)


def alexnet_head():
    """The strides, pads and pools of torchvision's AlexNet."""
    g = Graph()
    y = g.bn(g.conv(g.input("x", "N", 3, "H", "W"), 3, 2, kernel=11, strides=[4, 4], pads=[2] * 4), 2)
    for _ in range(3):
        y = g.node("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2])
    return g.model(y)


def test_alexnet_needs_63_pixels():
    loaded = load(alexnet_head())
    verify_equal(loaded, loaded, {"x": (1, 3, 63, 63)})
    with pytest.raises(ModelError, match="cannot be verified"):
        verify_equal(loaded, loaded, {"x": (1, 3, 62, 62)})
    assert operators(nd.optimize(alexnet_head()).model) == {"Conv": 1, "MaxPool": 3}


def test_a_size_that_leaves_no_number_is_passed_over():
    """The mean over the positions that a too large kernel leaves is not a number."""
    proto = striding(33)
    pooled = helper.make_node("GlobalAveragePool", [proto.graph.output[0].name], ["pooled"])
    proto.graph.node.append(pooled)
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("pooled", FLOAT, ["N", 2, 1, 1]))
    spoiled = load(proto)
    for value in spoiled.graph.initializers.values():
        assert value.const_value is not None
        value.const_value = ir.tensor(2 * value.const_value.numpy(), name=value.name)
    with pytest.raises(ModelError, match="of output 'pooled', 2 of 2 elements are off"):
        verify_equal(load(proto), spoiled, {})


def test_a_model_that_shows_nothing_at_any_size_is_computed_at_the_first():
    """The root of a negative number, wherever it is taken."""
    g = Graph()
    x = g.input("x", "N", 3, "H", "W")
    y = g.node("Sqrt", g.node("Sub", g.node("Neg", g.node("Mul", x, x)), g.weight(1.0)))
    loaded = load(g.model(y))
    arrays, case = verify._first_that_runs(Judge(*[Evaluator(loaded)] * 2), verify.declared_inputs(loaded))
    assert arrays["x"].shape == (1, 3, 8, 8)
    assert np.isnan(case.expected[y]).all()


@pytest.mark.parametrize("text", WITHOUT_NUMBERS.values(), ids=WITHOUT_NUMBERS)
def test_outputs_without_a_finite_number_verify_nothing(text):
    """Beside another output they are named."""
    proto = parsed(text)
    with pytest.raises(
        ModelError,
        match="cannot be verified: no output has a finite number on random inputs: give other shapes; or",
    ):
        nd.optimize(proto)
    assert nd.optimize(proto, verify=False).unverified == ()
    proto.graph.node.append(helper.make_node("Shape", ["x"], ["shape"]))
    proto.graph.output.append(helper.make_tensor_value_info("shape", onnx.TensorProto.INT64, [2]))
    assert nd.optimize(proto).unverified == ["y"]


def test_a_network_that_runs_at_no_size_asks_for_one():
    g = Graph()
    x = g.input("x", "N", 3, "H", "W")
    proto = g.model(g.node("Reshape", x, g.weight([0, 3 * 100], np.int64)))
    with pytest.raises(ModelError, match=r"^the result cannot be verified: .*; or skip the verification$"):
        nd.optimize(proto)


def test_the_inputs_are_the_same_each_time():
    loaded = load(conv_lrn())
    declared = verify.declared_inputs(loaded)
    first, second = (verify._draw(declared, None) for _ in range(2))
    np.testing.assert_array_equal(first["x"], second["x"])
