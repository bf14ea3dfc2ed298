"""Times of layers from the files that onnxruntime's profiler writes. Does not import onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from normdeploy.backends.session import LayerTime

_SUFFIX = "_kernel_time"


def layer_times(trace: Path, optimized: Path) -> list[LayerTime]:
    """The mean time of each node that was executed, the first run left out.

    Args:
        trace: the profiler's JSON: events in Chrome's trace format, durations in microseconds. A node's
            kernel is the event `<name>_kernel_time`, once for each time that it ran.
        optimized: the graph that onnxruntime made of the model, whose nodes have the names of the tensors. If
            the file is missing, those are not known.
    """
    events = json.loads(trace.read_text())
    starts = sorted(event["ts"] for event in events if event.get("name") == "model_run")
    since = starts[1] if len(starts) > 1 else 0
    total: dict[tuple[str, str], float] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX) and event["ts"] >= since:
            key = (event["name"].removesuffix(_SUFFIX), event["args"].get("op_name", ""))
            total[key] = total.get(key, 0.0) + event["dur"] / 1000
    runs = max(1, len(starts) - 1)
    tensors = _tensors(optimized)
    return [
        LayerTime(name, op_type, *tensors.get(name, ((), ())), ms=spent / runs)
        for (name, op_type), spent in total.items()
    ]


def with_names(model: Path) -> bytes:
    """The model as bytes, with a name of its own for each node: the profiler tells nodes by name only.

    Tensors in external files stay where they are.
    """
    proto = onnx.load(model, load_external_data=False)
    taken: set[str] = set()
    for index, node in enumerate(proto.graph.node):
        if not node.name or node.name in taken:
            node.name = next((name for name in node.output if name and name not in taken), f"node {index}")
        taken.add(node.name)
    return bytes(proto.SerializeToString())


def _tensors(optimized: Path) -> Mapping[str, tuple[Sequence[str], Sequence[str]]]:
    """The inputs and outputs of each node that has a name."""
    if not optimized.is_file():
        return {}
    nodes = onnx.load(optimized, load_external_data=False).graph.node
    return {node.name: (list(node.input), list(node.output)) for node in nodes if node.name}
