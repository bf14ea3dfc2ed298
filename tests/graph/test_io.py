"""Reading and writing: what goes in comes out, tensors beside the model stay there, the rest is refused."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from normdeploy.errors import ModelError, UsageError
from normdeploy.graph import io
from normdeploy.graph.io import external_files, load, model_name, on_disk, save, to_proto
from tests.builders import conv_lrn, data_file, model, unary

SUM = {"x": (TensorProto.FLOAT, [4])}, {"y": (TensorProto.FLOAT, [4])}


def assert_same(loaded: ir.Model, proto: onnx.ModelProto) -> None:
    """The model holds what the message does; only what it knows of its tensors' types may be more."""
    found = to_proto(loaded)
    assert list(found.graph.node) == list(proto.graph.node)
    assert list(found.graph.input) == list(proto.graph.input)
    assert list(found.graph.output) == list(proto.graph.output)
    assert list(found.opset_import) == list(proto.opset_import)
    assert (found.ir_version, found.graph.name) == (proto.ir_version, proto.graph.name)
    tensors = zip(found.graph.initializer, proto.graph.initializer, strict=True)
    for tensor, expected in tensors:
        assert (tensor.name, tensor.data_type) == (expected.name, expected.data_type)
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), numpy_helper.to_array(expected))


def with_weights_beside(path: Path, name: str = "weights.bin") -> onnx.ModelProto:
    """Write conv_lrn with its weights in a file of their own; returns it whole."""
    proto = conv_lrn()
    onnx.save(
        onnx.ModelProto.FromString(proto.SerializeToString()),
        path,
        save_as_external_data=True,
        location=name,
        size_threshold=0,
    )
    return proto


def change_entry(path: Path, key: str, value: str) -> None:
    """Write another value into the external data of the model's first tensor."""
    proto = onnx.load(path, load_external_data=False)
    entries = {entry.key: entry for entry in proto.graph.initializer[0].external_data}
    (entries.get(key) or proto.graph.initializer[0].external_data.add(key=key)).value = value
    path.write_bytes(proto.SerializeToString())


class TestLoad:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_path(self, tmp_path, kind):
        proto = conv_lrn()
        onnx.save(proto, tmp_path / "m.onnx")
        assert_same(load(kind(tmp_path / "m.onnx")), proto)

    def test_a_message(self):
        proto = conv_lrn()
        assert_same(load(proto), proto)

    def test_a_loaded_model_is_itself(self):
        loaded = load(conv_lrn())
        assert load(loaded) is loaded

    def test_sizes_that_exporters_write_for_unknown_ones(self):
        proto = unary("Relu", ["N", "?", 3])
        proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = -1
        shape = load(proto).graph.inputs[0].shape
        assert shape is not None
        assert [dim if isinstance(dim, int) else dim.value for dim in shape] == ["N", None, None]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"\xff\xff", "not an ONNX model, or a truncated one"),
            (b"", "not an ONNX model (it holds no graph)"),
            (conv_lrn().SerializeToString()[:-40], "not an ONNX model, or a truncated one"),
        ],
        ids=["bytes", "nothing", "truncated"],
    )
    def test_what_is_no_model(self, tmp_path, content, message):
        path = tmp_path / "m.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelError) as raised:
            load(path)
        assert str(raised.value) == f"{path}: {message}"

    def test_no_file(self, tmp_path):
        with pytest.raises(ModelError, match=r"m\.onnx: cannot be read \(No such file or directory\)"):
            load(tmp_path / "m.onnx")

    def test_a_cycle(self):
        nodes = [helper.make_node("Relu", ["b"], ["a"]), helper.make_node("Add", ["x", "a"], ["b"])]
        nodes.append(helper.make_node("Relu", ["b"], ["y"]))
        with pytest.raises(
            ModelError, match="the model: the graph has a cycle, or reads what nothing computes"
        ):
            load(model(nodes, *SUM))

    @pytest.mark.parametrize("names", [("F",), ("F", "G")], ids=["itself", "through another"])
    @pytest.mark.parametrize("inside", [False, True])
    @pytest.mark.parametrize("checker", ["new", "old"])
    def test_a_function_that_calls_itself(self, monkeypatch, names, inside, checker):
        """onnx.checker 1.18 lets it pass, 1.22 where a subgraph holds the call; 1.23 refuses it."""
        if checker == "old":
            monkeypatch.setattr(onnx.checker, "check_model", lambda *_: None)
        pattern = (
            r"^the model: function 'own\.F' calls itself$"
            if checker == "old"
            else "^the model: .*(Cycle|calls itself)"
        )
        with pytest.raises(ModelError, match=pattern):
            load(self.calling(names, inside))

    @staticmethod
    def calling(names: tuple[str, ...], inside: bool) -> onnx.ModelProto:
        """Functions of which each calls the next, the last the first, perhaps inside an If."""
        proto = unary("F", [4], domain="own")
        proto.opset_import.add(domain="own", version=1)
        opsets = [helper.make_opsetid("own", 1), helper.make_opsetid("", 17)]
        for name, called in zip(names, (*names[1:], names[0]), strict=True):
            body = [helper.make_node(called, ["a"], ["b"], domain="own")]
            if inside:
                result = helper.make_tensor_value_info("b", TensorProto.FLOAT, [4])
                branch = helper.make_graph(body, "branch", [], [result])
                true = numpy_helper.from_array(np.array(True))
                choice = helper.make_node("If", ["c"], ["b"], then_branch=branch, else_branch=branch)
                body = [helper.make_node("Constant", [], ["c"], value=true), choice]
            proto.functions.append(helper.make_function("own", name, ["a"], ["b"], body, opsets))
        return proto


class TestExternalData:
    def test_it_stays_in_its_file_until_it_is_used(self, tmp_path):
        proto = with_weights_beside(tmp_path / "m.onnx")
        loaded = load(tmp_path / "m.onnx")
        assert isinstance(loaded.graph.initializers["w"].const_value, ir.ExternalTensor)
        assert external_files(loaded) == {(tmp_path / "weights.bin").resolve()}
        assert_same(loaded, proto)

    def test_a_model_without_has_no_files(self):
        assert external_files(load(conv_lrn())) == set()

    def test_a_message_cannot_refer_to_it(self, tmp_path):
        with_weights_beside(tmp_path / "m.onnx")
        with pytest.raises(ModelError, match="the model: has external data: pass its path, or load the data"):
            load(onnx.load(tmp_path / "m.onnx", load_external_data=False))

    def test_missing(self, tmp_path):
        with_weights_beside(tmp_path / "m.onnx")
        (tmp_path / "weights.bin").unlink()
        with pytest.raises(
            ModelError, match=r"of tensor 'w' is missing: put 'weights\.bin' beside the model"
        ):
            load(tmp_path / "m.onnx")

    def test_too_short(self, tmp_path):
        with_weights_beside(tmp_path / "m.onnx")
        (tmp_path / "weights.bin").write_bytes(b"1234")
        with pytest.raises(ModelError, match=r"of tensor 'w' is truncated: 'weights\.bin'"):
            load(tmp_path / "m.onnx")

    @pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "a/../../weights.bin", ""])
    def test_outside_the_folder(self, tmp_path, location):
        (tmp_path / "weights.bin").write_bytes(bytes(4096))
        folder = tmp_path / "model"
        folder.mkdir()
        with_weights_beside(folder / "m.onnx")
        change_entry(folder / "m.onnx", "location", location)
        with pytest.raises(ModelError, match="external data outside the model's folder"):
            load(folder / "m.onnx")

    @pytest.mark.parametrize("key", ["offset", "length"])
    @pytest.mark.parametrize(("value", "message"), [("many", "malformed"), ("-1", "truncated")])
    def test_senseless_numbers(self, tmp_path, key, value, message):
        with_weights_beside(tmp_path / "m.onnx")
        change_entry(tmp_path / "m.onnx", key, value)
        with pytest.raises(ModelError, match=message):
            load(tmp_path / "m.onnx")


class TestSave:
    def test_what_was_loaded(self, tmp_path):
        proto = conv_lrn()
        save(load(proto), tmp_path / "m.onnx")
        assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
        assert_same(load(tmp_path / "m.onnx"), proto)

    def test_tensors_beside_the_model_where_asked_for(self, tmp_path):
        proto = conv_lrn()
        save(load(proto), tmp_path / "m.onnx", external_data=True)
        assert set(tmp_path.iterdir()) == {tmp_path / "m.onnx", data_file(tmp_path / "m.onnx")}
        assert_same(load(tmp_path / "m.onnx"), proto)

    def test_tensors_beside_the_model_where_they_were_before(self, tmp_path):
        proto = with_weights_beside(tmp_path / "m.onnx")
        save(load(tmp_path / "m.onnx"), tmp_path / "n.onnx")
        (tmp_path / "weights.bin").unlink()
        assert external_files(load(tmp_path / "n.onnx")) == {data_file(tmp_path / "n.onnx").resolve()}
        assert_same(load(tmp_path / "n.onnx"), proto)

    def test_tensors_beside_the_model_where_one_message_has_no_room(self, tmp_path, monkeypatch):
        monkeypatch.setattr(io, "PROTOBUF_LIMIT", 1000)
        save(load(conv_lrn()), tmp_path / "m.onnx")
        assert data_file(tmp_path / "m.onnx").is_file()

    def test_a_model_over_itself(self, tmp_path):
        proto = with_weights_beside(tmp_path / "m.onnx", "m.onnx.data")
        save(load(tmp_path / "m.onnx"), tmp_path / "m.onnx")
        assert_same(load(tmp_path / "m.onnx"), proto)

    def test_an_invalid_model_is_not_written(self, tmp_path):
        loaded = load(unary("Relu", [4]))
        loaded.graph[0].op_type = "Unheard"
        (tmp_path / "m.onnx").write_text("as it was")
        with pytest.raises(ModelError, match=r"m\.onnx: not written: not a valid ONNX model"):
            save(loaded, tmp_path / "m.onnx")
        assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
        assert (tmp_path / "m.onnx").read_text() == "as it was"

    def test_types_that_contradict_each_other_are_not_written(self, tmp_path):
        loaded = load(unary("Relu", [4]))
        loaded.graph.outputs[0].shape = ir.Shape([5])
        with pytest.raises(ModelError, match="not written"):
            save(loaded, tmp_path / "m.onnx")

    def test_a_folder_that_does_not_exist(self, tmp_path):
        with pytest.raises(UsageError, match="cannot be written"):
            save(load(unary("Relu", [4])), tmp_path / "none" / "m.onnx")


class TestToProto:
    def test_data_from_files_is_in_it(self, tmp_path):
        proto = with_weights_beside(tmp_path / "m.onnx")
        loaded = load(tmp_path / "m.onnx")
        message = to_proto(loaded)
        (tmp_path / "weights.bin").unlink()
        assert_same(load(message), proto)

    def test_too_much_for_one_message(self, monkeypatch):
        monkeypatch.setattr(io, "PROTOBUF_LIMIT", 864)  # 8·3·3·3 weights of 4 bytes
        with pytest.raises(ModelError, match=r"the model's tensors take .* GiB, too much for one protobuf"):
            to_proto(load(conv_lrn()))

    def test_as_much_as_fits(self, monkeypatch):
        monkeypatch.setattr(io, "PROTOBUF_LIMIT", 865)
        assert len(to_proto(load(conv_lrn())).graph.initializer) == 1


class TestOnDisk:
    def test_a_path_is_used_as_it_is(self, tmp_path):
        with on_disk(str(tmp_path / "m.onnx")) as path:
            assert path == tmp_path / "m.onnx"

    @pytest.mark.parametrize("as_loaded", [False, True])
    def test_a_model_gets_a_file_while_it_is_needed(self, as_loaded):
        proto = conv_lrn()
        with on_disk(load(proto) if as_loaded else proto) as path:
            assert_same(load(path), proto)
        assert not path.exists()
        assert not path.parent.exists()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("some/m.onnx", "some/m.onnx"),
        (Path("some/m.onnx"), "some/m.onnx"),
        (conv_lrn(), "small"),
        (load(conv_lrn()), "small"),
        (onnx.ModelProto(), "the model"),
    ],
    ids=["string", "path", "message", "loaded", "nameless"],
)
def test_model_name(source, expected):
    assert model_name(source) == expected
