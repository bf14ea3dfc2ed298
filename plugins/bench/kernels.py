"""The plugin's kernels, compiled by nvcc and called on torch tensors: no TensorRT, no CMake."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

from problems import Problem

PLUGINS = Path(__file__).resolve().parents[1]
_SOURCES = ("bench/bench_library.cu", "intra_channel_lrn/launch.cu", "intra_channel_lrn/plan.cpp")
_FLAGS = ("-std=c++17", "-O3", "--prec-sqrt=false", "--prec-div=false", "-shared", "-Xcompiler", "-fPIC")


def compile_kernels(folder: Path, architecture: str = "native") -> Path:
    """Compile for the GPU of this machine, or for the architecture that nvcc calls by this name."""
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    library = folder / "libbench.so"
    sources = [PLUGINS / source for source in _SOURCES]
    command = [nvcc, *_FLAGS, f"-arch={architecture}", f"-I{PLUGINS}", *sources, "-o", library]
    subprocess.run(command, check=True)
    return library


class Kernels:
    """The compiled library."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.createOperation.restype = ctypes.c_void_p
        self._library.createOperation.argtypes = [
            ctypes.c_int32,
            ctypes.c_int64,
            *[ctypes.c_int32] * 7,
            *[ctypes.c_float] * 3,
        ]
        self._library.workspaceOf.restype = ctypes.c_size_t
        self._library.workspaceOf.argtypes = [ctypes.c_void_p]
        self._library.launchOperation.restype = ctypes.c_int32
        self._library.launchOperation.argtypes = [ctypes.c_void_p] * 5

    def operation(self, problem: Problem, alpha: float, beta: float, bias: float) -> Operation:
        """Plan a call for this GPU.

        Raises:
            RuntimeError: there is no CUDA device.
        """
        handle = self._library.createOperation(*problem.kernel_shape(), alpha, beta, bias)
        if handle is None:
            raise RuntimeError("no CUDA device")
        return Operation(self._library, handle)


class Operation:
    """One planned call. `y` must have the layout of `x`."""

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self._library = library
        self._handle = handle
        self.workspace_bytes: int = library.workspaceOf(handle)

    def __call__(self, x: Any, y: Any, workspace: Any, stream: int) -> None:
        """Put the call into a stream.

        Raises:
            RuntimeError: the launch fails.
        """
        pointer = workspace.data_ptr() if workspace is not None else None
        status = self._library.launchOperation(self._handle, x.data_ptr(), y.data_ptr(), pointer, stream)
        if status != 0:
            raise RuntimeError(f"CUDA error {status}")
