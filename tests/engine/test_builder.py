"""Engines of TensorRT-RTX, which builds them on a machine without a GPU; read by what the builder says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

import normdeploy as nd
from normdeploy.backends import catalog
from normdeploy.backends.catalog import find
from normdeploy.backends.hardware import GpuStatus
from normdeploy.engine import Range, build, builder
from normdeploy.errors import (
    BackendCrashed,
    BackendTimeout,
    BackendUnavailable,
    BudgetExceeded,
    InputError,
    ModelError,
    UsageError,
)
from tests.builders import conv_lrn, model
from tests.exported_networks import DIGITS, export

if find("tensorrt-rtx").missing(without_gpu=True):
    pytest.skip("TensorRT-RTX is not installed", allow_module_level=True)

RTX = "tensorrt-rtx"


def saved(graph: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    onnx.save(graph, folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("name", "shape", "native", "function"),
    [
        ("alexnet", (3, 227, 227), 2, 0),
        ("zfnet", (3, 224, 224), 2, 0),
        ("cifar10_full", (3, 32, 32), 0, 2),
        ("digits", (1, 8, 8), 1, 1),
    ],
)
def test_the_networks_of_this_repository(name, shape, native, function, tmp_path):
    """Dynamic and static: every LRN across channels is a native layer, those within one the function."""
    fixed, open_batch = export(name, tmp_path)
    (declared,) = onnx.load(fixed).graph.input
    shapes = {declared.name: Range((1, *shape), (2, *shape), (4, *shape))}
    dynamic = build(open_batch, tmp_path / "dynamic.engine", backend=RTX, shapes=shapes)
    static = build(fixed, tmp_path / "static.engine", backend=RTX)
    assert dynamic.inputs[0]["shape"] == [None, *shape]
    assert [dynamic.inputs[0][bound][0] for bound in ("min", "opt", "max")] == [1, 2, 4]
    assert static.inputs[0]["shape"] == [1, *shape]
    for record in (dynamic, static):
        assert len(record.normalizations.native) == native
        assert list(record.normalizations.function.values()) == ["IntraChannelLRN"] * function
        assert not record.normalizations.plugin
        assert record.layer_types.get("LRN", 0) == native
        assert set(record.datatypes) <= {"FLOAT", "INT64"}, "INT64 for shapes"
        assert record.layers, "the builder lists the engine's layers"
        assert {datatype for layer in record.layers for datatype in layer["datatypes"]} == {"Float"}


def test_half_precision_comes_from_the_model(tmp_path):
    path = saved(conv_lrn(dtype=np.float16), tmp_path)
    record = build(path, tmp_path / "half.engine", backend=RTX, shapes={"x": (2, 3, 6, 6)})
    assert record.normalizations.native == ["lrn"]
    assert record.datatypes == {"HALF": 2}
    assert record.inputs[0]["dtype"] == record.outputs[0]["dtype"] == "HALF"


@pytest.mark.parametrize("parameters", [{"size": 4}, {"size": 17}, {"bias": 0.0}, {"beta": 0.005}])
def test_an_lrn_beyond_the_limits_is_refused_by_its_name_and_built_after_lowering(parameters, tmp_path):
    path = saved(conv_lrn(**parameters), tmp_path)
    output = tmp_path / "lrn.engine"
    with pytest.raises(BackendCrashed, match=r"refuses node 'lrn' \(LRN\).*optimize --target tensorrt"):
        build(path, output, backend=RTX, shapes={"x": (1, 3, 6, 6)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]
    lowered = nd.optimize(path, target="tensorrt").model
    record = build(lowered, output, backend=RTX, shapes={"x": (1, 3, 6, 6)})
    assert record.normalizations.native == []
    assert set(record.datatypes) <= {"FLOAT", "INT64"}


def test_the_models_hash_covers_its_external_data(tmp_path):
    hashes = []
    for seed in range(2):
        graph = conv_lrn()
        weights = np.full((8, 3, 3, 3), seed, np.float32)
        graph.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
        path = tmp_path / "external.onnx"
        onnx.save(graph, path, save_as_external_data=True, location="external.data", size_threshold=0)
        record = build(path, tmp_path / "e.engine", backend=RTX, shapes={"x": (1, 3, 6, 6)})
        both = path.read_bytes() + (tmp_path / "external.data").read_bytes()
        assert record.model_sha256 == hashlib.sha256(both).hexdigest()
        hashes.append(record.model_sha256)
        (tmp_path / "external.data").unlink()
    assert hashes[0] != hashes[1]


def test_what_cannot_be_used_is_noted(tmp_path):
    library = tmp_path / "library.so"
    library.write_bytes(b"never loaded")
    record = build(
        saved(conv_lrn(), tmp_path),
        tmp_path / "lrn.engine",
        backend=RTX,
        shapes={"x": (1, 3, 6, 6)},
        plugins=[library],
        timing_cache=tmp_path / "timing.cache",
    )
    assert record.plugin_libraries == []
    assert record.timing_cache is None
    assert [note.partition(":")[0] for note in record.notes] == [
        "tensorrt-rtx takes no plugins",
        "tensorrt-rtx has no timing cache",
    ]
    assert not (tmp_path / "timing.cache").exists()


def test_a_node_that_the_parser_does_not_know(tmp_path):
    scalar = {"y": (onnx.TensorProto.FLOAT, [])}
    graph = model(
        [helper.make_node("Det", ["x"], ["y"], name="the node")],
        {"x": (onnx.TensorProto.FLOAT, [3, 3])},
        scalar,
    )
    with pytest.raises(BackendCrashed, match=r"tensorrt-rtx: the parser refuses node 'the node' \(Det\)"):
        build(graph, tmp_path / "det.engine", backend=RTX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shapes", "error", "message"),
    [
        ({}, UsageError, r"give its shape, such as --shape x:1x3x6x6"),
        ({"x": (1, 4, 6, 6)}, InputError, "does not fit"),
        ({"z": (1, 3, 6, 6)}, UsageError, "the model's inputs are 'x'"),
        ({"x": Range((1, 3, 6, 6), (1, 3, 6, 6), (2, 3, 6, 7))}, InputError, "does not fit"),
    ],
)
def test_shapes_that_the_model_does_not_take(shapes, error, message, tmp_path):
    with pytest.raises(error, match=message):
        build(conv_lrn(), tmp_path / "e.engine", backend=RTX, shapes=shapes)
    assert list(tmp_path.iterdir()) == []


def test_arguments(tmp_path):
    with pytest.raises(
        UsageError, match="'onnxruntime' builds no engines: choose from tensorrt, tensorrt-rtx"
    ):
        build(conv_lrn(), tmp_path / "e.engine", backend="onnxruntime")
    with pytest.raises(UsageError, match="-o has to name a file: the engine's record"):
        build(conv_lrn(), "-", backend=RTX, shapes={"x": (1, 3, 6, 6)})
    with pytest.raises(UsageError, match="timeout must be above 0"):
        build(conv_lrn(), tmp_path / "e.engine", timeout=0)
    with pytest.raises(UsageError, match="there is no such plugin library"):
        build(conv_lrn(), tmp_path / "e.engine", plugins=[tmp_path / "none.so"])
    with pytest.raises(ModelError):
        build(tmp_path / "none.onnx", tmp_path / "e.engine")
    with pytest.raises(UsageError, match="cannot be written"):
        build(conv_lrn(), tmp_path / "none" / "e.engine", backend=RTX, shapes={"x": (1, 3, 6, 6)})


def test_a_build_that_takes_too_long_leaves_nothing(tmp_path):
    """No process starts, loads TensorRT-RTX and builds within that time; on a busy machine not even the
    graph is read."""
    with pytest.raises((BackendTimeout, BudgetExceeded), match=r"longer than the .*0\.01 s"):
        build(conv_lrn(), tmp_path / "e.engine", backend=RTX, shapes={"x": (1, 3, 6, 6)}, timeout=0.01)
    assert list(tmp_path.iterdir()) == []


def everything(graph: ir.Model) -> tuple[bytes, list[str], list[str]]:
    """The model's bytes, its initializers in order, and what is known of every value."""
    values = [
        value
        for part in (*graph.graphs(), *graph.functions.values())
        for value in (*part.inputs, *part.outputs, *(output for node in part for output in node.outputs))
    ]
    return (
        ir.to_proto(graph).SerializeToString(deterministic=True),
        [name for part in graph.graphs() for name in part.initializers],
        [f"{value.name} {value.type} {value.shape}" for value in values],
    )


def test_a_graph_that_is_passed_stays_as_it_was(tmp_path):
    """Neither the types that are inferred nor the file that it is written to leave a trace in it."""
    graphs = [ir.from_proto(conv_lrn()), ir.from_proto(onnx.load(DIGITS))]
    for graph, shape in zip(graphs, ({"x": (1, 3, 6, 6)}, {"image": (1, 1, 8, 8)}), strict=True):
        before = everything(graph)
        record = build(graph, tmp_path / "graph.engine", backend=RTX, shapes=shape)
        assert record.normalizations.native
        assert everything(graph) == before


def test_a_message_that_is_passed_stays_as_it_was(tmp_path):
    proto = conv_lrn()
    before = proto.SerializeToString(deterministic=True)
    build(proto, tmp_path / "e.engine", backend=RTX, shapes={"x": (1, 3, 6, 6)})
    assert proto.SerializeToString(deterministic=True) == before


def test_a_library_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "gpu_status", lambda: GpuStatus(False, "no NVIDIA driver: install it"))
    with pytest.raises(
        BackendUnavailable, match=r"^tensorrt is unavailable: .*no NVIDIA driver: install it$"
    ):
        build(conv_lrn(), tmp_path / "e.engine", backend="tensorrt", shapes={"x": (1, 3, 6, 6)})
    missing = [replace(found, modules=("nowhere",)) for found in catalog.BACKENDS.values()]
    monkeypatch.setattr(builder, "BACKENDS", {found.name: found for found in missing})
    with pytest.raises(
        BackendUnavailable, match=r"tensorrt is unavailable: .*\. tensorrt-rtx is unavailable: "
    ):
        build(conv_lrn(), tmp_path / "e.engine", shapes={"x": (1, 3, 6, 6)})
    assert list(tmp_path.iterdir()) == []


def test_the_last_words_of_a_process_that_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "_COMPILER", "tests.backends.misbehaving_backends:dies_building")
    with pytest.raises(BackendCrashed) as caught:
        build(conv_lrn(), tmp_path / "e.engine", backend=RTX, shapes={"x": (1, 3, 6, 6)})
    assert caught.value.reason == (
        "tensorrt-rtx: its process was ended by SIGABRT, while building the engine (terminate called)"
    )
    assert list(tmp_path.iterdir()) == []
