"""Every GPU backend against the reference, on machines where it works."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import normdeploy as nd
from normdeploy.backends.catalog import BACKENDS, find
from normdeploy.engine import build
from normdeploy.engine.shapes import Range
from tests.builders import conv_lrn

pytestmark = pytest.mark.gpu

DIGITS = Path(__file__).parents[2] / "models" / "digits"
GPU_BACKENDS = [name for name, backend in BACKENDS.items() if backend.needs_gpu]


@pytest.fixture(params=GPU_BACKENDS)
def backend(request) -> str:
    return require(request.param)


def require(name: str) -> str:
    """Skip where the backend is known not to work."""
    reason = find(name).missing()
    if reason is not None:
        pytest.skip(f"{name}: {reason}")
    return name


@pytest.mark.parametrize("name", ["alexnet", "cifar10_full"])
def test_networks(backend, name, tmp_path):
    from tests.exported_networks import export  # needs torch

    for path in export(name, tmp_path):
        shapes = {"input": (2, *_sizes(path))} if "dynamic" in path.stem else None
        (found,) = nd.check(path, backends=[backend], samples=4, shapes=shapes).backends
        assert found.status == "pass", found.reason


def _sizes(path: Path) -> list[int]:
    (declared,) = onnx.load(path).graph.input
    return [dim.dim_value for dim in declared.type.tensor_type.shape.dim[1:]]


def test_the_trained_model_on_data(backend):
    """450 samples: the last batch is smaller than the others, so two engines are built."""
    report = nd.check(DIGITS / "digits.onnx", backends=[backend], data=DIGITS / "heldout.npz")
    (found,) = report.backends
    assert found.status == "pass", found.reason
    assert found.accuracy == report.reference_accuracy


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_types(backend, dtype, tmp_path):
    onnx.save(conv_lrn(dtype=dtype), tmp_path / "model.onnx")
    (found,) = nd.check(tmp_path / "model.onnx", backends=[backend], samples=16).backends
    assert found.status == "pass", found.reason
    assert found.outputs[0].dtype == np.dtype(dtype).name


def test_both_libraries_serve_in_one_check():
    names = [require("tensorrt"), require("tensorrt-rtx")]
    report = nd.check(DIGITS / "digits.onnx", backends=names, data=DIGITS / "heldout.npz", samples=64)
    assert [found.status for found in report.backends] == ["pass", "pass"]


def test_the_plugin(request, tmp_path):
    """It computes what the function computes, and the engine's record says that it is needed."""
    name = require("tensorrt")
    built = request.getfixturevalue("library")
    (found,) = nd.check(
        DIGITS / "digits.onnx", backends=[name], data=DIGITS / "heldout.npz", plugins=[built]
    ).backends
    assert found.status == "pass", found.reason
    record = build(
        DIGITS / "digits.onnx",
        tmp_path / "digits.engine",
        backend=name,
        shapes={"image": Range((1, 1, 8, 8), (8, 1, 8, 8), (16, 1, 8, 8))},
        plugins=[built],
    )
    assert record.normalizations.plugin == ["features.7"]
    assert not record.normalizations.function
    assert record.plugins == [{"name": "IntraChannelLRN", "version": "1", "namespace": "normdeploy"}]


def test_the_timing_cache_is_reused(tmp_path):
    name = require("tensorrt")
    cache = tmp_path / "timing.cache"
    for reused in (False, True):
        build(
            conv_lrn(),
            tmp_path / "lrn.engine",
            backend=name,
            shapes={"x": (1, 3, 6, 6)},
            timing_cache=cache,
        )
        record = json.loads((tmp_path / "lrn.engine.json").read_text())
        assert record["timing_cache"]["reused"] is reused
        assert record["timing_cache"]["bytes"] == cache.stat().st_size > 0
