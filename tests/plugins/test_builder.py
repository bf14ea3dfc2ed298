"""Building the library, and the messages where that fails."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from normdeploy import plugin
from normdeploy.errors import PluginUnavailable, UsageError
from normdeploy.plugin import builder, toolchain


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="headers must be one of auto, find, wheel, git, got 'tar'"):
        plugin.build(headers="tar")  # type: ignore[arg-type]


@pytest.mark.parametrize("output", ["-", "/dev/stdout", "lib.json", "link.so", "."])
def test_a_library_has_a_file_beside_it(output: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.so").symlink_to("lib.json")
    with pytest.raises(UsageError, match=r"-o has to name a file|one that ends in \.so|is a folder"):
        plugin.build(output)


@pytest.mark.parametrize("place", ["output", "folder"])
def test_a_folder_that_cannot_be_made(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools = toolchain.Toolchain(Path("nvcc"), Path("cmake"), ("-G", "Ninja"))
    monkeypatch.setattr(builder, "find_toolchain", lambda: tools)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" if place == "output" else tmp_path))
    folder = tmp_path / "file" / "work" if place == "folder" else tmp_path
    with pytest.raises(UsageError, match=r"file/\S+: cannot be made \(Not a directory\): name another"):
        plugin.build(folder=folder, architectures=["90-real"])


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


def test_a_build_that_fails_says_why_and_leaves_no_library(
    tensorrt_headers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TensorRT_ROOT", str(tensorrt_headers))
    target = tmp_path / "lib.so"
    with pytest.raises(PluginUnavailable, match=r"does not build: .*12.*build\.log\)"):
        plugin.build(target, architectures=["12-real"], headers="find", folder=tmp_path / "work")
    assert not target.exists()


def test_headers_that_are_nowhere(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TensorRT_ROOT", "TENSORRT_ROOT", "TRT_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    if any(
        Path(folder, "NvInferRuntime.h").exists()
        for folder in ("/usr/include", "/usr/include/x86_64-linux-gnu")
    ):
        pytest.skip("TensorRT's headers are installed")
    with pytest.raises(
        PluginUnavailable, match=r"NvInferRuntime\.h is neither under TensorRT_ROOT, TENSORRT"
    ):
        plugin.build(tmp_path / "lib.so", architectures=["90-real"], headers="find", folder=tmp_path / "work")
