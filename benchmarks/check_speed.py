"""`normdeploy check` against `polygraphy run --onnxrt`, on the same model and the same inputs.

    python benchmarks/check_speed.py [--runs N] [--json FILE]

Whole commands are timed, in turn, imports included. normdeploy computes a float64 reference and measures
rounding; Polygraphy runs onnxruntime and computes no reference. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
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

MODELS = ("bvlc_alexnet", "inception_v1")
BIN = Path(sys.executable).parent


def main() -> None:
    parser = argparse.ArgumentParser(description="time of check against polygraphy run")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            commands = _commands(name, Path(folder))
            times: dict[str, list[float]] = {command: [] for command in commands}
            for _ in range(options.runs):
                for command, line in commands.items():
                    times[command].append(_seconds(line))
            medians = {command: statistics.median(values) for command, values in times.items()}
            ratio = medians["polygraphy"] / medians["normdeploy"]
            results[name] = {"seconds": times, "ratio": ratio}
            print(f"light_{name}, one sample, median of {options.runs} runs")
            print(f"  normdeploy check         {medians['normdeploy']:6.2f} s")
            print(f"  polygraphy run --onnxrt  {medians['polygraphy']:6.2f} s")
            print(f"  ratio                    {ratio:6.2f}    (at least 1 wanted)")
    machine = environment("numpy", "onnxruntime", "polygraphy")
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    if options.json:
        options.json.write_text(json.dumps({"models": results, "environment": machine}, indent=2) + "\n")


def _commands(name: str, folder: Path) -> dict[str, list[str]]:
    path, npz, inputs = folder / f"{name}.onnx", folder / f"{name}.npz", folder / f"{name}.json"
    onnx.save(light_model(name), path)
    feeds = {"data_0": np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)}
    np.savez(npz, **feeds)
    save_json([feeds], str(inputs))
    check = [BIN / "normdeploy", "check", path, "--backend", "onnxruntime", "--data", npz]
    polygraphy = [BIN / "polygraphy", "run", path, "--onnxrt", "--load-inputs", inputs]
    return {"normdeploy": [str(part) for part in check], "polygraphy": [str(part) for part in polygraphy]}


def _seconds(line: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(line, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
