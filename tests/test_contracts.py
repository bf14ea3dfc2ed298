"""What is given to a function comes back as it was."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

import normdeploy as nd
from normdeploy.backends import catalog
from normdeploy.backends.catalog import find
from tests.builders import BN, FLOAT, Graph, conv_lrn, model

DATA = {"x": np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32)}


def network(epsilon: float = 1e-5) -> onnx.ModelProto:
    """What tempts to edit: no inferred types, weights to be folded, a large initializer before a small one,
    an initializer that is also an input, a branch, and a function."""
    g = Graph()
    x = g.input("x", "N", 3, 6, 6)
    wide = g.weight(np.full((1, 3, 64, 64), 0.5))
    shift = g.node("ReduceMean", wide, axes=[2, 3])
    y = g.node(BN, g.conv(g.node("Add", x, shift), 3, 4), *g.statistics(4), epsilon=epsilon)
    y = g.node("LRN", y, size=3, alpha=0.1)
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    standard = [helper.make_opsetid("", 17)]
    g.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], body, standard))
    chosen = g.node("If", g.weight(True, bool), **branches(y))
    proto = g.model(g.node("Twice", chosen, domain="own"))
    kernel = g.weights["w1"]
    proto.graph.input.append(helper.make_tensor_value_info("w1", FLOAT, kernel.shape))
    return proto


def branches(outer: str) -> dict[str, onnx.GraphProto]:
    """Of an If: both read the tensor of the graph around them."""
    return {
        name: helper.make_graph(
            [helper.make_node(op_type, [outer], [f"{name}_y"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_y", FLOAT, ["N", 4, 4, 4])],
        )
        for name, op_type in (("then_branch", "Relu"), ("else_branch", "Neg"))
    }


def everything(graph: ir.Model) -> tuple[bytes, list[str], list[str]]:
    """The model's bytes, its initializers in order, and what is known of every value."""
    values = [
        value
        for part in (*graph.graphs(), *graph.functions.values())
        for value in (*part.inputs, *part.outputs, *(out for node in part for out in node.outputs))
    ]
    return (
        ir.to_proto(graph).SerializeToString(deterministic=True),
        [name for part in graph.graphs() for name in part.initializers],
        [f"{value.name} {value.type} {value.shape} {value.metadata_props}" for value in values],
    )


CALLS = {
    "check": lambda graph: nd.check(graph, backends=["onnxruntime"], data=DATA),
    "check with random inputs": lambda graph: nd.check(graph, backends=["onnxruntime"], samples=1),
    "check against itself": lambda graph: nd.check(graph, reference=graph, backends=["onnxruntime"]),
    "profile": lambda graph: nd.profile(graph, backends=["onnxruntime"], duration=0.05, layers=True),
    "profile batches": lambda graph: nd.profile(
        graph, backends=["onnxruntime"], duration=0.05, batches=[1, 2], shapes={"x": (1, 3, 6, 6)}
    ),
    "optimize": nd.optimize,
    "optimize without verification": lambda graph: nd.optimize(graph, target="ort-cpu", verify=False),
    "inspect": nd.inspect,
    "inspect with data": lambda graph: nd.inspect(graph, data=DATA),
    "evaluate": lambda graph: nd.evaluate(graph, DATA),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_graph_that_is_passed_stays_as_it_was(name):
    graph = ir.from_proto(network())
    before = everything(graph)
    CALLS[name](graph)
    assert everything(graph) == before


@pytest.mark.parametrize("name", CALLS)
def test_a_message_that_is_passed_stays_as_it_was(name):
    proto = network()
    before = proto.SerializeToString(deterministic=True)
    CALLS[name](proto)
    assert proto.SerializeToString(deterministic=True) == before


def test_both_graphs_of_a_comparison_stay_as_they_were():
    deployed, original = ir.from_proto(network(epsilon=0.5)), ir.from_proto(network())
    before = everything(deployed), everything(original)
    report = nd.check(deployed, reference=original, backends=["onnxruntime"], data=DATA, localize=True)
    assert report.backends[0].first_divergence is not None
    assert (everything(deployed), everything(original)) == before


def test_a_search_within_a_backend_leaves_the_graph_as_it_was(monkeypatch):
    spoiled = catalog.Backend("spoiled", "tests.validation.spoiled_backends:wrong_lrn")
    monkeypatch.setitem(catalog.BACKENDS, "spoiled", spoiled)
    graph = ir.from_proto(conv_lrn())
    before = everything(graph)
    report = nd.check(graph, backends=["spoiled"], localize=True)
    assert report.backends[0].first_divergence is not None
    assert everything(graph) == before


def test_two_graphs_that_are_profiled_stay_as_they_were(monkeypatch):
    monkeypatch.setattr("normdeploy.profiling.profiler.SESSIONS", 1)
    graphs = ir.from_proto(network()), ir.from_proto(network(epsilon=0.5))
    before = [everything(graph) for graph in graphs]
    nd.profile(graphs[0], against=graphs[1], backends=["onnxruntime"], duration=0.05)
    assert [everything(graph) for graph in graphs] == before


@pytest.mark.skipif(find("tensorrt-rtx").missing(without_gpu=True) is not None, reason="needs TensorRT-RTX")
def test_a_graph_that_an_engine_is_built_of_stays_as_it_was(tmp_path):
    graph = ir.from_proto(conv_lrn())
    before = everything(graph)
    nd.build(graph, tmp_path / "engine", backend="tensorrt-rtx", shapes={"x": (1, 3, 6, 6)})
    assert everything(graph) == before


def test_the_result_of_optimize_is_another_model(tmp_path: Path):
    graph = ir.from_proto(
        model([helper.make_node("Relu", ["x"], ["y"])], {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])})
    )
    result = nd.optimize(graph)
    result.graph.graph.node(0).name = "renamed"
    assert graph.graph.node(0).name != "renamed"
