"""Building engines of TensorRT-RTX without a GPU, and reading them back, which needs a driver."""

import pytest

from normdeploy.backends.hardware import gpu_status
from normdeploy.backends.tensorrt.engine import build_engine, deserialize
from normdeploy.errors import BackendCrashed, BackendUnavailable, ModelError
from tests.builders import conv_lrn


def test_one_network_is_built_for_several_shapes(parse):
    """As a session does when another batch size arrives."""
    network = parse(conv_lrn())
    for batch in (8, 3):
        shape = (batch, 3, 6, 6)
        assert build_engine(network, {"x": (shape, shape, shape)}).plan.nbytes > 0
    with pytest.raises(ModelError, match="input 'x' has no shape"):
        build_engine(network, {})
    with pytest.raises((BackendCrashed, ModelError)):
        build_engine(network, {"x": ((1, 4, 6, 6),) * 3})


def test_shapes_of_another_rank_are_refused(parse):
    with pytest.raises(
        (BackendCrashed, ModelError), match=r"input 'x' does not take the shapes|building the"
    ):
        build_engine(parse(conv_lrn()), {"x": ((1, 3, 6),) * 3})


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
def test_a_timing_cache_is_kept_only_if_asked_for(parse):
    network = parse(conv_lrn(batch=1))
    assert build_engine(network, {}).timing_cache is None
    assert build_engine(network, {}, timing_cache=b"").timing_cache is not None


@pytest.mark.skipif(gpu_status().usable, reason="this machine can read engines")
def test_reading_an_engine_back_needs_a_driver(trt, parse):
    network = parse(conv_lrn(batch=1))
    plan = build_engine(network, {}).plan
    with pytest.raises(BackendUnavailable, match="the NVIDIA driver is missing, or too old for the CUDA"):
        deserialize(trt, plan, network.messages)


def test_a_damaged_engine_is_refused(trt, parse):
    network = parse(conv_lrn(batch=1))
    with pytest.raises((BackendCrashed, BackendUnavailable)):
        deserialize(trt, b"not an engine", network.messages)
