"""All backends of a check."""

from dataclasses import replace

import numpy as np

from normdeploy.backends.catalog import Backend, find
from normdeploy.graph.io import save
from normdeploy.inputs.samples import Batch, Samples
from normdeploy.validation.backend_runs import BackendRuns
from normdeploy.validation.graphs import Graphs
from normdeploy.validation.localize import Divergence, Localization
from normdeploy.validation.stream import stream
from tests.builders import conv_lrn, parsed
from tests.validation.examinees import examinee

ONNXRUNTIME = find("onnxruntime")
ABORTS = Backend("aborts", "tests.validation.misbehaving_for_check:aborts")
X = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)


def ran(tmp_path, proto, *backends, original=None, x=X):
    """The runs after one batch."""
    path = tmp_path / "model.onnx"
    given = examinee(proto, path, original)
    save(given.deployed.model, path)
    given = replace(given, samples=Samples(len(x), iter([Batch({"x": x}, len(x))])))
    with BackendRuns(given, backends, requested=True) as runs:
        stream(given.judge, runs.all, given.samples, None, None, classify=False)
    return runs


def test_each_backend_has_a_report_and_those_that_live_can_be_asked_more(tmp_path):
    runs = ran(tmp_path, conv_lrn(), ONNXRUNTIME, ABORTS)
    assert [report.status for report in runs.reports(None)] == ["pass", "crashed"]
    assert [(backend.name, right) for backend, right in runs.alive] == [("onnxruntime", True)]
    assert runs.remarks == []


def test_a_quantized_model_also_runs_without_optimizations(tmp_path):
    proto = parsed("""g (float[N, 2] x) => (float[N, 2] y) {
        scale = Constant <value_float = 0.5> ()
        q = QuantizeLinear (x, scale)
        y = DequantizeLinear (q, scale) }""")
    runs = ran(tmp_path, proto, ONNXRUNTIME, x=X[0, 0, :, :2])
    assert len(runs.all) == 2
    assert [report.unoptimized for report in runs.reports(None)] == ["pass"]
    assert runs.remarks == ["the model is quantized, and held against its own graph in float64"]


def test_a_node_that_is_wrong_in_the_graph_is_not_searched_again(tmp_path):
    runs = ran(tmp_path, conv_lrn(beta=0.5), ONNXRUNTIME, original=conv_lrn())
    found = Localization(Divergence("known", "LRN", "y", "reference"))
    (report,) = runs.localized(runs.reports(None), Graphs(False, "", localization=found), None)
    assert report.localization is found
    (report,) = runs.localized(runs.reports(None), Graphs(True, ""), None)
    assert report.first_divergence is not None
    assert report.first_divergence.node == "lrn"
