"""What can be chosen by name, and what holds where nothing is chosen.

Help texts and shell completion need these and nothing else, so that this module imports nothing heavy; what
the names stand for is where it is used.
"""

from __future__ import annotations

from typing import Literal

BACKEND_NAMES = ("onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt", "tensorrt-rtx")
"""What runs a model; `normdeploy.backends.catalog` says how."""

KERNELS = ("here", "any")
"""Whose arithmetic is judged: that of the kernels that run here, or of any that may run elsewhere."""

BUILDER_NAMES = ("tensorrt", "tensorrt-rtx")
"""What builds an engine; `normdeploy.backends.tensorrt.libraries`."""

Target = Literal["portable", "ort-cpu", "tensorrt"]
"""What a rewritten model is for: any runtime, onnxruntime's CPU, or TensorRT."""

Headers = Literal["auto", "find", "wheel", "git"]
"""Where TensorRT's headers come from; plugins/cmake/TensorRTHeaders.cmake says what each means."""

WORK_TIMEOUT = 600.0
"""Seconds that work on a model in this process may take: reading it, folding, the reference on one batch."""

BACKEND_TIMEOUT = 300.0
"""Seconds that a backend may take to load a model, and for each run."""

BUILD_TIMEOUT = 3600.0
"""Seconds that loading a model and building an engine of it may take each."""

PROFILE_DURATION = 5.0
"""Seconds that each backend, model and batch size is timed for."""

LIMITED_PERCENTILE = 99
"""The percentile of the latencies that a limit on them is meant for."""
