"""Building the plugin library, with CMake and nvcc."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, get_args

from normdeploy.choices import Headers
from normdeploy.errors import PluginUnavailable, UsageError
from normdeploy.files import is_stdout, resolved_target, scratch_folder, staged
from normdeploy.plugin.library import INFO_SUFFIX, LIBRARY_NAME, cache_folder, default_library
from normdeploy.plugin.toolchain import Toolchain, find_toolchain, supported_architectures
from normdeploy.signals import undisturbed

_ARCHITECTURES = (75, 80, 86, 89, 90, 100, 110, 120)
_LOG_NAME = "build.log"
_CMAKE_ERROR = r"CMake Error{}[^\n]*\n((?:[ \t]+[^\n]*\n|\n)+)"
"""In a log; with what its first line has to hold in addition."""


def build(
    output: str | os.PathLike[str] | None = None,
    *,
    architectures: Sequence[str] | None = None,
    headers: Headers = "auto",
    tests: bool = False,
    folder: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
) -> Path:
    """Build the library.

    Two builds in one folder do not meet: the second waits for the first.

    Args:
        output: the shared object to write; by default where `normdeploy.plugin.path` looks. A JSON file of
            the same name, which `normdeploy.plugin.info` reads, is put beside it.
        architectures: what to compile for, as CMake writes it: "90-real", "120", "native"; by default every
            architecture from sm_75 to sm_120 that nvcc knows, and PTX for newer ones.
        headers: "find" uses the folder that TensorRT_ROOT, TENSORRT_ROOT or TRT_ROOT names, the system's
            folders and Python's packages; "wheel" fetches a package from PyPI, "git" NVIDIA's open-source
            release; "auto" tries these in turn.
        tests: also build the library's own tests, into `folder`.
        folder: where CMake works and the build log (build.log) goes; kept, so that building again is quick.
        jobs: processes at a time; by default one per core.

    Returns:
        The shared object.

    Raises:
        PluginUnavailable: a program, the source or the headers are missing, or the build fails; the message
            says which.
        UsageError: an argument makes no sense, or `output` or `folder` cannot be written.
    """
    if headers not in get_args(Headers):
        raise UsageError(f"headers must be one of {', '.join(get_args(Headers))}, got {headers!r}")
    if output is not None:
        _require_room_beside(output)
    source = source_folder()
    toolchain = find_toolchain()
    target = Path(output) if output is not None else default_library()
    work = Path(folder) if folder is not None else cache_folder() / "build"
    if output is None:
        _make_folder(target.parent)
    _make_folder(work)
    if architectures is None:
        architectures = _all_architectures(toolchain)
    settings = (
        f"-DCMAKE_CUDA_ARCHITECTURES={';'.join(architectures)}",
        f"-DNORMDEPLOY_TENSORRT_HEADERS={headers.upper()}",
        f"-DNORMDEPLOY_PLUGIN_TESTS={'ON' if tests else 'OFF'}",
        f"-DPython3_EXECUTABLE={sys.executable}",
    )
    environment = {**os.environ, "CUDACXX": str(toolchain.nvcc)}
    with _alone(work), (work / _LOG_NAME).open("w", encoding="utf-8") as log:
        _run(
            [
                toolchain.cmake,
                *_fresh(work, source, toolchain),
                *("-S", source, "-B", work),
                *toolchain.generator,
                *settings,
            ],
            log,
            environment,
        )
        parallel = str(jobs or os.cpu_count() or 1)
        _run([toolchain.cmake, "--build", work, "--parallel", parallel], log, environment)
        with staged(target) as part:
            shutil.copy2(work / LIBRARY_NAME, part)
            shutil.copy2((work / LIBRARY_NAME).with_suffix(INFO_SUFFIX), part.with_suffix(INFO_SUFFIX))
    return target


def _require_room_beside(output: str | os.PathLike[str]) -> None:
    """Check, before compiling, that the library and the JSON file beside it are two files.

    Raises:
        UsageError: they are not, or the library's place is no file.
    """
    if is_stdout(output):
        raise UsageError("-o has to name a file: another one is written beside it")
    if resolved_target(output).suffix == INFO_SUFFIX:
        raise UsageError(
            f"{os.fspath(output)}: is the name of the file beside the library: choose one that ends in .so"
        )


def source_folder() -> Path:
    """The C++ source: inside the installed package, or beside the package in a clone of the repository.

    It is only read, so it may be on a read-only disk.

    Raises:
        PluginUnavailable: it is in neither.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = (package / "_plugin_source", package.parent / "plugins")
    for candidate in candidates:
        if (candidate / "CMakeLists.txt").is_file():
            return candidate
    looked = " and ".join(str(candidate) for candidate in candidates)
    raise PluginUnavailable(
        f"the plugin's source is missing (looked in {looked}): install normdeploy from a wheel or a clone"
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror}): name another folder") from error
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{folder}: cannot be written: name another folder")


def _fresh(work: Path, source: Path, toolchain: Toolchain) -> tuple[str, ...]:
    """CMake's option to begin anew, where an earlier build had another source or generator.

    CMake refuses such a folder, and the user's cache outlives the environment that holds the source.
    """
    try:
        cache = (work / "CMakeCache.txt").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    same = {f"CMAKE_HOME_DIRECTORY:INTERNAL={source}", f"CMAKE_GENERATOR:INTERNAL={toolchain.generator[1]}"}
    return () if same <= set(cache) else ("--fresh",)


def _all_architectures(toolchain: Toolchain) -> list[str]:
    known = supported_architectures(toolchain.nvcc)
    chosen = [number for number in _ARCHITECTURES if number in known]
    if not chosen:
        raise PluginUnavailable(f"{toolchain.nvcc} compiles for none of {_ARCHITECTURES}: pass architectures")
    *machine_code_only, newest = chosen
    return [*(f"{number}-real" for number in machine_code_only), str(newest)]


def _run(command: Sequence[str | Path], log: IO[str], environment: dict[str, str]) -> None:
    """Run with the output in the log.

    Raises:
        PluginUnavailable: the command fails; the message has the first error in the log.
    """
    begin = log.tell()
    with scratch_folder() as scratch, ExitStack() as stack:
        with undisturbed():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, "TMPDIR": str(scratch)},
                start_new_session=True,  # so that compilers that it started end with it
            )
            stack.callback(_end, process)
        status = process.wait()
    log.seek(0, os.SEEK_END)
    if status != 0:
        with Path(log.name).open(encoding="utf-8", errors="replace") as written:
            written.seek(begin)
            reason = _first_error(written.read())
        raise PluginUnavailable(f"the plugin does not build: {reason} (all of it in {log.name})")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _first_error(text: str) -> str:
    """What our own CMake says of the headers, or the first line that tells an error.

    CMake puts the text of its errors on the lines after the one that has the word.
    """
    headers = re.search(_CMAKE_ERROR.format(r"[^\n]*TensorRTHeaders\.cmake"), text)
    if headers is not None:
        return " ".join(headers[1].split())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(fatal|error)\b", line) and "--error" not in line]
    cmake = re.search(_CMAKE_ERROR.format(""), text)
    if cmake is not None and not errors:
        return " ".join(cmake[1].split())
    return (errors or lines or ["no output"])[0]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
