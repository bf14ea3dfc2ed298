"""Sums over windows against NumPy: every operation on the description is the same operation on the tensor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normdeploy.passes.lrn import axis_map
from normdeploy.passes.lrn.window_sums import WindowSums, concatenated, reshape
from normdeploy.passes.report import Refused
from tests.passes.lrn.formulas import evaluate

SHAPE = (2, 3, 4)
X = np.random.default_rng(0).integers(-3, 4, SHAPE).astype(float)

indices = st.integers(0, 9)
few = st.integers(-1, 2)
OPERATIONS = st.one_of(
    st.tuples(st.just("scaled"), st.sampled_from([-2.0, 0.5])),
    st.tuples(st.just("plus_constant"), st.sampled_from([-1.0, 3.0])),
    st.tuples(st.just("plus_itself")),
    st.tuples(st.just("padded"), indices, few, few),
    st.tuples(st.just("correlated"), indices, st.sampled_from([(1.0, 1.0), (1.0, 2.0), (2.0,)])),
    st.tuples(st.just("permuted"), st.permutations(range(6))),
    st.tuples(st.just("inserted"), indices),
    st.tuples(st.just("dropped"), indices),
    st.tuples(st.just("flattened"), indices),
    st.tuples(st.just("concatenated"), indices, st.integers(0, 2)),
)


def apply(operation: tuple, sums: WindowSums, x: np.ndarray) -> tuple[WindowSums, np.ndarray]:
    """One operation on a description and on the tensor that it describes."""
    name, *given = operation
    rank = x.ndim
    index = given[0] % rank if given and isinstance(given[0], int) else 0
    widths = [(0, 0)] * rank
    match name:
        case "scaled":
            return sums.scaled(given[0]), x * given[0]
        case "plus_constant":
            return sums.plus_constant(given[0]), x + given[0]
        case "plus_itself":
            doubled = sums.plus(sums.scaled(2))
            assert doubled is not None
            return doubled, 3 * x
        case "padded":
            _, before, after = given
            kept = np.take(x, range(max(-before, 0), x.shape[index] - max(-after, 0)), index)
            widths[index] = (max(before, 0), max(after, 0))
            return sums.padded(index, before, after), np.pad(kept, widths)
        case "correlated":
            count = x.shape[index] - len(given[1]) + 1
            parts = [w * np.take(x, range(t, t + count), index) for t, w in enumerate(given[1])]
            changed = sums.with_map(index, lambda old, n: axis_map.correlate(old, n, given[1]))
            return changed, np.sum(parts, axis=0)
        case "permuted":
            order = [axis for axis in given[0] if axis < rank]
            return sums.permuted(order), x.transpose(order)
        case "inserted":
            return sums.inserted(index), np.expand_dims(x, index)
        case "dropped":
            return sums.dropped(index), np.squeeze(x, index)
        case "flattened":
            target = (*x.shape[:index], int(np.prod(x.shape[index:])))
            return reshape(sums, target, SHAPE), x.reshape(target)
        case _:
            widths[index] = (given[1], 0)
            whole = concatenated([given[1], sums], index)
            assert whole is not None
            return whole, np.pad(x, widths)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.booleans(), st.lists(OPERATIONS, max_size=7))
def test_operations_on_the_description_are_operations_on_the_tensor(squared, operations):
    """What the description cannot follow is refused and left out."""
    sums, x = WindowSums.root(SHAPE), X
    if squared:
        of_squares = sums.squared()
        assert of_squares is not None
        sums, x = of_squares, X**2
    for operation in operations:
        if x.ndim > 5 and operation[0] == "inserted":
            continue
        if operation[0] in ("padded", "correlated") and min(x.shape) < 4:
            continue
        if operation[0] == "dropped" and x.shape[operation[1] % x.ndim] != 1:
            with pytest.raises(Refused, match=r"a dimension of length [0-9]+ is removed"):
                sums.dropped(operation[1] % x.ndim)
            continue
        try:
            sums, x = apply(operation, sums, x)
        except Refused:
            continue
        assert sums.shape == [*x.shape]
        np.testing.assert_allclose(evaluate(sums, X), x, rtol=1e-12, atol=1e-12)


def test_the_root_is_x():
    root = WindowSums.root(("N", 3, "H"))
    assert root.shape == ["N", 3, "H"]
    assert root.axes == ((0,), (1,), (2,))
    assert root.is_moved_root()
    assert root.permuted([2, 0, 1]).is_moved_root()
    for changed in (root.scaled(2), root.plus_constant(1), root.padded(1, 1, 1), root.squared()):
        assert changed is not None
        assert not changed.is_moved_root()


def test_a_square_of_moved_and_scaled_elements():
    moved = WindowSums.root(SHAPE).scaled(-2.0).padded(2, 1, 0)
    squared = moved.squared()
    assert squared is not None
    assert squared.degree == 2
    np.testing.assert_array_equal(evaluate(squared, X), np.pad(-2 * X, [(0, 0), (0, 0), (1, 0)]) ** 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda sums: sums.plus_constant(1.0),
        lambda sums: sums.squared(),
        lambda sums: sums.with_map(1, lambda old, n: axis_map.correlate(old, n, (1.0, 1.0))),
        lambda sums: sums.with_map(1, axis_map.total),
    ],
    ids=["a constant is added", "squared", "summed", "reduced"],
)
def test_what_has_no_square(change):
    assert change(WindowSums.root(SHAPE)).squared() is None


@pytest.mark.parametrize(
    "other",
    [
        WindowSums.root(SHAPE).squared(),
        WindowSums.root(SHAPE).padded(0, 1, 0),
        WindowSums.root(SHAPE).permuted([1, 0, 2]),
        WindowSums.root((2, 3, "W")),
    ],
    ids=["other degree", "other shape", "other axes", "a name for a number"],
)
def test_what_cannot_be_added(other):
    assert WindowSums.root(SHAPE).plus(other) is None


def test_a_dropped_dimension_leaves_its_weight_behind():
    doubled = WindowSums.root(SHAPE).inserted(1).with_map(1, lambda old, n: axis_map.scale(old, 2.0))
    np.testing.assert_array_equal(evaluate(doubled.dropped(1), X), 2 * X)


def test_no_window_after_a_constant():
    with pytest.raises(Refused, match="a constant is added before the window"):
        WindowSums.root(SHAPE).plus_constant(1).padded(1, 1, 1)


def test_no_window_over_merged_axes():
    with pytest.raises(Refused, match="its window spans axes that are merged into one"):
        reshape(WindowSums.root(SHAPE), (2, 12), SHAPE).padded(1, 1, 1)


class TestReshape:
    @pytest.mark.parametrize(
        "target",
        [(2, 1, 3, 4), (2, 12), (6, 4), (24,), (2, -1), (-1, 4), (1, 2, 3, 4, 1), (2, 3, -1, 1), (-1,)],
        ids=str,
    )
    def test_what_merges_and_inserts_axes(self, target):
        sums = reshape(WindowSums.root(SHAPE), target, SHAPE)
        np.testing.assert_array_equal(evaluate(sums, X), X.reshape(target))

    @pytest.mark.parametrize("back", [SHAPE, (2, 3, -1), (-1, 3, 4)], ids=str)
    @pytest.mark.parametrize("through", [(24,), (6, 4), (2, 12), (1, 6, 1, 4)], ids=str)
    def test_there_and_back(self, through, back):
        sums = reshape(reshape(WindowSums.root(SHAPE), through, SHAPE), back, SHAPE)
        assert sums.is_moved_root()
        assert sums.axes == ((0,), (1,), (2,))

    @pytest.mark.parametrize("target", [(3, 2, 4), (2, 4, 3), (4, 6), (2, 2, 6)], ids=str)
    def test_what_mixes_axes(self, target):
        with pytest.raises(Refused, match=r"the reshape from \[.*\] to \[.*\] mixes axes"):
            reshape(WindowSums.root(SHAPE), target, SHAPE)

    def test_dynamic_axes(self):
        root = ("N", 3, "H", "W")
        merged = reshape(WindowSums.root(root), ("N", 1, 3, -1), root)
        assert merged.shape == ["N", 1, 3, "H·W"]
        assert reshape(merged, root, root).is_moved_root()

    def test_a_padded_axis_is_not_merged(self):
        with pytest.raises(Refused, match="merges an axis with its neighbours after it was padded or summed"):
            reshape(WindowSums.root(SHAPE).padded(1, 1, 0), (2, 16), SHAPE)


class TestConcatenated:
    def test_slices_of_one_tensor(self):
        root = WindowSums.root(SHAPE)
        parts = [root.padded(1, -start, start - 2) for start in (2, 0)]  # the channels 2 and 0
        whole = concatenated([parts[0], 1, parts[1]], 1)
        assert whole is not None
        expected = np.concatenate([X[:, 2:], np.zeros((2, 1, 4)), X[:, :1]], 1)
        np.testing.assert_array_equal(evaluate(whole, X), expected)

    def test_parts_of_dynamic_length_do_not_fit(self):
        root = WindowSums.root(("N", 3))
        assert concatenated([root, root], 0) is None

    def test_parts_that_hold_other_axes_do_not_fit(self):
        root = WindowSums.root((3, 3))
        assert concatenated([root, root.permuted([1, 0])], 0) is None
