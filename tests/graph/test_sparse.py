"""Sparse tensors are dense ones once a model is loaded."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import normdeploy as nd
from normdeploy.errors import ModelError
from normdeploy.graph.io import load
from tests.builders import FLOAT, model

DENSE = np.array([[0, 1.5, 0], [0, 0, -2]], np.float32)
PAIRS = np.array([[0, 1], [1, 2]], np.int64)


def sparse(indices=PAIRS, values=(1.5, -2), dims=(2, 3), dtype=np.float32) -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(
        numpy_helper.from_array(np.array(values, dtype), "w"),
        numpy_helper.from_array(np.asarray(indices, np.int64), "places"),
        dims,
    )


def adding(tensor: onnx.SparseTensorProto) -> onnx.ModelProto:
    """x + the initializer w."""
    proto = model(
        [helper.make_node("Add", ["x", "w"], ["y"])], {"x": (FLOAT, [2, 3])}, {"y": (FLOAT, [2, 3])}
    )
    proto.graph.sparse_initializer.append(tensor)
    return proto


def y(proto):
    return nd.evaluate(proto, {"x": np.zeros((2, 3), np.float32)})["y"]


@pytest.mark.parametrize("indices", [PAIRS, [1, 5]], ids=["pairs", "linear"])
def test_an_initializer(indices):
    proto = adding(sparse(indices))
    before = proto.SerializeToString()
    np.testing.assert_array_equal(y(proto), DENSE)
    assert proto.SerializeToString() == before


def test_a_constant():
    proto = model(
        [helper.make_node("Constant", [], ["w"], sparse_value=sparse()), *adding(sparse()).graph.node],
        {"x": (FLOAT, [2, 3])},
        {"y": (FLOAT, [2, 3])},
    )
    np.testing.assert_array_equal(y(proto), DENSE)


def test_inside_a_branch_and_a_function():
    branch = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["z"])],
        "b",
        [],
        [helper.make_tensor_value_info("z", FLOAT, [2, 3])],
    )
    branch.sparse_initializer.append(sparse())
    opsets = [helper.make_opsetid("", 17)]
    constant = helper.make_node("Constant", [], ["w"], sparse_value=sparse())
    function = helper.make_function("own", "W", [], ["w"], [constant], opsets)
    proto = model(
        [
            helper.make_node("If", ["flag"], ["i"], then_branch=branch, else_branch=branch),
            helper.make_node("W", [], ["f"], domain="own"),
            helper.make_node("Sum", ["x", "i", "f"], ["y"]),
        ],
        {"x": (FLOAT, [2, 3]), "flag": (onnx.TensorProto.BOOL, [])},
        {"y": (FLOAT, [2, 3])},
    )
    proto.opset_import.add(domain="own", version=1)
    proto.functions.append(function)
    found = nd.evaluate(proto, {"x": np.zeros((2, 3), np.float32), "flag": np.array(True)})["y"]
    np.testing.assert_array_equal(found, 2 * DENSE)


def test_every_verb(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(adding(sparse()), path)
    assert nd.inspect(path).contents.initializers[0].elements == 6
    np.testing.assert_array_equal(y(nd.optimize(path).model), DENSE)
    assert nd.check(path, backends=["onnxruntime"]).verdict == "pass"


def test_numbers_in_a_file_beside_it(tmp_path):
    proto = adding(sparse())
    values = proto.graph.sparse_initializer[0].values
    (tmp_path / "w.bin").write_bytes(values.raw_data)
    values.ClearField("raw_data")
    values.data_location = onnx.TensorProto.EXTERNAL
    values.external_data.add(key="location", value="w.bin")
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    np.testing.assert_array_equal(y(path), DENSE)


def test_one_that_is_too_large_when_dense():
    with pytest.raises(
        ModelError, match=r"sparse tensors that take 4 GiB as dense ones, and 2 GiB is the most"
    ):
        load(adding(sparse([7], [1], [2**30])))


def test_one_with_more_axes_than_arrays_have():
    with pytest.raises(ModelError, match="more than 31 axes"):
        load(adding(sparse([0], [1], [1] * 32)))


def test_many_that_are_too_large_together():
    proto = adding(sparse([7], [1], [2**28]))
    for index in range(2):
        proto.graph.sparse_initializer.append(sparse([7], [1], [2**28]))
        proto.graph.sparse_initializer[-1].values.name = f"w{index}"
    with pytest.raises(ModelError, match="3 GiB"):
        load(proto)


@pytest.mark.parametrize("indices", [[6], [-1], [[2, 0]], [[0, -1]]])
def test_indices_outside_the_shape(indices):
    with pytest.raises(ModelError, match="index"):
        load(adding(sparse(indices, [1])))
