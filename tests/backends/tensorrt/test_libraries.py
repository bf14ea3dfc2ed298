"""Finding the Python module of a library."""

from dataclasses import replace

import pytest

from normdeploy.backends.tensorrt.libraries import LIBRARIES
from normdeploy.errors import BackendUnavailable, MissingDependencyError

RTX = LIBRARIES["tensorrt-rtx"]


def test_a_library_that_is_not_installed_has_its_install_line():
    nowhere = replace(RTX, modules=("no_such_tensorrt",))
    with pytest.raises(MissingDependencyError, match=r"pip install 'normdeploy\[rtx\]'"):
        nowhere.load()


def test_a_library_that_does_not_load_says_why(tmp_path, monkeypatch):
    (tmp_path / "broken_tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open it')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailable, match=r"broken_tensorrt does not load \(libnvinfer.so.10"):
        replace(RTX, modules=("broken_tensorrt",)).load()


def test_the_first_module_that_is_installed_is_taken(tmp_path, monkeypatch):
    (tmp_path / "second_tensorrt.py").write_text("__version__ = '10.0'")
    monkeypatch.syspath_prepend(tmp_path)
    assert replace(RTX, modules=("first_tensorrt", "second_tensorrt")).load().__version__ == "10.0"


def test_the_module_is_that_of_the_library(rtx, trt):
    assert rtx is RTX
    assert int(trt.__version__.split(".")[0]) >= 1
    assert hasattr(trt, "OnnxParser")
