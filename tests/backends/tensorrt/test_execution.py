"""A context with its memory and its CUDA graph, on the driver that is emulated on the host."""

import numpy as np
import pytest

from normdeploy.backends.cuda import CudaError
from normdeploy.backends.hardware import gpus
from normdeploy.backends.tensorrt.execution import BoundExecution

TENSOR = ((2, 3), np.dtype(np.float32))


class Copying:
    """A context whose engine copies its input to its output."""

    def __init__(self, gpu):
        self.gpu, self.addresses, self.enqueued = gpu, {}, 0

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return name != "refused"

    def execute_async_v3(self, stream):
        assert stream == self.gpu.stream
        self.enqueued += 1
        self.gpu.copy(self.addresses["x"], self.addresses["y"], 24)
        return True


class Waiting(Copying):
    """It takes memory while it runs, which cannot be captured."""

    def execute_async_v3(self, stream):
        with self.gpu.memory(8):
            return super().execute_async_v3(stream)


class Failing(Copying):
    """It cannot be enqueued, from the second time on."""

    def execute_async_v3(self, stream):
        return super().execute_async_v3(stream) and self.enqueued < 2


class Messages:
    reason = "as TensorRT says"


def array(start):
    return np.arange(start, start + 6, dtype=np.float32).reshape(2, 3)


def bound_to(context):
    return BoundExecution(context.gpu, context, {"x": TENSOR}, {"y": TENSOR}, Messages())


def test_a_graph_computes_what_was_captured(host_gpu, counters):
    before, launched = counters.live_objects(), counters.graph_launches()
    context = Copying(host_gpu)
    bound = bound_to(context)
    bound.run({"x": array(0)}, with_graph=True)
    bound.try_graph()
    assert (bound.has_graph, bound.graph_refusal) == (True, "")
    assert context.enqueued == 2
    for start in (1, 2):
        outputs, phases = bound.run({"x": array(start)}, with_graph=True)
        np.testing.assert_array_equal(outputs["y"], array(start))
        assert min(phases) > 0
    assert (context.enqueued, counters.graph_launches()) == (2, launched + 2)
    outputs, _ = bound.run({"x": array(3)}, with_graph=False)
    np.testing.assert_array_equal(outputs["y"], array(3))
    assert (context.enqueued, counters.graph_launches()) == (3, launched + 2)
    bound.close()
    assert counters.live_objects() == before


def test_what_cannot_be_captured_is_enqueued(host_gpu, counters):
    before, launched = counters.live_objects(), counters.graph_launches()
    bound = bound_to(Waiting(host_gpu))
    bound.try_graph()
    assert not bound.has_graph
    assert "cuStreamEndCapture fails" in bound.graph_refusal
    outputs, _ = bound.run({"x": array(1)}, with_graph=True)
    np.testing.assert_array_equal(outputs["y"], array(1))
    bound.close()
    assert (counters.live_objects(), counters.graph_launches()) == (before, launched)


def test_an_engine_that_refuses_to_be_captured(host_gpu, counters):
    before = counters.live_objects()
    bound = bound_to(Failing(host_gpu))
    bound.run({"x": array(0)}, with_graph=False)
    bound.try_graph()
    assert bound.graph_refusal == "what was to be captured could not be enqueued"
    with pytest.raises(RuntimeError, match="running the engine fails: as TensorRT says"):
        bound.run({"x": array(0)}, with_graph=True)
    bound.close()
    assert counters.live_objects() == before


def test_memory_is_given_back_when_binding_fails(host_gpu, counters):
    before = counters.live_objects()
    context = Copying(host_gpu)
    with pytest.raises(RuntimeError, match="tensor 'refused' takes no address: as TensorRT says"):
        BoundExecution(host_gpu, context, {"refused": TENSOR}, {"y": TENSOR}, Messages())
    huge = ((2**50,), np.dtype(np.float32))
    with pytest.raises(CudaError, match="out of memory"):
        BoundExecution(host_gpu, context, {"x": TENSOR}, {"y": huge}, Messages())
    assert counters.live_objects() == before


@pytest.mark.gpu
@pytest.mark.skipif(not gpus().usable, reason=gpus().detail)
def test_a_graph_on_a_gpu():
    from normdeploy.backends.cuda import Gpu

    bound = bound_to(Copying(Gpu()))
    bound.run({"x": array(0)}, with_graph=False)
    bound.try_graph()
    assert bound.has_graph, bound.graph_refusal
    outputs, _ = bound.run({"x": array(1)}, with_graph=True)
    np.testing.assert_array_equal(outputs["y"], array(1))
    bound.close()
