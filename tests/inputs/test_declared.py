"""The inputs that a model declares, and the shapes that a user gives them."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from normdeploy.errors import InputError, ModelError, UsageError
from normdeploy.inputs.declared import DeclaredInput, bind, declared_inputs, has_sample_axis, with_shapes
from tests.builders import FLOAT, model, unary

F32 = np.dtype(np.float32)


def declared(name, *dims):
    return DeclaredInput(name, F32, dims)


IMAGE = declared("x", "N", 3, 4, 4)


def test_inputs_have_names_types_and_shapes():
    strings = unary("Identity", ["N", None], onnx.TensorProto.STRING)
    (found,) = declared_inputs(ir.from_proto(strings))
    assert found == DeclaredInput("x", np.dtype(object), ("N", None))
    assert str(found) == "object [N, ?]"
    (found,) = declared_inputs(ir.from_proto(unary("Relu", [2, 3], onnx.TensorProto.BFLOAT16)))
    assert str(found) == "bfloat16 [2, 3]"


@pytest.mark.parametrize("ir_version", [3, 8])
def test_inputs_with_a_default_need_not_be_given(ir_version):
    proto = model(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        {"x": (FLOAT, [3]), "w": (FLOAT, [3])},
        {"y": (FLOAT, [3])},
        {"w": np.ones(3, np.float32)},
    )
    proto.ir_version = ir_version
    assert [found.name for found in declared_inputs(ir.from_proto(proto))] == ["x"]


def test_an_input_that_is_no_tensor_is_refused():
    proto = unary("Identity", [3])
    proto.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", FLOAT, None))
    with pytest.raises(ModelError, match=r"input 'x' is .*: only tensors can be checked"):
        declared_inputs(ir.from_proto(proto))


def test_a_shape_fixes_sizes_by_name_everywhere():
    inputs = with_shapes([declared("x", "N", "H"), declared("y", "N", "H", 2)], {"x": (2, 5)})
    assert inputs[1].dims == (2, 5, 2)


@pytest.mark.parametrize("shape", [(1, 4, 4, 4), (1, 3, 4), (1, 3, 5, 4)])
def test_a_shape_against_the_declared_one(shape):
    with pytest.raises(InputError, match="given for 'x' does not fit: it is declared as float32"):
        with_shapes([IMAGE], {"x": shape})


def test_shapes_against_each_other():
    with pytest.raises(InputError, match=r"given for 'y' does not fit.* with N = 2"):
        with_shapes([declared("x", "N"), declared("y", "N")], {"x": (2,), "y": (3,)})


def test_a_shape_for_an_unknown_input():
    with pytest.raises(UsageError, match="given for 'z', but the model's inputs are 'x'"):
        with_shapes([IMAGE], {"z": (1,)})


def test_a_size_of_zero():
    with pytest.raises(UsageError, match="below 1"):
        with_shapes([IMAGE], {"x": (0, 3, 4, 4)})


def test_a_shape_for_an_unknown_rank():
    assert with_shapes([DeclaredInput("x", F32, None)], {"x": (2, 3)})[0].dims == (2, 3)


def test_names_are_bound_to_sizes():
    sizes: dict[str, int] = {}
    assert bind(("N", None, 4, "N"), (2, 7, 4, 2), sizes)
    assert sizes == {"N": 2}
    assert not bind(("N",), (3,), sizes)
    assert not bind((1, 2), (1,), sizes)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([declared("x", "N", 3)], True),
        ([declared("x", "N", 3), declared("y", "N")], True),
        ([declared("x", 2, 3), declared("y", 2), declared("scale")], True),
        ([declared("x", "N", 3), declared("y", "M")], False),
        ([declared("x", "seq", "N"), declared("y", "N")], False),
        ([declared("x", "N", "N")], False),
        ([declared("scale")], False),
        ([DeclaredInput("x", F32, None)], False),
    ],
)
def test_which_inputs_have_samples_along_their_first_axis(inputs, expected):
    assert has_sample_axis(inputs) is expected
