"""Which numbers of a file are roundings of its original's."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.validation import stored_weights
from normdeploy.validation.judge import Judge
from normdeploy.validation.stored_weights import rounded_numbers, with_rounded_weights
from tests.builders import FLOAT, model, parsed

Array = NDArray[Any]
RNG = np.random.default_rng(0)
FILTER = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
BIAS = RNG.normal(size=4).astype(np.float32)


def convolution(**weights: Array) -> onnx.ModelProto:
    weights = {"w": FILTER, "b": BIAS, **weights}
    element = helper.np_dtype_to_tensor_dtype(weights["w"].dtype)
    return model(
        [helper.make_node("Conv", ["x", "w", "b"], ["y"])],
        {"x": (element, ["N", 3, 8, 8])},
        {"y": (element, ["N", 4, 6, 6])},
        weights,
    )


def names(deployed: onnx.ModelProto, original: onnx.ModelProto) -> set[str | None]:
    found = rounded_numbers(inferred(deployed), inferred(original))
    return {value.name for value in found.tensors} | {name for _, name in found.attributes}


def test_the_same_numbers_were_not_rounded() -> None:
    assert names(convolution(), convolution()) == set()


def test_names_shapes_and_order_do_not_matter() -> None:
    deployed = parsed("""
    g (float[N, 3] x) => (float[N, 2] y) <float[3, 2] other = {0.1, 0.4, 0.2, 0.5, 0.3, 0.6}> {
        y = MatMul (x, other) }""")
    original = parsed("""
    g (float[N, 3] x) => (float[N, 2] y) <float[2, 3] w = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}> {
        t = Transpose <perm = [1, 0]> (w)
        y = MatMul (x, t) }""")
    assert names(deployed, original) == set()


def test_weights_and_biases_that_a_tool_computed_were_rounded() -> None:
    assert names(convolution(w=FILTER * np.float32(1.1), b=BIAS * np.float32(1.1)), convolution()) == {
        "w",
        "b",
    }
    assert names(convolution(b=BIAS * np.float32(1.1)), convolution()) == {"b"}


def test_constant_nodes_hold_weights_too() -> None:
    text = """
    g (float[N, 2] x) => (float[N, 2] y) {
        w = Constant <value = float[2] {NUMBERS}> ()
        y = Mul (x, w) }"""
    deployed, original = (parsed(text.replace("NUMBERS", each)) for each in ("0.1, 0.3", "0.7, 0.2"))
    assert names(deployed, original) == {"w"}


def test_a_number_expanded_to_a_tensor_is_that_number() -> None:
    full = np.full((4, 3, 3, 3), 0.1, np.float32)
    original = parsed("""
    g (float[N, 3, 8, 8] x) => (float[N, 4, 6, 6] y) <int64[4] s = {4, 3, 3, 3}> {
        w = ConstantOfShape <value = float[1] {0.1}> (s)
        y = Conv (x, w) }""")
    deployed = model(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        {"x": (FLOAT, ["N", 3, 8, 8])},
        {"y": (FLOAT, ["N", 4, 6, 6])},
        {"w": full},
    )
    assert names(deployed, original) == set()


PARAMETERS = {
    "exponent": "y = Pow (x, c)",
    "limit": "low = Constant <value_float = 0.0> () y = Clip (x, low, c)",
    "threshold": "big = Greater (x, c) y = Cast <to = 1> (big)",
    "bound": "y = Max (x, c)",
    "exponent behind a Reshape": "s = Constant <value_ints = [1]> () r = Reshape (c, s) y = Pow (x, r)",
    "both a weight and a threshold": "m = Mul (x, c) b = Less (x, c) z = Cast <to = 1> (b) y = Add (m, z)",
}


@pytest.mark.parametrize("role", PARAMETERS)
def test_parameters_are_what_they_are(role: str) -> None:
    """0.3 for 0.7 is no rounding of it; it is not disturbed, so that the change is seen."""
    text = f"g (float[N, 2] x) => (float[N, 2] y) <float c = {{NUMBER}}> {{ {PARAMETERS[role]} }}"
    deployed, original = (parsed(text.replace("{NUMBER}", f"{{{each}}}")) for each in ("0.3", "0.7"))
    assert names(deployed, original) == set()


@pytest.mark.parametrize(
    ("number", "expected"), [(2.0, set()), (0.75, set()), (-3.5, set()), (0.1, {"c"}), (1 / 3, {"c"})]
)
def test_a_single_short_number_was_not_rounded(number: float, expected: set[str]) -> None:
    def scaled(by: float) -> onnx.ModelProto:
        return model(
            [helper.make_node("Mul", ["x", "c"], ["y"])],
            {"x": (FLOAT, ["N"])},
            {"y": (FLOAT, ["N"])},
            {"c": np.array(by, np.float32)},
        )

    assert names(scaled(number), scaled(7.7)) == expected


def test_attributes_of_normalizations_are_rounded_numbers() -> None:
    text = "g (float[N, 5, 1, 1] x) => (float[N, 5, 1, 1] y) { y = LRN <size = 3, alpha = NUMBER> (x) }"
    deployed, original = (parsed(text.replace("NUMBER", each)) for each in ("0.1", "0.2"))
    assert names(deployed, original) == {"alpha"}
    assert names(deployed, deployed) == set()


# Files in shorter types


@pytest.mark.parametrize("narrow", [np.float16, "bfloat16"])
def test_rounded_weights_are_rounded_in_the_original(narrow: Any) -> None:
    dtype = (
        np.dtype(narrow)
        if narrow != "bfloat16"
        else onnx.helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
    )
    short = convolution(w=FILTER.astype(dtype), b=BIAS.astype(dtype))
    whole, original = inferred(short), inferred(convolution())
    rounded = with_rounded_weights(original, whole)
    assert rounded is not original
    held = rounded.graph.initializers["w"].const_value
    assert held is not None
    np.testing.assert_array_equal(held.numpy(), FILTER.astype(dtype).astype(np.float32))
    before = original.graph.initializers["w"].const_value
    assert before is not None
    np.testing.assert_array_equal(before.numpy(), FILTER)
    assert rounded_numbers(whole, rounded).tensors == frozenset()


def test_numbers_that_a_converter_lifts_are_roundings() -> None:
    """To 1e-7, whatever they were; one that is wrong by more stays as the original means it."""
    tiny = FILTER.copy()
    tiny.flat[:3] = [1e-9, -3e-8, 0.25]
    narrow = tiny.astype(np.float16)
    narrow.flat[:3] = [1e-7, -1e-7, 0.5]
    deployed = inferred(convolution(w=narrow, b=BIAS.astype(np.float16)))
    rounded = with_rounded_weights(inferred(convolution(w=tiny)), deployed)
    held = rounded.graph.initializers["w"].const_value
    assert held is not None
    expected = narrow.astype(np.float32)
    expected.flat[2] = 0.25
    np.testing.assert_array_equal(held.numpy(), expected)
    assert rounded_numbers(deployed, rounded).tensors == frozenset()


def test_a_tensor_of_which_most_is_the_originals_was_not_rounded() -> None:
    wrong = FILTER.copy()
    wrong.flat[:40] *= np.float32(1 + 1e-6)
    assert names(convolution(w=wrong), convolution()) == set()
    wrong = FILTER * np.float32(1 + 1e-6)
    wrong.flat[:40] = FILTER.flat[:40]
    assert names(convolution(w=wrong), convolution()) == {"w"}


def test_zeros_that_stay_zeros_tell_nothing() -> None:
    sparse = np.where(np.arange(FILTER.size).reshape(FILTER.shape) % 10 == 0, FILTER, np.float32(0))
    assert names(convolution(w=sparse * np.float32(1.1)), convolution(w=sparse)) == {"w"}


def test_what_the_file_holds_as_it_was_is_not_rounded() -> None:
    half = convolution(w=FILTER.astype(np.float16), b=BIAS.astype(np.float16))
    half.graph.initializer.append(onnx.numpy_helper.from_array(BIAS, "whole"))
    rounded = with_rounded_weights(inferred(convolution()), inferred(half))
    held = rounded.graph.initializers["b"].const_value
    assert held is not None
    np.testing.assert_array_equal(held.numpy(), BIAS)


def test_files_of_one_type_are_left_as_they_are() -> None:
    original = inferred(convolution())
    assert with_rounded_weights(original, inferred(convolution(w=FILTER * 2))) is original


def test_a_float16_fold_with_a_large_bias_is_right() -> None:
    """Its bias is rounded as well, which for a large one is more than any rounding of the filter."""
    scale = np.float32(1.37)
    big = BIAS + np.float32(300)
    folded = convolution(w=(FILTER * scale).astype(np.float16), b=(big * scale).astype(np.float16))
    original = model(
        [helper.make_node("Conv", ["x", "w", "b"], ["c"]), helper.make_node("Mul", ["c", "s"], ["y"])],
        {"x": (FLOAT, ["N", 3, 8, 8])},
        {"y": (FLOAT, ["N", 4, 6, 6])},
        {"w": FILTER, "b": big, "s": scale},
    )
    x = RNG.normal(size=(4, 3, 8, 8)).astype(np.float16)
    session = onnxruntime.InferenceSession(folded.SerializeToString())
    actual = session.run(None, {"x": x})[0]
    judge = Judge(Evaluator(inferred(folded)), Evaluator(inferred(original)))
    found = judge.on({"x": x}).compare("y", actual)
    assert found.wrong == 0, found
    actual[0, 0, 0, 0] += np.float16(4)
    assert judge.on({"x": x}).compare("y", actual).wrong == 1


def gelu(root: float) -> onnx.ModelProto:
    """As exporters write it: x · (1 + erf(x / √2)) / 2."""
    return parsed(f"""
    g (float[N] x) => (float[N] y) <float root = {{{root!r}}}, float one = {{1}}, float half = {{0.5}}> {{
        d = Div (x, root)
        e = Erf (d)
        p = Add (e, one)
        m = Mul (x, p)
        y = Mul (m, half) }}""")


FUSED_GELU = parsed(
    "g (float[N] x) => (float[N] y) { y = com.microsoft.Gelu (x) }", opsets='"": 21, "com.microsoft": 1'
)


def test_a_number_that_became_part_of_a_definition_was_rounded_in_the_original() -> None:
    """√2 in float32 is off by 1.7e-8, which float64 sees; one that is off by more is another function."""
    x = {"x": RNG.normal(size=1000).astype(np.float32)}
    for root, agrees in ((float(np.float32(np.sqrt(2))), True), (1.41422, False)):
        judge = Judge(Evaluator(inferred(FUSED_GELU)), Evaluator(gelu(root)))
        comparison = judge.on(x).compare_graph("y")
        assert comparison.max_abs_error > 1e-9
        assert comparison.wrong == 0 if agrees else comparison.wrong > 500


def test_a_definition_that_both_hold_is_exact_in_both() -> None:
    standard = parsed("g (float[N] x) => (float[N] y) { y = Gelu (x) }")
    assert not rounded_numbers(inferred(FUSED_GELU), inferred(standard)).definitions
    assert len(rounded_numbers(inferred(FUSED_GELU), inferred(gelu(1.4142135))).definitions) == 1


def test_the_factor_of_a_fused_product_is_a_weight() -> None:
    deployed = parsed(
        """g (float[N, 3] x) => (float[N, N] y) {
        y = com.microsoft.FusedMatMul <transB = 1, alpha = 0.3535534> (x, x) }""",
        opsets='"": 21, "com.microsoft": 1',
    )
    original = parsed("""
    g (float[N, 3] x) => (float[N, N] y) <float root = {2.828427}> {
        t = Transpose <perm = [1, 0]> (x)
        m = MatMul (x, t)
        y = Div (m, root) }""")
    assert names(deployed, original) == {"alpha"}


def test_a_filter_in_blocks_filled_up_with_zeros_is_that_filter() -> None:
    blocks = np.zeros((8, 3, 3, 3), np.float32)
    blocks[::2] = FILTER[::-1]
    assert names(convolution(w=blocks, b=np.pad(BIAS, 2)), convolution()) == set()
    blocks[0, 0, 0, 0] *= np.float32(1.001)
    assert names(convolution(w=blocks, b=np.pad(BIAS, 2)), convolution()) == {"w"}


def test_the_same_numbers_in_another_order_are_known_and_others_are_not():
    x = np.random.default_rng(0).normal(size=150_001).astype(np.float32)
    zeros = np.array([0.0, -0.0] * 500, np.float32)
    shuffled = np.random.default_rng(1).permutation(np.concatenate([x, zeros]))
    assert stored_weights._sums(x) == stored_weights._sums(shuffled) == stored_weights._sums(x.astype(float))
    x[7] = np.nextafter(x[7], np.float32(9))
    assert stored_weights._sums(x) != stored_weights._sums(shuffled)
