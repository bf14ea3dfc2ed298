"""Export torch modules to ONNX: LRN as one node, BatchNorm folded, nothing of ours needed to run the file."""

from __future__ import annotations

import inspect
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import onnx_ir as ir
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from normdeploy.errors import ExportError, InputError, UsageError
from normdeploy.graph.io import save
from normdeploy.passes import OptimizationReport, Progress, rewrite, silent
from normdeploy.torch.names import name_dimensions, name_nodes_by_module

Inputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
"""Example inputs: one tensor, the positional arguments of `forward`, or its arguments by name."""


def export(
    module: nn.Module | ExportedProgram,
    args: Inputs | None,
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int]] = MappingProxyType({}),
    dynamic: Mapping[str, Sequence[int]] = MappingProxyType({}),
    output_names: Sequence[str] | None = None,
    opset: int | None = None,
    fold: bool = True,
    progress: Progress = silent,
) -> OptimizationReport:
    """Write a torch module as an ONNX model.

    Across-channel LRN of odd size becomes one `LRN` node where onnxruntime and TensorRT take it, and stays
    the graph that torch computes elsewhere. LRN within a channel becomes `normdeploy.IntraChannelLRN` with
    its body of standard operators. BatchNorm is folded into the linear layer before it; the report names
    each one, and the reason for those that are kept. The file passes onnx.checker with full_check.

    Args:
        module: in evaluation mode; or an exported program.
        args: example inputs. None only for an exported program, which knows its own.
        path: of the file to write, whole or not at all.
        shapes: other shapes for example inputs, by name.
        dynamic: axes that may have any size, by input name. Axis 0 of all inputs is one batch axis.
        output_names: one for each output; by default "output", or "output_0", "output_1", ...
        opset: version of the standard operator set, torch's default otherwise.
        fold: whether to fold BatchNorm.
        progress: is told what is being done.

    Returns:
        What became of each BatchNorm and LRN, with the reason for those that were kept.

    Raises:
        ExportError: a module in training mode, or one that torch cannot export.
        InputError: example inputs that do not fit `forward`.
        UsageError: names, shapes or axes that the module does not have, or a file that cannot be written.

    Example:
        >>> import tempfile, torch, normdeploy as nd
        >>> net = torch.nn.Sequential(
        ...     torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.LocalResponseNorm(5)
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/net.onnx"
        ...     report = nd.export(net.eval(), torch.zeros(1, 3, 16, 16), path, dynamic={"input": [0]})
        ...     y = nd.evaluate(path, {"input": torch.ones(2, 3, 16, 16).numpy()})["output"]
        >>> y.shape
        (2, 8, 14, 14)
        >>> [(layer.node, layer.status, layer.into) for layer in report.batchnorm]
        [('1', 'folded', '0')]
        >>> [layer.status for layer in report.lrn]
        ['recovered']
    """
    if isinstance(module, ExportedProgram):
        if shapes or dynamic:
            raise UsageError(
                "an exported program has fixed its shapes: give --shape and --dynamic to torch.export"
            )
        _refuse_training_program(module)
        program = module
    else:
        _refuse_training_module(module)
        progress("tracing")
        program = _trace(module, _named(module, args), shapes, dynamic)
    progress("translating")
    model = _to_onnx(program, output_names, opset)
    name_dimensions(model, {(name, axis): _word(name, axis) for name in dynamic for axis in dynamic[name]})
    report = rewrite(model, fold=fold, progress=progress)
    progress("writing")
    save(model, path)
    return report


def _refuse_training_module(module: nn.Module) -> None:
    training = [name or type(module).__name__ for name, part in module.named_modules() if part.training]
    if training:
        more = f" and {len(training) - 1} more" if len(training) > 1 else ""
        raise ExportError(
            f"module '{training[0]}'{more} is in training mode; call module.eval() first, so that BatchNorm "
            "uses its trained statistics and Dropout does nothing"
        )


def _refuse_training_program(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        arguments = zip(schema.arguments, node.args, strict=False) if schema is not None else ()
        if any(argument.name in ("train", "training") and value is True for argument, value in arguments):
            raise ExportError(
                f"the program was exported in training mode ('{node.name}' trains): call module.eval() first"
            )


def _named(module: nn.Module, args: Inputs | None) -> dict[str, Tensor]:
    """The example inputs by the names of forward's parameters."""
    if args is None:
        raise UsageError("example inputs are missing")
    signature = inspect.signature(module.forward)
    try:
        if isinstance(args, Mapping):
            bound = signature.bind(**args)
        else:
            bound = signature.bind(*([args] if isinstance(args, Tensor) else args))
    except TypeError as error:
        raise InputError(f"the example inputs do not fit {type(module).__name__}.forward: {error}") from error
    for name, value in bound.arguments.items():
        if not isinstance(value, Tensor):
            raise InputError(f"the example input '{name}' is {type(value).__name__}, not a tensor")
    return dict(bound.arguments)


def _trace(
    module: nn.Module,
    inputs: dict[str, Tensor],
    shapes: Mapping[str, Sequence[int]],
    dynamic: Mapping[str, Sequence[int]],
) -> ExportedProgram:
    for name in (*shapes, *dynamic):
        if name not in inputs:
            raise UsageError(f"the module has no input '{name}'; it has {', '.join(inputs)}")
    inputs = {name: _resized(value, shapes.get(name)) for name, value in inputs.items()}
    axes = {name: _checked_axes(name, inputs[name], dynamic.get(name, ())) for name in inputs}
    inputs = {name: _at_least_two(value, axes[name]) for name, value in inputs.items()}
    dims = {name: dict.fromkeys(axes[name], Dim.DYNAMIC) for name in inputs}
    try:
        with _quiet():
            return torch.export.export(
                module, (), inputs, dynamic_shapes=dims if any(axes.values()) else None
            )
    except Exception as error:  # torch raises many types for what a module may do wrong
        raise ExportError(f"torch cannot export {type(module).__name__}: {_first_line(error)}") from error


def _word(name: str, axis: int) -> str:
    return "batch" if axis == 0 else f"{name}_dim{axis}"


def _resized(value: Tensor, shape: Sequence[int] | None) -> Tensor:
    if shape is None:
        return value
    if value.is_floating_point():
        return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(0)).to(value.dtype)
    return torch.zeros(tuple(shape), dtype=value.dtype)


def _checked_axes(name: str, value: Tensor, axes: Sequence[int]) -> list[int]:
    for axis in axes:
        if not 0 <= axis < value.dim():
            raise UsageError(f"input '{name}' of shape {tuple(value.shape)} has no axis {axis}")
    return sorted(set(axes))


def _at_least_two(value: Tensor, axes: Sequence[int]) -> Tensor:
    """torch takes a size of 1 for a constant: a dynamic axis needs an example of 2 or more."""
    for axis in axes:
        if value.shape[axis] == 1:
            value = value.repeat_interleave(2, axis)
    return value


def _to_onnx(program: ExportedProgram, output_names: Sequence[str] | None, opset: int | None) -> ir.Model:
    count = len(program.graph_signature.user_outputs)
    names = list(
        output_names or (["output"] if count == 1 else [f"output_{index}" for index in range(count)])
    )
    if len(names) != count:
        raise UsageError(f"the module has {count} outputs, {len(names)} names were given")
    try:
        with _quiet():
            result = torch.onnx.export(
                program,
                (),
                dynamo=True,
                optimize=False,
                verbose=False,
                opset_version=opset,
                output_names=names,
            )
    except Exception as error:  # torch raises many types for what it cannot translate
        raise ExportError(f"torch cannot write this module as ONNX: {_first_line(error)}") from error
    assert result is not None
    name_nodes_by_module(result.model)
    ClearMetadataAndDocStringPass()(result.model)  # stack traces with the exporting machine's paths
    return result.model


def _first_line(error: BaseException) -> str:
    """The root cause in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's progress notes and deprecation warnings off the terminal."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
