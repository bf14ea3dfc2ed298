"""Arrays of .npy files, mapped into memory."""

import numpy as np
import pytest

from normdeploy.errors import InputError
from normdeploy.inputs.npy import open_npy


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.float32(3),
        np.zeros((0, 3), np.float32),
        np.array(["a", "ü"]),
    ],
    ids=["rows", "fortran", "scalar", "empty", "text"],
)
def test_the_array_as_it_was_saved(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    found = open_npy(tmp_path / "x.npy")
    assert found.dtype == np.asarray(array).dtype
    assert np.array_equal(found, array)


def test_nothing_is_read_before_it_is_used(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    assert isinstance(open_npy(tmp_path / "x.npy"), np.memmap)


def test_pickled_objects_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"x\.npy: holds pickled Python objects, which can run code"):
        open_npy(tmp_path / "x.npy")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no\.npy: cannot be read \(No such file"):
        open_npy(tmp_path / "no.npy")
    with pytest.raises(InputError, match="not a file"):
        open_npy(tmp_path)
    (tmp_path / "x.npy").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"not an \.npy file: save it with numpy\.save"):
        open_npy(tmp_path / "x.npy")


def test_every_truncation_and_flipped_byte_is_an_error_or_harmless(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(6, dtype=np.float32).reshape(2, 3))
    whole = path.read_bytes()
    refused = 0
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 0xFF
        for damaged in (whole[:position], bytes(flipped)):
            path.write_bytes(damaged)
            try:
                open_npy(path)
            except InputError as error:
                refused += 1
                assert "\n" not in str(error)  # noqa: PT017
    assert refused >= len(whole)
