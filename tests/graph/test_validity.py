"""What a model's message has to keep to beyond onnx.checker."""

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from normdeploy.errors import ModelError
from normdeploy.graph.io import load
from normdeploy.graph.validity import check_functions, check_tensors, check_text, check_versions
from tests.builders import conv_lrn, unary


def refused(proto, *parts):
    with pytest.raises(ModelError) as raised:
        load(proto)
    for part in parts:
        assert part in str(raised.value)
    assert "\n" not in str(raised.value)


class TestText:
    @pytest.mark.parametrize("field", ["producer_name", "graph", "node", "input", "metadata"])
    def test_what_is_not_utf8(self, tmp_path, field):
        proto, mark = conv_lrn(), "MARKED"
        if field == "producer_name":
            proto.producer_name = mark
        elif field == "graph":
            proto.graph.name = mark
        elif field == "node":
            proto.graph.node[0].name = mark
        elif field == "input":
            proto.graph.node[0].output[0] = proto.graph.node[1].input[0] = mark
        else:
            proto.metadata_props.add(key="k", value=mark)
        path = tmp_path / "m.onnx"
        path.write_bytes(proto.SerializeToString().replace(b"MARKED", b"M\xff\xfeED!"))
        refused(path, "m.onnx: holds a name or a text that is not UTF-8", r"M\xff\xfeED!")

    def test_what_is(self):
        proto = conv_lrn()
        proto.doc_string = "LRN — größer, 正規化, 😀"
        check_text(proto)


class TestVersions:
    newest = onnx.defs.onnx_opset_version()

    @pytest.mark.parametrize("domain", ["", "ai.onnx"])
    @pytest.mark.parametrize("version", [newest + 1, 999, 2**40, 0, -1])
    def test_an_opset_that_is_not_known(self, domain, version):
        proto = conv_lrn()
        proto.opset_import[0].domain, proto.opset_import[0].version = domain, version
        refused(proto, f"imports opset {version} ", f"knows is {self.newest}")

    def test_an_opset_of_a_function(self):
        proto = unary("F", [4], domain="own")
        proto.opset_import.add(domain="own", version=1)
        body = [helper.make_node("Relu", ["a"], ["b"])]
        opsets = [helper.make_opsetid("", 999)]
        proto.functions.append(helper.make_function("own", "F", ["a"], ["b"], body, opsets))
        refused(proto, "imports opset 999 ", f"knows is {self.newest}")

    def test_another_domain_of_onnx(self):
        proto = conv_lrn()
        proto.opset_import.add(domain="ai.onnx.ml", version=99)
        refused(proto, "imports opset 99 of domain 'ai.onnx.ml'")

    def test_other_domains_have_their_own_versions(self):
        proto = conv_lrn()
        proto.opset_import.add(domain="com.example", version=999)
        check_versions(proto)

    def test_a_format_that_is_too_new(self):
        proto = conv_lrn()
        proto.ir_version = onnx.IR_VERSION + 1
        refused(proto, f"IR version {onnx.IR_VERSION + 1}", f"knows is {onnx.IR_VERSION}")


FIELDS = {
    TensorProto.FLOAT: [1.0, 2.0, 3.0],
    TensorProto.DOUBLE: [1.0, 2.0, 3.0],
    TensorProto.INT8: [1, 2, 3],
    TensorProto.INT32: [1, 2, 3],
    TensorProto.INT64: [1, 2, 3],
    TensorProto.UINT64: [1, 2, 3],
    TensorProto.BOOL: [True, False, True],
    TensorProto.FLOAT16: [1.0, 2.0, 3.0],
    TensorProto.BFLOAT16: [1.0, 2.0, 3.0],
    TensorProto.COMPLEX64: [1 + 2j, 3j, 4],
    TensorProto.STRING: ["a", "b", "c"],
    TensorProto.INT4: [1, 2, 3],
    TensorProto.UINT4: [1, 2, 3],
}


class TestTensors:
    @staticmethod
    def model(tensor: TensorProto) -> onnx.ModelProto:
        proto = conv_lrn()
        proto.graph.initializer.append(tensor)
        return proto

    @pytest.mark.parametrize("element", FIELDS)
    def test_data_fields(self, element):
        tensor = helper.make_tensor("t", element, [3], FIELDS[element])
        check_tensors(self.model(tensor))
        for dims in ([7], [3, 3], [0], [1]):
            tensor.dims[:] = dims
            with pytest.raises(ModelError, match=rf"tensor 't' of shape {re.escape(str(dims))} and type"):
                check_tensors(self.model(tensor))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint16, np.int64, np.bool_])
    def test_raw_data(self, dtype):
        tensor = numpy_helper.from_array(np.ones((2, 3), dtype), "t")
        check_tensors(self.model(tensor))
        for data in (tensor.raw_data + b"\0", tensor.raw_data[:-1], b""):
            tensor.raw_data = data
            with pytest.raises(ModelError, match=f"holds {len(data)} bytes of data instead of"):
                check_tensors(self.model(tensor))

    def test_more_axes_than_arrays_have(self):
        tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[1] * 31, raw_data=b"\0" * 4)
        check_tensors(self.model(tensor))
        tensor.dims.append(1)
        with pytest.raises(ModelError, match="tensor 't' has 32 axes: 31 is the limit"):
            check_tensors(self.model(tensor))

    def test_packed_raw_data(self):
        tensor = TensorProto(name="t", data_type=TensorProto.INT4, dims=[3], raw_data=b"\x21\x03")
        check_tensors(self.model(tensor))
        tensor.raw_data = b"\x21"
        with pytest.raises(ModelError, match="holds 1 bytes of data instead of 2"):
            check_tensors(self.model(tensor))

    def test_nothing(self):
        check_tensors(self.model(numpy_helper.from_array(np.ones((0, 3), np.float32), "t")))
        check_tensors(self.model(numpy_helper.from_array(np.float32(1), "t")))

    @pytest.mark.parametrize("data_type", [0, 99, -1])
    def test_no_type(self, data_type):
        with pytest.raises(ModelError, match=f"tensor 't' has data type {data_type}, which is none"):
            check_tensors(self.model(TensorProto(name="t", data_type=data_type, dims=[0])))

    def test_a_negative_dimension(self):
        with pytest.raises(ModelError, match=r"tensor 't' has a negative dimension: \[-1\]"):
            check_tensors(self.model(TensorProto(name="t", data_type=1, dims=[-1])))

    def test_wherever_it_stands(self):
        value = numpy_helper.from_array(np.ones(3, np.float32), "inner")
        value.dims[:] = [4]
        proto = conv_lrn()
        proto.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))
        refused(proto, "inner", "12 bytes")


class TestFunctions:
    @staticmethod
    def calling(body: list[onnx.NodeProto], outputs=("b",)) -> onnx.ModelProto:
        proto = unary("F", [4], domain="own")
        proto.opset_import.add(domain="own", version=1)
        opsets = [helper.make_opsetid("", 17)]
        proto.functions.append(helper.make_function("own", "F", ["a"], outputs, body, opsets))
        return proto

    def test_what_is_never_computed(self):
        with pytest.raises(ModelError, match=r"function 'own\.F': node 'n' \(Add\) reads \['c'\]"):
            check_functions(self.calling([helper.make_node("Add", ["a", "c"], ["b"], name="n")]))

    def test_what_is_given_but_never_computed(self):
        with pytest.raises(ModelError, match=r"function 'own\.F': gives \['b'\], never computed"):
            check_functions(self.calling([helper.make_node("Abs", ["a"], ["c"])]))

    @pytest.mark.parametrize(("reads", "fine"), [("a", True), ("c", False)])
    def test_a_branch_sees_the_tensors_around_it(self, reads, fine):
        branch = helper.make_graph(
            [helper.make_node("Abs", [reads], ["z"])], "g", [], [helper.make_tensor_value_info("z", 1, None)]
        )
        body = [
            helper.make_node("Cast", ["a"], ["flag"], to=TensorProto.BOOL),
            helper.make_node("If", ["flag"], ["b"], then_branch=branch, else_branch=branch),
        ]
        if fine:
            check_functions(self.calling(body))
        else:
            with pytest.raises(ModelError, match=r"reads \['c'\]"):
                check_functions(self.calling(body))

    def test_an_input_that_is_left_out(self):
        check_functions(self.calling([helper.make_node("Clip", ["a", "", "a"], ["b"])]))
