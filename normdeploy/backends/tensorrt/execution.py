"""An execution context with memory of its own for every tensor, run over and over."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from normdeploy.backends.cuda import CudaError, Gpu
from normdeploy.backends.tensorrt.messages import Messages
from normdeploy.dtypes import Array

Phases = tuple[float, float, float]
"""Milliseconds from host to device, computing, and back, by CUDA's events."""

TensorTypes = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""A tensor's name -> its shape and type."""


class BoundExecution:
    """Use `close` to give the memory back.

    Args:
        gpu: where it runs.
        context: TensorRT's, with the shapes of its inputs set.
        inputs, outputs: its tensors.
        messages: what TensorRT says.

    Raises:
        CudaError: there is not enough memory.
        RuntimeError: TensorRT refuses an address.
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
                    raise RuntimeError(f"tensor '{name}' takes no address: {messages.reason}")
            self._resources = stack.pop_all()

    def close(self) -> None:
        """Give all memory back."""
        self._resources.close()

    @property
    def has_graph(self) -> bool:
        """Whether the computation was captured."""
        return self._graph is not None

    def try_graph(self) -> None:
        """Capture the computation as a CUDA graph, which `run` launches from then on, if it can be captured.

        Call it after a run: TensorRT's first one prepares what must not be captured. Where it cannot be
        captured, for example because it waits for data to decide what comes next, `graph_refusal` says why,
        and each run goes on putting its kernels into the stream one by one.
        """
        gpu, context = self._gpu, self.context
        try:
            graph = gpu.graph(lambda: bool(context.execute_async_v3(gpu.stream)))
            self._graph = self._resources.enter_context(graph)
        except CudaError as error:
            self.graph_refusal = str(error)

    def run(self, arrays: Mapping[str, Array], *, with_graph: bool) -> tuple[dict[str, Array], Phases]:
        """All outputs, and the phases' times.

        Args:
            arrays: contiguous, of the inputs' shapes and types.
            with_graph: launch the captured graph, if there is one.
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
                raise RuntimeError(f"running the engine fails: {self._messages.reason}")
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
