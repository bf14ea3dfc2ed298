"""The library in TensorRT-RTX's registry, which needs no GPU. Each test runs in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
    pytest.skip("tensorrt_rtx_bindings is not installed", allow_module_level=True)

_PRELUDE = """
import sys
import numpy as np
import tensorrt_rtx_bindings as trt

logger = trt.Logger(trt.Logger.WARNING)
registry = trt.Builder(logger).get_plugin_registry()
handle = registry.load_library(sys.argv[1])
creator = registry.get_creator("IntraChannelLRN", "1", "normdeploy")

def field(name, values, type_):
    return trt.PluginField(name, np.array(values), type_)

def create(*fields, phase=trt.TensorRTPhase.BUILD):
    return creator.create_plugin("layer", trt.PluginFieldCollection(list(fields)), phase)

def parameters(plugin):
    # get_fields_to_serialize() cannot be called from Python on plugins in C++; the C++ test does that.
    return plugin.get_capability_interface(trt.PluginCapabilityType.BUILD).metadata_string
"""


def run(library: Path, code: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + code, library],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_registry_finds_the_creator(library: Path) -> None:
    done = run(library, "print(creator.name, [field.name for field in creator.field_names])")
    assert done.stdout == "IntraChannelLRN ['size', 'alpha', 'beta', 'bias']\n"


def test_fields_round_trip(library: Path) -> None:
    code = """
plugin = create(
    field("size", np.int64([7]), trt.PluginFieldType.INT64),
    field("alpha", np.float32([0.25]), trt.PluginFieldType.FLOAT32),
    field("beta", np.float64([0.5]), trt.PluginFieldType.FLOAT64),
    field("bias", np.float32([3]), trt.PluginFieldType.FLOAT32),
)
assert parameters(plugin) == "size=7 alpha=0.25 beta=0.5 bias=3", parameters(plugin)
again = create(
    field("size", np.int32([7]), trt.PluginFieldType.INT32),
    field("alpha", np.float32([0.25]), trt.PluginFieldType.FLOAT32),
    field("beta", np.float32([0.5]), trt.PluginFieldType.FLOAT32),
    field("bias", np.float32([3]), trt.PluginFieldType.FLOAT32),
    phase=trt.TensorRTPhase.RUNTIME,
)
assert parameters(again) == parameters(plugin)
"""
    run(library, code)


def test_bad_fields_are_refused_with_a_message(library: Path) -> None:
    done = run(library, 'assert create(field("size", np.int32([0]), trt.PluginFieldType.INT32)) is None')
    assert (
        "IntraChannelLRN 'layer': field size must be from 1 to 2^31 - 1; it is 0" in done.stdout + done.stderr
    )


def test_a_plugin_may_outlive_the_registry(library: Path) -> None:
    run(
        library,
        'plugin = create(field("size", np.int32([5]), trt.PluginFieldType.INT32))\ndel registry, creator',
    )
