"""A session's own work, with TensorRT-RTX's parser, an engine that is made up, and the emulated driver."""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from normdeploy.backends.catalog import find
from normdeploy.backends.session import DeviceSession, LayeredSession, PhasedSession
from normdeploy.backends.tensorrt import session as session_module
from normdeploy.backends.tensorrt.session import open_tensorrt_rtx
from normdeploy.errors import ModelError
from tests.builders import model

if find("tensorrt-rtx").missing(without_gpu=True):
    pytest.skip("TensorRT-RTX is not installed", allow_module_level=True)


class Engine:
    """Copies x to y; it is its own context."""

    def __init__(self, gpu, unknown):
        self.gpu, self.unknown, self.addresses, self.shape, self.profiler = gpu, unknown, {}, (), None

    def create_execution_context(self):
        return self

    def set_input_shape(self, name, shape):
        self.shape = shape
        return True

    def get_tensor_shape(self, name):
        return (-1, *self.shape[1:]) if self.unknown else self.shape

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        self.gpu.copy(self.addresses["x"], self.addresses["y"], 4 * int(np.prod(self.shape)))
        if self.profiler is not None:
            self.profiler.report_layer_time("copy", 2.0)
        return True


@pytest.fixture
def opened(host_gpu, monkeypatch, tmp_path):
    """Open a model with an open batch; `unknown`: the output's size depends on the data."""

    def opener(unknown=False, shapes=None, built=None):
        def build(_, ranges):
            if built is not None:
                built.append(ranges)
            return SimpleNamespace(plan=b"")

        monkeypatch.setattr(session_module, "build_engine", build)
        monkeypatch.setattr(session_module, "deserialize", lambda *_: Engine(host_gpu, unknown))
        shape = ["N", 3]
        path = tmp_path / "model.onnx"
        node = helper.make_node("Relu", ["x"], ["y"])
        onnx.save(model([node], {"x": (TensorProto.FLOAT, shape)}, {"y": (TensorProto.FLOAT, shape)}), path)
        return open_tensorrt_rtx(path, shapes)

    return opener


def rows(count):
    return {"x": np.arange(3 * count, dtype=np.float32).reshape(count, 3)}


def test_timed_runs_launch_a_graph_and_others_do_not(opened, counters):
    session = opened()
    assert all(isinstance(session, kind) for kind in (PhasedSession, DeviceSession, LayeredSession))
    launched = counters.graph_launches()
    np.testing.assert_array_equal(session.run(rows(2))["y"], rows(2)["x"])
    assert (session.cuda_graph, counters.graph_launches()) == (False, launched)
    for _ in range(3):
        assert min(session.run_phases(rows(2))) > 0
    assert (session.cuda_graph, session.cuda_graph_refusal) == (True, "")
    assert counters.graph_launches() == launched + 3
    assert session.layer_times([rows(2)] * 4)[0].ms == 2.0
    assert counters.graph_launches() == launched + 3


def test_another_shape_gets_memory_and_a_graph_of_its_own(opened, counters):
    session = opened()
    session.run_phases(rows(2))
    held = counters.live_objects()
    np.testing.assert_array_equal(session.run(rows(5))["y"], rows(5)["x"])
    assert not session.cuda_graph
    assert counters.live_objects() == held - 1, "the graph is gone, and the memory replaced"
    session.run_phases(rows(5))
    assert session.cuda_graph
    assert counters.live_objects() == held


def test_an_output_whose_size_depends_on_the_data(opened):
    with pytest.raises(ModelError, match="output 'y' has a shape that depends on the data"):
        opened(unknown=True).run(rows(2))


def test_one_engine_serves_a_range_of_shapes(opened, counters):
    ranges, built = {"x": ((1, 3), (2, 3), (5, 3))}, []
    session = opened(shapes=ranges, built=built)
    held = None
    for count in (2, 5, 1, 2):
        np.testing.assert_array_equal(session.run(rows(count))["y"], rows(count)["x"])
        held = held or counters.live_objects()
        assert counters.live_objects() == held, "the memory is replaced"
    assert built == [ranges]


def test_without_a_range_each_shape_has_an_engine(opened):
    built = []
    session = opened(built=built)
    for count in (2, 2, 5):
        session.run(rows(count))
    assert built == [{"x": ((count, 3),) * 3} for count in (2, 5)]
