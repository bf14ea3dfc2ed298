"""Plugin libraries that the user named: loading them, and giving their operators to a model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from normdeploy.backends.tensorrt.messages import Messages
from normdeploy.errors import BackendUnavailable, UsageError


@dataclass(frozen=True)
class PluginOperator:
    """A plugin by the names that TensorRT finds it with."""

    name: str
    version: str
    namespace: str


def plugin_libraries(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The files that a user names.

    Raises:
        UsageError: one is not there.
    """
    for path in paths:
        if not Path(path).is_file():
            raise UsageError(f"{path}: there is no such plugin library: run  normdeploy plugin build")
    return [Path(path).resolve() for path in paths]


def load_plugins(registry: Any, libraries: Sequence[Path], messages: Messages) -> list[PluginOperator]:
    """Load the libraries into a registry, and say what they brought.

    Raises:
        BackendUnavailable: one cannot be loaded.
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
    """Make TensorRT's parser take plugins where the model has functions, in place; return those taken.

    The parser takes a model's function before a plugin. A node whose domain is the plugin's namespace gets
    the attributes by which the parser finds the plugin, and the function goes: if the plugin is not found
    after all, that is an error and not another implementation.
    """
    by_key = {(operator.namespace, operator.name): operator for operator in operators}
    taken: list[PluginOperator] = []
    for node in _nodes(model):
        operator = by_key.get((node.domain, node.op_type))
        if operator is None:
            continue
        node.attribute.append(helper.make_attribute("plugin_namespace", operator.namespace))
        node.attribute.append(helper.make_attribute("plugin_version", operator.version))
        if operator not in taken:
            taken.append(operator)
    replaced = {(operator.namespace, operator.name) for operator in taken}
    kept = [function for function in model.functions if (function.domain, function.name) not in replaced]
    del model.functions[:]
    model.functions.extend(kept)
    return taken


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node, in subgraphs and functions too."""
    waiting = [list(model.graph.node), *(list(function.node) for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            yield node
            for attribute in node.attribute:
                waiting.extend(list(graph.node) for graph in (attribute.g, *attribute.graphs))
