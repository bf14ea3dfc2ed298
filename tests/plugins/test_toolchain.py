"""Finding the programs that a build takes, and the messages where one is missing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from normdeploy.errors import PluginUnavailable
from normdeploy.plugin import toolchain


def program(path: Path, output: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


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


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an nvcc and a CMake that are new enough; nothing else is found."""
    monkeypatch.setenv(
        "CUDACXX", str(program(tmp_path / "nvcc", "Cuda compilation tools, release 13.0, V13.0"))
    )
    monkeypatch.setenv("CXX", "a compiler")
    program(tmp_path / "cmake", "cmake version 3.31.2")
    monkeypatch.setattr(
        toolchain, "_find_program", lambda name: tmp_path / name if (tmp_path / name).exists() else None
    )
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: name if Path(name).is_absolute() else None)
    return tmp_path


def test_ninja_is_preferred_to_make(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        PluginUnavailable, match="neither ninja nor make is installed: run  pip install ninja"
    ):
        toolchain.find_toolchain()
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: name)
    with_make = toolchain.find_toolchain()
    assert with_make == toolchain.Toolchain(tools / "nvcc", tools / "cmake", ("-G", "Unix Makefiles"))
    ninja = program(tools / "ninja", "1.12")
    assert toolchain.find_toolchain().generator == ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}")


def test_no_cpp_compiler(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX")
    with pytest.raises(PluginUnavailable, match=r"no C\+\+ compiler is installed: run  apt install g\+\+"):
        toolchain.find_toolchain()


def test_a_compiler_that_does_not_tell_its_version(tools: Path) -> None:
    program(tools / "nvcc", "hello")
    with pytest.raises(
        PluginUnavailable, match="nvcc does not tell its version: install a newer CUDA toolkit"
    ):
        toolchain.find_toolchain()


def test_the_architectures_of_a_compiler(tmp_path: Path) -> None:
    nvcc = program(tmp_path / "nvcc", "compute_75\ncompute_90\ncompute_90a\ncompute_120")
    assert toolchain.supported_architectures(nvcc) == {75, 90, 120}
    nvcc.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(PluginUnavailable, match="nvcc --list-gpu-arch does not work"):
        toolchain.supported_architectures(nvcc)
