"""A context with its memory and its CUDA graph, on the driver that is emulated on the host."""

import numpy as np
import pytest

from normdeploy.backends.cuda import CudaError
from normdeploy.backends.hardware import gpu_status
from normdeploy.backends.tensorrt.execution import Execution
from normdeploy.errors import BackendCrashed

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


def execution_of(context):
    return Execution(context.gpu, context, {"x": TENSOR}, {"y": TENSOR}, Messages())


def test_a_graph_computes_what_was_captured(host_gpu, counters):
    before, launched = counters.live_objects(), counters.graph_launches()
    context = Copying(host_gpu)
    execution = execution_of(context)
    execution.run({"x": array(0)}, with_graph=True)
    execution.try_graph()
    assert (execution.has_graph, execution.graph_refusal) == (True, "")
    assert context.enqueued == 2
    for start in (1, 2):
        outputs, phases = execution.run({"x": array(start)}, with_graph=True)
        np.testing.assert_array_equal(outputs["y"], array(start))
        assert min(phases) > 0
    assert (context.enqueued, counters.graph_launches()) == (2, launched + 2)
    outputs, _ = execution.run({"x": array(3)}, with_graph=False)
    np.testing.assert_array_equal(outputs["y"], array(3))
    assert (context.enqueued, counters.graph_launches()) == (3, launched + 2)
    execution.close()
    assert counters.live_objects() == before


def test_what_cannot_be_captured_is_enqueued(host_gpu, counters):
    before, launched = counters.live_objects(), counters.graph_launches()
    execution = execution_of(Waiting(host_gpu))
    execution.try_graph()
    assert not execution.has_graph
    assert "cuStreamEndCapture fails" in execution.graph_refusal
    outputs, _ = execution.run({"x": array(1)}, with_graph=True)
    np.testing.assert_array_equal(outputs["y"], array(1))
    execution.close()
    assert (counters.live_objects(), counters.graph_launches()) == (before, launched)


def test_an_engine_that_refuses_to_be_captured(host_gpu, counters):
    before = counters.live_objects()
    execution = execution_of(Failing(host_gpu))
    execution.run({"x": array(0)}, with_graph=False)
    execution.try_graph()
    assert execution.graph_refusal == "what was to be captured could not be enqueued"
    with pytest.raises(BackendCrashed, match="running the engine fails: as TensorRT says"):
        execution.run({"x": array(0)}, with_graph=True)
    execution.close()
    assert counters.live_objects() == before


def test_memory_is_given_back_when_binding_fails(host_gpu, counters):
    before = counters.live_objects()
    context = Copying(host_gpu)
    with pytest.raises(BackendCrashed, match="tensor 'refused' takes no address: as TensorRT says"):
        Execution(host_gpu, context, {"refused": TENSOR}, {"y": TENSOR}, Messages())
    huge = ((2**50,), np.dtype(np.float32))
    with pytest.raises(CudaError, match="out of memory"):
        Execution(host_gpu, context, {"x": TENSOR}, {"y": huge}, Messages())
    assert counters.live_objects() == before


@pytest.mark.gpu
@pytest.mark.skipif(not gpu_status().usable, reason=gpu_status().detail)
def test_a_graph_on_a_gpu():
    from normdeploy.backends.cuda import Gpu

    execution = execution_of(Copying(Gpu()))
    execution.run({"x": array(0)}, with_graph=False)
    execution.try_graph()
    assert execution.has_graph, execution.graph_refusal
    outputs, _ = execution.run({"x": array(1)}, with_graph=True)
    np.testing.assert_array_equal(outputs["y"], array(1))
    execution.close()
