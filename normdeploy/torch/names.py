"""Give an exported graph the names that its author knows: modules' paths for nodes, words for free axes."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

import onnx_ir as ir

from normdeploy.graph.edit import Editor

_SCOPES = "pkg.torch.onnx.name_scopes"


def name_nodes_by_module(model: ir.Model) -> None:
    """Name each node by the module that it comes from.

    The node that gives a module's result has the module's path ("features.norm1"), the others the path and
    their operator ("features.norm1/Pow"). Nodes of the outermost module keep torch's name.

    Args:
        model: as torch's exporter wrote it, with its metadata; changed in place.
    """
    editor = Editor(model.graph)
    nodes = list(model.graph)
    paths = [_module_path(node) for node in nodes]
    last = {paths[index]: index for index, node in enumerate(nodes) if node.op_type != "Constant"}
    for index, (node, path) in enumerate(zip(nodes, paths, strict=True)):
        if path:
            node.name = editor.unique(path if last.get(path) == index else f"{path}/{node.op_type}")


def _module_path(node: ir.Node) -> str:
    scopes = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))
    path = str(scopes[-2]) if len(scopes) > 1 else ""
    return "" if path.startswith("_") else path  # torch's own placeholders for code outside any module


def name_dimensions(model: ir.Model, names: Mapping[tuple[str, int], str]) -> None:
    """Rename the symbols of free axes, in every shape of the graph.

    Args:
        model: changed in place.
        names: (input, axis) -> the word for that axis. Axes that share a symbol have the first one's word.
    """
    words: dict[str, str] = {}
    for value in model.graph.inputs:
        for axis, dim in enumerate(value.shape or ()):
            word = names.get((str(value.name), axis))
            if word and isinstance(dim, ir.SymbolicDim) and dim.value:
                words.setdefault(dim.value, word)
    if not words:
        return
    pattern = re.compile("|".join(rf"\b{re.escape(symbol)}\b" for symbol in words))
    values = [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]
    for value in values:
        if value.shape is not None:
            value.shape = ir.Shape([_renamed(dim, pattern, words) for dim in value.shape])


def _renamed(
    dim: int | ir.SymbolicDim, pattern: re.Pattern[str], words: Mapping[str, str]
) -> int | str | None:
    if isinstance(dim, int) or dim.value is None:
        return dim if isinstance(dim, int) else None
    return pattern.sub(lambda match: words[match.group()], dim.value)
