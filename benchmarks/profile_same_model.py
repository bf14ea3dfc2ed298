"""Two runs of one model against each other: how often does `profile` see a difference that is not there?

    python benchmarks/profile_same_model.py [--tries N] [--duration SECONDS] [--json FILE]

Each try starts two processes of the same small file and times them in turn. On a machine that does other work
at the same time, too, at least 19 of 20 tries must say "no difference".
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.machine import environment
from normdeploy.profiling import profile

TARGET = 0.95


def main() -> int:
    parser = argparse.ArgumentParser(description="false alarms of normdeploy profile --against")
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--duration", type=float, default=2.0, help="seconds per model and try (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    tries = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.onnx"
        onnx.save(small_model(), path)
        for index in range(options.tries):
            result = profile(
                path, against=path, backends=["onnxruntime"], duration=options.duration, seed=index
            )
            (quantity,) = result.changes[0].quantities
            tries.append({**quantity.to_json(), "load": os.getloadavg()[0]})
            low, high = quantity.interval
            print(
                f"  try {index + 1:2}  ratio {quantity.ratio:.3f} ({low:.3f} to {high:.3f})  "
                f"load {os.getloadavg()[0]:4.1f}  {quantity.verdict}",
                flush=True,
            )
    agreed = sum(found["verdict"] == "no difference" for found in tries)
    print(f"no difference in {agreed} of {options.tries} tries (at least {TARGET:.0%} wanted)")
    machine = environment("onnxruntime", "arch")
    print("  " + ", ".join(f"{name} {value}" for name, value in machine.items()))
    if options.json:
        report = {"tries": tries, "no_difference": agreed, "environment": machine}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if agreed >= TARGET * options.tries else 1


def small_model() -> onnx.ModelProto:
    """x (1, 3, 32, 32) -> Conv -> LRN -> y: a fraction of a millisecond."""
    weights = np.random.default_rng(0).standard_normal((16, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
            helper.make_node("LRN", ["c"], ["y"], size=5, alpha=1e-2, bias=2.0),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 32, 32])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    raise SystemExit(main())
