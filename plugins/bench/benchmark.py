"""The plugin's kernels on a GPU, against a copy of the same bytes and against what one would use instead.

    python plugins/bench/benchmark.py [--types float32 ...] [--sizes 5 ...] [--layouts NCHW ...] [--json FILE]

Needs nvcc, a driver and torch; the folder plugins/ can be carried to any machine that has them. Each problem
is first compared with float64. Then all contestants run in turn, round after round, each after a flush of the
L2 cache, timed by CUDA events; the medians are compared:

    copy      a device-to-device copy of the input, in the same run: what device memory allows
    plugin    the plugin's kernel
    eager     torch: x / (bias + alpha * avg_pool2d(x * x, size)) ** beta
    compiled  torch.compile of that
    rtx       TensorRT-RTX running the operator's function body, where it is installed (NCHW)

Goals: plugin at least 0.9 of the copy in float32 and float16 (NCHW), 3 times eager, 1.3 times compiled.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from function_body import NotHere, function_body
from kernels import Kernels, compile_kernels
from problems import LAYOUTS, SIZES, TYPES, Problem, all_problems

ALPHA, BETA, BIAS = 1e-4, 0.75, 2.0
RELATIVE_TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 1.6e-2}
COPY_GOAL, EAGER_GOAL, COMPILED_GOAL = 0.9, 3.0, 1.3

Run = Callable[[], None]


def main() -> int:
    """Measure the problems that the command line names; 0 if it could, whatever the goals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--types", nargs="+", choices=TYPES, default=TYPES)
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=SIZES)
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=LAYOUTS)
    parser.add_argument("--rounds", type=int, default=30, help="timed runs of each contestant")
    parser.add_argument("--json", type=Path, metavar="FILE", help="written after each problem")
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("error: torch finds no CUDA device", file=sys.stderr)
        return 3
    properties = torch.cuda.get_device_properties(0)
    document: dict[str, Any] = {
        "measured": True,
        "device": properties.name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "problems": [],
    }
    flush = torch.empty(4 * properties.L2_cache_size, dtype=torch.int8, device="cuda")
    print(f"{properties.name}, torch {torch.__version__}; times are medians in microseconds")
    with tempfile.TemporaryDirectory() as folder:
        kernels = Kernels(compile_kernels(Path(folder)))
        for problem in all_problems(tuple(options.layouts)):
            if problem.type not in options.types or problem.size not in options.sizes:
                continue
            row = measure(torch, kernels, problem, flush, options.rounds)
            document["problems"].append(row)
            print(describe(problem, row), flush=True)
            if options.json:
                options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    missed = [goal for row in document["problems"] for goal in row["missed"]]
    print(f"{len(missed)} goals missed in {len(document['problems'])} problems")
    return 0


def decomposition(torch: Any, size: int) -> Callable[[Any], Any]:
    """The operator as torch computes it, for x in NCHW order; zeros beyond the border count in the mean."""

    def lrn(x: Any) -> Any:
        mean = torch.nn.functional.avg_pool2d(x * x, size, stride=1, padding=size // 2)
        return x / (BIAS + ALPHA * mean) ** BETA

    return lrn


def measure(torch: Any, kernels: Kernels, problem: Problem, flush: Any, rounds: int) -> dict[str, Any]:
    """Compare one problem with float64, and time all contestants on it.

    Args:
        flush: a tensor larger than the L2 cache, which is written before each run.
        rounds: timed runs of each contestant.

    Raises:
        RuntimeError: the plugin computes something else.
    """
    torch.manual_seed(0)
    memory_format = torch.contiguous_format if problem.layout == "NCHW" else torch.channels_last
    x = torch.randn(problem.shape, device="cuda").to(getattr(torch, problem.type))
    x = x.contiguous(memory_format=memory_format)
    y = torch.empty_like(x, memory_format=torch.preserve_format)
    operation = kernels.operation(problem, ALPHA, BETA, BIAS)
    workspace = (
        torch.empty(operation.workspace_bytes, dtype=torch.int8, device="cuda")
        if operation.workspace_bytes
        else None
    )
    stream = torch.cuda.current_stream().cuda_stream
    eager = decomposition(torch, problem.size)
    operation(x, y, workspace, stream)
    validate(torch, problem, eager(x[:2].double()), y[:2])

    compiled = torch.compile(eager, dynamic=False)
    contestants: dict[str, Run] = {
        "copy": lambda: y.copy_(x),
        "plugin": lambda: operation(x, y, workspace, stream),
        "eager": lambda: eager(x),
        "compiled": lambda: compiled(x),
    }
    absent = {}
    if problem.layout == "NCHW":
        try:
            body = function_body(problem, ALPHA, BETA, BIAS)
            contestants["rtx"] = lambda: body(x, y, stream)
        except NotHere as error:
            absent["rtx"] = str(error)
    times = time_in_turn(torch, contestants, flush, rounds)
    torch._dynamo.reset()
    row: dict[str, Any] = {
        "shape": list(problem.shape),
        "layout": problem.layout,
        "type": problem.type,
        "size": problem.size,
        "microseconds": times,
        "plugin_gb_per_s": 2 * problem.elements * problem.element_bytes / times["plugin"] / 1e3,
        "of_copy": times["copy"] / times["plugin"],
        "speedup": {name: times[name] / times["plugin"] for name in times if name not in ("copy", "plugin")},
        "absent": absent,
    }
    row["missed"] = missed_goals(problem, row)
    return row


def validate(torch: Any, problem: Problem, expected: Any, actual: Any) -> None:
    """Compare with what float64 gives.

    Raises:
        RuntimeError: the largest relative error is beyond the tolerance of the type.
    """
    error = ((actual.double() - expected).abs() / (expected.abs() + 1e-3)).max().item()
    if not error <= RELATIVE_TOLERANCE[problem.type]:
        raise RuntimeError(f"{problem}: wrong result, relative error {error}")


def time_in_turn(torch: Any, contestants: dict[str, Run], flush: Any, rounds: int) -> dict[str, float]:
    """Median microseconds of each."""
    for run in contestants.values():
        for _ in range(3):
            run()
    events: dict[str, list[Any]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            flush.zero_()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            run()
            end.record()
            events[name].append((begin, end))
    torch.cuda.synchronize()
    return {
        name: statistics.median(begin.elapsed_time(end) * 1e3 for begin, end in pairs)
        for name, pairs in events.items()
    }


def missed_goals(problem: Problem, row: dict[str, Any]) -> list[str]:
    """The contestants against which the plugin misses its goal."""
    missed = []
    if problem.layout == "NCHW" and problem.type != "bfloat16" and row["of_copy"] < COPY_GOAL:
        missed.append("copy")
    if row["speedup"]["eager"] < EAGER_GOAL:
        missed.append("eager")
    if row["speedup"]["compiled"] < COMPILED_GOAL:
        missed.append("compiled")
    return missed


def describe(problem: Problem, row: dict[str, Any]) -> str:
    """One line for the terminal."""
    shape = "x".join(map(str, problem.shape))
    parts = [
        f"{shape:>15} {problem.layout} {problem.type:>8} size {problem.size:2}:",
        f"{row['microseconds']['plugin']:8.1f} us {row['plugin_gb_per_s']:7.1f} GB/s",
        f"{row['of_copy']:.2f} of copy",
        *(f"{factor:5.2f}x {name}" for name, factor in row["speedup"].items()),
    ]
    if row["missed"]:
        parts.append(f"missed: {', '.join(row['missed'])}")
    return "  ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
