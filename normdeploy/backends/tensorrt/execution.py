"""An engine with memory on the GPU for each of its tensors, run over and over."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from normdeploy.backends.cuda import CudaError, Gpu
from normdeploy.backends.tensorrt.messages import Messages
from normdeploy.dtypes import Array
from normdeploy.errors import BackendCrashed

Phases = tuple[float, float, float]
"""Milliseconds of copying to the GPU, computing, and copying back, by CUDA's events."""

TensorTypes = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""A tensor's name -> its shape and element type."""


class Execution:
    """A context of TensorRT's whose tensors have memory on the GPU; call `close` to give that back.

    Args:
        gpu: the GPU that it runs on.
        context: TensorRT's `IExecutionContext`, with the shapes of its inputs set.
        inputs, outputs: the engine's tensors.
        messages: TensorRT's log.

    Attributes:
        context: as given.
        graph_refusal: why the computation could not be captured as a CUDA graph; empty if it was, or if
            nobody has tried yet.

    Raises:
        CudaError: there is not enough memory.
        BackendCrashed: TensorRT refuses an address.
    """

    def __init__(
        self, gpu: Gpu, context: Any, inputs: TensorTypes, outputs: TensorTypes, messages: Messages
    ) -> None:
        self.context = context
        self._gpu, self._messages = gpu, messages
        self._outputs = outputs
        self._addresses: dict[str, int] = {}
        self._graph: ctypes.c_void_p | None = None
        self.graph_refusal = ""
        with ExitStack() as stack:
            for name, (shape, dtype) in (*inputs.items(), *outputs.items()):
                nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
                address = self._addresses[name] = stack.enter_context(gpu.memory(nbytes))
                if not context.set_tensor_address(name, address):
                    raise BackendCrashed(f"tensor '{name}' takes no address: {messages.reason}")
            self._resources = stack.pop_all()

    def close(self) -> None:
        """Give all memory, and the graph, back."""
        self._resources.close()

    @property
    def has_graph(self) -> bool:
        """Whether the computation has been captured as a CUDA graph."""
        return self._graph is not None

    def try_graph(self) -> None:
        """Capture the computation as a CUDA graph, if it can be captured.

        Call it after a run: TensorRT's first run prepares what must not be captured. A computation cannot be
        captured, for example, if it waits for data to decide what comes next; `graph_refusal` says why.
        """
        gpu, context = self._gpu, self.context
        try:
            graph = gpu.graph(lambda: bool(context.execute_async_v3(gpu.stream)))
            self._graph = self._resources.enter_context(graph)
        except CudaError as error:
            self.graph_refusal = str(error)

    def run(self, arrays: Mapping[str, Array], *, with_graph: bool) -> tuple[dict[str, Array], Phases]:
        """Copy the inputs to the GPU, compute, and copy the outputs back.

        Args:
            arrays: the inputs, contiguous, of the shapes and types given at first.
            with_graph: whether to launch the captured graph, if there is one, instead of one kernel after the
                other.

        Returns:
            All outputs, and the milliseconds of each phase.

        Raises:
            CudaError, BackendCrashed: it fails.
        """
        gpu = self._gpu
        outputs = {name: np.empty(shape, dtype) for name, (shape, dtype) in self._outputs.items()}
        with gpu.events(4) as (begun, uploaded, computed, downloaded):
            gpu.record(begun)
            for name, array in arrays.items():
                gpu.upload(array, self._addresses[name])
            gpu.record(uploaded)
            if with_graph and self._graph is not None:
                gpu.launch(self._graph)
            elif not self.context.execute_async_v3(gpu.stream):
                raise BackendCrashed(f"running the engine fails: {self._messages.reason}")
            gpu.record(computed)
            for name, array in outputs.items():
                gpu.download(self._addresses[name], array)
            gpu.record(downloaded)
            gpu.synchronize()
            phases = (
                gpu.milliseconds(begun, uploaded),
                gpu.milliseconds(uploaded, computed),
                gpu.milliseconds(computed, downloaded),
            )
        return outputs, phases
