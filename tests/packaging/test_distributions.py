"""The sdist is the repository, the wheel is the package, and it works from wherever it lies."""

from __future__ import annotations

import configparser
import re
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from normdeploy._version import __version__
from normdeploy.errors import PluginUnavailable
from normdeploy.plugin.library import cache_folder
from normdeploy.plugin.toolchain import find_toolchain
from tests.packaging.distributions import ROOT, Distributions, Installation, dist_info, members

PLUGIN_SOURCE = "normdeploy/_plugin_source/"

NOT_IN_WHEEL = ("plugins/bench/", "plugins/tests/", "plugins/CMakePresets.json", "plugins/.clang-format")
"""Of plugins/: what only developers use. The presets build beside the source, which may be read-only."""


def test_the_sdist_holds_the_repository(distributions: Distributions) -> None:
    with tarfile.open(distributions.sdist) as archive:
        held = {member.name for member in archive.getmembers() if member.isfile()}
    names = {name.partition("/")[2] for name in held}
    assert names == distributions.tracked | {"PKG-INFO"}
    for needed in (
        "tests/conftest.py",
        "plugins/tests/CMakeLists.txt",
        "models/digits/digits.onnx",
        "Makefile",
    ):
        assert needed in names


def test_the_wheel_holds_the_package_and_the_plugin_source(distributions: Distributions) -> None:
    package = {name for name in distributions.tracked if name.startswith("normdeploy/")}
    source = {
        PLUGIN_SOURCE + name.removeprefix("plugins/")
        for name in distributions.tracked
        if name.startswith("plugins/") and not name.startswith(NOT_IN_WHEEL)
    }
    assert "normdeploy/py.typed" in package
    assert {f"{PLUGIN_SOURCE}CMakeLists.txt", f"{PLUGIN_SOURCE}intra_channel_lrn/launch.cu"} <= source
    held = {name for name in members(distributions.wheel) if ".dist-info/" not in name}
    assert held == package | source


def test_the_wheel_holds_no_test_and_no_benchmark(distributions: Distributions) -> None:
    for name in members(distributions.wheel):
        assert not re.search(r"(^|/)(tests?_?|bench\w*|conftest)(/|_|\.)", name), name


def test_the_sdist_builds_the_same_wheel_as_the_clone(distributions: Distributions) -> None:
    assert distributions.wheel.name == distributions.wheel_from_clone.name
    assert members(distributions.wheel) == members(distributions.wheel_from_clone)


def test_metadata(metadata: Metadata) -> None:
    assert str(metadata.version) == __version__
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.license_files == ["LICENSE"]
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description is not None
    assert metadata.description.startswith("# normdeploy\n")
    assert metadata.project_urls is not None
    assert all(url.startswith("https://") for url in metadata.project_urls.values())


def test_the_plugin_has_the_version_of_the_package() -> None:
    (version,) = re.findall(r"project\(\w+ VERSION (\S+)", (ROOT / "plugins" / "CMakeLists.txt").read_text())
    assert version == __version__


def test_entry_point(distributions: Distributions) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(dist_info(distributions.wheel, "entry_points.txt").decode())
    assert dict(parser["console_scripts"]) == {"normdeploy": "normdeploy.cli:main"}


def test_a_folder_on_the_path_is_enough(installation: Installation) -> None:
    python = sys.executable
    printed = installation.run(python, "-c", "import normdeploy; print(normdeploy.__file__)")
    assert Path(printed.strip()) == installation.folder / "normdeploy" / "__init__.py"
    for command in ([python, "-m", "normdeploy"], [installation.folder / "bin" / "normdeploy"]):
        assert installation.run(*command, "--version") == f"normdeploy {__version__}\n"
    digits = ROOT / "models" / "digits" / "original.onnx"
    assert "LRN within a channel" in installation.run(python, "-m", "normdeploy", "inspect", digits)


def source_folder(installation: Installation) -> Path:
    program = "from normdeploy.plugin.builder import source_folder; print(source_folder())"
    return Path(installation.run(sys.executable, "-c", program).strip())


def test_the_plugin_source_is_found_in_the_installed_package(installation: Installation) -> None:
    source = source_folder(installation)
    assert source == installation.folder / PLUGIN_SOURCE
    assert (source / "CMakeLists.txt").is_file()


def test_cmake_configures_from_the_installed_package(installation: Installation, tmp_path: Path) -> None:
    try:
        tools = find_toolchain()
    except PluginUnavailable as error:
        pytest.skip(str(error))
    builds = (ROOT / "build" / "plugins-test", cache_folder() / "build")
    headers = [wheel for build in builds for wheel in (build / "tensorrt-headers").glob("*.whl")]
    if not headers:
        pytest.skip("no earlier build of the plugin has left TensorRT's headers: they would be downloaded")
    source = source_folder(installation)
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    (tmp_path / "tensorrt-headers").mkdir()
    shutil.copy2(headers[0], tmp_path / "tensorrt-headers")
    settings = (
        "-DNORMDEPLOY_TENSORRT_HEADERS=WHEEL",
        "-DCMAKE_CUDA_ARCHITECTURES=90",
        f"-DCMAKE_CUDA_COMPILER={tools.nvcc}",
        f"-DPython3_EXECUTABLE={sys.executable}",
    )
    installation.run(tools.cmake, *tools.generator, "-S", source, "-B", tmp_path, *settings)
    assert __version__ in (tmp_path / "libnormdeploy_plugins.json").read_text()
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before
