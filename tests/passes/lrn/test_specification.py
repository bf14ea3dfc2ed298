"""From formulas to the operator that computes them, number for number, or the reason why there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normdeploy as nd
from normdeploy import LRN
from normdeploy.passes.lrn import axis_map
from normdeploy.passes.lrn.interpreter import Power
from normdeploy.passes.lrn.specification import alpha_attribute, box_sum, clip, specification
from normdeploy.passes.lrn.window_sums import WindowSums, reshape
from normdeploy.passes.report import Refused

SHAPE = (2, 6, 5, 7)


def power(
    windows: dict[int, tuple[int, int]],
    shape: tuple[int | str, ...] = SHAPE,
) -> Power:
    """x · (2 + 0.1 · Σ x²)^−0.75 with windows (before, after) along axes."""
    sums = WindowSums.root(shape).squared()
    assert sums is not None
    for axis, (before, after) in windows.items():
        size = before + after + 1
        sums = sums.padded(axis, before, after)
        sums = sums.with_map(axis, lambda old, n, size=size: axis_map.correlate(old, n, (1.0,) * size))
    base = sums.scaled(0.1).plus_constant(2.0)
    return Power(1.0, tuple((axis,) for axis in range(len(shape))), base, -0.75)


def tensor(shape: tuple[int | str, ...] = SHAPE, dtype: ir.DataType | None = ir.DataType.FLOAT) -> ir.Value:
    return ir.Value(name="x", shape=ir.Shape(shape), type=None if dtype is None else ir.TensorType(dtype))


def found(windows: dict[int, tuple[int, int]], shape: tuple[int | str, ...] = SHAPE) -> LRN | None:
    return specification(power(windows, shape), tensor(shape), 17, "portable")


def assert_is(spec: LRN | None, size: int, alpha: float, region: str) -> None:
    """The normalization with β = 0.75 and k = 2, in its operator's convention."""
    assert spec is not None
    assert spec.alpha == pytest.approx(alpha)
    convention = "onnx" if region == "across" else "torch"
    assert replace(spec, alpha=1.0) == LRN(size, 1.0, 0.75, 2.0, region, convention)


class TestBoxSum:
    def test_windows_scale_and_constant(self):
        box = box_sum(power({1: (1, 2), 2: (0, 1)}))
        assert box.windows == {0: (0, 0), 1: (1, 2), 2: (0, 1), 3: (0, 0)}
        assert (box.scale, box.constant, box.reduced) == (pytest.approx(0.1), 2.0, frozenset())

    def test_a_whole_axis_at_one_position(self):
        sums = WindowSums.root(SHAPE).squared()
        assert sums is not None
        box = box_sum(Power(1.0, None, sums.with_map(1, axis_map.total), -1.0))
        assert (box.windows[1], box.reduced) == ((5, 5), {1})

    def test_two_boxes_are_none(self):
        one, other = (power({axis: (1, 1)}).base for axis in (2, 3))
        assert one is not None
        assert other is not None
        cross = one.plus(other)
        with pytest.raises(Refused, match="its window is not a box"):
            box_sum(Power(1.0, None, cross, -1.0))

    def test_merged_axes_are_none(self):
        merged = reshape(WindowSums.root(SHAPE), (2, 6, 35), SHAPE).squared()
        with pytest.raises(Refused, match="its sum has merged axes"):
            box_sum(Power(1.0, None, merged, -1.0))


class TestSpecification:
    def test_across(self):
        assert_is(found({1: (2, 2)}), 5, 0.5, "across")

    def test_within(self):
        assert_is(found({2: (1, 1), 3: (1, 1)}), 3, 0.9, "within")

    def test_windows_along_an_axis_of_length_1_do_not_count(self):
        shape = (2, 6, 1, 7)
        assert_is(found({1: (2, 2), 2: (1, 1)}, shape), 5, 0.5, "across")
        assert_is(found({2: (1, 1), 3: (1, 1)}, shape), 3, 0.9, "within")

    def test_a_size_of_1_is_across(self):
        assert_is(found({}), 1, 0.1, "across")

    @pytest.mark.parametrize("axes", [(0,), (2,), (1, 2)])
    def test_sums_over_whole_other_axes_are_no_lrn(self, axes):
        sums = WindowSums.root(SHAPE).squared()
        assert sums is not None
        for axis in axes:
            sums = sums.with_map(axis, axis_map.total)
        assert specification(Power(1.0, None, sums, -0.5), tensor(), 17, "portable") is None

    @pytest.mark.parametrize(
        ("windows", "reason"),
        [
            ({2: (1, 1)}, r"its window spans the axes \[2\]: neither the channels nor all spatial axes"),
            ({1: (1, 1), 2: (1, 1), 3: (1, 1)}, r"its window spans the axes \[1, 2, 3\]"),
            ({2: (1, 1), 3: (2, 2)}, "its window is not a square: 3 × 5"),
            ({1: (2, 0)}, r"its window \[-2, 0\] is not the operator's, \[-1, 1\]"),
            ({1: (1, 2)}, "onnxruntime has no LRN for it: size 4 is even"),
            ({1: (8, 8)}, "tensorrt has no LRN for it: size 17 is above 15"),
        ],
    )
    def test_refusals(self, windows, reason):
        with pytest.raises(Refused, match=reason):
            found(windows)

    def test_a_target_needs_its_own_runtimes_only(self):
        wide, even = (power({1: window}) for window in ((8, 8), (1, 2)))
        assert specification(wide, tensor(), 17, "ort-cpu").size == 17
        assert specification(even, tensor(), 17, "ort-cpu").size == 4
        with pytest.raises(Refused, match=r"^tensorrt has no LRN for it: size 17 is above 15$"):
            specification(wide, tensor(), 17, "tensorrt")

    def test_unknown_types_and_low_ranks_are_refused(self):
        with pytest.raises(Refused, match="the type of its input is not known"):
            specification(power({1: (1, 1)}), tensor(dtype=None), 17, "portable")
        with pytest.raises(Refused, match="its input has rank 2: LRN takes 3 or more"):
            specification(power({1: (1, 1)}, (2, 6)), tensor((2, 6)), 17, "portable")

    def test_within_a_channel_there_is_no_float64_and_no_old_opset(self):
        within = power({2: (1, 1), 3: (1, 1)})
        with pytest.raises(Refused, match="computes in float32, its input is float64"):
            specification(within, tensor(dtype=ir.DataType.DOUBLE), 17, "portable")
        with pytest.raises(Refused, match="needs opset 15 or newer"):
            specification(within, tensor(), 14, "portable")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.floats(2**-20, 100, width=32), st.integers(1, 225))
def test_alpha_of_an_operator_comes_back(alpha, count):
    """α → the float32 factor on the sum, which a lowered graph holds → an α with the same factor."""
    factor = float(np.float32(alpha / count))
    back = alpha_attribute(factor, count)
    assert back == np.float32(back)
    assert np.float32(back / count) == np.float32(factor)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("size", [1, 3, 10, 11, 12, 13, 40])
def test_clipped_windows_compute_the_same(channels, size):
    spec = LRN(size, 0.7, 0.75, 1.5, "across", "onnx")
    clipped = clip(spec, channels)
    covers = min(spec.window) >= channels - 1 and size > 2 * channels - 1
    assert (clipped is not None) == covers
    if clipped is not None:
        assert clipped.size == 2 * channels - 1
        x = np.random.default_rng(0).normal(size=(1, channels, 3, 3))
        np.testing.assert_allclose(nd.lrn(x, clipped), nd.lrn(x, spec), rtol=1e-6)
