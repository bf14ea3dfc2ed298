"""Models with a defect become small files that still show it, in a process that knows nothing else."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

import normdeploy as nd
from normdeploy.backends import catalog
from normdeploy.backends.catalog import Backend
from normdeploy.errors import UsageError
from normdeploy.graph.intra_channel_lrn import DOMAIN, INTRA_CHANNEL_LRN, add_function
from tests.builders import FLOAT, model
from tests.validation.networks import RESIDUAL_INPUTS, branching_network, residual_network

DIGITS = Path(__file__).parents[3] / "models" / "digits"


@pytest.fixture
def spoil(monkeypatch):
    """Registers a planted backend under the name `spoiled`."""

    def spoil(factory, **options):
        backend = Backend("spoiled", f"tests.validation.spoiled_backends:{factory}", options=options)
        monkeypatch.setitem(catalog.BACKENDS, "spoiled", backend)

    return spoil


def names(found):
    return [node.node for node in found.nodes]


def fails(folder, *, reference=False, backend="onnxruntime"):
    """Whether `check` finds the small files wrong, read from another folder."""
    moved = folder.with_name(f"{folder.name}-moved")
    shutil.copytree(folder, moved)
    report = nd.check(
        moved / "small.onnx",
        reference=moved / "small.reference.onnx" if reference else None,
        data=moved / "small.npz",
        backends=[backend],
    )
    return report.verdict == "mismatch"


def test_a_changed_node_is_left_with_the_one_that_it_stands_for(tmp_path):
    found = nd.reduce(
        residual_network(alpha=5e-2),
        tmp_path / "small.onnx",
        reference=residual_network(),
        data=RESIDUAL_INPUTS,
    )
    assert names(found) == ["lrn"]
    assert [node.node for node in found.original_nodes] == ["lrn"]
    assert (found.backend, found.status, found.nodes_before, list(found.samples)) == (
        None,
        "mismatch",
        8,
        [0],
    )
    (comparison,) = found.outputs.values()
    assert comparison.wrong > 0
    assert comparison.max_rel_error > 0.1
    files = ["small.onnx", "small.reference.onnx", "small.npz", "small.expected.npz", "small.md"]
    assert [Path(file).name for file in found.files] == files
    assert {file.name for file in tmp_path.iterdir()} == set(files)
    with np.load(tmp_path / "small.npz") as arrays:
        assert sum(array.size for array in arrays.values()) <= 8, "of 216 numbers"
    assert fails(tmp_path, reference=True)


def test_pieces_of_graphs_that_were_optimized(tmp_path):
    """BatchNorms are folded in the deployed file; a weight of a convolution is wrong."""
    deployed = onnx.load(DIGITS / "digits.onnx")
    conv = [node for node in deployed.graph.node if node.op_type == "Conv"][1]
    tensor = next(tensor for tensor in deployed.graph.initializer if tensor.name == conv.input[1])
    weights = onnx.numpy_helper.to_array(tensor).copy()
    weights.ravel()[7] += np.float32(0.02)
    tensor.CopyFrom(onnx.numpy_helper.from_array(weights, tensor.name))
    found = nd.reduce(
        deployed,
        tmp_path / "small.onnx",
        reference=DIGITS / "original.onnx",
        data=DIGITS / "heldout.npz",
        samples=2,
    )
    assert conv.name in names(found)
    assert len(found.nodes) <= 2
    assert {node.op_type for node in found.original_nodes} >= {"Conv", "BatchNormalization"}
    assert fails(tmp_path, reference=True)


@pytest.mark.parametrize(("factory", "left"), [("wrong_lrn", ["lrn"]), ("wrong_fusion", ["conv1", "relu1"])])
def test_nodes_that_a_backend_computes_wrongly(spoil, tmp_path, factory, left):
    spoil(factory)
    found = nd.reduce(residual_network(), tmp_path / "small.onnx", backend="spoiled", data=RESIDUAL_INPUTS)
    assert names(found) == left
    assert (found.backend, found.status, found.versions) == ("spoiled", "mismatch", {"spoiled": "1.0"})
    small = onnx.load(tmp_path / "small.onnx")
    assert len(small.graph.node) == len(left)
    assert {tensor.name for tensor in small.graph.initializer} <= {
        name for n in small.graph.node for name in n.input
    }
    assert fails(tmp_path, backend="spoiled")
    catalog.BACKENDS["spoiled"] = Backend("spoiled", "normdeploy.backends.onnxruntime:open_cpu")
    shutil.rmtree(tmp_path.with_name(f"{tmp_path.name}-moved"))
    assert not fails(tmp_path, backend="spoiled"), "a right backend computes the small file rightly"


def test_nodes_at_which_a_backend_crashes(spoil, tmp_path):
    spoil("aborts_at_pool")
    found = nd.reduce(residual_network(), tmp_path / "small.onnx", backend="spoiled", data=RESIDUAL_INPUTS)
    assert names(found) == ["tanh", "pool"]
    assert found.status == "crashed"
    assert "SIGABRT" in found.reason
    assert found.outputs == {}


def test_the_sample_that_fails_is_kept(spoil, tmp_path):
    """The thirteenth of sixteen, in the middle of a batch; the first is right."""
    spoil("clipping_lrn")
    x = np.random.default_rng(0).standard_normal((16, 3, 6, 6), dtype=np.float32)
    x[13] *= 64
    found = nd.reduce(residual_network(), tmp_path / "small.onnx", backend="spoiled", data={"x": x})
    assert list(found.samples) == [13]
    assert names(found) == ["lrn"]
    assert fails(tmp_path, backend="spoiled")


def test_the_sample_on_which_graphs_differ_is_kept(tmp_path):
    """Where an activation is clipped that should not be, large inputs differ."""

    def network(limit):
        limits = {"low": np.array(0, np.float32), "high": np.array(limit, np.float32)}
        nodes = [
            helper.make_node("Exp", ["x"], ["e"], "exp"),
            helper.make_node("Clip", ["e", "low", "high"], ["c"], "clip"),
            helper.make_node("Sqrt", ["c"], ["y"], "root"),
        ]
        return model(nodes, {"x": (FLOAT, ["N", 4])}, {"y": (FLOAT, ["N", 4])}, limits)

    x = np.zeros((100, 4), np.float32)
    x[77, 2] = 3
    found = nd.reduce(network(6), tmp_path / "small.onnx", reference=network(600), data={"x": x})
    assert list(found.samples) == [77]
    assert names(found) == ["clip"]
    (comparison,) = found.outputs.values()
    assert comparison.elements == 1
    assert comparison.max_abs_error == pytest.approx(np.exp(3) - 6)


def test_a_node_with_branches(spoil, tmp_path):
    spoil("wrong_if")
    inputs = {"x": np.ones((2, 3), np.float32)}
    found = nd.reduce(branching_network(), tmp_path / "small.onnx", backend="spoiled", data=inputs)
    assert names(found) == ["if"]
    assert fails(tmp_path, backend="spoiled")


def test_a_function_is_kept_where_it_is_called(spoil, tmp_path):
    spoil("wrong_function")
    attributes = {"size": 3, "alpha": 0.5, "beta": 0.5, "bias": 1.0}
    lrn = helper.make_node(INTRA_CHANNEL_LRN, ["r"], ["n"], "within", domain=DOMAIN, **attributes)
    nodes = [helper.make_node("Relu", ["x"], ["r"]), lrn, helper.make_node("Exp", ["n"], ["y"])]
    proto = model(nodes, {"x": (FLOAT, ["N", 2, 5, 5])}, {"y": (FLOAT, ["N", 2, 5, 5])})
    proto.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    whole = ir.from_proto(proto)
    add_function(whole)
    inputs = {"x": np.ones((1, 2, 5, 5), np.float32)}
    found = nd.reduce(whole, tmp_path / "small.onnx", backend="spoiled", data=inputs)
    assert names(found) == ["within"]
    assert [function.name for function in onnx.load(tmp_path / "small.onnx").functions] == [INTRA_CHANNEL_LRN]


def test_external_data_ends_up_in_the_small_file(spoil, tmp_path):
    spoil("wrong_third_convolution")
    source = tmp_path / "source"
    source.mkdir()
    proto = residual_network()
    onnx.save(
        proto, source / "large.onnx", save_as_external_data=True, location="large.bin", size_threshold=0
    )
    folder = tmp_path / "small"
    folder.mkdir()
    found = nd.reduce(source / "large.onnx", folder / "small.onnx", backend="spoiled", data=RESIDUAL_INPUTS)
    assert names(found) == ["conv3"]
    shutil.rmtree(source)
    assert fails(folder, backend="spoiled")


def test_what_does_not_fail_again_is_not_kept(spoil, tmp_path):
    """The node by itself fails while it is looked for, and not when its file is tried: the model is kept."""
    marks = tmp_path / "marks"
    marks.mkdir()
    spoil("wrong_lrn_twice", folder=str(marks))
    out = tmp_path / "out"
    out.mkdir()
    found = nd.reduce(residual_network(), out / "small.onnx", backend="spoiled", data=RESIDUAL_INPUTS)
    assert len(list(marks.iterdir())) > 2, "it was tried, and was right"
    assert len(found.nodes) > 1
    assert "lrn" in names(found)
    assert fails(out, backend="spoiled")


def test_a_backend_is_asked_where_graphs_agree(spoil, tmp_path):
    spoil("wrong_lrn")
    found = nd.reduce(
        residual_network(),
        tmp_path / "small.onnx",
        reference=residual_network(),
        backend="spoiled",
        data=RESIDUAL_INPUTS,
    )
    assert (found.backend, names(found), found.original_nodes) == ("spoiled", ["lrn"], [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backend": "onnxruntime"},
            "nothing to reduce: onnxruntime computes the right numbers on all 2 samples",
        ),
        (
            {"reference": residual_network()},
            "nothing to reduce: the two graphs compute the same on all 2 samples",
        ),
        (
            {"backend": "onnxruntime", "atol": 1e-9},
            "nothing to reduce: 2 of 2 samples are off, but none by more than rounding explains",
        ),
        ({"reference": residual_network(alpha=5e-2), "atol": 1e6}, "the two graphs compute the same"),
        ({}, "nothing to compare with: give a reference or a backend"),
        ({"backend": "onnxruntme"}, "there is no backend 'onnxruntme': did you mean 'onnxruntime'"),
        ({"backend": "onnxruntime", "timeout": 0}, "timeout must be above 0"),
    ],
)
def test_nothing_is_written_where_nothing_fails(tmp_path, options, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        nd.reduce(residual_network(), tmp_path / "small.onnx", data=RESIDUAL_INPUTS, **options)
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_read_is_written_over(tmp_path):
    np.savez(tmp_path / "x.npz", **RESIDUAL_INPUTS)
    before = (tmp_path / "x.npz").read_bytes()
    with pytest.raises(UsageError, match=r"x\.npz: would be written over, and is read"):
        nd.reduce(
            residual_network(),
            tmp_path / "x.onnx",
            reference=residual_network(alpha=5e-2),
            data=tmp_path / "x.npz",
        )
    assert (tmp_path / "x.npz").read_bytes() == before
    with pytest.raises(UsageError, match="-o has to name a file"):
        nd.reduce(residual_network(), "-", backend="onnxruntime")


def test_the_text_has_what_an_issue_needs(tmp_path):
    nd.reduce(
        residual_network(alpha=5e-2),
        tmp_path / "small.onnx",
        reference=residual_network(),
        data=RESIDUAL_INPUTS,
    )
    text = (tmp_path / "small.md").read_text()
    assert text.startswith("# LRN: the deployed graph computes something else than the original\n")
    for part in ("| `lrn` | LRN |", "alpha=0.05", "alpha=0.01", "- onnx: ", "- numpy: ", "max abs error"):
        assert part in text, part
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(code.splitlines()) <= 10
    assert set(re.findall(r"^import (.*)$", code, re.MULTILINE)) == {"numpy as np, onnxruntime"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    error, size = re.fullmatch(r"n max abs error (\S+) of (\S+)\n", done.stdout).groups()
    assert float(error) > 0.1 * float(size)
    (line,) = re.findall(r"^normdeploy check .*$", text, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", *line.split(), "--backend", "onnxruntime", "--json", "-"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["verdict"] == "mismatch"


def test_progress_is_told(tmp_path):
    told = []
    nd.reduce(
        residual_network(alpha=5e-2),
        tmp_path / "small.onnx",
        reference=residual_network(),
        data=RESIDUAL_INPUTS,
        progress=told.append,
    )
    assert told[0] == "sample 1 of 2"
    assert any(line.startswith("trying smaller tensors") for line in told)
    assert told[-1] == "trying the written file, 1 nodes"
