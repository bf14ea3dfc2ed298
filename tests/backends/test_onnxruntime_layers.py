"""Traces as onnxruntime 1.32 writes them, with round numbers."""

import json

import onnx
from onnx import helper

from normdeploy.backends.onnxruntime_layers import layer_times, with_names
from normdeploy.backends.session import LayerTime
from tests.builders import FLOAT, model


def event(name, ts, dur=0, cat="Node", op="", **more):
    return {"cat": cat, "name": name, "ts": ts, "dur": dur, "ph": "X", "args": {"op_name": op, **more}}


TRACE = [
    event("session_initialization", 0, 900, cat="Session"),
    event("model_run", 1000, 500, cat="Session"),
    event("conv_kernel_time", 1010, 400, op="Conv"),
    event("lrn_kernel_time", 1450, 40, op="LRN"),
    event("model_run", 2000, 100, cat="Session"),
    event("conv_fence_before", 2001, 9, op="Conv"),
    event("conv_kernel_time", 2010, 60, op="Conv"),
    event("lrn_kernel_time", 2080, 20, op="LRN"),
    event("model_run", 3000, 80, cat="Session"),
    event("conv_kernel_time", 3010, 40, op="Conv"),
    event("lrn_kernel_time", 3060, 10, op="LRN"),
]


def trace(folder, events):
    path = folder / "trace.json"
    path.write_text(json.dumps(events))
    return path


def test_the_first_run_is_left_out_and_the_others_are_averaged(tmp_path):
    assert layer_times(trace(tmp_path, TRACE), tmp_path / "none.onnx") == [
        LayerTime("conv", "Conv", (), (), ms=0.05),
        LayerTime("lrn", "LRN", (), (), ms=0.015),
    ]


def test_a_single_run_counts(tmp_path):
    found = layer_times(trace(tmp_path, TRACE[:4]), tmp_path / "none.onnx")
    assert [(layer.name, layer.ms) for layer in found] == [("conv", 0.4), ("lrn", 0.04)]


def test_a_node_that_runs_several_times_in_a_run_is_added_up(tmp_path):
    """As in the body of a loop."""
    events = [*TRACE, event("lrn_kernel_time", 3075, 4, op="LRN")]
    found = {layer.name: layer.ms for layer in layer_times(trace(tmp_path, events), tmp_path / "none.onnx")}
    assert found["lrn"] == 0.017


def test_the_optimized_graph_has_the_tensors(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("LRN", ["c"], ["y"], name="lrn", size=3),
    ]
    onnx.save(model(nodes, {"x": (FLOAT, None)}, {"y": (FLOAT, None)}), tmp_path / "optimized.onnx")
    conv, lrn = layer_times(trace(tmp_path, TRACE), tmp_path / "optimized.onnx")
    assert (conv.inputs, conv.outputs) == (["x", "w"], ["c"])
    assert (lrn.inputs, lrn.outputs) == (["c"], ["y"])


def test_every_node_gets_a_name_of_its_own(tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="same"),
        helper.make_node("Relu", ["a"], ["b"], name="same"),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Relu", ["c"], ["y"], name="own"),
    ]
    onnx.save(model(nodes, {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])}), tmp_path / "model.onnx")
    named = onnx.load_from_string(with_names(tmp_path / "model.onnx"))
    assert [node.name for node in named.graph.node] == ["same", "b", "c", "own"]
    assert [list(node.output) for node in named.graph.node] == [["a"], ["b"], ["c"], ["y"]]


def test_a_name_that_an_output_has_already_is_not_taken_again(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["a"], name="y"), helper.make_node("Relu", ["a"], ["y"])]
    onnx.save(model(nodes, {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])}), tmp_path / "model.onnx")
    named = onnx.load_from_string(with_names(tmp_path / "model.onnx"))
    assert [node.name for node in named.graph.node] == ["y", "node 1"]
