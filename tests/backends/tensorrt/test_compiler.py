"""The engine builder of `normdeploy build`, in this process."""

import json

import onnx
import pytest

from normdeploy.backends.session import EngineBuilder
from normdeploy.backends.tensorrt.compiler import open_compiler
from normdeploy.errors import BackendUnavailable, ModelError
from tests.builders import conv_lrn

SHAPES = {"x": ((1, 3, 6, 6), (2, 3, 6, 6), (4, 3, 6, 6))}


@pytest.fixture
def compiler(rtx, tmp_path):
    """Opens a compiler for a model that it writes as a file."""

    def opener(model=None, **options):
        onnx.save(model or conv_lrn(), tmp_path / "model.onnx")
        arguments = {"library": rtx.name, "shapes": SHAPES, "plugins": [], "timing_cache": [], **options}
        return open_compiler(tmp_path / "model.onnx", engine=str(tmp_path / "model.engine"), **arguments)

    return opener


def test_it_builds_and_does_not_run(compiler, trt):
    opened = compiler()
    assert isinstance(opened, EngineBuilder)
    assert not hasattr(opened, "run")
    assert opened.versions == {"tensorrt-rtx": trt.__version__}


def test_the_engine_is_written_and_described(compiler, tmp_path):
    description = compiler().build()
    assert (tmp_path / "model.engine").stat().st_size > 0
    assert json.loads(json.dumps(description)) == description
    (x,), (y,) = description["inputs"], description["outputs"]
    assert x == {
        "name": "x",
        "dtype": "FLOAT",
        "shape": [None, 3, 6, 6],
        "min": [1, 3, 6, 6],
        "opt": [2, 3, 6, 6],
        "max": [4, 3, 6, 6],
    }
    assert y == {"name": "y", "dtype": "FLOAT", "shape": [None, 8, 6, 6]}
    assert [layer["name"] for layer in description["network"]] == ["conv", "lrn"]
    assert description["plugins"] == []
    assert description["engine"]


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
def test_a_timing_cache_is_written_and_read(compiler, tmp_path):
    """TensorRT-RTX keeps nothing in it, but has the calls."""
    earlier, later = tmp_path / "cache", tmp_path / "new cache"
    compiler(timing_cache=[str(earlier), str(later)]).build()
    later.rename(earlier)
    compiler(timing_cache=[str(earlier), str(later)]).build()
    assert later.is_file()


def test_a_model_that_the_parser_refuses(compiler):
    with pytest.raises(ModelError, match=r"the parser refuses node 'lrn' \(LRN\)"):
        compiler(conv_lrn(size=4))


def test_no_gpu_where_building_takes_one(compiler, rtx, monkeypatch):
    """As TensorRT needs one, whose other half is the same code."""
    from dataclasses import replace

    from normdeploy.backends import cuda
    from normdeploy.backends.tensorrt import compiler as module

    monkeypatch.setitem(module.LIBRARIES, rtx.name, replace(rtx, builds_without_gpu=False))
    monkeypatch.setattr(cuda, "_LIBRARY", "libcuda-of-nobody.so.1")
    with pytest.raises(BackendUnavailable, match="no NVIDIA driver"):
        compiler()


def test_versions_name_the_gpu_where_building_takes_one(compiler, rtx, trt, host_gpu, monkeypatch):
    from dataclasses import replace

    from normdeploy.backends.tensorrt import compiler as module

    monkeypatch.setitem(module.LIBRARIES, rtx.name, replace(rtx, builds_without_gpu=False))
    assert compiler().versions == {
        "tensorrt-rtx": trt.__version__,
        "driver's CUDA": "13.2",
        "GPU": "Host Emulation",
    }
