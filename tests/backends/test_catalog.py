import subprocess
import sys

import pytest

from normdeploy.backends.base import BackendFailure
from normdeploy.backends.catalog import BACKENDS, find
from normdeploy.errors import UsageError


def test_the_names_are_those_of_the_interface():
    assert list(BACKENDS) == [
        "onnxruntime",
        "onnxruntime-cuda",
        "onnxruntime-tensorrt",
        "tensorrt",
        "tensorrt-rtx",
    ]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="no backend 'onnx-runtime': choose from onnxruntime, "):
        find("onnx-runtime")


@pytest.mark.parametrize("name", [name for name, backend in BACKENDS.items() if backend.factory is None])
def test_a_backend_that_is_not_written_yet_says_so(name, tmp_path):
    with pytest.raises(
        BackendFailure, match=f"this version of normdeploy has no {name} backend yet"
    ) as caught:
        find(name).start(tmp_path / "model.onnx", 1, 2**30)
    assert caught.value.status == "unavailable"


def test_a_package_that_is_not_installed_is_named_with_its_install_line():
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "import importlib.util; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'onnxruntime' else find(name)\n"
        "from normdeploy.backends.catalog import find; print(find('onnxruntime').missing())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "onnxruntime is not installed: run  pip install 'normdeploy[cpu]'"
