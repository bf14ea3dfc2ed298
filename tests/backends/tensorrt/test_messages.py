"""TensorRT's log, as TensorRT-RTX 1.7.1 writes it."""

import pytest

from normdeploy.backends.tensorrt.messages import Messages

# What the builder logged, verbosely, for a Conv with an LRN; shapes and formats are left out.
LAYERS = """Layers:
Name: conv, LayerType: CaskConvolution, Inputs: [ { Datatype: Half }], Outputs: [ { Datatype: Float }]
Name: {ForeignNode[a...b]}, LayerType: Myelin, Inputs: [ { Datatype: Float }], Outputs: []
Bindings:
x
y"""


@pytest.fixture
def messages(trt) -> Messages:
    return Messages(trt)


def test_errors_are_kept_and_passed_on(messages, capfd):
    assert messages.reason == "no reason is given"
    messages.receive("the first", error=True)
    messages.receive("the second", error=True)
    assert messages.errors == ["the first", "the second"]
    assert messages.reason == "the first"
    assert capfd.readouterr().err == "the first\nthe second\n"


def test_warnings_are_passed_on_and_the_rest_is_not(messages, capfd):
    messages.receive("take care", warning=True)
    messages.receive("by the way")
    assert messages.errors == []
    assert capfd.readouterr() == ("", "take care\n")


def test_the_layers_of_an_engine(messages, capfd):
    messages.receive(LAYERS)
    assert messages.engine_layers == [
        {"name": "conv", "type": "CaskConvolution", "datatypes": ["Float", "Half"]},
        {"name": "{ForeignNode[a...b]}", "type": "Myelin", "datatypes": ["Float"]},
    ]
    messages.receive("Layers:\n")
    assert messages.engine_layers == []
    assert capfd.readouterr().err == ""


def test_tensorrt_talks_to_it(messages, trt, capfd):
    """Its parser refuses what is no model, and says so."""
    builder = trt.Builder(messages.logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert not trt.OnnxParser(network, messages.logger).parse(b"not a model")
    assert messages.errors
    assert messages.reason in capfd.readouterr().err
