"""Arrays of .npz files, and files that are damaged, hostile or something else."""

import contextlib
import io
import os
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from normdeploy.budget import spending
from normdeploy.errors import InputError
from normdeploy.inputs.npz import NpzFile, columns_of


def ramp(*shape, dtype=np.float32):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def saved(tmp_path, **arrays):
    path = tmp_path / "inputs.npz"
    np.savez_compressed(path, **arrays)
    return path


def read_all(path):
    with NpzFile(path) as file:
        return {name: column.whole() for name, column in file.columns.items()}


@pytest.mark.parametrize("from_file", [True, False])
def test_columns_know_their_shape_and_type_and_are_read_in_rows(from_file, tmp_path):
    arrays = {"x": ramp(5, 2), "scale": np.float64(3), "f": np.asfortranarray(ramp(4, 3, 2))}
    with contextlib.ExitStack() as stack:
        columns = columns_of(arrays)
        if from_file:
            columns = stack.enter_context(NpzFile(saved(tmp_path, **arrays))).columns
        assert {name: (column.shape, column.dtype) for name, column in columns.items()} == {
            "x": ((5, 2), np.float32), "scale": ((), np.float64), "f": ((4, 3, 2), np.float32),
        }  # fmt: skip
        assert columns["x"].rows(2).tolist() == [[0, 1], [2, 3]]
        assert columns["x"].rows(3).tolist() == [[4, 5], [6, 7], [8, 9]]
        assert columns["scale"].whole() == 3
        assert (columns["f"].rows(4) == arrays["f"]).all()


def test_an_array_without_rows(tmp_path):
    assert read_all(saved(tmp_path, x=np.zeros((0, 3)), f=np.zeros((0, 3), order="F")))["x"].shape == (0, 3)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"no\.npz: cannot be read \(No such file"):
        NpzFile(tmp_path / "no.npz")


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    with pytest.raises(InputError, match=r"x\.npz: not a file"):
        NpzFile(tmp_path / "x.npz")


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"not a zip file")
    with pytest.raises(InputError, match=r"not an \.npz file"):
        NpzFile(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_without_bound_is_refused(tmp_path, packing):
    """A few bytes of it make gigabytes at once; corrupt or not, it is not opened."""
    path = tmp_path / "x.npz"
    content = io.BytesIO()
    np.save(content, np.zeros(10))
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("x.npy", content.getvalue())
    for damaged in (False, True):
        if damaged:
            path.write_bytes(path.read_bytes().replace(b"x.npy", b"x.npy\xff\xff", 1))
        with pytest.raises(InputError, match=r"'x' .*numpy\.savez_compressed"):
            NpzFile(path)


def test_an_array_that_is_there_twice(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.zeros(3))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("x.npy", archive.read("x.npy"))
    with pytest.raises(InputError, match=r"'x' cannot be read \(the file holds it 2 times"):
        NpzFile(path)


def test_a_size_that_is_a_boolean(tmp_path):
    path = tmp_path / "x.npz"
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (True, 2)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(8))
    with NpzFile(path) as file:
        assert type(file.columns["x"].shape[0]) is int
        assert file.columns["x"].whole().shape == (1, 2)


def test_pickled_objects_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="'x' holds pickled Python objects"):
        NpzFile(path)


def test_every_truncation_and_flipped_byte_is_an_error_or_harmless(tmp_path):
    whole = saved(tmp_path, x=ramp(2, 3, 4, 4)).read_bytes()
    path = tmp_path / "damaged.npz"
    for position in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[position] ^= 0xFF
        for damaged in (whole[:position], bytes(flipped)):
            path.write_bytes(damaged)
            with contextlib.suppress(InputError):
                read_all(path)


def test_a_header_that_promises_more_than_there_is(tmp_path):
    buffer = io.BytesIO()
    npy.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 3, 4, 4)})
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", buffer.getvalue() + b"\0" * 100)
    message = r"array 'x' cannot be read \(its header says 192000000000 bytes, and the file holds 100\)"
    with pytest.raises(InputError, match=message):
        NpzFile(path)


def test_an_array_in_fortrans_order_is_read_when_it_is_asked_for_and_within_the_memory_allowed(tmp_path):
    path = saved(tmp_path, x=ramp(3), f=np.asfortranarray(np.zeros((2**13, 2**10), np.float32)))
    with spending(max_memory=2**24), NpzFile(path) as file:
        assert file.columns["x"].whole().tolist() == [0, 1, 2]
        with pytest.raises(InputError, match=r"'f'.* GiB.* in Fortran's order and so read whole"):
            file.columns["f"].rows(1)


def test_a_batch_is_read_within_the_memory_allowed(tmp_path):
    path = saved(tmp_path, x=np.zeros((2, 2**23), np.float32))
    message = r"'x'.* take .* GiB.* \(one batch of it is read\)"
    with spending(max_memory=2**24), NpzFile(path) as file, pytest.raises(InputError, match=message):
        file.columns["x"].rows(1)


@pytest.mark.parametrize("header", [b"{'descr': '<f4', 'shape': (1,", b"\n  (\n )\n]", b"((" * 50, b"1L + '"])
def test_headers_that_are_no_python(tmp_path, header):
    header = header.ljust(118) + b"\n"
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match="array 'x' cannot be read") as caught:
        NpzFile(path)
    assert "\n" not in str(caught.value)
