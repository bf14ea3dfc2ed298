"""The question about kernels as a part of a check: verdict, reports, bad usage."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

import normdeploy as nd
from normdeploy.choices import BACKEND_NAMES
from normdeploy.errors import UnsupportedOperator, UsageError
from normdeploy.validation import check, junit
from normdeploy.validation.kernels.result import Culprit, Kernels, KernelVerdict
from normdeploy.validation.report import BackendReport, CheckReport
from tests.builders import conv_lrn, parsed

SAFE = KernelVerdict("onnxruntime", "safe", "right with tf32")
DEPENDS = KernelVerdict(
    "tensorrt",
    "depends",
    "not with half-lrn",
    [Culprit("norm1", "LRN", "half-lrn", "7 of 9 results become 0", True, 96.0)],
)


def report(*backends, **keywords):
    return CheckReport("m.onnx", "m.onnx", 1, 0, backends, None, {}, **keywords)


@pytest.fixture(scope="module")
def overflowing():
    model = conv_lrn(dtype=np.float16, alpha=1e-4)
    x = np.random.default_rng(0).uniform(-117, 138, (2, 3, 6, 6)).astype(np.float16)
    return check(model, data={"x": x}, kernels="any")


def test_a_file_that_passes_here_depends_elsewhere(overflowing):
    (here,) = [backend for backend in overflowing.backends if backend.name == "onnxruntime"]
    assert here.status == "pass"
    assert overflowing.verdict == "mismatch"
    verdicts = {entry["backend"]: entry for entry in overflowing.to_json()["kernels"]}
    assert set(verdicts) == set(BACKEND_NAMES)
    assert verdicts["onnxruntime"]["verdict"] == "safe"
    assert [node["node"] for node in verdicts["tensorrt"]["nodes"]] == ["lrn"]
    assert "kernels of onnxruntime-cuda, onnxruntime-tensorrt, tensorrt, tensorrt-rtx depends" in str(
        overflowing
    )
    assert "lrn (LRN, half-lrn)" in str(overflowing)


def test_the_same_is_no_matter_of_the_backends_that_were_named():
    x = np.random.default_rng(0).uniform(-117, 138, (2, 3, 6, 6)).astype(np.float16)
    model = conv_lrn(dtype=np.float16, alpha=1e-4)
    named = check(model, data={"x": x}, backends=["onnxruntime"], kernels="any")
    assert named.verdict == "pass"
    assert [entry.backend for entry in named.kernels.entries] == ["onnxruntime"]


def test_nothing_is_asked_by_default():
    assert nd.check(conv_lrn(), backends=["onnxruntime"], samples=1).to_json()["kernels"] is None


def test_kernels_decide_with_the_rest():
    passed, wrong = BackendReport("onnxruntime", "pass"), BackendReport("onnxruntime", "mismatch")
    assert report(passed, kernels=Kernels([SAFE])).verdict == "pass"
    assert report(passed, kernels=Kernels([SAFE, DEPENDS])).verdict == "mismatch"
    assert report(wrong, kernels=Kernels([SAFE])).verdict == "mismatch"
    absent = BackendReport("onnxruntime", "unavailable")
    assert report(absent).verdict == "error"
    assert report(absent, kernels=Kernels([SAFE])).verdict == "pass"
    unknown = KernelVerdict("tensorrt", "unknown", "no output has a finite number")
    assert report(absent, kernels=Kernels([unknown])).verdict == "error"
    assert report(passed, kernels=Kernels([unknown, DEPENDS])).verdict == "mismatch"
    suite = ElementTree.fromstring(junit.xml(report(passed, kernels=Kernels([unknown]))))  # noqa: S314
    assert [case.tag for case in suite.find(".//testcase[@name='kernels']")] == ["error"]


def test_junit_has_a_case_for_each_backend():
    suite = ElementTree.fromstring(  # noqa: S314
        junit.xml(report(BackendReport("onnxruntime", "pass"), kernels=Kernels([SAFE, DEPENDS])))
    )
    cases = {case.get("classname"): case for case in suite.iter("testcase") if case.get("name") == "kernels"}
    assert list(cases) == ["m.onnx.onnxruntime", "m.onnx.tensorrt"]
    assert not list(cases["m.onnx.onnxruntime"])
    (failure,) = cases["m.onnx.tensorrt"]
    assert (failure.tag, failure.get("type")) == ("failure", "depends")
    assert failure.get("message") == "not with half-lrn"
    assert failure.text == "norm1 (LRN, half-lrn): 7 of 9 results become 0"


def test_a_page_has_a_section(overflowing):
    pytest.importorskip("matplotlib", reason="charts need matplotlib: pip install 'normdeploy[report]'")
    text = overflowing.html()
    assert ">Kernels<" in text
    assert "half-lrn" in text


def test_another_word_is_refused():
    with pytest.raises(UsageError, match="kernels must be here or any, got 'all'"):
        check(conv_lrn(), kernels="all")


def test_a_graph_that_cannot_be_computed_cannot_be_emulated():
    deployed = parsed("g (float[2] x) => (float[2] y) { y = local.Unknown (x) }")
    original = parsed("g (float[2] x) => (float[2] y) { y = Exp (x) }")
    with pytest.raises(UnsupportedOperator, match="leave out --kernels any"):
        check(deployed, reference=original, kernels="any")
