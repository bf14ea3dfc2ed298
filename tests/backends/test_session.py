"""What a session can do is told from its methods and attributes."""

import json

import pytest

from normdeploy.backends.session import (
    DeviceSession,
    EngineBuilder,
    LayeredSession,
    LayerTime,
    PhasedSession,
)


class Running:
    versions = {}  # noqa: RUF012

    def run(self, inputs):
        return inputs


class Profiled(Running):
    def layer_times(self, inputs):
        return []


class OnDevice(Running):
    device = None


class Phased(OnDevice):
    cuda_graph = True
    cuda_graph_refusal = ""

    def run_phases(self, inputs):
        return 0.0, 0.0, 0.0


class Builder:
    versions = {}  # noqa: RUF012

    def build(self):
        return {}


KINDS = (LayeredSession, DeviceSession, PhasedSession, EngineBuilder)


@pytest.mark.parametrize(
    ("opened", "kinds"),
    [
        (Running, []),
        (Profiled, [LayeredSession]),
        (OnDevice, [DeviceSession]),
        (Phased, [DeviceSession, PhasedSession]),
        (Builder, [EngineBuilder]),
    ],
)
def test_kinds(opened, kinds):
    assert [kind for kind in KINDS if isinstance(opened(), kind)] == kinds


def test_a_layer_travels_as_json():
    layer = LayerTime("lrn", "LRN", ["c"], ["y"], ms=0.5)
    assert LayerTime(**json.loads(json.dumps(layer.to_json()))) == layer
