"""Building an engine from a network, and reading it back to run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normdeploy.backends.tensorrt.messages import Messages
from normdeploy.backends.tensorrt.model import ParsedModel
from normdeploy.errors import BackendCrashed, BackendUnavailable, ModelError

_WRONG_DRIVER = "cudaError 35"

ShapeRange = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""The smallest shape of an input, the one that the engine is to be fastest for, and the largest."""


@dataclass(frozen=True)
class BuiltEngine:
    """An engine as bytes.

    Args:
        plan: the engine, in a buffer of TensorRT's.
        timing_cache: the timing cache after building, in a buffer of TensorRT's; None if none was asked for.
    """

    plan: Any
    timing_cache: Any | None


def build_engine(
    model: ParsedModel, shapes: Mapping[str, ShapeRange], timing_cache: bytes | None = None
) -> BuiltEngine:
    """Build an engine without TF32: float32 layers multiply in float32.

    Args:
        model: the network.
        shapes: the range of shapes of each input; an input whose shape is fixed needs none.
        timing_cache: times of kernels from earlier builds, b"" to begin with none, None to keep none.

    Raises:
        ModelError: an input whose shape is open has no range, or does not take it.
        BackendUnavailable: the timing cache comes from another version or another GPU.
        BackendCrashed: TensorRT gives no engine; the message has its reason.
    """
    trt, builder, messages = model.trt, model.builder, model.messages
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if any(-1 in tensor.shape for tensor in model.inputs.values()):
        config.add_optimization_profile(_profile(model, shapes))
    cache = None
    if timing_cache is not None:
        cache = config.create_timing_cache(timing_cache)
        if not config.set_timing_cache(cache, ignore_mismatch=False):
            raise BackendUnavailable(
                "the timing cache comes from another version or another GPU: name another file"
            )
    messages.errors.clear()
    plan = builder.build_serialized_network(model.network, config)
    if plan is None:
        raise BackendCrashed(f"building the engine fails: {messages.reason}")
    return BuiltEngine(plan, config.get_timing_cache().serialize() if cache is not None else None)


def _profile(model: ParsedModel, shapes: Mapping[str, ShapeRange]) -> Any:
    """TensorRT's optimization profile, which has the ranges of all inputs whose shape is open."""
    profile = model.builder.create_optimization_profile()
    for name, tensor in model.inputs.items():
        if -1 not in tensor.shape:
            continue
        if name not in shapes:
            raise ModelError(f"input '{name}' has no shape: give one")
        model.messages.errors.clear()
        try:
            profile.set_shape(name, *(tuple(shape) for shape in shapes[name]))
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelError(f"input '{name}' does not take the shapes {shapes[name]}: {error}") from error
    return profile


def deserialize(trt: Any, plan: Any, messages: Messages, plugins: Sequence[Path] = ()) -> Any:
    """Read an engine back, on the machine that is to run it.

    Args:
        trt: TensorRT's Python module.
        plan: the engine as bytes.
        messages: TensorRT's log.
        plugins: plugin libraries that the engine needs.

    Returns:
        TensorRT's `ICudaEngine`.

    Raises:
        BackendUnavailable: this machine's driver is missing, or too old.
        BackendCrashed: TensorRT refuses the engine for another reason.
    """
    messages.errors.clear()
    runtime = trt.Runtime(messages.logger)
    for library in plugins:
        runtime.get_plugin_registry().load_library(str(library))
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is not None:
        return engine
    if any(_WRONG_DRIVER in error for error in messages.errors):
        raise BackendUnavailable(
            f"the NVIDIA driver is missing, or too old for the CUDA that {trt.__name__} "
            f"{trt.__version__} was built for: install a newer one"
        )
    raise BackendCrashed(f"reading the engine back fails: {messages.reason}")
