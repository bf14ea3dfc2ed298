"""Tensors in files beside the model: what is read, and that nothing of others is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import normdeploy as nd
from normdeploy.errors import ModelError
from normdeploy.graph.external_data import external_files
from normdeploy.graph.io import load, save, to_proto
from normdeploy.graph.protobuf import proto_tensors
from tests.builders import data_file, model
from tests.graph.tensors_in_files import FLOAT, SIZE, X, adding, expected, external, result, weights


def place_initializer(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    proto.graph.initializer.append(tensor)


def place_attribute(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))


def place_list(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    node = helper.make_node("Constant", [], ["w"])
    node.attribute.add(name="many", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)
    proto.graph.node.insert(0, node)


def place_subgraph(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["v"], ["w"])], "b", [], [onnx.ValueInfoProto(name="w")]
    )
    tensor.name = "v"
    branch.initializer.append(tensor)
    condition = numpy_helper.from_array(np.array(True), "condition")
    proto.graph.initializer.append(condition)
    proto.graph.node.insert(
        0, helper.make_node("If", ["condition"], ["w"], then_branch=branch, else_branch=branch)
    )


def place_function(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    body = [helper.make_node("Constant", [], ["w"], value=tensor)]
    function = helper.make_function("own", "F", [], ["w"], body, [helper.make_opsetid("", 17)])
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.graph.node.insert(0, helper.make_node("F", [], ["w"], domain="own"))


def place_default(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    node = helper.make_node("Constant", [], ["w"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, ref_attr_name="given")
    default = onnx.AttributeProto(name="given", type=onnx.AttributeProto.TENSOR, t=tensor)
    function = helper.make_function(
        "own", "F", [], ["w"], [node], [helper.make_opsetid("", 17)], attribute_protos=[default]
    )
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.graph.node.insert(0, helper.make_node("F", [], ["w"], domain="own"))


def place_subgraph_of_function(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    main = onnx.ModelProto()
    place_subgraph(main, tensor)
    condition = helper.make_node("Constant", [], ["condition"], value=main.graph.initializer[0])
    function = helper.make_function(
        "own", "F", [], ["w"], [condition, main.graph.node[0]], [helper.make_opsetid("", 17)]
    )
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.graph.node.insert(0, helper.make_node("F", [], ["w"], domain="own"))


def place_training(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    place_initializer(proto, numpy_helper.from_array(X, "w"))
    proto.training_info.add().algorithm.initializer.append(tensor)


def sparse(tensor: onnx.TensorProto) -> onnx.SparseTensorProto:
    """One that holds a number at each of its places."""
    places = numpy_helper.from_array(np.arange(SIZE), "places")
    return onnx.SparseTensorProto(values=tensor, indices=places, dims=[SIZE])


def place_sparse(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    proto.graph.sparse_initializer.append(sparse(tensor))


def place_sparse_attribute(proto: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    node = helper.make_node("Constant", [], ["w"])
    node.attribute.add(
        name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse(tensor)
    )
    proto.graph.node.insert(0, node)


Place = Callable[[onnx.ModelProto, onnx.TensorProto], None]
PLACES: list[Place] = [
    place_initializer, place_attribute, place_list, place_subgraph, place_function, place_default,
    place_training, place_sparse, place_sparse_attribute, place_subgraph_of_function,
]  # fmt: skip


def build(place: Place, tensor: onnx.TensorProto) -> onnx.ModelProto:
    proto = adding(None)
    place(proto, tensor)
    return proto


def outside(folder: Path) -> str:
    (folder.parent / "secret").write_bytes(X.tobytes())
    return "../secret"


def link_outside(folder: Path) -> str:
    (folder.parent / "secret").write_bytes(X.tobytes())
    (folder / "link").symlink_to("../secret")
    return "link"


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe")
    return "pipe"


def folder_itself(folder: Path) -> str:
    (folder / "sub").mkdir()
    return "sub"


def short(folder: Path) -> str:
    (folder / "short").write_bytes(b"1234")
    return "short"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.removeprefix("place_"))
@pytest.mark.parametrize(
    "hostile",
    [
        outside, link_outside, pipe, folder_itself, short,
        lambda folder: "/etc/passwd", lambda folder: "", lambda folder: "a\0b", lambda folder: "x" * 5000,
        lambda folder: "/dev/zero", lambda folder: "missing",
    ],
    ids=["outside", "link", "pipe", "folder", "short", "absolute", "none", "nul", "long", "device", "lost"],
)  # fmt: skip
def test_no_tensor_passes_the_gate_unseen(tmp_path, place, hostile):
    """Wherever in the file a tensor stands; refused in one line before anything is read."""
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "m.onnx"
    path.write_bytes(build(place, external("w", hostile(folder))).SerializeToString())
    with pytest.raises(ModelError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "place",
    [
        place_initializer, place_attribute, place_subgraph, place_function, place_default, place_sparse,
        place_sparse_attribute, place_subgraph_of_function,
    ],
    ids=lambda place: place.__name__.removeprefix("place_"),
)  # fmt: skip
def test_data_is_read_from_the_models_folder_wherever_a_tensor_stands(tmp_path, monkeypatch, place):
    elsewhere = tmp_path / "elsewhere"
    folder = tmp_path / "model"
    elsewhere.mkdir()
    folder.mkdir()
    monkeypatch.chdir(elsewhere)
    weights(elsewhere, "w.bin", 100.0)
    path = folder / "m.onnx"
    path.write_bytes(build(place, weights(folder, "w.bin", 1.0)).SerializeToString())
    made_dense = place in (place_sparse, place_sparse_attribute)  # as it is read
    assert external_files(load(path)) == (set() if made_dense else {(folder / "w.bin").resolve()})
    assert result(path) == expected(1.0)
    optimized = nd.optimize(path)
    assert all(tensor.data_location != TensorProto.EXTERNAL for tensor in proto_tensors(optimized.model))
    optimized.save(elsewhere / "o.onnx")
    (folder / "w.bin").unlink()
    assert result(elsewhere / "o.onnx") == expected(1.0)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.removeprefix("place_"))
def test_tensors_keep_their_numbers_beside_others_in_one_file(tmp_path, place):
    """Wherever each stands; what does not go into the file that is written stays in the model."""
    if place in (place_list, place_training):
        pytest.skip("no operator takes it, or none in use")
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    proto = build(place, weights(source, "w.bin", 1.0))
    proto.graph.node[-1].input[0] = "sum"
    proto.graph.node.insert(0, helper.make_node("Add", ["x", "other"], ["sum"]))
    other = weights(source, "other.bin", 1000.0)
    other.name = "other"
    proto.graph.initializer.append(other)
    path = source / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    sums = (np.array(expected(1.0)) + np.arange(1000, 1000 + SIZE)).tolist()
    save(load(path), out / "m.onnx")
    assert result(path) == result(out / "m.onnx") == sums
    assert set(out.iterdir()) == {out / "m.onnx", data_file(out / "m.onnx")}


def test_branches_with_tensors_of_one_name_keep_their_own(tmp_path):
    """Initializers are local to their graph: the same name in another branch is another tensor."""
    branches = []
    for index, first in enumerate((1.0, 11.0)):
        branch = helper.make_graph(
            [helper.make_node("Identity", ["w"], [f"out{index}"])],
            "b",
            [],
            [onnx.ValueInfoProto(name=f"out{index}")],
        )
        branch.initializer.append(weights(tmp_path, f"w{index}.bin", first))
        branches.append(branch)
    proto = model(
        [
            helper.make_node("If", ["c"], ["v"], then_branch=branches[0], else_branch=branches[1]),
            helper.make_node("Add", ["x", "v"], ["y"]),
        ],
        {"x": (FLOAT, [SIZE]), "c": (TensorProto.BOOL, [])},
        {"y": (FLOAT, [SIZE])},
    )
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    save(load(path), tmp_path / "copy.onnx")
    for source in (path, tmp_path / "copy.onnx", to_proto(load(path))):
        for condition, first in ((True, 1.0), (False, 11.0)):
            found = nd.evaluate(source, {"x": X, "c": np.array(condition)})["y"]
            assert found.tolist() == expected(first)
