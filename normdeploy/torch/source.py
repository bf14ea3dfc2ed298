"""What `normdeploy export` takes: a factory in a module or a file, or an exported program. Never a pickle."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType, ModuleType

import torch
from torch import nn
from torch.export import ExportedProgram

from normdeploy.budget import require_memory, spending
from normdeploy.errors import BudgetExceeded, ExportError, UsageError
from normdeploy.inputs.user_code import function_of, is_function_reference, load_function, user_code
from normdeploy.passes import OptimizationReport, Progress, silent
from normdeploy.torch.export import Inputs, export

PROGRAM = ".pt2"
"""How the names of exported programs end."""

_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt")
_SAFE_MEMBER = re.compile(
    r"archive_format|archive_version|byteorder|\.data/.*|\.format_version|extra/.*"
    r"|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
)
"""Members of a .pt2 archive that hold no code: no custom objects and no compiled libraries."""


def export_source(
    source: str,
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int]] = MappingProxyType({}),
    dynamic: Mapping[str, Sequence[int]] = MappingProxyType({}),
    opset: int | None = None,
    fold: bool = True,
    timeout: float | None = None,
    max_memory: float | None = None,
    progress: Progress = silent,
) -> OptimizationReport:
    """Export what a source names.

    Args:
        source: `package.module:factory` or `file.py:factory`, a callable that returns a module and its
            example inputs; or the path of a `.pt2` exported program.
        path: of the file to write.
        shapes, dynamic, opset, fold, progress: see `export`.
        timeout: seconds that reading and translating a `.pt2` may take, 600 by default. A factory, whose code
            is the user's, has no limit.
        max_memory: bytes that this may take, half of the machine's memory by default.

    Returns:
        What became of each BatchNorm and LRN.

    Raises:
        UsageError: a source of another form, or one that is not there.
        ExportError: a pickled file, a factory that fails, a program that would run code when loaded.
        BudgetExceeded: an exported program that would take, or has taken, more than it may.
    """
    suffix = Path(source).suffix.lower()
    if suffix in _PICKLES:
        raise ExportError(
            f"{source}: a pickled file runs code when it is loaded; save torch.export.export(...) as .pt2, "
            "or name a factory: file.py:factory"
        )
    program: nn.Module | ExportedProgram
    inputs: Inputs | None = None
    with spending(timeout, max_memory) if suffix == PROGRAM else nullcontext():
        if suffix == PROGRAM:
            program = load_program(Path(source))
        else:
            progress("building the module")
            program, inputs = _built(source)
        return export(
            program, inputs, path, shapes=shapes, dynamic=dynamic, opset=opset, fold=fold, progress=progress
        )


def load_program(path: Path) -> ExportedProgram:
    """Read an exported program, of which torch unpickles plain tensors only (weights_only).

    Args:
        path: of the `.pt2` file.

    Raises:
        UsageError: no such file.
        ExportError: not an exported program, or one with custom objects or compiled libraries.
        BudgetExceeded: what is in the archive takes more memory than there is.
    """
    if not os.path.isfile(path):
        raise UsageError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_code(archive, path)
            require_memory([sum(member.file_size for member in archive.infolist())], 1)
    except MemoryError as error:
        raise BudgetExceeded(f"{path}: unpacked, {error}") from error
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError) as error:
        raise ExportError(f"{path}: not an exported program (.pt2), or a truncated one") from error
    before = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    said = _Said()
    try:
        with said:
            return torch.export.load(path)
    except pickle.UnpicklingError as error:
        raise ExportError(f"{path}: holds pickled objects other than tensors, which may run code") from error
    except Exception as error:  # a damaged archive fails anywhere in torch's reader
        reason = said.last_line or _reason(error)
        raise ExportError(f"{path}: torch cannot read this exported program: {reason}") from error
    finally:
        if before is None:
            del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
        else:
            os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = before


def _refuse_code(archive: zipfile.ZipFile, path: Path) -> None:
    names = archive.namelist()
    if len(set(names)) != len(names):
        raise ExportError(f"{path}: the archive holds a member twice")
    for name in names:
        member = name.partition("/")[2]
        if not _SAFE_MEMBER.fullmatch(member):
            raise ExportError(
                f"{path}: '{member or name}' may run code when it is loaded; save the program anew"
            )


def _built(source: str) -> tuple[nn.Module, Inputs]:
    """What the factory returns, whose code is the user's."""
    place, separator, name = source.rpartition(":")
    if not separator or not place or not name:
        raise UsageError(
            f"'{source}': name a factory as package.module:factory or file.py:factory, or a .pt2 file"
        )
    if is_function_reference(source):
        factory, path = load_function(source, ExportError)
    else:
        factory, path = function_of(_import_module(place), name, place), Path(place)
    with user_code(path, "the factory", ExportError):
        result = factory()
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], nn.Module)):
        raise ExportError(f"{source}: the factory must return (torch.nn.Module, example inputs)")
    return result


def _import_module(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with user_code(Path(name), "importing it", ExportError):
            return importlib.import_module(name)
    except ExportError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            raise UsageError(f"cannot import '{name}': {error.__cause__}") from error
        raise


class _Said(logging.Handler):
    """What torch logs while it reads, kept off the terminal: its exception refers to it."""

    _logger = logging.getLogger("torch.export")

    def __init__(self) -> None:
        super().__init__()
        self.last_line = ""

    def emit(self, record: logging.LogRecord) -> None:
        lines = self.format(record).split("\n")
        self.last_line = next((line.strip() for line in reversed(lines) if line.strip()), self.last_line)

    def __enter__(self) -> None:
        self._before = self._logger.propagate, self._logger.handlers
        self._logger.propagate, self._logger.handlers = False, [self]

    def __exit__(self, *_: object) -> None:
        self._logger.propagate, self._logger.handlers = self._before


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
