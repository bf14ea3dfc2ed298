"""The NumPy reference in float64 against onnx.reference and onnxruntime in float32, at 1x3x224x224.

    python benchmarks/reference_speed.py [--runs N] [--json FILE]

They run in turn in one process, and the medians are compared: with onnx.reference on Inception v1, with
onnxruntime on ResNet-50, where both have one thread. onnx.reference computes LRN wrongly (onnx/onnx#7805), so
its result is not compared; onnxruntime's is, where it is installed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.machine import environment
from models.light import light_model
from normdeploy.reference import Evaluator

TARGET = 5.0
"""Times as fast as onnx.reference, at least."""

LIMIT = 6.0
"""Times as long as onnxruntime, at most."""


def main() -> int:
    parser = argparse.ArgumentParser(description="reference evaluators on light_inception_v1")
    parser.add_argument("--runs", type=int, default=3, help="runs of each evaluator (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    model = light_model("inception_v1")
    feeds = {"data_0": np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)}
    ours, theirs = Evaluator(model), ReferenceEvaluator(model)
    times: dict[str, list[float]] = {"normdeploy": [], "onnx.reference": []}
    result = ours.run(feeds)  # warms up
    for _ in range(options.runs):
        times["normdeploy"].append(_seconds(lambda: ours.run(feeds)))
        times["onnx.reference"].append(_seconds(lambda: theirs.run(None, feeds)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = medians["onnx.reference"] / medians["normdeploy"]

    print(f"light_inception_v1, 1x3x224x224, median of {options.runs} runs")
    print(f"  normdeploy.reference  float64  {medians['normdeploy']:8.3f} s")
    print(f"  onnx.reference        float32  {medians['onnx.reference']:8.3f} s")
    print(f"  ratio                          {ratio:8.1f}    (at least {TARGET:g} wanted)")
    error = _error_of_onnxruntime(model, feeds, result["prob_1"])
    if error is not None:
        print(f"  largest difference of onnxruntime (float32) from the reference: {error:.1e}")
    against_runtime = _against_onnxruntime(options.runs)
    machine = environment("numpy", "onnx")
    print("  " + ", ".join(f"{name} {value}" for name, value in machine.items()))
    if options.json:
        report = {
            "seconds": times, "ratio": ratio, "error": error, "onnxruntime": against_runtime,
            "environment": machine,
        }  # fmt: skip
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    slow = against_runtime is not None and against_runtime["times_as_long"] > LIMIT
    return 0 if ratio >= TARGET and not slow else 1


def _against_onnxruntime(runs: int) -> dict[str, object] | None:
    """ResNet-50 with one thread each."""
    try:
        import onnxruntime
    except ImportError:
        return None
    model = light_model("resnet50")
    feeds = {"gpu_0/data_0": np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)}
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    ours = Evaluator(model, keep_weights=True)
    ours.run(feeds)
    session.run(None, feeds)
    times: dict[str, list[float]] = {"normdeploy": [], "onnxruntime": []}
    for _ in range(max(runs, 5)):
        times["normdeploy"].append(_seconds(lambda: ours.run(feeds)))
        times["onnxruntime"].append(_seconds(lambda: session.run(None, feeds)))
    longer = statistics.median(times["normdeploy"]) / statistics.median(times["onnxruntime"])
    print(f"light_resnet50, one thread: {longer:.1f} times as long as onnxruntime (at most {LIMIT:g} wanted)")
    return {"seconds": times, "times_as_long": longer}


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _error_of_onnxruntime(
    model: onnx.ModelProto, feeds: dict[str, np.ndarray], expected: np.ndarray
) -> float | None:
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that initializers are inputs
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return float(np.abs(session.run(None, feeds)[0] - expected).max())


if __name__ == "__main__":
    raise SystemExit(main())
