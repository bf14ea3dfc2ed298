"""Tensors in files beside the model: what is read, what is written, and that nothing of others is touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import normdeploy as nd
from normdeploy.errors import ModelError, UsageError
from normdeploy.graph.external_data import external_files
from normdeploy.graph.io import load, save, to_proto
from normdeploy.graph.protobuf import proto_tensors
from tests.builders import data_file, model
from tests.killing import killed_at_each_call

FLOAT = TensorProto.FLOAT
SIZE = 128
"""Numbers in a tensor: enough for a file of its own, beyond 256 bytes."""

X = np.arange(SIZE, dtype=np.float32)
OPTIMIZE = "import sys, normdeploy as nd; nd.optimize(sys.argv[1], verify=False).save(sys.argv[2])"


def external(name: str, location: str, values: np.ndarray | None = None) -> onnx.TensorProto:
    """A tensor whose numbers stand in a file."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[SIZE], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    if values is not None:
        tensor.external_data.add(key="length", value=str(values.nbytes))
    return tensor


def weights(folder: Path, name: str, first: float) -> onnx.TensorProto:
    """Write a file with a weight, and refer to it."""
    values = np.arange(first, first + SIZE, dtype=np.float32)
    (folder / name).write_bytes(values.tobytes())
    return external("w", name, values)


def adding(folder: Path, first: float = 1.0, data: str = "weights.bin") -> onnx.ModelProto:
    """y = x + w, with w in a file."""
    proto = model(
        [helper.make_node("Add", ["x", "w"], ["y"])], {"x": (FLOAT, [SIZE])}, {"y": (FLOAT, [SIZE])}
    )
    proto.graph.initializer.append(weights(folder, data, first))
    return proto


def written(folder: Path, name: str, first: float, data: str) -> Path:
    (folder / name).write_bytes(adding(folder, first, data).SerializeToString())
    return folder / name


def result(path: Path) -> list[float]:
    return nd.evaluate(path, {"x": X})["y"].tolist()


def expected(first: float) -> list[float]:
    return (X + np.arange(first, first + SIZE)).tolist()


# Reading


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
    proto = model(
        [helper.make_node("Add", ["x", "w"], ["y"])], {"x": (FLOAT, [SIZE])}, {"y": (FLOAT, [SIZE])}
    )
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


# Writing


def test_data_of_another_model_is_never_replaced(tmp_path):
    """A model that keeps its tensors where ours would have put them still reads them afterwards."""
    other = written(tmp_path, "orig.onnx", 1.0, "model.onnx.data")
    before = (tmp_path / "model.onnx.data").read_bytes()
    for _ in range(2):
        nd.optimize(other).save(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx.data").read_bytes() == before
    assert result(other) == result(tmp_path / "model.onnx") == expected(1.0)


def test_the_data_that_a_model_had_before_goes(tmp_path):
    path = written(tmp_path, "m.onnx", 1.0, "m.onnx.data")
    for first in (21.0, 31.0):
        source = written(tmp_path, "source.onnx", first, "source.bin")
        save(load(source), path)
        assert result(path) == expected(first)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "m.onnx", "source.onnx", "source.bin", data_file(path).name,
    }  # fmt: skip


@pytest.mark.parametrize("copy", ["copy.onnx", "m.onnx.bak", "m.onnx~", "old", "m.ONNX"])
def test_data_that_a_copy_of_the_model_needs_stays(tmp_path, copy):
    save(load(written(tmp_path, "s.onnx", 1.0, "s.bin")), tmp_path / "m.onnx")
    shutil.copy(tmp_path / "m.onnx", tmp_path / copy)
    save(load(written(tmp_path, "s.onnx", 11.0, "s.bin")), tmp_path / "m.onnx")
    assert result(tmp_path / copy) == expected(1.0)
    assert result(tmp_path / "m.onnx") == expected(11.0)


def test_data_that_a_model_in_the_folder_above_needs_stays(tmp_path):
    (tmp_path / "sub").mkdir()
    inner = written(tmp_path / "sub", "m.onnx", 1.0, "m.onnx.data")
    outer = tmp_path / "outer.onnx"
    outer.write_bytes(build(place_initializer, external("w", "sub/m.onnx.data")).SerializeToString())
    nd.optimize(inner).save(inner)
    assert result(outer) == result(inner) == expected(1.0)


def test_data_that_a_link_leads_to_stays(tmp_path):
    path = written(tmp_path, "m.onnx", 1.0, "m.onnx.data")
    (tmp_path / "link").symlink_to("m.onnx.data")
    nd.optimize(path).save(path)
    assert (tmp_path / "link").exists()


@pytest.mark.parametrize(
    "name", ["model", ".onnx", "tensors.data", "m.bin", "m.onnx.bak", "m.onnx.0123456789abcdef.data"]
)
def test_a_model_of_any_name_has_its_data(tmp_path, name):
    """Also when it is written once more, and then without the old data."""
    for first in (1.0, 11.0):
        save(load(written(tmp_path, "s.onnx", first, "s.bin")), tmp_path / name)
        assert result(tmp_path / name) == expected(first)
    assert len(os.listdir(tmp_path)) == 4


def test_a_model_is_not_written_over_its_own_tensors(tmp_path):
    path = written(tmp_path, "m.onnx", 1.0, "w.bin")
    with pytest.raises(UsageError, match=r"w\.bin: holds tensors of the model"):
        nd.optimize(path).save(tmp_path / "w.bin")
    assert result(path) == expected(1.0)


def test_no_data_goes_beside_a_file_in_another_folder_that_a_link_names(tmp_path):
    """The link would be a model without its tensors."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link.onnx").symlink_to("real/m.onnx")
    path = written(tmp_path, "m.onnx", 1.0, "w.bin")
    with pytest.raises(UsageError, match=r"link\.onnx: is a link into another folder.*real/m\.onnx"):
        nd.optimize(path).save(tmp_path / "link.onnx")
    assert os.listdir(tmp_path / "real") == []


def test_standard_output_takes_a_model_with_its_tensors(tmp_path, capsysbinary):
    save(load(written(tmp_path, "m.onnx", 1.0, "w.bin")), "-")
    found = nd.evaluate(onnx.load_from_string(capsysbinary.readouterr().out), {"x": X})
    assert found["y"].tolist() == expected(1.0)


def test_a_path_that_is_not_utf8_is_refused(tmp_path):
    source = load(written(tmp_path, "m.onnx", 1.0, "w.bin"))
    odd = tmp_path / os.fsdecode(b"\xff.onnx")
    with pytest.raises(UsageError, match="is not UTF-8"):
        save(source, odd)
    shutil.copy(tmp_path / "m.onnx", odd)
    with pytest.raises(ModelError, match="needs a path in UTF-8"):
        load(odd)


def test_data_that_cannot_be_removed_is_left(tmp_path, monkeypatch):
    """The model is written by then."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    path = written(tmp_path, "m.onnx", 1.0, "m.onnx.data")
    monkeypatch.setattr(Path, "unlink", refuse)
    nd.optimize(path).save(path)
    assert (tmp_path / "m.onnx.data").exists()
    assert result(path) == expected(1.0)


def test_a_name_as_long_as_names_may_be(tmp_path):
    whole = nd.optimize(written(tmp_path, "m.onnx", 1.0, "w.bin")).model
    path = tmp_path / ("x" * 255)
    save(load(whole), path)
    assert result(path) == expected(1.0)


def test_the_same_model_is_written_as_the_same_bytes(tmp_path):
    source = load(written(tmp_path, "s.onnx", 1.0, "s.bin"))
    save(source, tmp_path / "m.onnx")
    first = (tmp_path / "m.onnx").read_bytes()
    save(source, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == first


@pytest.mark.parametrize("over", ["itself", "another"])
def test_a_kill_leaves_the_old_model_whole_or_the_new_one(tmp_path, over):
    """Whenever it comes: weights and graph belong together, and the next run tidies up."""
    folder = tmp_path / "models"
    folder.mkdir()

    def prepare() -> tuple[Path, Path]:
        shutil.rmtree(folder)
        folder.mkdir()
        source = written(folder, "m.onnx", 1.0, "m.onnx.data")
        if over == "itself":
            return source, source
        return source, written(folder, "old.onnx", 11.0, "old.onnx.data")

    seen = set()
    source, target = prepare()
    for _ in killed_at_each_call(OPTIMIZE, source, target, module="normdeploy.passes"):
        found = result(target)
        old = expected(1.0) if over == "itself" else expected(11.0)
        assert found in (old, expected(1.0))
        assert result(source) == expected(1.0)
        seen.add(tuple(found))
        nd.optimize(source, verify=False).save(target)
        needed = {target, data_file(target)}
        needed |= set() if over == "itself" else {source, folder / "m.onnx.data"}
        # A file of another tool's naming that no model refers to any more may be somebody's: it is not ours.
        assert set(folder.iterdir()) - {target.with_name(f"{target.name}.data")} == needed
        source, target = prepare()
    assert len(seen) == (1 if over == "itself" else 2)


def test_over_itself_nothing_of_the_old_model_is_left(tmp_path):
    path = written(tmp_path, "m.onnx", 1.0, "m.onnx.data")
    nd.optimize(path).save(path)
    assert result(path) == expected(1.0)
    assert set(tmp_path.iterdir()) == {path, data_file(path)}
