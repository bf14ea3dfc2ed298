"""Where TensorRT's headers come from: what is there, then the wheel, then git; and what is said of none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from normdeploy.errors import PluginUnavailable
from normdeploy.plugin import builder
from normdeploy.plugin.toolchain import find_toolchain

CMAKE = builder.source_folder() / "cmake"

PROGRAMS = sorted(
    {
        program
        for program in (shutil.which("cmake"), shutil.which("cmake", path=str(Path(sys.executable).parent)))
        if program is not None
    }
)
"""That of the system and that of this Python: below 3.27 CMake reads TensorRT_ROOT only."""

VARIABLES = ("TensorRT_ROOT", "TENSORRT_ROOT", "TRT_ROOT")


class Project:
    """Configures a project that wants the headers, as the plugin does."""

    def __init__(self, folder: Path, cmake: str) -> None:
        self.folder = folder
        self._cmake = cmake
        self.environment = {
            name: value for name, value in os.environ.items() if name not in (*VARIABLES, "CMAKE_PREFIX_PATH")
        }
        self.environment |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        (folder / "source").mkdir()
        (folder / "source" / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.24)\nproject(headers LANGUAGES NONE)\n"
            f'list(APPEND CMAKE_MODULE_PATH "{CMAKE}")\ninclude(TensorRTHeaders)\n'
            f'configure_file("{CMAKE}/library.json.in" library.json @ONLY)\n'
        )

    def headers(self, name: str, major: int = 10, inner: str = "include") -> Path:
        """A folder with what is looked at of TensorRT's headers."""
        folder = self.folder / name
        (folder / inner).mkdir(parents=True)
        (folder / inner / "NvInferRuntime.h").write_text("")
        (folder / inner / "NvInferVersion.h").write_text(
            f"#define NV_TENSORRT_MAJOR {major}\n#define NV_TENSORRT_MINOR 3\n#define NV_TENSORRT_PATCH 1\n"
        )
        return folder

    def configure(self, choice: str = "AUTO", *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(self._cmake, "-S", self.folder / "source", "-B", self.folder / "work"),
                *(
                    f"-DNORMDEPLOY_TENSORRT_HEADERS={choice}",
                    f"-DNORMDEPLOY_TENSORRT_GIT={self.folder / 'no'}",
                ),
                *(f"-DPython3_EXECUTABLE={sys.executable}", *options),
            ],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def found(self, choice: str = "AUTO", *options: str) -> tuple[str, str]:
        """Where the headers came from, and their version, as the library's file of JSON records it."""
        done = self.configure(choice, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "CMP0144" not in done.stderr
        recorded = json.loads((self.folder / "work" / "library.json").read_text())
        return recorded["headers_from"], recorded["tensorrt_headers"]

    def refused(self, choice: str = "AUTO", *options: str) -> str:
        done = self.configure(choice, *options)
        assert done.returncode != 0
        return builder._first_error(done.stdout + done.stderr)


@pytest.fixture(params=PROGRAMS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    return Project(tmp_path, request.param)


def skip_where_installed() -> None:
    for folder in ("/usr/include", "/usr/include/x86_64-linux-gnu", "/usr/include/aarch64-linux-gnu"):
        if Path(folder, "NvInferRuntime.h").exists():
            pytest.skip("TensorRT's headers are installed")


@pytest.mark.parametrize("inner", ["include", "."])
@pytest.mark.parametrize("variable", VARIABLES)
def test_each_variable_of_the_environment_and_of_cmake(project: Project, variable: str, inner: str) -> None:
    folder = project.headers("folder with spaces", inner=inner)
    assert project.found("AUTO", f"-D{variable}={folder}") == (variable, "10.3.1")
    shutil.rmtree(project.folder / "work")
    project.environment[variable] = str(folder)
    assert project.found() == (variable, "10.3.1")
    assert project.found("FIND") == (variable, "10.3.1")


def test_the_order(project: Project) -> None:
    """Each is set in turn, in one build folder: what an earlier run has found does not stick."""
    project.environment["CMAKE_PREFIX_PATH"] = str(project.headers("system", 11))
    assert project.found() == ("system", "11.3.1")
    for major, variable in enumerate(reversed(VARIABLES), 12):
        project.environment[variable] = str(project.headers(variable, major))
        assert project.found() == (variable, f"{major}.3.1")
    for variable in VARIABLES:
        del project.environment[variable]
    assert project.found() == ("system", "11.3.1")


def test_a_variable_that_leads_nowhere_is_passed_over(project: Project) -> None:
    project.environment["TensorRT_ROOT"] = str(project.folder / "nowhere")
    project.environment["TRT_ROOT"] = str(project.headers("there"))
    assert project.found() == ("TRT_ROOT", "10.3.1")


def test_headers_in_a_package_of_python(project: Project) -> None:
    skip_where_installed()
    packages = project.headers("site-packages/tensorrt_cu13_libs").parent
    python = project.folder / "python"
    python.write_text(f"#!/bin/sh\necho '{packages}'\n")
    python.chmod(0o755)
    assert project.found("FIND", f"-DPython3_EXECUTABLE={python}") == ("pip", "10.3.1")


def test_headers_that_are_too_old(project: Project) -> None:
    project.environment["TRT_ROOT"] = str(project.headers("old", 8))
    assert "old/include are of TensorRT 8.3.1, and 10.0 is needed: set TensorRT_ROOT" in project.refused(
        "FIND"
    )
    assert "old/include are of TensorRT 8.3.1, and 10.0 is needed; pip could" in project.refused("AUTO")


def mirror(project: Project) -> list[str]:
    """The options for a repository on this machine that holds headers."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    repository = project.headers("repository", 14)
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "headers"]):
        subprocess.run([*git, *command], check=True)
    asked = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return [
        f"-DNORMDEPLOY_TENSORRT_GIT={repository}",
        f"-DNORMDEPLOY_TENSORRT_COMMIT={asked.stdout.strip()}",
    ]


def test_git_is_the_last_resort_and_fetches_once(project: Project) -> None:
    skip_where_installed()
    options = mirror(project)
    assert project.found("AUTO", *options) == ("git", "14.3.1")
    shutil.rmtree(project.folder / "repository")
    assert project.found("GIT", *options) == ("git", "14.3.1")
    project.environment["TRT_ROOT"] = str(project.headers("there"))
    assert project.found("AUTO", *options) == ("TRT_ROOT", "10.3.1")


def test_the_wheel_comes_before_git_and_is_downloaded_once(project: Project, build_folder: Path) -> None:
    skip_where_installed()
    options = mirror(project)
    project.environment["PIP_FIND_LINKS"] = str(build_folder / "tensorrt-headers")
    assert project.found("AUTO", *options) == ("wheel", "10.14.1")
    del project.environment["PIP_FIND_LINKS"]
    assert project.found("AUTO", *options) == ("wheel", "10.14.1")
    assert project.found("GIT", *options) == ("git", "14.3.1")


def test_what_was_tried_and_what_to_do_is_one_line(project: Project) -> None:
    skip_where_installed()
    said = project.refused()
    assert "\n" not in said
    parts = (
        "TensorRT's headers are missing: NvInferRuntime.h is neither under TensorRT_ROOT, TENSORRT_ROOT or "
        "TRT_ROOT nor in a system folder",
        "; pip could not download the wheel (ERROR: ",
        "; git could not fetch them (fatal: ",
        ": install TensorRT's headers, or set TensorRT_ROOT to the folder that holds them",
    )
    places = [said.find(part) for part in parts]
    assert places[0] == 0
    assert places == sorted(places)
    assert -1 not in places
    assert said.endswith(parts[-1])
    assert "fetch them: --headers wheel, or --headers git" in project.refused("FIND")
    assert "where only PyPI is reached, use --headers wheel" in project.refused("GIT")
    assert "where PyPI is not reached, set TensorRT_ROOT" in project.refused("WHEEL")


def test_folders_that_were_named_in_vain_are_shown(project: Project) -> None:
    skip_where_installed()
    assert " is /" not in project.refused("FIND")
    project.environment |= {"TensorRT_ROOT": "/no/where", "TRT_ROOT": "/any/where else"}
    said = project.refused("FIND")
    assert "nor in a system folder (TensorRT_ROOT is /no/where, TRT_ROOT is /any/where else): set" in said


def test_without_a_network(tmp_path: Path) -> None:
    """The command itself, in a network namespace of its own, which has no way out."""
    skip_where_installed()
    try:
        find_toolchain()
    except PluginUnavailable as error:
        pytest.skip(str(error))
    alone = ["unshare", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("making a network namespace is not permitted here")
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [*alone, sys.executable, "-m", "normdeploy", "plugin", "build", "--arch", "90-real"],
        env={**environment, "XDG_CACHE_HOME": str(tmp_path), "PIP_NO_CACHE_DIR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: the plugin does not build: TensorRT's headers are missing: ")
    assert "pip could not download the wheel (" in done.stderr
    assert "git could not fetch them (" in done.stderr
    assert "set TensorRT_ROOT to the folder that holds them" in done.stderr
