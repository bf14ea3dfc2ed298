"""Plugin libraries: naming them, loading them, and giving their operators to a model."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import normdeploy as nd
from normdeploy.backends import catalog
from normdeploy.backends.catalog import Backend
from normdeploy.backends.tensorrt.model import ParsedModel
from normdeploy.backends.tensorrt.plugins import plugin_libraries, prefer_plugins
from normdeploy.errors import BackendUnavailable, UsageError
from normdeploy.plugin.library import PluginOperator
from tests.builders import model

DIGITS = Path(__file__).parents[3] / "models" / "digits" / "digits.onnx"
OPERATOR = PluginOperator("IntraChannelLRN", version="1", namespace="normdeploy")


def attributes(node: onnx.NodeProto) -> list[tuple[str, object]]:
    return [(item.name, helper.get_attribute_value(item)) for item in node.attribute]


def test_the_files_that_a_user_names(tmp_path, monkeypatch):
    (tmp_path / "library.so").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    named = ["library.so", Path("library.so"), tmp_path / "library.so"]
    assert plugin_libraries(named) == [tmp_path.resolve() / "library.so"], "TensorRT refuses it a second time"
    with pytest.raises(
        UsageError, match=r"none\.so: there is no such plugin library: run  normdeploy plugin"
    ):
        plugin_libraries(["library.so", "none.so"])


def test_plugins_replace_functions_of_their_name_and_domain_only():
    proto = onnx.load(DIGITS)
    other = PluginOperator("IntraChannelLRN", "1", "somebody")
    assert prefer_plugins(proto, [other]) == []
    assert len(proto.functions) == 1
    assert prefer_plugins(proto, [other, OPERATOR]) == [OPERATOR]
    assert len(proto.functions) == 0
    (node,) = (node for node in proto.graph.node if node.domain == "normdeploy")
    found = dict(attributes(node))
    assert found["plugin_namespace"] == b"normdeploy"
    assert found["plugin_version"] == b"1"
    assert found["size"] == 3


def test_plugins_replace_functions_inside_functions_and_subgraphs():
    operator = PluginOperator("Inner", "2", "d")
    inner = helper.make_node("Inner", ["a"], ["b"], domain="d")
    branch = helper.make_graph([inner], "branch", [], [onnx.ValueInfoProto(name="b")])
    outer = helper.make_function(
        "d", "Outer", ["a"], ["b"], [inner], [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    )
    proto = model(
        [
            helper.make_node("Outer", ["x"], ["y"], domain="d"),
            helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch),
        ],
        {},
        {},
    )
    proto.functions.append(outer)
    assert prefer_plugins(proto, [operator]) == [operator]
    branches = [attribute.g.node[0] for attribute in proto.graph.node[1].attribute]
    for node in (*branches, proto.functions[0].node[0]):
        assert {attribute.name for attribute in node.attribute} == {"plugin_namespace", "plugin_version"}


def test_attributes_that_a_node_has_already_are_set():
    """By an earlier call, or by the exporter: no attribute comes twice, which onnx.checker refuses."""
    node = helper.make_node(
        "IntraChannelLRN", ["x"], ["y"], domain="normdeploy", plugin_version="7", size=3, plugin_namespace=""
    )
    proto = model([node], {}, {})
    for _ in range(2):
        assert prefer_plugins(proto, [OPERATOR]) == [OPERATOR]
        assert attributes(proto.graph.node[0]) == [
            ("plugin_namespace", b"normdeploy"),
            ("plugin_version", b"1"),
            ("size", 3),
        ]


def test_a_file_that_is_no_plugin_library(rtx, trt, tmp_path):
    text = tmp_path / "library.so"
    text.write_bytes(b"not a shared object")
    with pytest.raises(BackendUnavailable, match=r"library.so does not load: .*invalid ELF header|too short"):
        ParsedModel(replace(rtx, takes_plugins=True), trt, DIGITS, [text])


_LOAD = """
import sys
from pathlib import Path
from normdeploy.backends.tensorrt.libraries import LIBRARIES
from normdeploy.backends.tensorrt.messages import Messages
from normdeploy.backends.tensorrt.plugins import load_plugins

trt = LIBRARIES["tensorrt-rtx"].load()
messages = Messages(trt)
registry = trt.Builder(messages.logger).get_plugin_registry()
print(load_plugins(registry, [Path(sys.argv[1])], messages))
"""


def test_the_library_of_this_repository(library, rtx):
    """In a process of its own: a registry holds what it has loaded until its process ends."""
    done = subprocess.run([sys.executable, "-c", _LOAD, library], capture_output=True, text=True, check=True)
    assert done.stdout == f"{[OPERATOR]}\n"


def test_the_parsers_abort_on_a_plugin_is_one_crashed_row(library, rtx, monkeypatch):
    """TensorRT-RTX ends the process when a node becomes a plugin; the others' results stand."""
    aborting = Backend(
        "abort", "tests.backends.misbehaving_backends:rtx_with_plugins", options={"plugins": [str(library)]}
    )
    monkeypatch.setitem(catalog.BACKENDS, "abort", aborting)
    image = np.random.default_rng(0).random((4, 1, 8, 8), dtype=np.float32)
    report = nd.check(DIGITS, backends=["abort", "onnxruntime"], data={"image": image})
    crashed, right = report.backends
    assert (crashed.name, crashed.status) == ("abort", "crashed")
    assert "SIGABRT" in crashed.reason
    assert any("terminate called" in line for line in crashed.log)
    assert (right.name, right.status) == ("onnxruntime", "pass")
    assert report.verdict == "error"
