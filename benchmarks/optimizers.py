"""normdeploy.optimize against onnxslim, onnxsim and onnxruntime's own optimizer: time and nodes left.

    python benchmarks/optimizers.py [--runs N] [--json FILE]

Each tool gets the same file, reads it and returns the optimized model; all run in turn in one process, and
the medians are compared: normdeploy's without verification, which the others do not do by default, and with
it, its own default. onnxruntime writes operators of its own domains, so only its nodes are counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.machine import environment
from models.light import light_model
from normdeploy.passes import optimize

MODELS = ("densenet121", "inception_v2", "resnet50")
SCALES = ("BatchNormalization", "Mul", "Add")
"""The operators of BatchNorm and Caffe's Scale: how many are left is the point."""

Tool = Callable[[Path], onnx.ModelProto]


def normdeploy(path: Path) -> onnx.ModelProto:
    return optimize(path, verify=False).model


def onnxslim(path: Path) -> onnx.ModelProto:
    import onnxslim

    return onnxslim.slim(onnx.load(path))


def onnxsim(path: Path) -> onnx.ModelProto:
    import onnxsim

    return onnxsim.simplify(onnx.load(path))[0]


def onnxruntime(path: Path) -> onnx.ModelProto:
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "model.onnx")
        runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def verified(path: Path) -> onnx.ModelProto:
    """normdeploy as it is by default."""
    return optimize(path).model


RIVALS: tuple[Tool, ...] = (onnxslim, onnxsim)
MOST_VERIFIED = 2.0
"""Times as long as the faster rival that normdeploy may take with its verification."""


def main() -> int:
    parser = argparse.ArgumentParser(description="optimizers on three models of the onnx package")
    parser.add_argument("--runs", type=int, default=5, help="runs of each tool (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    results, met = {}, True
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            path = Path(folder) / f"{name}.onnx"
            onnx.save(light_model(name), path)
            results[name] = _compare(path, options.runs)
            met &= _show(name, results[name])
    machine = environment("onnx", "onnxslim", "onnxsim", "onnxruntime")
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    if options.json:
        options.json.write_text(json.dumps({"models": results, "environment": machine}, indent=2) + "\n")
    return 0 if met else 1


def _compare(path: Path, runs: int) -> dict[str, dict[str, object]]:
    tools: tuple[Tool, ...] = (normdeploy, *RIVALS, onnxruntime)
    left = {tool.__name__: Counter(node.op_type for node in tool(path).graph.node) for tool in tools}
    times: dict[str, list[float]] = {tool.__name__: [] for tool in (*tools, verified)}
    for _ in range(runs):
        for tool in (*tools, verified):
            times[tool.__name__].append(_seconds(tool, path))
    results: dict[str, dict[str, object]] = {
        name: {
            "seconds": statistics.median(times[name]),
            "seconds_of_each_run": times[name],
            "nodes": left[name].total(),
            **{scale: left[name][scale] for scale in SCALES},
        }
        for name in left
    }
    results["normdeploy"]["seconds_with_verification"] = statistics.median(times["verified"])
    return results


def _seconds(run: Tool, path: Path) -> float:
    start = time.perf_counter()
    run(path)
    return time.perf_counter() - start


def _show(model: str, results: dict[str, dict[str, object]]) -> bool:
    """Print one model's table; whether no rival is faster or leaves fewer nodes."""
    print(f"light_{model}")
    print(f"  {'':12} {'seconds':>8} {'nodes':>6} " + " ".join(f"{scale:>18}" for scale in SCALES))
    for name, result in results.items():
        scales = " ".join(f"{result[scale]:>18}" for scale in SCALES)
        print(f"  {name:12} {result['seconds']:8.3f} {result['nodes']:6} {scales}")
    ours = results["normdeploy"]
    fastest = min(results[tool.__name__]["seconds"] for tool in RIVALS)
    fewest = min(results[tool.__name__]["nodes"] for tool in RIVALS)
    print(f"  the faster of {' and '.join(tool.__name__ for tool in RIVALS)} / normdeploy: ", end="")
    print(f"{fastest / ours['seconds']:.2f} (at least 1 wanted)")
    print(f"  nodes left, of the better's {fewest}: {ours['nodes']} (no more wanted)")
    longer = ours["seconds_with_verification"] / fastest
    print(
        f"  with verification in the float64 reference: {ours['seconds_with_verification']:.2f} s, ", end=""
    )
    print(f"{longer:.2f} times the faster (at most {MOST_VERIFIED:g} wanted)\n")
    return ours["seconds"] <= fastest and ours["nodes"] <= fewest and longer <= MOST_VERIFIED


if __name__ == "__main__":
    sys.exit(main())
