"""Builds the plugin once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from normdeploy import plugin
from normdeploy.errors import BackendUnavailable
from normdeploy.plugin.toolchain import find_nvcc
from tests.plugins.plugin_cases import CaseRunner

BUILD_FOLDER = Path(__file__).resolve().parents[2] / "build" / "plugins-test"


@pytest.fixture(scope="session")
def library() -> Path:
    """The plugin library; its tests are in BUILD_FOLDER. It must build wherever nvcc is installed."""
    try:
        find_nvcc()
    except BackendUnavailable as error:
        pytest.skip(str(error))
    installed = BUILD_FOLDER / "installed"
    installed.mkdir(parents=True, exist_ok=True)
    return plugin.build(
        installed / "libnormdeploy_plugins.so",
        architectures=["75-real", "90"],
        headers="wheel",
        tests=True,
        folder=BUILD_FOLDER,
        jobs=2,
    )


@pytest.fixture(scope="session")
def build_folder(library: Path) -> Path:
    return BUILD_FOLDER


@pytest.fixture
def host(build_folder: Path, tmp_path: Path) -> CaseRunner:
    """Executes the kernels' source on this machine's CPU."""
    return CaseRunner([build_folder / "tests" / "run_cases_on_host"], tmp_path)
