"""The array of an .npy file, mapped into memory: only the rows that are used are read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.errors import InputError

_MAGIC = b"\x93NUMPY"


def open_npy(path: Path) -> Array:
    """Map the array; nothing in the file is run.

    Args:
        path: of the file.

    Raises:
        InputError: no such file, another kind of file, a damaged one, or pickled Python objects.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path}: not a file")
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise InputError(f"{path}: not an .npy file: save it with numpy.save")
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # NumPy evaluates the header, which raises many types
        if "Python objects" in str(error):
            raise InputError(
                f"{path}: holds pickled Python objects, which can run code: save plain numbers or strings"
            ) from error
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason}): save it again") from error
    if any(size < 0 for size in array.shape):
        raise InputError(f"{path}: its header has a size below 0: save it again")
    return array
