"""The graph is searched first, then the backend; and the whole of it on a trained model."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from normdeploy.backends import catalog
from normdeploy.backends.catalog import Backend
from normdeploy.errors import BackendCrashed, BackendTimeout, ModelError
from normdeploy.graph.inference import inferred
from normdeploy.validation import check
from normdeploy.validation.localize import runner, search_divergence
from tests.builders import FLOAT
from tests.validation.localize.fixed_tolerance import ByFixedTolerance
from tests.validation.networks import RESIDUAL_INPUTS, residual_network

DIGITS = Path(__file__).parents[3] / "models" / "digits"


@pytest.mark.parametrize(
    ("alpha", "factory", "node", "how"),
    [
        (5e-2, "wrong_third_convolution", "lrn", "reference"),
        (1e-2, "wrong_third_convolution", "conv3", "alone"),
        (1e-2, "wrong_fusion", "relu1", "fused"),
    ],
)
def test_a_wrong_graph_comes_before_a_wrong_backend(alpha, factory, node, how):
    run = runner(Backend("spoiled", f"tests.validation.spoiled_backends:{factory}"), 300)
    deployed, original = inferred(residual_network(alpha)), inferred(residual_network())
    first = search_divergence(deployed, original, RESIDUAL_INPUTS, run, ByFixedTolerance).first
    assert (first.node, first.how) == (node, how)


def test_a_model_that_is_its_own_reference_is_not_compared_with_itself():
    run = runner(Backend("right", "normdeploy.backends.onnxruntime:open_cpu"), 300)
    whole = inferred(residual_network())
    found = search_divergence(whole, whole, RESIDUAL_INPUTS, run, ByFixedTolerance)
    assert found.first is None
    assert len(found.nodes) == 8, "each node once"


def test_a_node_that_ends_the_process_costs_a_line():
    run = runner(Backend("spoiled", "tests.validation.spoiled_backends:aborts_at_tanh"), 300)
    whole = inferred(residual_network())
    found = search_divergence(whole, whole, RESIDUAL_INPUTS, run, ByFixedTolerance)
    assert (found.first.node, found.first.how) == ("conv3", "alone")
    (remark,) = found.remarks
    assert remark.startswith("not run alone: tanh: crashed: its process was ended by SIGABRT")


class Hindered:
    """Runs parts of a model in onnxruntime, but those with an operator of these."""

    def __init__(self, error, *op_types):
        self._run = runner(Backend("right", "normdeploy.backends.onnxruntime:open_cpu"), 300)
        self._error, self._op_types = error, op_types
        self.hindered = 0

    def __call__(self, model, inputs):
        if any(node.op_type in self._op_types for node in model.graph):
            self.hindered += 1
            raise self._error
        outputs = dict(self._run(model, inputs))
        return {
            name: array * np.float32(1 + 0.01 * (name in ("y", "y/alone"))) for name, array in outputs.items()
        }


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ModelError("not written: no such type"), "not run alone: tanh: not written: no such type"),
        (KeyError("x"), "not run alone: tanh: 'x'"),
        (BackendCrashed("no Tanh"), "not run alone: tanh: crashed: no Tanh"),
        (MemoryError(), "not run alone: tanh: MemoryError"),
    ],
)
def test_whatever_fails_in_a_part_costs_a_line(error, line):
    whole = inferred(residual_network())
    found = search_divergence(whole, whole, RESIDUAL_INPUTS, Hindered(error, "Tanh"), ByFixedTolerance)
    assert (found.first.node, found.remarks) == ("add", [line])


def test_parts_that_hang_are_not_tried_for_ever():
    run = Hindered(BackendTimeout("running the model took longer"), "Tanh", "MaxPool", "LRN", "Relu")
    whole = inferred(residual_network())
    found = search_divergence(whole, whole, RESIDUAL_INPUTS, run, ByFixedTolerance)
    assert found.first is None
    assert run.hindered == 4, "three nodes alone, and the model as a whole"
    assert found.remarks[0] == (
        "given up after 3 parts of the model failed: timeout: running the model took longer"
    )
    assert found.remarks[1].startswith("nodes were not searched together: timeout")


def test_graphs_that_the_reference_cannot_compare_leave_the_backend_to_search():
    """The original has an operator that the reference lacks."""
    deployed, original = inferred(residual_network()), inferred(residual_network())
    next(node for node in original.graph if node.op_type == "Tanh").op_type = "Unheard"
    run = runner(Backend("spoiled", "tests.validation.spoiled_backends:wrong_lrn"), 300)
    found = search_divergence(deployed, original, RESIDUAL_INPUTS, run, ByFixedTolerance)
    assert (found.first.node, found.first.how) == ("lrn", "alone")
    (remark,) = found.remarks
    assert remark.startswith("the two graphs were not compared tensor by tensor: node 'tanh' (Unheard")


def test_a_model_that_the_reference_cannot_compute_has_remarks_only():
    whole = inferred(residual_network())
    next(node for node in whole.graph if node.op_type == "Tanh").op_type = "Unheard"
    run = runner(Backend("spoiled", "tests.validation.spoiled_backends:wrong_lrn"), 300)
    found = search_divergence(whole, whole, RESIDUAL_INPUTS, run, ByFixedTolerance)
    assert found.first is None
    assert [line.split(":")[0] for line in found.remarks] == [
        "not every node was run alone",
        "nodes were not searched together",
    ]


def test_shapes_that_a_file_declares_wrongly():
    """As tools leave them that change a graph and keep its value_info; runtimes go on with a warning."""
    proto = residual_network()
    for name in ("c1", "r1", "n", "c2", "t", "p", "c3"):
        proto.graph.value_info.append(helper.make_tensor_value_info(name, FLOAT, ["N", 8, 3, 3]))
    whole = inferred(proto)
    for factory, node in (("wrong_lrn", "lrn"), ("wrong_fusion", "relu1")):
        run = runner(Backend("spoiled", f"tests.validation.spoiled_backends:{factory}"), 300)
        found = search_divergence(whole, whole, RESIDUAL_INPUTS, run, ByFixedTolerance)
        assert (found.first.node, found.remarks) == (node, [])


def test_progress_is_told():
    told = []
    whole = inferred(residual_network())
    run = runner(Backend("spoiled", "tests.validation.spoiled_backends:wrong_fusion"), 300)
    other = inferred(residual_network(alpha=1.0001e-2))
    for original in (whole, other):
        search_divergence(
            whole,
            original,
            RESIDUAL_INPUTS,
            run,
            ByFixedTolerance,
            lambda done, total: told.append((done, total)),
        )
    assert told
    assert all(0 <= done <= total for done, total in told)
    assert told[-1][0] >= 7


def test_a_tolerance_is_for_outputs_and_blames_no_right_node(spoiled):
    """Tighter than rounding: the output misses it, by onnxruntime's own rounding, and no node is wrong."""
    inputs = {"x": RESIDUAL_INPUTS["x"][:1]}
    report = check(
        residual_network(), backends=["onnxruntime"], data=inputs, rtol=0, atol=1e-9, localize=True
    )
    (backend,) = report.backends
    assert backend.status == "mismatch"
    assert backend.first_divergence is None
    assert backend.localization.remarks == [
        "no node is wrong by more than its rounding, and neither is the model on these inputs"
    ]
    (remark,) = backend.localization.remarks
    assert remark in str(report)
    assert remark in report.html()
    assert report.to_json()["backends"][0]["localize_remarks"] == [remark]
    report = check(residual_network(), backends=["spoiled"], data=inputs, rtol=0, atol=1e-9, localize=True)
    assert report.backends[0].first_divergence.node == "lrn"


def test_an_identical_convolution_is_not_blamed_for_a_tolerance():
    """The graphs differ behind it, in an LRN; its outputs are large, where an absolute tolerance is small."""
    deployed, original = residual_network(alpha=5e-2), residual_network()
    report = check(
        deployed,
        reference=original,
        backends=["onnxruntime"],
        data={"x": RESIDUAL_INPUTS["x"] * 1000},
        rtol=0,
        atol=1e-7,
        localize=True,
    )
    first = report.backends[0].first_divergence
    assert (first.node, first.how) == ("lrn", "reference")


@pytest.fixture
def spoiled(monkeypatch):
    backend = Backend("spoiled", "tests.validation.spoiled_backends:wrong_lrn")
    monkeypatch.setitem(catalog.BACKENDS, "spoiled", backend)


def wrong_beta(model: onnx.ModelProto) -> str:
    node = next(node for node in model.graph.node if node.op_type == "LRN")
    next(attribute for attribute in node.attribute if attribute.name == "beta").f = 0.74
    return node.name


def wrong_weight(model: onnx.ModelProto) -> str:
    node = [node for node in model.graph.node if node.op_type == "Conv"][1]
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
    weights = numpy_helper.to_array(tensor).copy()
    weights.ravel()[7] += np.float32(0.02)
    tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    return node.name


@pytest.mark.parametrize("damage", [wrong_beta, wrong_weight])
def test_the_damaged_node_is_named_although_batch_norms_are_folded(damage):
    model = onnx.load(DIGITS / "digits.onnx")
    name = damage(model)
    report = check(
        model,
        reference=DIGITS / "original.onnx",
        data=DIGITS / "heldout.npz",
        samples=16,
        backends=["onnxruntime"],
        localize=True,
    )
    first = report.backends[0].first_divergence
    assert first is not None
    assert (first.node, first.how) == (name, "reference")
