"""What the package imports is declared, in the core or in an extra, and that is enough for its commands."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from normdeploy.backends.tensorrt.libraries import LIBRARIES
from tests.packaging.distributions import ROOT, Installation, run

EXTRAS = ("cpu", "gpu", "rtx", "torch", "images", "profile", "report")
"""For users; the others are for developers."""

DISTRIBUTIONS = {
    "PIL": "pillow",
    "google": "protobuf",
    "onnx_ir": "onnx-ir",
    "pynvml": "nvidia-ml-py",
    "tensorrt_bindings": "tensorrt",
    "tensorrt_libs": "tensorrt",
    "tensorrt_rtx_bindings": "tensorrt-rtx",
}
"""Of modules with another name than the distribution that brings them."""

FILES = sorted((ROOT / "normdeploy").rglob("*.py"))

DIGITS = ROOT / "models" / "digits"


def imported(path: Path) -> set[str]:
    """The distributions that a file imports from, those of importlib.import_module("name") too."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            modules.add(node.module)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            modules.update(
                word.value
                for word in node.args
                if isinstance(word, ast.Constant) and isinstance(word.value, str)
            )
    tops = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"normdeploy"}
    return {canonicalize_name(DISTRIBUTIONS.get(top, top)) for top in tops}


def required(metadata: Metadata, extra: str = "") -> set[str]:
    """The distributions that the core asks for, or that an extra adds to it."""
    found = metadata.requires_dist or []
    core: set[str] = {canonicalize_name(entry.name) for entry in found if applies(entry, "")}
    both: set[str] = {canonicalize_name(entry.name) for entry in found if applies(entry, extra)}
    return both - core if extra else core


def on_the_oldest_python(metadata: Metadata) -> set[str]:
    """What the core asks for there; a newer Python may have it of its own."""
    oldest = {"extra": "", "python_version": "3.10"}
    entries = metadata.requires_dist or []
    return {
        canonicalize_name(entry.name)
        for entry in entries
        if entry.marker is None or entry.marker.evaluate(oldest)
    }


def applies(entry: Requirement, extra: str) -> bool:
    return entry.marker is None or entry.marker.evaluate({"extra": extra})


def with_dependencies(names: set[str]) -> set[str]:
    """These distributions and all that they ask for, as far as they are installed."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        for line in distribution(name).requires or ():
            entry = Requirement(line)
            if applies(entry, ""):
                waiting.add(canonicalize_name(entry.name))
        waiting -= found
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_is_declared(path: Path, metadata: Metadata) -> None:
    declared = required(metadata).union(*(required(metadata, extra) for extra in EXTRAS))
    assert imported(path) <= declared | on_the_oldest_python(metadata)


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_everything_declared_for_users_is_imported(extra: str, metadata: Metadata) -> None:
    used = set().union(*map(imported, FILES))
    used |= {library.package for library in LIBRARIES.values()}  # whose modules' names are in that table
    used |= {"onnxruntime-gpu"}  # another build of onnxruntime, with the same modules
    assert required(metadata, extra) <= used


NETWORK = """
import torch
from normdeploy.torch import IntraChannelLRN

def build():
    layers = torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), IntraChannelLRN(3)
    return torch.nn.Sequential(*layers).eval(), torch.zeros(1, 1, 8, 8)
"""


@pytest.mark.parametrize(
    ("extras", "command"),
    [
        ((), "--help"),
        ((), "inspect original.onnx"),
        ((), "optimize original.onnx -o small.onnx --explain"),
        ((), "plugin build --help"),
        (("cpu",), "check digits.onnx --reference original.onnx --samples 2"),
        (("cpu", "report"), "check digits.onnx --samples 2 --html check.html"),
        (("cpu", "profile"), "profile digits.onnx --duration 0.2"),
        (("torch",), "export network.py:build -o network.onnx"),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "+".join(value) or "core",
)
def test_the_declared_packages_are_enough(
    extras: tuple[str, ...], command: str, metadata: Metadata, installation: Installation, tmp_path: Path
) -> None:
    asked = required(metadata).union(*(required(metadata, extra) for extra in extras))
    python = environment(tmp_path / "environment", with_dependencies(asked), installation)
    for model in ("digits.onnx", "original.onnx"):
        (tmp_path / model).symlink_to(DIGITS / model)
    (tmp_path / "network.py").write_text(NETWORK)
    run([python, "-m", "normdeploy", *command.split()], cwd=tmp_path, PYTHONPATH="")


def environment(folder: Path, names: set[str], installation: Installation) -> Path:
    """Make a virtual environment with normdeploy and these distributions only; return its Python.

    They are links to what is installed here, so that nothing is downloaded.
    """
    run([sys.executable, "-m", "venv", "--without-pip", folder], cwd=folder.parent)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    sources = set(installation.folder.glob("normdeploy*"))
    for name in names:
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
        sources.update(Path(str(found.locate_file(top))) for top in tops)
    for source in sources:
        (packages / source.name).symlink_to(source)
    return folder / "bin" / "python"
