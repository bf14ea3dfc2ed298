"""LRN in onnxruntime on the CPU: its operator, what torch exports, and `optimize --target ort-cpu`.

    python benchmarks/lrn_ort_cpu.py [--seconds S] [--json FILE]

Contenders run in turn in one process; medians are compared. Last, light_alexnet and light_inception_v1 as
torch would export them (each LRN decomposed) against the same after `optimize`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
from onnx import numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import lrn_graphs
from benchmarks.machine import environment
from benchmarks.ort_turns import milliseconds
from models.light import light_model
from normdeploy import LRN, optimize

SHAPE = (8, 96, 55, 55)
FASTER_THAN_OPERATOR, FASTER_THAN_TORCH, FASTER_THAN_POOL = 2.5, 1.25, 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description="LRN in onnxruntime on the CPU")
    parser.add_argument("--seconds", type=float, default=10, help="for each comparison (default 10)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    results, passed = [], True

    for name, runs, goals in comparisons():
        feeds = {"x": np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)}
        times = milliseconds(runs, feeds, options.seconds)
        passed &= report(name, times, goals, results)
    for name in ("bvlc_alexnet", "inception_v1"):
        original = as_torch_exports(light_model(name))
        runs = {"as torch exports it": original, "optimized": lowered(original)}
        feeds = {"data_0": np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)}
        passed &= report(f"light_{name}", milliseconds(runs, feeds, options.seconds), {}, results)

    machine = environment("onnxruntime", "onnx", "numpy")
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    if options.json:
        options.json.write_text(json.dumps({"environment": machine, "results": results}, indent=2) + "\n")
    return 0 if passed else 1


def comparisons() -> list[tuple[str, dict[str, onnx.ModelProto], dict[str, float]]]:
    """Each with its runs, and how many times faster than others `optimized` should be."""
    across = LRN(5, 1e-4, 0.75, 2.0, "across", "onnx")
    operator = lrn_graphs.operator(across, SHAPE)
    runs = {
        "LRN operator": operator,
        "as torch exports it": lrn_graphs.as_torch(across, SHAPE),
        "optimized": lowered(operator),
    }
    goals = {"LRN operator": FASTER_THAN_OPERATOR, "as torch exports it": FASTER_THAN_TORCH}
    found = [("across channels, n = 5", runs, goals)]
    for size in (3, 7, 15):
        spec = LRN(size, 1e-4, 0.75, 2.0, "within", "torch")
        pool = lrn_graphs.pool_with_pow(spec, SHAPE)
        runs = {"AveragePool with Pow": pool, "optimized": lowered(pool)}
        found.append((f"within a channel, n = {size}", runs, {"AveragePool with Pow": FASTER_THAN_POOL}))
    return found


def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model for onnxruntime's CPU."""
    return optimize(model, target="ort-cpu", verify=False).model


def as_torch_exports(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model with each LRN decomposed as torch.onnx does."""
    model = onnx.version_converter.convert_version(model, lrn_graphs.OPSET)
    model.ir_version = 8
    parameters = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in parameters]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "LRN":
            nodes.append(node)
            continue
        x, y = node.input[0], node.output[0]
        decomposed, constants = lrn_graphs.torch_nodes(x, y, shapes[x], LRN.from_onnx(node))
        nodes += decomposed
        model.graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in constants.items()
        )
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def report(
    name: str, times: dict[str, float], goals: dict[str, float], results: list[dict[str, object]]
) -> bool:
    """Print and note a comparison; whether it reaches its goals."""
    ours = times["optimized"]
    print(name)
    for run, value in times.items():
        goal = f" (at least {goals[run]:g} wanted)" if run in goals else ""
        print(f"  {run:22} {value:8.2f} ms   optimized is {value / ours:5.2f} times as fast{goal}")
    ratios = {run: value / ours for run, value in times.items() if run != "optimized"}
    results.append({"name": name, "milliseconds": times, "times_faster": ratios, "wanted": goals})
    return all(ratios[run] >= goal for run, goal in goals.items())


if __name__ == "__main__":
    raise SystemExit(main())
