"""The NumPy reference in float64 against onnx.reference in float32, on Inception v1 at 1x3x224x224.

    python benchmarks/reference_speed.py [--runs N] [--json FILE]

Both evaluators run in turn in one process, and the medians are compared. onnx.reference computes LRN
wrongly (onnx/onnx#7805), so its result is not compared; onnxruntime's is, where it is installed.
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
    machine = environment("numpy", "onnx")
    print("  " + ", ".join(f"{name} {value}" for name, value in machine.items()))
    if options.json:
        report = {"seconds": times, "ratio": ratio, "error": error, "environment": machine}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if ratio >= TARGET else 1


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
