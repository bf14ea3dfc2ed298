import onnx
import pytest

from normdeploy.backends import catalog
from tests.builders import conv_lrn


@pytest.fixture
def path(tmp_path):
    """A small model with an open batch."""
    target = tmp_path / "small.onnx"
    onnx.save(conv_lrn(), target)
    return target


@pytest.fixture
def backend(monkeypatch):
    """Add a backend of `misbehaving_for_profile` to the catalog."""

    def add(name):
        found = catalog.Backend(name, f"tests.profiling.misbehaving_for_profile:{name}")
        monkeypatch.setitem(catalog.BACKENDS, name, found)
        return name

    return add
