"""The TensorRT plugin library: building it, finding it, and saying what it holds.

The library's source is C++ and CUDA in the folder plugins/, whose README says what it computes and how to
load it. Building needs nvcc, a C++ compiler, CMake and TensorRT's headers, but neither a GPU nor TensorRT.
"""

from __future__ import annotations

from normdeploy.plugin.builder import build
from normdeploy.plugin.library import PluginInfo, info, path

__all__ = ["PluginInfo", "build", "info", "path"]
