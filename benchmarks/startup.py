"""What a command costs before it begins: this checkout against an older one, in turn.

    python benchmarks/startup.py [--before CHECKOUT] [--runs N] [--json FILE]

Each command is a process of its own, run in its checkout. One run of each is not counted: it compiles the
bytecode and brings the files into the page cache. Processor time says what the command costs; wall time says
what one waits for on the machine as it was. Without --before only this checkout is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.machine import environment

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {
    'python -c "import normdeploy"': ("-c", "import normdeploy"),
    "normdeploy --help": ("-m", "normdeploy", "--help"),
    "normdeploy check --help": ("-m", "normdeploy", "check", "--help"),
    "normdeploy inspect digits.onnx": ("-m", "normdeploy", "inspect", "models/digits/digits.onnx"),
}

Times = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description="time until a command has begun, and ended")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="an older checkout to compare with")
    parser.add_argument("--runs", type=int, default=20, help="runs of each command (default 20)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    checkouts = {"now": ROOT} if options.before is None else {"before": options.before, "now": ROOT}
    for checkout in checkouts.values():
        _require_its_own_package(checkout)
    results = {}
    for name, arguments in COMMANDS.items():
        results[name] = _timed(arguments, checkouts, options.runs)
        print(f"{name}, median of {options.runs} runs")
        for which, times in results[name].items():
            cpu, wall = statistics.median(times["cpu_s"]), statistics.median(times["wall_s"])
            print(f"  {which:6}  {cpu:6.3f} s of processor time  {wall:6.3f} s of wall time")
        if "before" in checkouts:
            print(f"  ratio   {_ratio(results[name], 'cpu_s'):6.1f}{_ratio(results[name], 'wall_s'):26.1f}")
    machine = environment("click", "numpy", "onnx", "onnx-ir", "rich", "sympy")
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    if options.json:
        commits = {which: _commit(checkout) for which, checkout in checkouts.items()}
        report = {"commands": results, "commits": commits, "environment": machine}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def _require_its_own_package(checkout: Path) -> None:
    """An installed normdeploy must not answer for a checkout."""
    command = [sys.executable, "-c", "import normdeploy; print(normdeploy.__file__)"]
    found = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()
    if not Path(found).is_relative_to(checkout.resolve()):
        raise SystemExit(f"{checkout}: imports {found}")


def _timed(arguments: tuple[str, ...], checkouts: dict[str, Path], runs: int) -> dict[str, Times]:
    times: dict[str, Times] = {which: {"cpu_s": [], "wall_s": []} for which in checkouts}
    for run in range(runs + 1):
        for which, checkout in checkouts.items():
            cpu, wall = _seconds(arguments, checkout)
            if run:
                times[which]["cpu_s"].append(cpu)
                times[which]["wall_s"].append(wall)
    return times


def _seconds(arguments: tuple[str, ...], checkout: Path) -> tuple[float, float]:
    """Processor time, in the process and in the kernel for it, and wall time of one process."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], cwd=checkout, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{checkout}: {' '.join(arguments)} ends with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, wall


def _ratio(times: dict[str, Times], kind: str) -> float:
    return statistics.median(times["before"][kind]) / statistics.median(times["now"][kind])


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
