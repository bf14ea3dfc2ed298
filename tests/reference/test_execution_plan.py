"""What is computed, in which order, how long it is kept, and what is refused before anything runs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normdeploy.errors import UnsupportedOperator
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator, evaluate
from normdeploy.reference.execution_plan import Planner
from tests.builders import parsed

CHAIN = """
g (float[N, 3] x) => (float[N, 3] y) {
    doubled = Add (x, x)
    root = Sqrt (doubled)
    y = Neg (root)
    unused = Log (x)
}"""


def test_only_what_is_needed_is_computed():
    seen = []
    x = {"x": np.ones((1, 3), np.float32)}
    evaluator = Evaluator(parsed(CHAIN))
    evaluator.run(x, ["doubled"], on_node=lambda node, values: seen.append(node.op_type))
    assert seen == ["Add"]
    seen.clear()
    evaluator.run(x, on_node=lambda node, values: seen.append((node.op_type, float(values[0].flat[0]))))
    assert seen == [("Add", 2.0), ("Sqrt", np.sqrt(2)), ("Neg", -np.sqrt(2))]


def test_each_tensor_is_released_after_the_last_node_that_needs_it():
    model = load(
        parsed("""
    g (float[1] x, bool c) => (float[1] y) {
        a = Neg (x)
        b = Abs (a)
        d = If (c) <
            then_branch = t () => (float[1] p) { p = Add (a, x) },
            else_branch = e () => (float[1] q) { q = Sqrt (b) }
        >
        y = Exp (d)
    }""")
    )
    plan = Planner(model).main(model.graph.outputs)
    released = {item.node.op_type: {value.name for value in item.releases} for item in plan.nodes}
    assert released == {"Neg": set(), "Abs": set(), "If": {"a", "b", "x", "c"}, "Exp": {"d"}}
    assert list(plan.nodes[2].bodies) == ["then_branch", "else_branch"]


def test_a_plan_is_made_once():
    model = load(parsed(CHAIN))
    planner = Planner(model)
    assert planner.main(model.graph.outputs) is planner.main(model.graph.outputs)


def test_of_the_plans_of_parts_the_last_is_kept():
    model = load(parsed(CHAIN))
    planner, outputs = Planner(model), model.graph.outputs
    doubled, root = (node.outputs[0] for node in list(model.graph)[:2])
    part = planner.main(outputs, frozenset([root]))
    assert [item.node.op_type for item in part.nodes] == ["Neg"]
    assert planner.main(outputs, frozenset([root])) is part
    assert [item.node.op_type for item in planner.main(outputs, frozenset([doubled])).nodes] == [
        "Sqrt",
        "Neg",
    ]
    assert planner.main(outputs, frozenset([root])) is not part
    assert len(planner.main(outputs).nodes) == 3


FUNCTIONS = """
<domain: "local", opset_import: ["": 21, "local": 1]>
Scale <factor: float = 3.0> (a) => (b) { f = Constant <value_float: float = @factor> ()  b = Mul (a, f) }
<domain: "local", opset_import: ["": 21, "local": 1]>
Twice <by> (a) => (c) { b = local.Scale <factor: float = @by> (a)  c = local.Scale (b) }
"""


def test_functions_bind_attributes_defaults_and_references():
    model = parsed("g (float[1] x) => (float[1] y) { y = local.Twice <by = 5.0> (x) }", FUNCTIONS)
    assert evaluate(model, {"x": np.array([2.0])})["y"].tolist() == [2 * 5 * 3]


def test_an_unknown_operator_is_named_before_anything_runs():
    model = parsed(
        "g (float[1] x) => (float[1] y) { t = Log (x)  [conv1] y = com.acme.FooBar (t) }",
        opsets='"": 21, "com.acme": 1',
    )
    seen = []
    with pytest.raises(UnsupportedOperator) as caught:
        Evaluator(model).run({"x": np.ones(1)}, on_node=lambda *_: seen.append(1))
    assert str(caught.value) == (
        "node 'conv1' (FooBar, domain 'com.acme', opset 1): the NumPy reference has no such operator"
    )
    assert not seen
    # what does not need it is computed all the same
    assert evaluate(model, {"x": np.ones(1)}, ["t"])["t"].tolist() == [0]


def test_an_unknown_operator_in_a_branch_or_a_function_counts():
    branch = "g (bool c, float[1] x) => (float[1] y) { y = If (c) < then_branch = a () => (float[1] t) "
    branch += "{ t = Abs (x) }, else_branch = b () => (float[1] e) { [inner] e = com.acme.Foo (x) } > }"
    function = (
        '<domain: "local", opset_import: ["com.acme": 1]> F (a) => (b) { [inner] b = com.acme.Foo (a) }'
    )
    for model in (
        parsed(branch, opsets='"": 21, "com.acme": 1'),
        parsed(
            "g (bool c, float[1] x) => (float[1] y) { y = local.F (x) }",
            function,
            '"": 21, "local": 1, "com.acme": 1',
        ),
    ):
        with pytest.raises(UnsupportedOperator, match=r"node 'inner' \(Foo, domain 'com.acme', opset 1\)"):
            evaluate(model, {"c": np.array(True), "x": np.ones(1)})


def test_an_operator_of_an_older_opset_says_so():
    model = parsed("g (float[1] x) => (float[1] y) { y = Dropout (x) }", opsets='"": 6')
    with pytest.raises(UnsupportedOperator, match=r"Dropout, opset 6\): .* from opset 7 on"):
        evaluate(model, {"x": np.ones(1)})


def test_an_attribute_that_the_operator_has_not_is_named():
    """A newer opset than the reference knows may add one that changes the meaning."""
    model = load(parsed("g (float[1] x) => (float[1] y) { [root] y = Sqrt (x) }"))
    model.graph.node(0).attributes.add(ir.AttrInt64("mode", 1))
    with pytest.raises(UnsupportedOperator, match=r"node 'root' \(Sqrt, opset 21\): .* 'mode' of it"):
        Planner(model).main(model.graph.outputs)
