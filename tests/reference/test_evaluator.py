"""What the evaluator does around the operators: names, types, order, memory, functions, errors."""

from __future__ import annotations

import tracemalloc
import warnings
import weakref

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
import pytest

from normdeploy import LRN, lrn, resources
from normdeploy.errors import InputError, ModelError, UnsupportedOperator, UsageError
from normdeploy.graph.intra_channel_lrn import add_function
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator, evaluate


def model_of(graph, functions="", opsets='"": 21, "local": 1, "normdeploy": 1'):
    return onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{opsets}]>\n{graph}\n{functions}")


CHAIN = """
g (float[N, 3] x) => (float[N, 3] y) {
    doubled = Add (x, x)
    root = Sqrt (doubled)
    y = Neg (root)
    unused = Log (x)
}"""


def test_outputs_by_default_and_any_tensor_on_request():
    x = np.full((2, 3), 8, np.float32)
    model = model_of(CHAIN)
    assert list(evaluate(model, {"x": x})) == ["y"]
    results = evaluate(model, {"x": x}, ["root", "x"])
    assert list(results) == ["root", "x"]
    np.testing.assert_array_equal(results["root"], np.full((2, 3), 4.0))
    assert results["x"].dtype == np.float64


def test_only_what_is_needed_is_computed():
    seen = []
    x = {"x": np.ones((1, 3), np.float32)}
    evaluator = Evaluator(model_of(CHAIN))
    evaluator.run(x, ["doubled"], on_node=lambda node, values: seen.append(node.op_type))
    assert seen == ["Add"]
    seen.clear()
    evaluator.run(x, on_node=lambda node, values: seen.append((node.op_type, float(values[0].flat[0]))))
    assert seen == [("Add", 2.0), ("Sqrt", np.sqrt(2)), ("Neg", -np.sqrt(2))]


def test_floating_tensors_are_float64_and_others_keep_their_type():
    model = model_of("""
    g (float16[2] h, bfloat16[2] b, int32[2] i, bool[2] t, string[2] s)
        => (float[2] cast, float16[2] square, bfloat16[2] b2, int32[2] i2, bool[2] t2, string[2] s2) {
        square = Mul (h, h)
        narrow = Cast <to = 10> (square)
        cast = Cast <to = 1> (narrow)
        b2 = Neg (b)
        i2 = Add (i, i)
        t2 = Not (t)
        s2 = Identity (s)
    }""")
    inputs = {
        "h": np.array([300, 0.1], np.float16),
        "b": np.array([1, 2], ml_dtypes.bfloat16),
        "i": np.array([1, 2**31 - 1], np.int32),
        "t": np.array([True, False]),
        "s": np.array(["a", "ß"]),
    }
    results = evaluate(model, inputs)
    assert [y.dtype.name for y in results.values()] == ["float64"] * 3 + ["int32", "bool", "object"]
    np.testing.assert_array_equal(results["cast"], np.array([90000, float(np.float16(0.1)) ** 2]))
    np.testing.assert_array_equal(results["i2"], [2, -2])
    assert results["s2"].tolist() == ["a", "ß"]


def test_results_share_no_memory_with_inputs_or_weights():
    model = model_of(
        "g (double[2] x) => (double[2] y, double[2] w) <double[2] w = {1, 2}> { y = Identity (x) }"
    )
    x = np.zeros(2)
    evaluator = Evaluator(model)
    for result in evaluator.run({"x": x}).values():
        result += 1
    assert x.tolist() == [0, 0]
    assert evaluator.run({"x": x})["w"].tolist() == [1, 2]


def test_no_warning_reaches_the_user():
    model = model_of("g (float[3] x) => (float[3] y, int32[3] i) { y = Log (x)  i = Cast <to = 6> (y) }")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = evaluate(model, {"x": np.array([0, -1, np.inf])})["y"]
    np.testing.assert_array_equal(y, [-np.inf, np.nan, np.inf])


def test_an_input_with_an_initializer_may_be_left_out_or_overridden():
    model = model_of("g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { y = Mul (x, w) }")
    x = np.array([10.0, 10.0])
    assert evaluate(model, {"x": x})["y"].tolist() == [10, 20]
    assert evaluate(model, {"x": x, "w": np.array([3.0, 4.0])})["y"].tolist() == [30, 40]


# Memory


def _chain(length):
    lines = "\n".join(f"t{i + 1} = Neg (t{i})" for i in range(length))
    return model_of(f"g (double[N] t0) => (double[N] y) {{ {lines} y = Abs (t{length}) }}")


def test_a_tensor_is_freed_after_its_last_use():
    alive: list[weakref.ref] = []
    most = 0

    def watch(node, values):
        nonlocal most
        alive.extend(weakref.ref(value) for value in values)
        most = max(most, sum(reference() is not None for reference in alive))

    Evaluator(_chain(30)).run({"t0": np.ones(10)}, on_node=watch)
    assert len(alive) == 31
    assert most == 2  # a node's output, and its input


def test_peak_memory_of_a_long_chain_is_a_few_tensors():
    evaluator, x = Evaluator(_chain(30)), np.ones(2**20)
    evaluator.run({"t0": x})
    tracemalloc.start()
    evaluator.run({"t0": x})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * x.nbytes


def test_weights_are_widened_one_at_a_time():
    count, size = 16, 2**18
    nodes = [onnx.helper.make_node("Add", [f"t{i}", f"w{i}"], [f"t{i + 1}"]) for i in range(count)]
    info = [onnx.helper.make_tensor_value_info(name, 1, [size]) for name in ("t0", f"t{count}")]
    weights = [onnx.numpy_helper.from_array(np.ones(size, np.float32), f"w{i}") for i in range(count)]
    graph = onnx.helper.make_graph(nodes, "g", info[:1], info[1:], weights)
    evaluator = Evaluator(onnx.helper.make_model(graph))
    tracemalloc.start()
    evaluator.run({"t0": np.zeros(size)})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 8 * size


def test_a_small_view_does_not_keep_a_large_tensor():
    model = model_of("""
    g (double[N] x) => (double[M] y) <int64[1] zero = {0}, int64[1] one = {1}> {
        large = Neg (x)
        small = Slice (large, zero, one)
        y = Abs (small)
    }""")
    alive = {}

    def watch(node, values):
        alive[node.op_type] = weakref.ref(values[0].base if values[0].base is not None else values[0])
        if node.op_type == "Abs":
            assert alive["Neg"]() is None

    Evaluator(model).run({"x": np.ones(1000)}, on_node=watch)
    assert list(alive) == ["Neg", "Slice", "Abs"]


# Functions and subgraphs

FUNCTIONS = """
<domain: "local", opset_import: ["": 21, "local": 1]>
Scale <factor: float = 3.0> (a) => (b) { f = Constant <value_float: float = @factor> ()  b = Mul (a, f) }
<domain: "local", opset_import: ["": 21, "local": 1]>
Twice <by> (a) => (c) { b = local.Scale <factor: float = @by> (a)  c = local.Scale (b) }
"""


def test_functions_bind_attributes_defaults_and_references():
    model = model_of("g (float[1] x) => (float[1] y) { y = local.Twice <by = 5.0> (x) }", FUNCTIONS)
    assert evaluate(model, {"x": np.array([2.0])})["y"].tolist() == [2 * 5 * 3]


def test_a_function_without_an_optional_input():
    functions = """
    <domain: "local", opset_import: ["": 21]>
    Bounded (a, low, high) => (b) { b = Clip (a, low, high) }"""
    model = model_of(
        'g (float[2] x) => (float[2] y) <float limit = {1}> { y = local.Bounded (x, "", limit) }', functions
    )
    assert evaluate(model, {"x": np.array([-9.0, 9.0])})["y"].tolist() == [-9, 1]


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("with_body", [False, True])
def test_intra_channel_lrn_by_its_body_or_by_the_operator(size, with_body):
    model = model_of(f"""
    g (float[1, 2, 5, 6] x) => (float[1, 2, 5, 6] y) {{
        y = normdeploy.IntraChannelLRN <size = {size}, alpha = 0.5, beta = 0.75, bias = 1.5> (x)
    }}""")
    model = load(model)
    if with_body:
        add_function(model)
    x = np.random.default_rng(0).normal(size=(1, 2, 5, 6))
    seen = []
    y = Evaluator(model).run({"x": x}, on_node=lambda node, values: seen.append(node.op_type))["y"]
    assert seen == ["IntraChannelLRN"]
    np.testing.assert_allclose(y, lrn(x, LRN(size, 0.5, 0.75, 1.5, "within", "torch")), rtol=1e-12)


def test_branches_see_the_tensors_around_them():
    model = model_of("""
    g (bool c, float[1] x) => (float[1] y) <float[1] w = {10}> {
        outer = Neg (x)
        y = If (c) <
            then_branch = a () => (float[1] t) { t = Mul (outer, w) },
            else_branch = b () => (float[1] e) {
                e = If (c) <
                    then_branch = d () => (float[1] u) { u = Abs (w) },
                    else_branch = f () => (float[1] v) { v = Add (outer, x) }
                >
            }
        >
    }""")
    x = np.array([2.0])
    assert evaluate(model, {"c": np.array(True), "x": x})["y"].tolist() == [-20]
    assert evaluate(model, {"c": np.array(False), "x": x})["y"].tolist() == [0]


def test_a_loop_carries_state_and_stacks_what_it_scans():
    model = model_of("""
    g (int64 n, float[1] x) => (float[1] last, float[K, 1] all) {
        going = Constant <value = bool {1}> ()
        last, all = Loop (n, going, x) <
            body = b (int64 i, bool c, float[1] s) => (bool c2, float[1] s2, float[1] out) {
                c2 = Identity (c)
                s2 = Add (s, x)
                out = Neg (s2)
            }
        >
    }""")
    results = evaluate(model, {"n": np.array(3), "x": np.array([2.0])})
    assert results["last"].tolist() == [8]
    assert results["all"].tolist() == [[-4], [-6], [-8]]


# Refusals


def test_an_unknown_operator_is_named_before_anything_runs():
    model = model_of(
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
        model_of(branch, opsets='"": 21, "com.acme": 1'),
        model_of(
            "g (bool c, float[1] x) => (float[1] y) { y = local.F (x) }",
            function,
            '"": 21, "local": 1, "com.acme": 1',
        ),
    ):
        with pytest.raises(UnsupportedOperator, match=r"node 'inner' \(Foo, domain 'com.acme', opset 1\)"):
            evaluate(model, {"c": np.array(True), "x": np.ones(1)})


def test_an_operator_of_an_older_opset_says_so():
    model = model_of("g (float[1] x) => (float[1] y) { y = Dropout (x) }", opsets='"": 6')
    with pytest.raises(UnsupportedOperator, match=r"Dropout, opset 6\): .* from opset 7 on"):
        evaluate(model, {"x": np.ones(1)})


def test_random_operators_are_refused():
    for body in (
        "y = RandomNormalLike (x)",
        "r = Constant <value = float {0.5}> () t = Constant <value = bool {1}> () y = Dropout (x, r, t)",
    ):
        with pytest.raises(UnsupportedOperator):
            evaluate(model_of(f"g (float[1] x) => (float[1] y) {{ {body} }}"), {"x": np.ones(1)})


def test_a_failing_operator_is_named_with_its_input_shapes():
    model = model_of("g (float[A] a, float[B] b) => (float[C] y) { [sum] y = Add (a, b) }")
    with pytest.raises(ModelError) as caught:
        evaluate(model, {"a": np.ones(2), "b": np.ones(3)})
    message = str(caught.value)
    assert message.startswith("node 'sum' (Add, opset 21): ")
    assert message.endswith("(input shapes: (2,), (3,))")
    assert "\n" not in message


def test_a_normalization_of_the_wrong_rank_is_named():
    model = model_of("g (float[N, 2] x) => (float[N, 2] y) { [norm] y = LRN <size = 3> (x) }")
    with pytest.raises(
        ModelError, match=r"^node 'norm' \(LRN, opset 21\): .*rank 3.*\(input shapes: \(1, 2\)\)$"
    ):
        evaluate(model, {"x": np.ones((1, 2))})


@pytest.mark.parametrize(
    "body",
    [
        "y = ConstantOfShape (big)",
        "y = Expand (x, big)",
        "y = Tile (x, big)",
        "o = Constant <value_ints = [0]> () p = Concat <axis = 0> (o, big) y = Pad (x, p)",
        "z = Constant <value_int = 0> () l = Squeeze (big) y = Range (z, l, m)",
        'y = Resize <mode = "linear"> (x, "", "", big)',
        "v = Constant <value_ints = [0, 1]> () i = Cast <to = 7> (x) y = OneHot (i, big, v)",
        "c = ConstantOfShape (h) r = Unsqueeze (c, one) y = Mul (c, r)",
        "y = MaxPool <kernel_shape = [1], pads = [70368744177664, 0]> (u)",
        "y = Conv <pads = [70368744177664, 0]> (u, u)",
        "y = ConvTranspose <output_shape = [70368744177664]> (u, u)",
        "i = ConstantOfShape <value = int64[1] {0}> (h) e = Expand (u, n) y = Gather (e, i)",
    ],
)
def test_hostile_sizes_are_refused_before_they_are_allocated(body):
    model = model_of(f"""
    g (float[1] x, float[1, 1, 1] u) => (float y)
    <int64[1] big = {{70368744177664}}, int64[1] h = {{4194304}}, int64 m = {{1}}, int64[1] one = {{1}},
    int64[3] n = {{1, 1, 4194304}}> {{ {body} }}""")
    with pytest.raises(ModelError, match=r"^node .*GiB, and this machine has") as caught:
        evaluate(model, {"x": np.zeros(1), "u": np.zeros((1, 1, 1))})
    assert "\n" not in str(caught.value)


def test_the_limit_is_the_machines_memory(monkeypatch):
    model = model_of("g (int64[1] n) => (float[N] y) { y = ConstantOfShape (n) }")
    monkeypatch.setattr(resources, "physical_memory", lambda: 8000.0)
    assert evaluate(model, {"n": np.array([1000])})["y"].shape == (1000,)
    with pytest.raises(ModelError, match=r"ConstantOfShape, opset 21.*a tensor of shape \(1001,\)"):
        evaluate(model, {"n": np.array([1001])})


def test_memory_that_runs_out_is_a_model_error(monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(np, "logaddexp", fail)
    with pytest.raises(
        ModelError, match=r"node 'p' \(Softplus, opset 21\): out of memory \(input shapes: \(1,\)\)"
    ):
        evaluate(model_of("g (float[1] x) => (float[1] y) { [p] y = Softplus (x) }"), {"x": np.ones(1)})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input 'x' is missing: expected float [N, 3]"),
        ({"X": np.ones((1, 3))}, "the model has no input 'X': its inputs are 'x'"),
        (
            {"x": np.ones((1, 3), np.int64)},
            "input 'x': expected float [N, 3], given int64 [1, 3]",
        ),
        ({"x": np.ones((1, 4))}, "input 'x': expected float [N, 3], given float64 [1, 4]"),
        ({"x": np.ones(3)}, "input 'x': expected float [N, 3], given float64 [3]"),
        ({"x": np.array([["a"] * 3])}, "input 'x': expected float [N, 3], given <U1 [1, 3]"),
        ({"x": np.array([[None] * 3])}, "input 'x': expected float [N, 3], given object [1, 3]"),
    ],
)
def test_inputs_that_do_not_fit(inputs, message):
    with pytest.raises(InputError) as caught:
        evaluate(model_of(CHAIN), inputs)
    assert str(caught.value) == message


def test_ragged_input():
    with pytest.raises(InputError, match=r"input 'x': expected float \[N, 3\], given what makes no array"):
        evaluate(model_of(CHAIN), {"x": [[1, 2, 3], [1]]})


def test_an_output_that_does_not_exist():
    with pytest.raises(UsageError, match="the model has no tensor 'z' in its main graph"):
        evaluate(model_of(CHAIN), {"x": np.ones((1, 3))}, ["z"])
