"""Editing graphs: names, constants in graphs and in functions, nodes put in, passed by and taken out."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

import normdeploy as nd
from normdeploy.graph.edit import Editor
from normdeploy.graph.io import load
from normdeploy.graph.shapes import dims_of
from tests.builders import FLOAT, model

X = np.array([1.0, -2.0], np.float32)


def chain(*op_types: str, weights: dict[str, np.ndarray] | None = None) -> ir.Model:
    """x (2) -> one node after the other, named n0, n1, ..., whose results are t0, t1, ... -> y."""
    names = ["x", *(f"t{number}" for number in range(len(op_types) - 1)), "y"]
    nodes = [
        helper.make_node(op_type, [names[number], *(weights or {})], [names[number + 1]], name=f"n{number}")
        for number, op_type in enumerate(op_types)
    ]
    return load(model(nodes, {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])}, weights))


def saved(loaded: ir.Model) -> onnx.ModelProto:
    proto = ir.to_proto(loaded)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def result(loaded: ir.Model) -> np.ndarray:
    (y,) = nd.evaluate(saved(loaded), {"x": X}).values()
    return y


class TestNames:
    def test_a_free_name_stays(self):
        assert Editor(chain("Relu").graph).unique("free") == "free"

    @pytest.mark.parametrize("taken", ["x", "w", "t0", "y", "n0"])
    def test_a_taken_name_gets_a_number(self, taken):
        """Inputs, initializers, results and nodes alike."""
        editor = Editor(chain("Add", "Add", weights={"w": X}).graph)
        assert [editor.unique(taken), editor.unique(taken)] == [f"{taken}_1", f"{taken}_2"]

    def test_a_number_that_is_taken_is_passed_over(self):
        editor = Editor(chain("Add", weights={"w": X}).graph)
        assert [editor.unique(name) for name in ("w_1", "w", "w")] == ["w_1", "w_2", "w_3"]

    def test_a_released_name_is_free_again(self):
        editor = Editor(chain("Relu").graph)
        editor.release("n0")
        assert editor.unique("n0") == "n0"

    def test_names_of_subgraphs_are_taken_and_shared_with_their_editors(self):
        branch = helper.make_graph(
            [helper.make_node("Neg", ["x"], ["inner"], name="negate")],
            "branch",
            [],
            [helper.make_tensor_value_info("inner", FLOAT, [2])],
        )
        choice = helper.make_node("If", ["c"], ["y"], name="choice", then_branch=branch, else_branch=branch)
        weights = {"c": np.array(True)}
        graph = load(model([choice], {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])}, weights)).graph
        outer = Editor(graph)
        inner = outer.inside(graph[0].attributes["then_branch"].as_graph())
        assert [editor.unique("inner") for editor in (outer, inner, outer)] == [
            "inner_1",
            "inner_2",
            "inner_3",
        ]
        assert inner.unique("x") == "x_1"


class TestConstants:
    def test_in_a_graph_it_is_an_initializer(self):
        loaded = chain("Relu")
        value = Editor(loaded.graph).constant("c", np.ones((2, 3), np.float16))
        assert loaded.graph.initializers["c"] is value
        assert value.shape is not None
        assert (value.dtype, dims_of(value.shape)) == (ir.DataType.FLOAT16, (2, 3))

    def test_in_a_function_it_is_a_node_before_the_others(self):
        function = helper.make_function(
            "own", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"], name="relu")],
            [helper.make_opsetid("", 17)],
        )  # fmt: skip
        proto = model(
            [helper.make_node("F", ["x"], ["y"], domain="own")], {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])}
        )
        proto.opset_import.add(domain="own", version=1)
        proto.functions.append(function)
        loaded = load(proto)
        (body,) = loaded.functions.values()
        editor = Editor(body.graph, in_function=True)
        value = editor.constant("c", X)
        (relu,) = [node for node in body if node.op_type == "Relu"]
        editor.replace(relu, ir.node("Add", [relu.inputs[0], value], name="add"))
        assert [node.op_type for node in body] == ["Constant", "Add"]
        assert not body.graph.initializers
        assert (value.name, value.dtype) == ("c", ir.DataType.FLOAT)
        np.testing.assert_array_equal(result(loaded), 2 * X)

    def test_in_an_empty_function(self):
        graph = ir.Graph([], [], nodes=[], name="empty")
        Editor(graph, in_function=True).constant("c", X)
        assert [node.op_type for node in graph] == ["Constant"]

    def test_a_taken_name_gets_a_number(self):
        assert Editor(chain("Relu").graph).constant("x", X).name == "x_1"

    def test_the_last_reader_of_an_initializer_hands_its_name_on(self):
        loaded = chain("Add", weights={"w": X})
        Editor(loaded.graph).set_constant(loaded.graph[0], 1, 3 * X, "unused")
        assert list(loaded.graph.initializers) == ["w"]
        np.testing.assert_array_equal(result(loaded), 4 * X)

    def test_others_keep_the_initializer_that_they_read(self):
        loaded = chain("Add", "Add", weights={"w": X})
        Editor(loaded.graph).set_constant(loaded.graph[0], 1, 3 * X, "unused")
        assert list(loaded.graph.initializers) == ["w", "w_1"]
        np.testing.assert_array_equal(result(loaded), 5 * X)

    def test_an_initializer_that_is_an_output_stays(self):
        loaded = chain("Add", weights={"w": X})
        loaded.graph.outputs.append(loaded.graph.initializers["w"])
        Editor(loaded.graph).set_constant(loaded.graph[0], 1, 3 * X, "unused")
        assert list(loaded.graph.initializers) == ["w", "w_1"]

    def test_an_initializer_that_was_an_input_leaves_the_inputs(self):
        proto = model(
            [helper.make_node("Add", ["x", "w"], ["y"])],
            {"x": (FLOAT, [2]), "w": (FLOAT, [2])},
            {"y": (FLOAT, [2])},
            {"w": X},
        )
        loaded = load(proto)
        Editor(loaded.graph).set_constant(loaded.graph[0], 1, 3 * X, "unused")
        assert [value.name for value in loaded.graph.inputs] == ["x"]
        np.testing.assert_array_equal(result(loaded), 4 * X)

    def test_an_input_that_the_node_does_not_have_yet(self):
        """Clip without bounds gets an upper one; what stands between is left out."""
        loaded = chain("Clip")
        Editor(loaded.graph).set_constant(loaded.graph[0], 2, np.array(0.5, np.float32), "upper")
        assert [value and value.name for value in loaded.graph[0].inputs] == ["x", None, "upper"]
        np.testing.assert_array_equal(result(loaded), [0.5, -2])

    def test_a_computed_input_is_replaced_and_stays_computed(self):
        loaded = chain("Neg", "Exp")
        Editor(loaded.graph).set_constant(loaded.graph[1], 0, 0 * X, "unused")
        assert list(loaded.graph.initializers) == ["t0_1"]
        np.testing.assert_array_equal(result(loaded), [1, 1])


class TestNodes:
    def test_a_replacement_takes_name_type_and_readers_of_the_result(self):
        loaded = chain("Relu", "Exp")
        relu, exp = loaded.graph
        relu.outputs[0].shape, relu.outputs[0].type = ir.Shape([2]), ir.TensorType(ir.DataType.FLOAT)
        neg = ir.node("Neg", [relu.inputs[0]], name="neg")
        Editor(loaded.graph).replace(relu, neg)
        assert [node.name for node in loaded.graph] == ["neg", "n1"]
        (value,) = neg.outputs
        assert (value.name, value.dtype, value.shape) == ("t0", ir.DataType.FLOAT, ir.Shape([2]))
        assert exp.inputs[0] is value
        np.testing.assert_allclose(result(loaded), np.exp(-X.astype(np.float64)))

    def test_a_replacement_of_what_makes_an_output(self):
        loaded = chain("Relu")
        Editor(loaded.graph).replace(loaded.graph[0], ir.node("Neg", [loaded.graph.inputs[0]]))
        assert [value.name for value in loaded.graph.outputs] == ["y"]
        np.testing.assert_array_equal(result(loaded), -X)

    def test_skipping_leaves_the_source_its_name(self):
        loaded = chain("Neg", "Identity", "Exp")
        neg, identity, exp = loaded.graph
        Editor(loaded.graph).skip(identity, neg.outputs[0])
        assert [node.name for node in loaded.graph] == ["n0", "n2"]
        assert exp.inputs[0] is neg.outputs[0]
        assert neg.outputs[0].name == "t0"
        np.testing.assert_allclose(result(loaded), np.exp(-X.astype(np.float64)))

    def test_bypassing_gives_the_source_the_name_of_the_result(self):
        """As an output of the graph needs it."""
        loaded = chain("Neg", "Identity")
        neg, identity = loaded.graph
        Editor(loaded.graph).bypass(identity, neg.outputs[0])
        assert [node.name for node in loaded.graph] == ["n0"]
        assert loaded.graph.outputs == [neg.outputs[0]]
        assert neg.outputs[0].name == "y"
        assert neg.outputs[0].shape == ir.Shape([2])
        np.testing.assert_array_equal(result(loaded), -X)
