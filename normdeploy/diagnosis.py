"""What is installed on this machine, and which backends work on it."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from normdeploy.backends.catalog import BACKENDS, Backend
from normdeploy.backends.hardware import gpu_status
from normdeploy.backends.tensorrt.libraries import LIBRARIES
from normdeploy.errors import BackendFailure
from normdeploy.files import scratch_folder
from normdeploy.graph.io import save
from normdeploy.lrn import LRN, lrn
from normdeploy.results import Result

SCHEMA = 1

_PACKAGES = ("normdeploy", "numpy", "onnx", "onnx-ir", "ml_dtypes", "torch", "onnxscript")
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Args:
        name: a package, a backend, a driver or a tool.
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
        backends: which of them work here.
        hardware: the driver, and the compiler that the plugin needs.
    """

    packages: Sequence[Finding]
    backends: Sequence[Finding]
    hardware: Sequence[Finding]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        return {"schema": SCHEMA, **asdict(self)}

    def __rich__(self) -> RenderableType:
        return Group(
            _table("packages", self.packages),
            _table("backends", self.backends),
            _table("hardware", self.hardware),
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


def doctor() -> Diagnosis:
    """Look at packages, driver and compiler, and run a small LRN in every backend.

    Returns:
        What works here, and for what does not, how to mend it.

    Example:
        >>> import normdeploy as nd
        >>> found = nd.doctor()
        >>> {backend.name: backend.works for backend in found.backends}["onnxruntime"]
        True
    """
    python = Finding("python", True, f"{platform.python_version()} ({sys.executable})")
    return Diagnosis(
        [python, *map(_package, _PACKAGES), *_tensorrt_packages()],
        [_try(backend) for backend in BACKENDS.values()],
        [Finding("GPU driver", gpu_status().usable, gpu_status().detail), _compiler()],
    )


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, f"not installed: run  pip install 'normdeploy{_EXTRAS.get(name, '')}'")


_EXTRAS: Mapping[str, str] = {"torch": "[torch]", "onnxscript": "[torch]"}


def _tensorrt_packages() -> list[Finding]:
    found = {
        distribution.name: distribution.version
        for distribution in importlib.metadata.distributions()
        if (distribution.name or "").lower().startswith("tensorrt")
    }
    if not found:
        return [
            Finding(
                "tensorrt",
                False,
                "not installed: run  pip install 'normdeploy[gpu]'  or  pip install 'normdeploy[rtx]'",
            )
        ]
    return [Finding(name, True, version) for name, version in sorted(found.items())]


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


def _compiler() -> Finding:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        return Finding("nvcc", False, "not found (needed to build the plugin only): install the CUDA toolkit")
    try:
        result = _run([nvcc, "--version"])
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("nvcc", False, f"{nvcc} does not run ({error})")
    release = next((line for line in result.stdout.splitlines() if "release" in line), "unknown version")
    return Finding("nvcc", result.returncode == 0, f"{release.strip()} ({nvcc})")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
