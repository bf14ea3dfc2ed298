"""Every form of LRN computes what nd.lrn says, wherever it is said to be applicable."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import normdeploy as nd
from normdeploy import LRN
from normdeploy.graph.edit import Editor
from normdeploy.passes.lrn.lowerings import ACROSS, FORMS, WITHIN, Emitter, LoweringSite, applicable, quotient

SHAPES = {3: (2, 6, 9), 4: (2, 6, 5, 7), 5: (1, 6, 4, 3, 5), 6: (1, 6, 2, 3, 2, 3)}


def site(
    spec: LRN, rank: int, *, dynamic: bool = False, dtype: ir.DataType = ir.DataType.FLOAT
) -> LoweringSite:
    """An LRN of a tensor named x, all of whose sizes are names if they are dynamic."""
    shape = [f"d{axis}" for axis in range(rank)] if dynamic else SHAPES[rank]
    x = ir.Value(name="x", shape=ir.Shape(shape), type=ir.TensorType(dtype))
    return LoweringSite(x, spec, rank, None if dynamic else SHAPES[rank][1], dtype)


def lowered(form: str, where: LoweringSite, opset: int = 17) -> onnx.ModelProto:
    """A model of x -> y in one form."""
    placeholder = ir.node("Identity", [where.x], name="norm")
    y = placeholder.outputs[0]
    y.name, y.type, y.shape = "y", where.x.type, where.x.shape
    graph = ir.Graph([where.x], [y], nodes=[placeholder], opset_imports={"": opset}, name="lowered")
    editor = Editor(graph)
    emit = Emitter(editor, placeholder, "norm", opset)
    base = FORMS[form](emit, where, emit.node("Mul", [where.x, where.x], "square"))
    editor.replace(placeholder, quotient(emit, where, base, "norm"))
    proto = ir.to_proto(ir.Model(graph, ir_version=8))
    onnx.checker.check_model(proto, full_check=True)
    assert emit.names == [node.name for node in proto.graph.node[:-1]]
    return proto


def spec_of(region: str, size: int, beta: float = 0.75) -> LRN:
    return LRN(size, 1.5, beta, 0.5, region, "onnx" if region == "across" else "torch")


def assert_computes(proto: onnx.ModelProto, where: LoweringSite) -> None:
    x = np.random.default_rng(0).normal(size=SHAPES[where.rank]).astype(where.dtype.numpy())
    found = nd.evaluate(proto, {"x": x})["y"]
    np.testing.assert_allclose(found, nd.lrn(x.astype(np.float64), where.spec), rtol=3e-7)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("rank", SHAPES)
@pytest.mark.parametrize("size", [1, 2, 5, 14])
@pytest.mark.parametrize("region", ["across", "within"])
def test_every_applicable_form(region, size, rank, dynamic):
    for form in applicable(site(spec_of(region, size), rank, dynamic=dynamic)):
        where = site(spec_of(region, size), rank, dynamic=dynamic)  # a tensor belongs to one graph
        assert_computes(lowered(form, where), where)


@pytest.mark.parametrize("region", ["across", "within"])
@pytest.mark.parametrize(
    ("beta", "operators"),
    [(1.0, []), (0.5, ["Sqrt"]), (0.75, ["Sqrt", "Sqrt", "Mul"]), (0.3, ["Pow"]), (2.0, ["Pow"])],
)
def test_powers(region, beta, operators):
    where = site(spec_of(region, 3, beta), 4)
    form = applicable(where)[0]
    proto = lowered(form, where)
    assert [node.op_type for node in proto.graph.node] == ["Mul", *["Conv"] * 1, *operators, "Div"]
    assert_computes(proto, where)


@pytest.mark.parametrize("opset", [7, 10, 11, 12, 13, 18])
@pytest.mark.parametrize("form", [*ACROSS])
def test_lists_are_inputs_or_attributes_as_the_operator_set_has_them(form, opset):
    where = site(spec_of("across", 4), 4)
    proto = lowered(form, where, opset)
    assert_computes(proto, where)
    by_input = {"Unsqueeze": 13, "Squeeze": 13, "Pad": 11, "Slice": 10}
    for node in proto.graph.node:
        if node.op_type in by_input:
            assert (len(node.input) > 1) == (opset >= by_input[node.op_type])


def test_where_forms_apply():
    across, within = spec_of("across", 5), spec_of("within", 5)
    assert applicable(site(across, 4)) == [*ACROSS]
    assert applicable(site(within, 4)) == [*WITHIN]
    assert applicable(site(spec_of("across", 1), 4)) == ["no window"]
    assert applicable(site(within, 4, dynamic=True)) == ["AveragePools"]
    assert applicable(site(across, 4, dynamic=True)) == ["AveragePool", "slices"]
    assert applicable(site(across, 5)) == ["banded Conv", "slices"]
    assert applicable(site(across, 6)) == ["slices"]
    assert applicable(site(across, 4, dtype=ir.DataType.DOUBLE)) == ["slices"]
