"""Read the arrays of an .npz file a few rows at a time, and never run what is in it."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array
from normdeploy.errors import InputError

_HEADER_READERS: Mapping[
    tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]
] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those that numpy.savez and numpy.savez_compressed write. Of others Python unpacks a piece of the file at a
time, which may be gigabytes, whatever number of bytes is asked for."""


class Column:
    """One array, read from its first row to its last.

    Args:
        name: of the array.
        shape, dtype: of the whole array.
        read: gives the next rows, as many as asked for.
    """

    def __init__(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[int], Array]
    ) -> None:
        self.name, self.shape, self.dtype, self._read = name, shape, dtype, read

    def rows(self, count: int) -> Array:
        """The next rows along axis 0.

        Args:
            count: how many.

        Raises:
            InputError: the file is damaged there, or ends before.
        """
        return self._read(count)

    def whole(self) -> Array:
        """All rows, or the value of an array of rank 0; nothing must have been read before.

        Raises:
            InputError: the file is damaged.
        """
        return self._read(self.shape[0]) if self.shape else self._read(1).reshape(())


def columns_of(arrays: Mapping[str, Array]) -> dict[str, Column]:
    """Columns over arrays in memory.

    Args:
        arrays: by name; a scalar counts as an array of rank 0.
    """
    return {name: _column_of(name, np.asarray(array)) for name, array in arrays.items()}


def _column_of(name: str, array: Array) -> Column:
    return Column(name, array.shape, array.dtype, _rows_of(lambda: np.atleast_1d(array)))


def _rows_of(load: Callable[[], Array]) -> Callable[[int], Array]:
    """Gives the next rows of an array, which is loaded when the first are asked for."""
    loaded: list[Array] = []
    position = 0

    def read(count: int) -> Array:
        nonlocal position
        if not loaded:
            loaded.append(load())
        position += count
        return loaded[0][position - count : position]

    return read


class NpzFile:
    """An open .npz file: its columns by name. Use it as a context manager.

    Args:
        path: of the file.

    Raises:
        InputError: no such file, another kind of file, or one that holds pickled Python objects.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._stack = ExitStack()
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError(f"{self.path}: not a file")
        try:
            self._zip = self._stack.enter_context(zipfile.ZipFile(self.path))
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise InputError(f"{self.path}: not an .npz file ({error}): save it with numpy.savez") from error
        try:
            members = [member for member in self._zip.infolist() if member.filename.endswith(".npy")]
            for name, times in Counter(member.filename for member in members).items():
                if times > 1:
                    raise self._unreadable(name.removesuffix(".npy"), f"the file holds it {times} times")
            self.columns = {member.filename.removesuffix(".npy"): self._open(member) for member in members}
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> NpzFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _open(self, member: zipfile.ZipInfo) -> Column:
        name = member.filename.removesuffix(".npy")
        if member.compress_type not in _COMPRESSIONS:
            raise self._unreadable(name, "it is packed otherwise than numpy.savez_compressed does")
        try:
            stream = self._stack.enter_context(self._zip.open(member))
            reader = _HEADER_READERS.get(npy.read_magic(stream))
            if reader is None:
                raise ValueError("another version of the format")
            shape, fortran_order, dtype = reader(stream)
        except Exception as error:  # NumPy evaluates the header, which raises many types
            raise self._unreadable(name, error) from error
        if dtype.hasobject:
            raise InputError(
                f"{self.path}: array '{name}' holds pickled Python objects, which can run code: "
                "save plain numbers or strings"
            )
        held = member.file_size - stream.tell()
        if any(size < 0 for size in shape):
            raise InputError(f"{self.path}: the header of array '{name}' has a size below 0: save it again")
        shape = tuple(map(int, shape))  # True is an integer to NumPy
        declared = math.prod(shape) * dtype.itemsize
        if held != declared:
            raise self._unreadable(name, f"its header says {declared} bytes, and the file holds {held}")
        row_shape = shape[1:]
        row_bytes = math.prod(row_shape) * dtype.itemsize

        def read(count: int) -> Array:
            self._require_memory(name, count, row_bytes, fortran_order)
            try:
                if fortran_order:
                    return self._exactly(stream, count * row_bytes, dtype).reshape(shape, order="F")
                return self._exactly(stream, count * row_bytes, dtype).reshape(count, *row_shape)
            except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
                raise self._unreadable(name, error) from error

        if fortran_order and len(shape) > 1:  # its rows are scattered over the file
            return Column(name, shape, dtype, _rows_of(lambda: read(shape[0])))
        return Column(name, shape, dtype, read)

    def _exactly(self, stream: IO[bytes], nbytes: int, dtype: np.dtype[Any]) -> Array:
        data = stream.read(nbytes)
        if len(data) != nbytes:
            raise EOFError("truncated")
        return np.frombuffer(data, dtype=dtype)

    def _require_memory(self, name: str, rows: int, row_bytes: int, whole: bool) -> None:
        try:
            require_memory((rows, row_bytes), 1)
        except MemoryError as error:
            why = "one batch of it is read"
            if whole:
                why = "it is in Fortran's order and so read whole: save it with numpy.ascontiguousarray"
            raise InputError(f"{self.path}: array '{name}': {error} ({why})") from error

    def _unreadable(self, name: str, error: Exception | str) -> InputError:
        reason = " ".join(str(error).split())
        return InputError(f"{self.path}: array '{name}' cannot be read ({reason}): save it again")
