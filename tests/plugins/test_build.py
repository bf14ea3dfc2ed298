"""Finding the tools, building, and the messages where that fails."""

from __future__ import annotations

import dataclasses
import json
import stat
import subprocess
from pathlib import Path

import pytest

from normdeploy import plugin
from normdeploy.errors import PluginUnavailable, UsageError
from normdeploy.plugin import builder, toolchain


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "normdeploy" / "plugin"


def program(path: Path, output: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_path_and_info_before_the_build(empty_cache: Path) -> None:
    for function in (plugin.path, plugin.info):
        with pytest.raises(PluginUnavailable, match=r"is not there: run  normdeploy plugin build"):
            function()


def test_path_and_info_after_the_build(empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    library = empty_cache / "libnormdeploy_plugins.so"
    library.write_bytes(b"12345")
    recorded = {
        "version": "1.2.3",
        "plugins": [{"name": "IntraChannelLRN", "version": "1", "namespace": "normdeploy"}],
        "tensorrt_headers": "10.14.1",
        "cuda": "13.0.88",
        "architectures": "75-real;120",
    }
    library.with_suffix(".json").write_text(json.dumps(recorded))
    assert plugin.path() == library
    info = plugin.info()
    assert (info.size_bytes, info.version, info.architectures) == (5, "1.2.3", ("75-real", "120"))
    library.with_suffix(".json").write_text("{")
    with pytest.raises(PluginUnavailable, match="is damaged"):
        plugin.info()


def test_nvcc_is_found_where_cuda_home_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDACXX", raising=False)
    nvcc = program(tmp_path / "bin" / "nvcc", "")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert toolchain.find_nvcc() == nvcc


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDACXX", str(tmp_path / "nvcc"))
    with pytest.raises(PluginUnavailable, match=r"CUDACXX is '.*/nvcc', which is no program"):
        toolchain.find_nvcc()
    monkeypatch.delenv("CUDACXX")
    monkeypatch.setattr(toolchain, "_nvcc_candidates", lambda: iter(()))
    with pytest.raises(PluginUnavailable, match=r"nvcc is not installed .*install NVIDIA's CUDA toolkit"):
        toolchain.find_nvcc()
    monkeypatch.setenv("CUDACXX", str(program(tmp_path / "nvcc", "release 13.0")))
    monkeypatch.setattr(toolchain, "_find_program", lambda name: None)
    with pytest.raises(PluginUnavailable, match="cmake is not installed: run  pip install cmake ninja"):
        toolchain.find_toolchain()
    old = program(tmp_path / "cmake", "cmake version 3.16.3")
    monkeypatch.setattr(toolchain, "_find_program", lambda name: old)
    with pytest.raises(PluginUnavailable, match=r"is version 3\.16, but 3\.24 is needed"):
        toolchain.find_toolchain()


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="headers must be one of auto, find, git, wheel, got 'tar'"):
        plugin.build(headers="tar")  # type: ignore[arg-type]


def test_without_the_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(builder, "__file__", str(tmp_path / "a" / "b" / "builder.py"))
    with pytest.raises(PluginUnavailable, match=r"source is missing \(.*/plugins\): install normdeploy from"):
        plugin.build()


def test_a_build_folder_of_another_source_is_begun_anew(tmp_path: Path) -> None:
    cmake, ninja = toolchain._find_program("cmake"), toolchain._find_program("ninja")
    assert cmake is not None
    assert ninja is not None
    tools = toolchain.Toolchain(Path("nvcc"), cmake, ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"))
    work = tmp_path / "work"

    def configure(source: Path) -> tuple[str, ...]:
        source.mkdir(exist_ok=True)
        text = "cmake_minimum_required(VERSION 3.24)\nproject(nothing LANGUAGES NONE)\n"
        (source / "CMakeLists.txt").write_text(text)
        options = builder._fresh(work, source, tools)
        subprocess.run([cmake, *options, "-S", source, "-B", work, *tools.generator], check=True)
        return options

    assert configure(tmp_path / "one") == ()
    assert configure(tmp_path / "one") == ()
    assert configure(tmp_path / "two") == ("--fresh",)
    other = dataclasses.replace(tools, generator=("-G", "Unix Makefiles"))
    assert builder._fresh(work, tmp_path / "two", other) == ("--fresh",)


def test_a_build_that_fails_says_why_and_leaves_no_library(library: Path, tmp_path: Path) -> None:
    target = tmp_path / "lib.so"
    with pytest.raises(PluginUnavailable, match=r"does not build: .*12.*build\.log\)"):
        plugin.build(target, architectures=["12-real"], headers="wheel", folder=tmp_path / "work")
    assert not target.exists()


def test_headers_that_are_nowhere(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TensorRT_ROOT", raising=False)
    if any(
        Path(folder, "NvInferRuntime.h").exists()
        for folder in ("/usr/include", "/usr/include/x86_64-linux-gnu")
    ):
        pytest.skip("TensorRT's headers are installed")
    with pytest.raises(PluginUnavailable, match=r"NvInferRuntime\.h is neither under TensorRT_ROOT nor in"):
        plugin.build(tmp_path / "lib.so", architectures=["90-real"], headers="find", folder=tmp_path / "work")
