"""What doctor finds: every extra, every tool, the plugin, and the backends that were asked for."""

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest

import normdeploy as nd
from normdeploy import diagnosis
from normdeploy.backends import catalog
from normdeploy.errors import UsageError
from normdeploy.plugin import library, toolchain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.fixture(autouse=True)
def no_backends(monkeypatch):
    """They are slow to start, and not what is tested here."""
    monkeypatch.setattr(diagnosis, "_try", lambda backend: diagnosis.Finding(backend.name, True, "tried"))


@pytest.fixture
def declared(monkeypatch):
    """An installed package that declares these extras, and these distributions beside it."""

    def declare(requires: list[str], installed: dict[str, str]) -> None:
        extras = sorted({line.split("'")[-2] for line in requires if "extra" in line})

        def version(name):
            if name not in installed:
                raise importlib.metadata.PackageNotFoundError(name)
            return installed[name]

        message = importlib.metadata.metadata("normdeploy")
        del message["Provides-Extra"]
        for extra in extras:
            message["Provides-Extra"] = extra
        monkeypatch.setattr(importlib.metadata, "metadata", lambda name: message)
        monkeypatch.setattr(importlib.metadata, "requires", lambda name: requires)
        monkeypatch.setattr(importlib.metadata, "version", version)

    return declare


def test_every_extra_for_users_is_listed():
    """Those of the installed package, of which pyproject.toml has at least as many."""
    listed = [finding.name for finding in nd.doctor(["onnxruntime"]).extras]
    provided = importlib.metadata.metadata("normdeploy").get_all("Provides-Extra")
    assert listed == sorted(set(provided) - {"bench", "docs", "lint", "test"})
    assert {"cpu", "gpu", "rtx", "torch", "profile", "report"} <= set(listed)
    assert set(listed) <= set(EXTRAS)


def test_an_extra_is_there_when_all_that_it_brings_is(declared):
    both = [
        "one>=1; extra == 'pair'",
        "two[x]<3; extra == 'pair'",
        "three; python_version > '3' and extra == 'pairs'",
    ]
    declared(both, {"one": "1.5", "two": "2.0"})
    pair, pairs = nd.doctor(["onnxruntime"]).extras
    assert pair == diagnosis.Finding("pair", True, "one 1.5, two 2.0")
    assert pairs.detail == "three is not installed: run  pip install 'normdeploy[pairs]'"
    declared(both, {"one": "1.5"})
    assert nd.doctor(["onnxruntime"]).extras[0].detail == (
        "two is not installed: run  pip install 'normdeploy[pair]'"
    )
    declared(both, {})
    assert nd.doctor(["onnxruntime"]).extras[0].detail.startswith("one and two are not installed")


def test_another_build_of_onnxruntime_is_as_good(declared):
    declared(["onnxruntime>=1.20; extra == 'cpu'"], {"onnxruntime-gpu": "1.32.0"})
    assert nd.doctor(["onnxruntime"]).extras == [diagnosis.Finding("cpu", True, "onnxruntime-gpu 1.32.0")]


def test_the_tools_and_what_to_do_where_one_is_missing(monkeypatch, tmp_path):
    found = {finding.name: finding for finding in nd.doctor(["onnxruntime"]).tools}
    assert list(found) == ["nvcc", "C++ compiler", "cmake", "ninja or make"]
    compiler = tmp_path / "my c++"
    compiler.write_text("#!/bin/sh\necho 'Copyright'\necho 'my compiler 7.1'\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", f"'{compiler}' -m64")
    monkeypatch.setenv("CUDACXX", str(tmp_path / "nvcc"))
    monkeypatch.setattr(toolchain, "_find_program", lambda name: None)
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    found = {finding.name: finding for finding in nd.doctor(["onnxruntime"]).tools}
    assert found["C++ compiler"] == diagnosis.Finding("C++ compiler", True, f"my compiler 7.1 ({compiler})")
    assert not any(found[name].works for name in ("nvcc", "cmake", "ninja or make"))
    assert "set it to the path of nvcc" in found["nvcc"].detail
    assert "pip install cmake ninja" in found["cmake"].detail
    assert "pip install ninja" in found["ninja or make"].detail


def test_the_plugin_built_or_not(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (finding,) = nd.doctor(["onnxruntime"]).plugin
    assert not finding.works
    assert "run  normdeploy plugin build" in finding.detail
    shared_object = library.default_library()
    shared_object.parent.mkdir(parents=True)
    shared_object.write_bytes(b"12345")
    recorded = {
        "version": "1.2.3",
        "plugins": [{"name": "IntraChannelLRN", "version": "1", "namespace": "normdeploy"}],
        "tensorrt_headers": "10.14.1",
        "headers_from": "wheel",
        "cuda": "13.0.88",
        "architectures": "75-real;120",
    }
    shared_object.with_suffix(".json").write_text(json.dumps(recorded))
    (finding,) = nd.doctor(["onnxruntime"]).plugin
    assert finding.works
    assert finding.detail == f"{shared_object}, version 1.2.3, operators normdeploy::IntraChannelLRN"


def test_only_the_backends_that_were_asked_for_are_tried():
    assert [finding.name for finding in nd.doctor().backends] == list(catalog.BACKENDS)
    named = ["tensorrt", "onnxruntime", "tensorrt"]
    assert [finding.name for finding in nd.doctor(named).backends] == ["tensorrt", "onnxruntime"]
    with pytest.raises(UsageError, match="there is no backend 'tensort': did you mean 'tensorrt'"):
        nd.doctor(["tensort"])
