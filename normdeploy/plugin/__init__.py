"""The TensorRT plugin library: building it, finding it, and telling what it holds.

The library's source is C++ and CUDA in the folder plugins/, whose README says what it computes and how to
load it. Building takes nvcc, a C++ compiler, CMake and TensorRT's headers, but neither a GPU nor TensorRT.

    builder.py     `build`: runs CMake, reports the first error of a build that fails
    toolchain.py   finds nvcc, CMake, ninja or make, and a C++ compiler
    library.py     `path` and `info`: where the built library is, and the operators in it
"""

from __future__ import annotations

from normdeploy.plugin.builder import build
from normdeploy.plugin.library import PluginInfo, info, path

__all__ = ["PluginInfo", "build", "info", "path"]
