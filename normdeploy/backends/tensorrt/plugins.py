"""Plugin libraries that the user names: loading them, and making a model use their operators."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from normdeploy.backends.tensorrt.messages import Messages
from normdeploy.errors import BackendUnavailable, UsageError
from normdeploy.graph.protobuf import proto_nodes
from normdeploy.plugin.library import PluginOperator


def plugin_libraries(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The plugin libraries that a user names, as absolute paths, each once.

    Raises:
        UsageError: one is not there.
    """
    for path in paths:
        if not os.path.isfile(path):
            raise UsageError(f"{path}: there is no such plugin library: run  normdeploy plugin build")
    return list(dict.fromkeys(Path(path).resolve() for path in paths))


def load_plugins(registry: Any, libraries: Sequence[Path], messages: Messages) -> list[PluginOperator]:
    """Load plugin libraries into TensorRT's registry.

    Args:
        registry: TensorRT's `IPluginRegistry`.
        libraries: the shared objects.
        messages: TensorRT's log, which has the reason where one does not load.

    Returns:
        The operators that they add to the registry.

    Raises:
        BackendUnavailable: one does not load.
    """
    before = set(_operators(registry))
    for library in libraries:
        if registry.load_library(str(library)) is None:
            raise BackendUnavailable(f"the plugin library {library} does not load: {messages.reason}")
    return [operator for operator in _operators(registry) if operator not in before]


def _operators(registry: Any) -> Iterator[PluginOperator]:
    for creator in registry.all_creators:
        yield PluginOperator(creator.name, creator.plugin_version, creator.plugin_namespace)


def prefer_plugins(model: onnx.ModelProto, operators: Sequence[PluginOperator]) -> list[PluginOperator]:
    """Replace the model's functions by plugins of the same names, in place.

    TensorRT's parser takes a model's function before a plugin. So a node whose domain is the plugin's
    namespace gets the attributes by which the parser finds the plugin, and the function goes: if the plugin
    is not found after all, that is an error and not another implementation.

    Args:
        model: the model.
        operators: the operators that plugins compute.

    Returns:
        Those that the model uses.
    """
    by_key = {(operator.namespace, operator.name): operator for operator in operators}
    used: list[PluginOperator] = []
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in proto_nodes(nodes):
            operator = by_key.get((node.domain, node.op_type))
            if operator is None:
                continue
            _set_attribute(node, "plugin_namespace", operator.namespace)
            _set_attribute(node, "plugin_version", operator.version)
            if operator not in used:
                used.append(operator)
    replaced = {(operator.namespace, operator.name) for operator in used}
    kept = [function for function in model.functions if (function.domain, function.name) not in replaced]
    del model.functions[:]
    model.functions.extend(kept)
    return used


def _set_attribute(node: onnx.NodeProto, name: str, value: str) -> None:
    present = (attribute for attribute in node.attribute if attribute.name == name)
    attribute = next(present, None) or node.attribute.add()
    attribute.CopyFrom(helper.make_attribute(name, value))
