"""What the evaluator does around the operators: names, types, memory, functions, errors."""

from __future__ import annotations

import doctest
import tracemalloc
import warnings
import weakref

import ml_dtypes
import numpy as np
import onnx
import pytest

from normdeploy import resources
from normdeploy.errors import BudgetExceeded, ModelError, UnsupportedOperator, UsageError
from normdeploy.reference import Evaluator, evaluate
from normdeploy.reference import evaluator as evaluator_module
from tests.builders import FLOAT, model, parsed

CHAIN = """
g (float[N, 3] x) => (float[N, 3] y) {
    doubled = Add (x, x)
    root = Sqrt (doubled)
    y = Neg (root)
    unused = Log (x)
}"""


def test_outputs_by_default_and_any_tensor_on_request():
    x = np.full((2, 3), 8, np.float32)
    model = parsed(CHAIN)
    assert list(evaluate(model, {"x": x})) == ["y"]
    results = evaluate(model, {"x": x}, ["root", "x"])
    assert list(results) == ["root", "x"]
    np.testing.assert_array_equal(results["root"], np.full((2, 3), 4.0))
    assert results["x"].dtype == np.float64


def test_tensors_that_are_given_are_not_computed():
    seen = []
    evaluator, x = Evaluator(parsed(CHAIN)), {"x": np.full((1, 3), 8.0)}
    results = evaluator.run(
        x,
        ["doubled", "y"],
        lambda node, values: seen.append(node.op_type),
        given={"root": np.full((1, 3), 7.0)},
    )
    assert seen == ["Add", "Neg"]
    assert results["doubled"].tolist() == [[16.0] * 3]
    assert results["y"].tolist() == [[-7.0] * 3]
    assert evaluator.run(x)["y"].tolist() == [[-4.0] * 3]
    with pytest.raises(UsageError, match="the model has no tensor 'z' in its main graph"):
        evaluator.run(x, given={"z": np.zeros(1)})


def test_what_an_observer_returns_goes_on():
    def halve(node, values):
        return [values[0] / 2] if node.op_type == "Sqrt" else None

    results = Evaluator(parsed(CHAIN)).run({"x": np.full((1, 3), 8.0)}, ["doubled", "y"], halve)
    assert results["doubled"].tolist() == [[16.0] * 3]
    assert results["y"].tolist() == [[-2.0] * 3]


def test_floating_tensors_are_float64_and_others_keep_their_type():
    model = parsed("""
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
    model = parsed(
        "g (double[2] x) => (double[2] y, double[2] w) <double[2] w = {1, 2}> { y = Identity (x) }"
    )
    x = np.zeros(2)
    evaluator = Evaluator(model)
    for result in evaluator.run({"x": x}).values():
        result += 1
    assert x.tolist() == [0, 0]
    assert evaluator.run({"x": x})["w"].tolist() == [1, 2]


def test_no_warning_reaches_the_user():
    model = parsed("g (float[3] x) => (float[3] y, int32[3] i) { y = Log (x)  i = Cast <to = 6> (y) }")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = evaluate(model, {"x": np.array([0, -1, np.inf])})["y"]
    np.testing.assert_array_equal(y, [-np.inf, np.nan, np.inf])


def _chain(length):
    lines = "\n".join(f"t{i + 1} = Neg (t{i})" for i in range(length))
    return parsed(f"g (double[N] t0) => (double[N] y) {{ {lines} y = Abs (t{length}) }}")


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
    ends = [{name: (FLOAT, [size])} for name in ("t0", f"t{count}")]
    evaluator = Evaluator(model(nodes, *ends, {f"w{i}": np.ones(size, np.float32) for i in range(count)}))
    tracemalloc.start()
    evaluator.run({"t0": np.zeros(size)})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 8 * size


def test_a_small_view_does_not_keep_a_large_tensor():
    model = parsed("""
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


def test_weights_are_kept_where_that_was_asked_for():
    """The second run widens nothing: it takes the weight of 2 MiB out of memory."""
    size = 2**18
    small = model(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": (FLOAT, ["N", 1])},
        {"y": (FLOAT, ["N", size])},
        {"w": np.ones((1, size), np.float32)},
    )
    peaks = {}
    for keep in (False, True):
        evaluator = Evaluator(small, keep_weights=keep)
        evaluator.run({"x": np.ones((0, 1))})
        tracemalloc.start()
        evaluator.run({"x": np.ones((0, 1))})
        peaks[keep] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[True] < peaks[False] - 7 * size


def test_a_function_without_an_optional_input():
    functions = """
    <domain: "local", opset_import: ["": 21]>
    Bounded (a, low, high) => (b) { b = Clip (a, low, high) }"""
    model = parsed(
        'g (float[2] x) => (float[2] y) <float limit = {1}> { y = local.Bounded (x, "", limit) }', functions
    )
    assert evaluate(model, {"x": np.array([-9.0, 9.0])})["y"].tolist() == [-9, 1]


def test_random_operators_are_refused():
    for body in (
        "y = RandomNormalLike (x)",
        "r = Constant <value = float {0.5}> () t = Constant <value = bool {1}> () y = Dropout (x, r, t)",
    ):
        with pytest.raises(UnsupportedOperator):
            evaluate(parsed(f"g (float[1] x) => (float[1] y) {{ {body} }}"), {"x": np.ones(1)})


def test_a_failing_operator_is_named_with_its_input_shapes():
    model = parsed("g (float[A] a, float[B] b) => (float[C] y) { [sum] y = Add (a, b) }")
    with pytest.raises(ModelError) as caught:
        evaluate(model, {"a": np.ones(2), "b": np.ones(3)})
    message = str(caught.value)
    assert message.startswith("node 'sum' (Add, opset 21): ")
    assert message.endswith("(input shapes: (2,), (3,))")
    assert "\n" not in message


def test_a_normalization_of_the_wrong_rank_is_named():
    model = parsed("g (float[N, 2] x) => (float[N, 2] y) { [norm] y = LRN <size = 3> (x) }")
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
    model = parsed(f"""
    g (float[1] x, float[1, 1, 1] u) => (float y)
    <int64[1] big = {{70368744177664}}, int64[1] h = {{4194304}}, int64 m = {{1}}, int64[1] one = {{1}},
    int64[3] n = {{1, 1, 4194304}}> {{ {body} }}""")
    with pytest.raises(ModelError, match=r"^node .*GiB, and this machine has") as caught:
        evaluate(model, {"x": np.zeros(1), "u": np.zeros((1, 1, 1))})
    assert "\n" not in str(caught.value)


def test_the_limit_is_half_of_the_machines_memory(monkeypatch):
    model = Evaluator(parsed("g (int64[1] n) => (float[N] y) { y = ConstantOfShape (n) }"))
    monkeypatch.setattr(resources, "physical_memory", lambda: 16000.0)
    assert model.run({"n": np.array([1000])})["y"].shape == (1000,)
    with pytest.raises(BudgetExceeded, match=r"ConstantOfShape, opset 21.*a tensor of shape \(1001,\)"):
        model.run({"n": np.array([1001])})


def test_memory_that_runs_out_is_a_model_error(monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(np, "logaddexp", fail)
    with pytest.raises(
        ModelError, match=r"node 'p' \(Softplus, opset 21\): out of memory \(input shapes: \(1,\)\)"
    ):
        evaluate(parsed("g (float[1] x) => (float[1] y) { [p] y = Softplus (x) }"), {"x": np.ones(1)})


def test_an_output_that_does_not_exist():
    with pytest.raises(UsageError, match="the model has no tensor 'z' in its main graph"):
        evaluate(parsed(CHAIN), {"x": np.ones((1, 3))}, ["z"])


@pytest.mark.parametrize("item", [evaluate, Evaluator], ids=lambda item: item.__name__)
def test_the_examples_run(item):
    (example,) = doctest.DocTestFinder(recurse=False).find(item, item.__name__, evaluator_module, globs={})
    result = doctest.DocTestRunner().run(example)
    assert result.attempted > 4
    assert not result.failed
