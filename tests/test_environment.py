"""The versions in reports."""

import json
import platform
from importlib.metadata import version

import normdeploy as nd
from normdeploy.environment import environment


def test_it_names_what_is_installed():
    found = environment()
    assert found["normdeploy"] == nd.__version__
    assert found["python"] == platform.python_version()
    assert {name: found[name] for name in ("numpy", "onnx")} == {
        name: version(name) for name in ("numpy", "onnx")
    }
    assert found["cpus"] >= 1
    json.dumps(found)
