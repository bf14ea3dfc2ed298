"""`normdeploy check` against `polygraphy run --onnxrt`, on the same model and the same inputs.

    python benchmarks/check_speed.py [--runs N] [--json FILE]

Whole commands are timed, in turn, imports included, by the clock and by the processor time of all their
processes. normdeploy computes a float64 reference and measures rounding, of one sample or several; Polygraphy
runs onnxruntime on one and computes no reference. Needs the extra `bench`, and no torch: where it is
installed, Polygraphy imports it, and takes more than a second longer.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from polygraphy.json import save_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.machine import environment
from models.light import light_model

CASES = {
    "bvlc_alexnet": ("bvlc_alexnet", 1, 0.8),
    "inception_v1": ("inception_v1", 1, 0.8),
    "resnet50": ("resnet50", 1, 1.0),
    "resnet50, 8 samples": ("resnet50", 8, 2.5),
}
"""A model, how many samples are checked, and how many times as long as Polygraphy's one that may take."""

BIN = Path(sys.executable).parent


Times = dict[str, list[float]]


def main() -> int:
    parser = argparse.ArgumentParser(description="time of check against polygraphy run")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    results, met = {}, True
    with tempfile.TemporaryDirectory() as folder:
        for case, (model, samples, limit) in CASES.items():
            commands = _commands(model, samples, Path(folder))
            times: Times = {command: [] for command in commands}
            processor: Times = {command: [] for command in commands}
            for _ in range(options.runs):
                for command, line in commands.items():
                    wall, spent = _seconds(line)
                    times[command].append(wall)
                    processor[command].append(spent)
            ratio = statistics.median(times["polygraphy"]) / statistics.median(times["normdeploy"])
            results[case] = {"seconds": times, "processor_seconds": processor, "ratio": ratio}
            print(f"light_{model}, {samples} checked, median of {options.runs} runs")
            for command in commands:
                wall, spent = statistics.median(times[command]), statistics.median(processor[command])
                print(f"  {command:12} {wall:6.2f} s, of processors {spent:6.2f} s")
            print(f"  times as long {1 / ratio:5.2f}    (at most {limit:g} wanted)")
            met &= 1 / ratio <= limit
    machine = environment("numpy", "onnxruntime", "polygraphy", "torch")
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    if options.json:
        options.json.write_text(json.dumps({"models": results, "environment": machine}, indent=2) + "\n")
    return 0 if met else 1


def _commands(name: str, samples: int, folder: Path) -> dict[str, list[str]]:
    path, npz, inputs = folder / f"{name}.onnx", folder / f"{name}.npz", folder / f"{name}.json"
    graph = light_model(name)
    weights = {tensor.name for tensor in graph.graph.initializer}
    onnx.save(graph, path)
    (data,) = (value.name for value in graph.graph.input if value.name not in weights)
    array = np.random.default_rng(0).normal(size=(samples, 3, 224, 224)).astype(np.float32)
    np.savez(npz, **{data: array})
    save_json([{data: array[:1]}], str(inputs))
    check = [BIN / "normdeploy", "check", path, "--backend", "onnxruntime", "--data", npz]
    polygraphy = [BIN / "polygraphy", "run", path, "--onnxrt", "--load-inputs", inputs]
    return {"normdeploy": [str(part) for part in check], "polygraphy": [str(part) for part in polygraphy]}


def _seconds(line: list[str]) -> tuple[float, float]:
    """By the clock, and of processors."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(line, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
