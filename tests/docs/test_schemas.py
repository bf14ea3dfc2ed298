"""The published JSON schemas against what the library gives: every outcome fits, nothing else does."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import normdeploy as nd
from normdeploy.backends import catalog
from normdeploy.cli import main
from tests.builders import conv_lrn, parsed, unary
from tests.validation import misbehaving_for_check
from tests.validation.detector import detector
from tests.validation.invariants import self_contradicting_backends

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "models" / "digits"
SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text())
    for path in sorted((ROOT / "docs" / "schemas").glob("*.json"))
}
MAPPINGS = {
    "build": {"datatypes", "function", "layer_types", "versions"},
    "check": {"versions"},
    "doctor": set[str](),
    "inspect": {"not_native", "opsets", "parameters"},
    "optimize": set[str](),
    "plugin": set[str](),
    "reduce": {"versions"},
    "profile": {"inputs", "thread_variables", "versions"},
}
"""Objects whose keys are names from the model or the machine."""

FACTORY = """
import torch

def build():
    layers = torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.LocalResponseNorm(3)
    return torch.nn.Sequential(*layers).eval(), torch.zeros(1, 1, 8, 8)
"""

Json = Any


def assert_fits(name: str, document: Json) -> Json:
    """The document as it comes back from a file, after it has been held against the schema."""
    document = json.loads(json.dumps(document, allow_nan=False))
    errors = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(SCHEMAS[name]).iter_errors(document)
    ]
    assert not errors, errors
    return document


def fits(name: str, document: Json) -> bool:
    return Draft202012Validator(SCHEMAS[name]).is_valid(document)


def objects(document: Json, key: str = "") -> Iterator[tuple[str, dict[str, Json]]]:
    """Every object in a document, with the key that it stands under."""
    if isinstance(document, dict):
        yield key, document
        for inner, value in document.items():
            yield from objects(value, inner)
    elif isinstance(document, list):
        for value in document:
            yield from objects(value, key)


def assert_is_strict(name: str, document: Json, optional: frozenset[str] = frozenset()) -> None:
    """No key may be added to any object of the document, and none taken away."""
    planted = copy.deepcopy(document)
    for key, inner in objects(planted):
        if key in MAPPINGS[name]:
            continue
        inner["planted"] = 1
        assert not fits(name, planted), f"a key more in '{key}' is not noticed"
        del inner["planted"]
        for missing in set(inner) - optional:
            value = inner.pop(missing)
            assert not fits(name, planted), f"'{missing}' is missing in '{key}', and that is not noticed"
            inner[missing] = value
    assert fits(name, planted)


@pytest.fixture
def misbehaving(monkeypatch):
    """Backends that abort, and that hang."""
    for name in ("aborts", "hangs"):
        monkeypatch.setitem(catalog.BACKENDS, name, misbehaving_for_check.misbehaving(name))


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name):
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"urn:normdeploy:schema:{name}:1"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_object_lists_all_of_its_keys(name):
    for _, schema in objects(SCHEMAS[name]):
        if schema.get("type") == "object":
            assert ("properties" in schema) == (schema["additionalProperties"] is False)


def test_what_several_schemas_define_is_the_same_in_each():
    seen: dict[str, Json] = {}
    for schema in SCHEMAS.values():
        for name in ("half_precision", "sha256"):
            definition = schema.get("$defs", {}).get(name)
            assert definition is None or seen.setdefault(name, definition) == definition


def test_check_with_labels():
    report = nd.check(
        DIGITS / "digits.onnx",
        reference=DIGITS / "original.onnx",
        backends=["onnxruntime"],
        data=DIGITS / "heldout.npz",
        samples=16,
    )
    document = assert_fits("check", report.to_json())
    assert document["verdict"] == "pass"
    assert document["half_precision"]
    assert_is_strict("check", document)


def test_check_that_finds_a_wrong_node():
    report = nd.check(conv_lrn(beta=0.5), reference=conv_lrn(), backends=["onnxruntime"], localize=True)
    document = assert_fits("check", report.to_json())
    assert document["verdict"] == "mismatch"
    assert document["backends"][0]["first_divergence"]["node"] == "lrn"
    assert_is_strict("check", document)


def test_check_of_a_quantized_model_by_a_gate():
    graph = """g (float[N, 2] x) => (float[N, 2] y) {
        scale = Constant <value_float = 0.5> ()
        q = QuantizeLinear (x, scale)
        y = DequantizeLinear (q, scale)
    }"""
    report = nd.check(parsed(graph), backends=["onnxruntime"], max_flips="50%", max_accuracy_drop=None)
    document = assert_fits("check", report.to_json())
    assert document["gate"] == {"max_flips": "50%", "max_accuracy_drop": None}
    assert (document["backends"][0]["gate"], document["backends"][0]["unoptimized"]) == ("met", "pass")
    assert len(document["remarks"]) == 1
    assert_is_strict("check", document)


def test_check_with_invariants(monkeypatch):
    for name in ("wrong_from_the_second_row_on", "refuses_batches"):
        monkeypatch.setitem(catalog.BACKENDS, name, self_contradicting_backends.planted(name))
    backends = ["onnxruntime", "wrong_from_the_second_row_on", "refuses_batches"]
    report = nd.check(conv_lrn(), backends=backends, samples=3, invariants=True)
    document = assert_fits("check", report.to_json())
    assert document["verdict"] == "mismatch"
    assert {entry["status"] for entry in document["invariants"]} == {"pass", "broken", "skipped", "crashed"}
    assert_is_strict("check", document)


def test_check_with_kernels():
    x = np.full((2, 3, 6, 6), 255, np.float16)
    report = nd.check(conv_lrn(dtype=np.float16), data={"x": x}, kernels="any")
    document = assert_fits("check", report.to_json())
    assert {entry["verdict"] for entry in document["kernels"]} == {"safe", "depends"}
    assert_is_strict("check", document)


def test_check_with_power():
    graph = """g (float[N, 2] x) => (float[N, 2] y) {
        two = Constant <value = float {2}> ()
        lead = Constant <value = float[2] {100000, 0}> ()
        z = Mul (x, two)
        led = Add (z, lead)
        p = Softmax (led)
        y = Mul (p, two)
    }"""
    report = nd.check(parsed(graph), backends=["onnxruntime"], samples=2, power=True, min_power="1%")
    document = assert_fits("check", report.to_json())
    assert document["verdict"] == "mismatch"
    assert [layer["smallest_detectable"] is None for layer in document["power"]["layers"]] == [
        True,
        True,
        False,
    ]
    assert document["power"]["min_power"] == 0.01
    assert_is_strict("check", document)


def test_check_of_an_output_that_shows_nothing():
    graph = (
        "g (float[N, 2] x) => (float[N, 2] y) { zero = Constant <value = float {0}> () y = Mul (x, zero) }"
    )
    document = assert_fits("check", nd.check(parsed(graph), backends=["onnxruntime"], samples=2).to_json())
    assert document["blind"] == [{"output": "y", "reason": "every element is 0"}]
    assert_is_strict("check", document)


def test_check_of_backends_that_fail(misbehaving):
    report = nd.check(conv_lrn(), backends=["aborts", "hangs", "tensorrt"])
    document = assert_fits("check", report.to_json())
    statuses = [backend["status"] for backend in document["backends"]]
    assert statuses[:2] == ["crashed", "timeout"]
    assert all(backend["outputs"] == [] for backend in document["backends"][:2])
    assert_is_strict("check", document)


def test_check_of_a_backend_that_is_not_here(monkeypatch):
    absent = catalog.Backend("absent", "absent:open", ("absent_module",), "absent", "cpu")
    monkeypatch.setitem(catalog.BACKENDS, "absent", absent)
    document = assert_fits("check", nd.check(conv_lrn(), backends=["absent"]).to_json())
    assert document["backends"][0]["status"] == "unavailable"


def test_check_with_an_infinite_ratio():
    """An error where nothing is allowed; and rounding that was not measured."""
    report = nd.check(conv_lrn(beta=0.5), reference=conv_lrn(), backends=["onnxruntime"], rtol=0, atol=0)
    (output,) = assert_fits("check", report.to_json())["backends"][0]["outputs"]
    assert output["noise_ratio"] is None
    assert output["expected_rounding"] is None
    assert output["wrong"] > 0


def test_check_with_nan_and_infinities():
    x = np.array([[1, -1, 0, np.inf]], np.float32)
    report = nd.check(unary("Log", ["N", 4]), backends=["onnxruntime"], data={"x": x})
    (output,) = assert_fits("check", report.to_json())["backends"][0]["outputs"]
    assert (output["nan"], output["inf"]) == (1, 2)


def test_check_of_detections():
    document = assert_fits("check", nd.check(detector(), backends=["onnxruntime"], samples=2).to_json())
    rows = [output["rows"] for output in document["backends"][0]["outputs"]]
    assert all(each["missing"] == each["surplus"] == 0 for each in rows)
    assert_is_strict("check", document)


def test_check_of_integers():
    report = nd.check(unary("Identity", ["N", 4], element=7), backends=["onnxruntime"])
    (output,) = assert_fits("check", report.to_json())["backends"][0]["outputs"]
    assert output["dtype"] == "int64"
    assert output["noise_share"] is None


def test_reduce(tmp_path):
    found = nd.reduce(conv_lrn(beta=0.5), tmp_path / "small.onnx", reference=conv_lrn(), samples=1)
    document = assert_fits("reduce", found.to_json())
    assert [node["node"] for node in document["nodes"]] == ["lrn"]
    assert document["backend"] is None
    assert_is_strict("reduce", document)


def test_reduce_of_a_backend_that_crashes(tmp_path, misbehaving):
    found = nd.reduce(unary("Neg", ["N", 4]), tmp_path / "small.onnx", backend="aborts", samples=1)
    document = assert_fits("reduce", found.to_json())
    assert (document["backend"], document["status"], document["outputs"]) == ("aborts", "crashed", [])
    assert_is_strict("reduce", document)


@pytest.mark.parametrize("target", ["portable", "ort-cpu", "tensorrt"])
def test_optimize(target):
    result = nd.optimize(DIGITS / "original.onnx", target=target)
    document = assert_fits("optimize", result.report.to_json())
    assert document["batchnorm"]
    assert document["lrn"]
    assert_is_strict("optimize", document)


def test_inspect():
    document = assert_fits("inspect", nd.inspect(DIGITS / "original.onnx").to_json())
    assert {layer["op_type"] for layer in document["normalizations"]} >= {"LRN", "BatchNormalization"}
    assert document["half_precision"]
    assert_is_strict("inspect", document, optional=frozenset({"native"}))


def test_profile_against_another_model(misbehaving, monkeypatch):
    pytest.importorskip("arch", reason="the extra profile")
    monkeypatch.setattr("normdeploy.profiling.profiler.SESSIONS", 2)
    report = nd.profile(
        DIGITS / "digits.onnx",
        against=DIGITS / "original.onnx",
        backends=["onnxruntime"],
        duration=0.2,
        layers=True,
    )
    document = assert_fits("profile", report.to_json())
    assert [backend["status"] for backend in document["backends"]] == ["measured", "measured"]
    assert document["backends"][0]["layers"]
    assert document["changes"]
    assert_is_strict("profile", document)


def test_profile_of_a_backend_that_fails(misbehaving):
    pytest.importorskip("arch", reason="the extra profile")
    document = assert_fits("profile", nd.profile(conv_lrn(), backends=["aborts"], duration=0.1).to_json())
    assert document["backends"][0]["status"] == "crashed"
    assert document["backends"][0]["latency_ms"] is None


def test_build(tmp_path):
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX builds engines without a GPU")
    record = nd.build(
        DIGITS / "digits.onnx",
        tmp_path / "digits.engine",
        backend="tensorrt-rtx",
        shapes={"image": (4, 1, 8, 8)},
        timing_cache=tmp_path / "cache",
    )
    written = assert_fits("build", json.loads((tmp_path / "digits.engine.json").read_text()))
    assert written == assert_fits("build", record.to_json())
    assert_is_strict("build", written, optional=frozenset())


def test_export(tmp_path):
    pytest.importorskip("torch", reason="the extra torch")
    (tmp_path / "net.py").write_text(FACTORY)
    target = tmp_path / "report.json"
    source = f"{tmp_path / 'net.py'}:build"
    assert main(["export", source, "-o", str(tmp_path / "net.onnx"), "--json", str(target)]) == 0
    document = assert_fits("optimize", json.loads(target.read_text()))
    assert document["batchnorm"]
    assert document["lrn"]
    assert_is_strict("optimize", document)


def test_plugin(tmp_path, capsys):
    library = tmp_path / "lib.so"
    library.write_bytes(b"12345")
    recorded = (ROOT / "plugins" / "cmake" / "library.json.in").read_text()
    library.with_suffix(".json").write_text(recorded.replace("@", ""))
    assert main(["plugin", "info", str(library), "--json", "-"]) == 0
    document = assert_fits("plugin", json.loads(capsys.readouterr().out))
    assert document["operators"][0]["name"] == "IntraChannelLRN"
    assert_is_strict("plugin", document)


def test_doctor():
    document = assert_fits("doctor", nd.doctor().to_json())
    assert {finding["works"] for finding in document["packages"]} >= {True}
    assert_is_strict("doctor", document)
