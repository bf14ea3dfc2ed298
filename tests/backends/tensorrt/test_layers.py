"""The profiler that TensorRT calls, called by hand: no GPU is needed to record."""

import pytest

from normdeploy.backends.tensorrt.layers import layer_recorder, layer_times

trt = pytest.importorskip("tensorrt_rtx_bindings")


def test_layers_are_added_up_and_averaged():
    recorder = layer_recorder(trt)
    assert isinstance(recorder, trt.IProfiler)
    for name, ms in (("conv + relu", 1.0), ("lrn", 2.0), ("conv + relu", 3.0), ("lrn", 4.0)):
        recorder.report_layer_time(name, ms)
    found = layer_times(recorder.total_ms, runs=2)
    assert [(layer.name, layer.ms) for layer in found] == [("conv + relu", 2.0), ("lrn", 3.0)]
