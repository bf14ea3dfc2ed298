"""Element types by name."""

import ml_dtypes
import numpy as np
import pytest

from normdeploy.dtypes import dtype_named, is_floating

FLOATING = ("float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2")
OTHERS = ("int8", "uint64", "bool", "complex64", "int4", "uint4")


@pytest.mark.parametrize("name", [*FLOATING, *OTHERS])
def test_names_and_types_belong_to_each_other(name):
    assert dtype_named(name).name == name
    assert is_floating(dtype_named(name)) is (name in FLOATING)


def test_the_types_of_ml_dtypes_are_those():
    assert dtype_named("bfloat16") == np.dtype(ml_dtypes.bfloat16)


def test_objects_and_raw_bytes_are_not_floating():
    assert not is_floating(np.dtype(object))
    assert not is_floating(np.dtype("V2"))


def test_an_unknown_name():
    with pytest.raises(TypeError):
        dtype_named("float31")
