"""Data of another type than the model takes."""

import ml_dtypes
import numpy as np
import pytest

from normdeploy.errors import InputError
from normdeploy.inputs.conversion import as_declared, cast_remark, require_type
from normdeploy.inputs.declared import DeclaredInput

FLOATS = [np.dtype(name) for name in (ml_dtypes.bfloat16, "f2", "f4", "f8")]
INTEGERS = [np.dtype(name) for name in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")]
OTHERS = [np.dtype(name) for name in (bool, "c8", "S3", "U3", ml_dtypes.float8_e4m3fn, ml_dtypes.int4)]


def declared(dtype):
    return DeclaredInput("x", np.dtype(dtype), ("N",))


def taken(array, dtype):
    """The data as the model takes it, and the remark."""
    require_type(array.dtype, declared(dtype), "the data")
    return as_declared(array, declared(dtype), "the data"), cast_remark(array.dtype, declared(dtype))


@pytest.mark.parametrize("kinds", [FLOATS, INTEGERS])
def test_every_width_is_cast_to_every_other_with_a_remark(kinds):
    for given in kinds:
        for wanted in kinds:
            for order in "=<>" if given.kind != "V" else "=":
                found, remark = taken(np.array([1, 7, 100]).astype(given.newbyteorder(order)), wanted)
                assert found.dtype == wanted
                assert found.tolist() == [1, 7, 100]
                expected = f"the data of 'x' is cast from {given.name} to {wanted.name}"
                assert remark == ("" if given == wanted else expected)


def test_a_type_of_another_kind_is_refused():
    pairs = [(given, wanted) for given in OTHERS for wanted in (*FLOATS, *INTEGERS)]
    pairs += [(wanted, given) for given, wanted in pairs]
    pairs += [pair for given in FLOATS for wanted in INTEGERS for pair in ((given, wanted), (wanted, given))]
    for given, wanted in pairs:
        with pytest.raises(InputError, match=r"the data: array 'x' has type .*: convert it with .astype"):
            require_type(given, declared(wanted), "the data")


@pytest.mark.parametrize(
    ("values", "given", "wanted", "message"),
    [
        ([70000.0, 1], "f4", "f2", "'x' reaches 70000, which float16 cannot hold: scale the data"),
        ([-1e300, 1], "f8", "f4", r"'x' reaches 1e\+300, which float32 cannot hold: scale the data"),
        ([2**31, 1], "i8", "i4", "'x' reaches 2147483648, which int32 cannot hold: look at the data"),
        ([-1, 1], "i8", "u1", "'x' reaches -1, which uint8 cannot hold"),
        ([-1, 1], "i8", "u8", "'x' reaches -1, which uint64 cannot hold"),
        ([2**64 - 1, 1], "u8", "i8", "'x' reaches 18446744073709551615, which int64 cannot hold"),
    ],
)
def test_what_a_type_cannot_hold_is_refused(values, given, wanted, message):
    with pytest.raises(InputError, match=message):
        taken(np.array(values, given), wanted)


def test_limits_and_what_was_not_finite_before_pass():
    for wanted in INTEGERS:
        limits = np.iinfo(wanted)
        for value in (limits.min, limits.max):
            assert taken(np.array([value], "u8" if value > 0 else "i8"), wanted)[0].tolist() == [value]
    found, _ = taken(np.array([np.inf, np.nan, 1]), "f2")
    np.testing.assert_array_equal(found, np.float16([np.inf, np.nan, 1]))
    assert taken(np.zeros(0), "f4")[0].size == taken(np.zeros(0, "i8"), "i4")[0].size == 0
