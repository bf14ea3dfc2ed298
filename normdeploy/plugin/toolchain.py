"""The programs that building the plugin takes: where they are, and how to get those that are missing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from normdeploy.errors import PluginUnavailable

_LEAST_CMAKE = (3, 24)
_LEAST_NVCC = (12, 8)


@dataclass(frozen=True)
class Toolchain:
    """Where the programs are.

    Args:
        nvcc: CUDA's compiler.
        cmake: CMake, 3.24 or newer.
        generator: CMake's arguments that choose Ninja, or make where there is no ninja.
    """

    nvcc: Path
    cmake: Path
    generator: tuple[str, ...]


def find_toolchain() -> Toolchain:
    """Find every program, and check that it is new enough.

    Raises:
        PluginUnavailable: one is missing or too old; the message says which and how to get it.
    """
    nvcc = find_nvcc()
    _require_version(nvcc, r"release (\d+)\.(\d+)", _LEAST_NVCC, "install a newer CUDA toolkit")
    cmake = find_cmake()
    find_cpp_compiler()
    build_tool = find_build_tool()
    if build_tool.name == "make":
        return Toolchain(nvcc, cmake, ("-G", "Unix Makefiles"))
    return Toolchain(nvcc, cmake, ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={build_tool}"))


def find_cmake() -> Path:
    """Find CMake.

    Raises:
        PluginUnavailable: it is nowhere there, or too old.
    """
    cmake = _find_program("cmake")
    if cmake is None:
        raise PluginUnavailable("cmake is not installed: run  pip install cmake ninja")
    _require_version(cmake, r"version (\d+)\.(\d+)", _LEAST_CMAKE, "run  pip install --upgrade cmake")
    return cmake


def find_cpp_compiler() -> Path:
    """Find a C++ compiler: the one that CXX names, or c++, g++ or clang++ on PATH.

    Raises:
        PluginUnavailable: there is none.
    """
    named = os.environ.get("CXX")
    if named:
        return Path(shlex.split(named)[0])  # options may follow it
    for name in ("c++", "g++", "clang++"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise PluginUnavailable("no C++ compiler is installed: run  apt install g++  or set CXX")


def find_build_tool() -> Path:
    """Find ninja, or make where there is no ninja.

    Raises:
        PluginUnavailable: neither is there.
    """
    ninja = _find_program("ninja")
    if ninja is not None:
        return ninja
    make = shutil.which("make")
    if make is None:
        raise PluginUnavailable("neither ninja nor make is installed: run  pip install ninja")
    return Path(make)


def version_line(program: Path) -> str:
    """What a program says of its version: the first line of `--version` that has one.

    Raises:
        PluginUnavailable: it does not run, or says none.
    """
    for line in _output(program, "--version").splitlines():
        if re.search(r"\d+\.\d+", line):
            return line.strip()
    raise PluginUnavailable(f"{program} does not tell its version")


def find_nvcc() -> Path:
    """Find CUDA's compiler, in this order: CUDACXX, CUDA_HOME, CUDA_PATH, PATH, /usr/local/cuda.

    Raises:
        PluginUnavailable: it is nowhere there, or CUDACXX names no program.
    """
    named = os.environ.get("CUDACXX")
    if named:
        found = shutil.which(named)
        if found is None:
            raise PluginUnavailable(f"CUDACXX is {named!r}, which is no program: set it to the path of nvcc")
        return Path(found)
    for candidate in _nvcc_candidates():
        if os.access(candidate, os.X_OK):
            return candidate
    raise PluginUnavailable(
        "nvcc is not installed (looked in CUDACXX, CUDA_HOME, CUDA_PATH, PATH and /usr/local/cuda): "
        "install NVIDIA's CUDA toolkit, 12.8 or newer"
    )


def supported_architectures(nvcc: Path) -> set[int]:
    """The compute capabilities that this nvcc compiles for: 90 is sm_90.

    Raises:
        PluginUnavailable: nvcc does not run.
    """
    return {int(number) for number in re.findall(r"compute_(\d+)\b", _output(nvcc, "--list-gpu-arch"))}


def _nvcc_candidates() -> Iterator[Path]:
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            yield Path(os.environ[variable]) / "bin" / "nvcc"
    on_path = shutil.which("nvcc")
    if on_path is not None:
        yield Path(on_path)
    yield Path("/usr/local/cuda/bin/nvcc")


def _find_program(name: str) -> Path | None:
    """The program on PATH, or beside the running Python, where pip puts programs."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    return Path(found) if found is not None else None


def _require_version(program: Path, pattern: str, least: tuple[int, int], advice: str) -> None:
    match = re.search(pattern, _output(program, "--version"))
    if match is None:
        raise PluginUnavailable(f"{program} does not tell its version: {advice}")
    version = (int(match[1]), int(match[2]))
    if version < least:
        raise PluginUnavailable(
            f"{program} is version {version[0]}.{version[1]}, but {least[0]}.{least[1]} is needed: {advice}"
        )


def _output(program: Path, argument: str) -> str:
    try:
        done = subprocess.run([program, argument], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise PluginUnavailable(f"{program} {argument} does not work: {error}") from error
    return done.stdout
