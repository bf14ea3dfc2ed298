"""Random inputs that respect what a model declares, and are large enough to show what LRN does wrong."""

import numpy as np
import pytest
from ml_dtypes import bfloat16

from normdeploy.budget import spending
from normdeploy.errors import InputError
from normdeploy.inputs import generated
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.generated import batch_names, random_array, resolved_shape
from normdeploy.lrn import LRN, lrn
from normdeploy.validation.half_precision import extents

TYPES = [
    np.float16, np.float32, np.float64, bfloat16, np.int8, np.uint8, np.int32, np.int64, np.uint16,
    np.complex64, bool,
]  # fmt: skip


def declared(name, *dims, dtype=np.float32):
    return DeclaredInput(name, np.dtype(dtype), dims)


def drawn(dtype, *shape, index=0, seed=0):
    return random_array(declared("x", *shape, dtype=dtype), shape, index, np.random.default_rng(seed))


@pytest.mark.parametrize("dtype", TYPES)
def test_types_are_respected_and_values_vary(dtype):
    for index in range(6):
        array = drawn(dtype, 50, index=index)
        assert (array.dtype, array.shape) == (dtype, (50,))
        assert len(np.unique(array.astype(np.complex128))) > 1
        assert np.isfinite(array.astype(np.complex128)).all()


def test_integers_of_8_bits_have_their_whole_range_and_wider_ones_are_small():
    assert (drawn(np.uint8, 10_000).min(), drawn(np.uint8, 10_000).max()) == (0, 255)
    assert (drawn(np.int8, 10_000).min(), drawn(np.int8, 10_000).max()) == (-128, 127)
    assert set(drawn(np.int64, 10_000)) == set(range(1, 10))


@pytest.mark.parametrize(
    ("dtype", "deviations"), [(np.float32, [1, 8, 64, 1]), (np.float64, [1, 8, 64]), (np.float16, [1, 8, 1])]
)
def test_magnitudes_vary_with_the_index(dtype, deviations):
    for index, deviation in enumerate(deviations):
        array = drawn(dtype, 20_000, index=index).astype(np.float64)
        assert array.std() == pytest.approx(deviation, rel=0.03)


ALEXNET = LRN(size=5, alpha=1e-4, beta=0.75, k=2.0)


def test_at_the_largest_magnitude_alexnets_sum_of_squares_weighs_as_much_as_its_k():
    mean_square = max(generated._MAGNITUDES) ** 2
    assert ALEXNET.alpha * ALEXNET.size * mean_square == pytest.approx(ALEXNET.k, rel=0.05)


@pytest.mark.parametrize(("magnitude", "change"), [(1.0, 5e-5), (8.0, 3e-3), (64.0, 9e-2)])
def test_a_wrong_window_shows_at_large_magnitudes(magnitude, change):
    """The numbers beside the constant; float16's roundoff is 5e-4."""
    x = np.random.default_rng(0).standard_normal((1, 96, 20, 20)) * magnitude
    wrong = lrn(x, LRN(size=7, alpha=1e-4, beta=0.75, k=2.0))
    assert np.median(np.abs(wrong / lrn(x, ALEXNET) - 1)) == pytest.approx(change, rel=0.1)


def test_the_largest_magnitude_overflows_float16_and_those_of_short_types_do_not():
    x = np.random.default_rng(0).standard_normal((1, 96, 50, 50))
    largest = extents.of_lrn(x * max(generated._MAGNITUDES), ALEXNET)
    assert largest.overflow / largest.elements == pytest.approx(1 / 150, rel=0.2)
    assert extents.of_lrn(x * max(generated._MAGNITUDES_OF_SHORT_TYPES), ALEXNET).largest < 65504 / 10


def test_a_batch_name_is_one_wherever_it_stands():
    inputs = [declared("x", "N", 3), declared("mask", 2, "N")]
    names = batch_names(inputs)
    assert names == {"N"}
    assert [resolved_shape(item, names) for item in inputs] == [(1, 3), (2, 1)]


def test_a_first_axis_without_a_name_is_a_batch():
    assert resolved_shape(declared("x", None, 3), frozenset()) == (1, 3)


def test_an_unknown_size_asks_for_a_shape():
    expected = r"'x' is declared as \[N, 3, H, W\].* axis 2 .*--shape x:1x3x224x224"
    with pytest.raises(InputError, match=expected):
        resolved_shape(declared("x", "N", 3, "H", "W"), frozenset("N"))


def test_an_unknown_rank_asks_for_a_shape():
    with pytest.raises(
        InputError, match="'x' has no declared shape: pass one, such as  --shape x:1x3x224x224"
    ):
        resolved_shape(DeclaredInput("x", np.dtype(np.float32), None), frozenset())


def test_a_huge_shape_is_refused_before_anything_is_allocated():
    with pytest.raises(InputError, match=r"'x' of shape \[100000, 100000, 100000\] would take .* GiB"):
        resolved_shape(declared("x", 10**5, 10**5, 10**5), frozenset())


def test_an_array_beyond_the_memory_allowed_is_not_made():
    with (
        spending(max_memory=2**20),
        pytest.raises(
            InputError, match=r"'x': a tensor of shape \(1048576,\) .* --max-memory.* smaller --shape"
        ),
    ):
        drawn(np.float32, 2**20)


def test_more_axes_than_arrays_have():
    with pytest.raises(InputError, match="input 'x' has 32 axes: 31 is the limit"):
        resolved_shape(declared("x", *[1] * 32), frozenset())


def test_strings_ask_for_data():
    with pytest.raises(InputError, match="'x' is of type string: give it with --data"):
        drawn(object, 1)
