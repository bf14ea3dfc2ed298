"""The page that `check --html` writes, of right and of wrong models."""

import numpy as np
import onnx
import pytest

from normdeploy.backends import catalog
from normdeploy.validation import check
from tests.browser import measure, needs_browser
from tests.builders import unary
from tests.html import parsed
from tests.validation.networks import residual_network

pytest.importorskip("matplotlib", reason="charts need matplotlib: pip install 'normdeploy[report]'")

HOSTILE = "<script>alert(1)</script>"


def hostile(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with names that a page must not believe."""
    proto.graph.node[2].name = HOSTILE
    proto.graph.node[-1].output[0] = HOSTILE
    proto.graph.output[0].name = HOSTILE
    return proto


@pytest.fixture(scope="module")
def wrong_page() -> str:
    original, deployed = hostile(residual_network()), hostile(residual_network(alpha=5e-2))
    data = {"x": np.random.default_rng(0).uniform(0, 255, (4, 3, 6, 6)).astype(np.float32)}
    report = check(deployed, reference=original, backends=["onnxruntime"], data=data, localize=True)
    assert report.verdict == "mismatch"
    return report.html()


def test_a_wrong_model(wrong_page):
    found = parsed(wrong_page)
    assert found.elements.count("svg") == 3
    assert HOSTILE not in wrong_page
    for part in ("mismatch", "first wrong node", "In half precision", "outputs become 0", "Environment"):
        assert part in wrong_page
    assert "http" not in wrong_page


def test_a_right_model():
    page = check(residual_network(), backends=["onnxruntime"]).html()
    assert parsed(page).elements.count("svg") == 2
    assert 'badge good">pass' in page
    assert "In half precision" not in page
    assert "all 2,304 elements" not in page  # 8 samples of 288 are sampled


def test_an_output_that_shows_nothing():
    report = check(
        unary("Relu", ["N", 3]), backends=["onnxruntime"], data={"x": -np.ones((2, 3), np.float32)}
    )
    page = report.html()
    parsed(page)
    assert "Blind: output &#x27;y&#x27; can&#x27;t show a 1 % error (dead ReLU: every element is 0)." in page


def test_a_backend_that_is_not_there_and_labels():
    data = {"x": np.zeros((3, 3, 6, 6), np.float32), "labels": np.array([0, 1, 2])}
    page = check(residual_network(), backends=["onnxruntime", "tensorrt"], data=data).html()
    parsed(page)
    assert "unavailable" in page
    assert "accuracy" in page


def test_a_gate_and_flips_without_labels():
    page = check(residual_network(), backends=["onnxruntime"], max_flips="50%").html()
    assert "gate of at most 50% flips for onnxruntime: met" in page
    assert ">flips<" in page
    assert ">accuracy<" not in page


def test_per_node_errors_of_a_spoiled_backend(monkeypatch):
    backend = catalog.Backend("spoiled", "tests.validation.spoiled_backends:wrong_third_convolution")
    monkeypatch.setitem(catalog.BACKENDS, "spoiled", backend)
    report = check(residual_network(), backends=["spoiled"], localize=True)
    first = report.to_json()["backends"][0]["first_divergence"]
    assert first == {"node": "conv3", "op_type": "Conv", "output": "c3", "how": "alone"}
    page = report.html()
    assert "Each node on the reference" in page
    assert "red: conv3" in page


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser(wrong_page, tmp_path, dark):
    found = measure(wrong_page, tmp_path, width=390, dark=dark)
    assert found["width"] == found["scrollWidth"] == 390
    assert HOSTILE in found["text"]
    assert found["scripts"] == 0
    assert len(found["figures"]) == 3
    assert all(width > 300 for width, _ in found["figures"])
