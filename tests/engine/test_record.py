"""The record that is put beside an engine."""

import hashlib
import json

import onnx
import pytest

from normdeploy.backends.catalog import find
from normdeploy.engine import EngineRecord, build
from normdeploy.engine.record import Normalizations, sha256
from tests.builders import conv_lrn

RTX = "tensorrt-rtx"


def layer(name: str, kind: str, origin: str = "", *datatypes: str) -> dict:
    return {"name": name, "type": kind, "origin": origin, "datatypes": list(datatypes)}


NETWORK = [
    layer("conv", "CONVOLUTION", "[ONNX Layer: conv]", "HALF"),
    layer("lrn", "LRN", "[ONNX Layer: lrn]", "HALF"),
    layer("within", "PLUGIN_V3", "[ONNX Layer: within]", "HALF"),
    layer("sum", "CONVOLUTION", "[ONNX Layer: sum | block.3 (IntraChannelLRN)]", "FLOAT"),
    layer("power", "ELEMENTWISE", "[ONNX Layer: power | block.3 (IntraChannelLRN)]", "FLOAT", "INT64"),
]


@pytest.fixture
def record() -> EngineRecord:
    return EngineRecord(
        engine="e",
        engine_sha256="1",
        model="m.onnx",
        model_sha256="2",
        backend="tensorrt",
        versions={"tensorrt": "10.14"},
        inputs=[],
        outputs=[],
        plugins=[],
        plugin_libraries=[],
        timing_cache=None,
        notes=[],
        network=NETWORK,
        layers=[],
        seconds=1.5,
    )


def test_where_each_lrn_is_computed(record):
    """By the origins as TensorRT-RTX 1.7 writes them."""
    assert record.normalizations == Normalizations(["lrn"], ["within"], {"block.3": "IntraChannelLRN"})


def test_counts(record):
    assert list(record.layer_types.items()) == [
        ("CONVOLUTION", 2),
        ("LRN", 1),
        ("PLUGIN_V3", 1),
        ("ELEMENTWISE", 1),
    ]
    assert record.datatypes == {"HALF": 3, "FLOAT": 2, "INT64": 1}


def test_json(record):
    written = json.loads(json.dumps(record.to_json()))
    assert (written["schema"], written["tf32"], written["seconds"]) == (1, False, 1.5)
    assert written["network"] == NETWORK
    assert written["normalizations"]["function"] == {"block.3": "IntraChannelLRN"}


def test_a_hash_of_several_files(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    assert sha256(tmp_path / "a", tmp_path / "b") == hashlib.sha256(b"onetwo").hexdigest()


@pytest.mark.skipif(find(RTX).missing(without_gpu=True) is not None, reason="TensorRT-RTX is not installed")
def test_the_record_says_what_the_engine_is_made_of(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(conv_lrn(), path)
    output = tmp_path / "lrn.engine"
    record = build(path, output, backend=RTX, shapes={"x": (1, 3, 6, 6)})
    written = json.loads((tmp_path / "lrn.engine.json").read_text())
    assert written == json.loads(json.dumps(record.to_json()))
    assert written["engine_sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert written["model_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(written["versions"]) == [RTX]
    assert written["tf32"] is False
    assert written["plugins"] == written["plugin_libraries"] == []
    assert [layer["name"] for layer in written["network"]] == ["conv", "lrn"]
    assert written["normalizations"]["native"] == ["lrn"]
