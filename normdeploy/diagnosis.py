"""What is installed on this machine, and which backends work on it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from normdeploy import plugin
from normdeploy.backends.catalog import BACKENDS, Backend, find
from normdeploy.backends.hardware import gpu_status
from normdeploy.backends.tensorrt.libraries import LIBRARIES
from normdeploy.errors import BackendFailure, PluginUnavailable
from normdeploy.files import scratch_folder
from normdeploy.graph.io import save
from normdeploy.lrn import LRN, lrn
from normdeploy.plugin import toolchain
from normdeploy.results import Result

SCHEMA = 1

_PACKAGES = ("normdeploy", "numpy", "onnx", "onnx-ir", "ml_dtypes")

_FOR_DEVELOPERS = {"bench", "docs", "lint", "test"}
"""Extras that no command asks for."""

_EQUIVALENT = {"onnxruntime": ("onnxruntime", "onnxruntime-gpu")}
"""Distribution -> those that bring the same module; one of them is enough."""

_TOOLS: dict[str, Callable[[], Path]] = {
    "nvcc": toolchain.find_nvcc,
    "C++ compiler": toolchain.find_cpp_compiler,
    "cmake": toolchain.find_cmake,
    "ninja or make": toolchain.find_build_tool,
}
"""What compiling the plugin takes."""

_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Args:
        name: a package, an extra, a backend, a driver, a tool or a library.
        works: whether it can be used.
        detail: its version, or what is wrong and how to mend it.
    """

    name: str
    works: bool
    detail: str


@dataclass(frozen=True)
class Diagnosis(Result):
    """The result of `doctor`.

    Args:
        packages: what is installed.
        extras: the optional parts of normdeploy, and whether all that each brings is installed.
        backends: which of them work here; those that were asked for, or all.
        hardware: the driver.
        tools: the programs that compiling the plugin takes.
        plugin: the plugin library, and the operators in it.
    """

    packages: Sequence[Finding]
    extras: Sequence[Finding]
    backends: Sequence[Finding]
    hardware: Sequence[Finding]
    tools: Sequence[Finding]
    plugin: Sequence[Finding]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        return {"schema": SCHEMA, **asdict(self)}

    def __rich__(self) -> RenderableType:
        return Group(
            _table("packages", self.packages),
            _table("extras", self.extras),
            _table("backends", self.backends),
            _table("hardware", self.hardware),
            _table("tools to build the plugin", self.tools),
            _table("plugin", self.plugin),
        )


def _table(title: str, findings: Sequence[Finding]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(min_width=24)
    table.add_column(min_width=3)
    table.add_column(overflow="fold")
    for finding in findings:
        mark = "[green]yes[/]" if finding.works else "[yellow]no[/]"
        table.add_row(finding.name, mark, escape(finding.detail))
    return table


def doctor(backends: Sequence[str] | None = None) -> Diagnosis:
    """Look at packages, driver, compilers and plugin, and run a small LRN in every backend.

    Args:
        backends: names of those to try; by default all.

    Returns:
        What works here, and for what does not, how to mend it.

    Raises:
        UsageError: there is no backend of such a name.

    Example:
        >>> import normdeploy as nd
        >>> found = nd.doctor(backends=["onnxruntime"])
        >>> [(backend.name, backend.works) for backend in found.backends]
        [('onnxruntime', True)]
    """
    chosen = [find(name) for name in dict.fromkeys(backends or BACKENDS)]
    python = Finding("python", True, f"{platform.python_version()} ({sys.executable})")
    return Diagnosis(
        packages=[python, *map(_package, _PACKAGES)],
        extras=[_extra(name) for name in _extras()],
        backends=[_try(backend) for backend in chosen],
        hardware=[Finding("GPU driver", gpu_status().usable, gpu_status().detail)],
        tools=[_tool(name, locate) for name, locate in _TOOLS.items()],
        plugin=[_plugin()],
    )


def _package(name: str) -> Finding:
    version = _version(name)
    if version is None:
        return Finding(name, False, "not installed: run  pip install normdeploy")
    return Finding(name, True, version)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _extras() -> list[str]:
    """The names of those for users, as the installed package declares them."""
    try:
        named = importlib.metadata.metadata("normdeploy").get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return sorted(set(named) - _FOR_DEVELOPERS)


def _extra(name: str) -> Finding:
    wanted = sorted(_brought_by(name))
    there = {distribution: _installed(distribution) for distribution in wanted}
    missing = [distribution for distribution, found in there.items() if not found]
    if missing:
        lacks = " and ".join(missing)
        verb = "is" if len(missing) == 1 else "are"
        return Finding(name, False, f"{lacks} {verb} not installed: run  pip install 'normdeploy[{name}]'")
    return Finding(name, True, ", ".join(there.values()))


def _brought_by(extra: str) -> Iterator[str]:
    """The distributions that an extra asks for."""
    for line in importlib.metadata.requires("normdeploy") or ():
        requirement, _, marker = line.partition(";")
        if re.search(rf"""\bextra\s*==\s*['"]{re.escape(extra)}['"]""", marker):
            yield re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]


def _installed(distribution: str) -> str:
    """Names and versions of what brings a distribution's modules; "" where nothing does."""
    for name in _EQUIVALENT.get(distribution, (distribution,)):
        version = _version(name)
        if version is not None:
            return f"{name} {version}"
    return _tensorrt(distribution)


def _tensorrt(distribution: str) -> str:
    """TensorRT has several distributions for the same modules, by versions of CUDA."""
    for library in LIBRARIES.values():
        if library.package == distribution and any(map(importlib.util.find_spec, library.modules)):
            prefix = f"{distribution}-cu"
            found = {
                each.name: each.version
                for each in importlib.metadata.distributions()
                if (each.name or "").lower().replace("_", "-").startswith(prefix)
            }
            return ", ".join(f"{name} {version}" for name, version in sorted(found.items())) or distribution
    return ""


def _tool(name: str, locate: Callable[[], Path]) -> Finding:
    try:
        program = locate()
        return Finding(name, True, f"{toolchain.version_line(program)} ({program})")
    except PluginUnavailable as error:
        return Finding(name, False, f"{error}. Needed to build the plugin only")


def _plugin() -> Finding:
    try:
        found = plugin.info()
    except PluginUnavailable as error:
        return Finding("library", False, f"{error}. Models run without it")
    operators = ", ".join(f"{each.namespace}::{each.name}" for each in found.operators)
    return Finding("library", True, f"{found.path}, version {found.version}, operators {operators}")


def _try(backend: Backend) -> Finding:
    spec = LRN(5, 1e-2, 0.75, 2.0)
    x = np.random.default_rng(0).standard_normal((1, 8, 4, 4), dtype=np.float32)
    with scratch_folder() as folder:
        path = folder / "lrn.onnx"
        save(_one_lrn(spec), path)
        try:
            with backend.start(path, _TIMEOUT_SECONDS) as session:
                session.ready()
                y = session.run({"x": x})["y"]
                version = ", ".join(f"{name} {number}" for name, number in session.versions.items())
        except BackendFailure as failure:
            return Finding(backend.name, False, failure.reason + _builds(backend))
    right = np.allclose(y, lrn(x, spec), rtol=1e-4, atol=1e-6)
    return Finding(backend.name, right, version if right else f"{version} computes a wrong LRN")


def _builds(backend: Backend) -> str:
    """What a backend that cannot run here is still good for."""
    library = LIBRARIES.get(backend.name)
    if library is None or not library.builds_without_gpu or backend.missing(without_gpu=True) is not None:
        return ""
    return ". Without one, normdeploy build works here"


def _one_lrn(spec: LRN) -> ir.Model:
    shape = ir.Shape((1, 8, 4, 4))
    x = ir.Value(name="x", shape=shape, type=ir.TensorType(ir.DataType.FLOAT))
    standard = spec.to("onnx")
    attributes = {"size": standard.size, "alpha": standard.alpha, "beta": standard.beta, "bias": standard.k}
    node = ir.node("LRN", [x], attributes)
    (y,) = node.outputs
    y.name, y.shape, y.type = "y", shape, x.type
    graph = ir.Graph([x], [y], nodes=[node], opset_imports={"": 17}, name="lrn")
    return ir.Model(graph, ir_version=8)
