"""Does `profile` measure the latency that a plain loop over InferenceSession.run sees?

    python benchmarks/profile_plain_loop.py [--model NAME] [--rounds N] [--json FILE]

A process that holds nothing but the loop, and the one that `profile` times a model in, take turns in random
order; both have the same session options and as many random inputs. Each round gives a ratio of medians. The
median ratio must be 1 within its 99 % interval, or off by 2 % at most.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.machine import environment
from models.light import NAMES, light_model
from normdeploy.backends.catalog import find
from normdeploy.graph.io import load
from normdeploy.inputs.declared import declared_inputs
from normdeploy.profiling.comparison import RESOLUTION
from normdeploy.profiling.feed import Feed, make_feed
from normdeploy.profiling.statistics import percentile_interval
from normdeploy.profiling.timed_model import TimedModel

LOOP = """
import sys, time
import numpy as np, onnxruntime
path, inputs = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
options.log_severity_level = 3
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
stacks = dict(np.load(inputs))
turn = 0
print(flush=True)
for line in sys.stdin:
    times, end = [], time.perf_counter() + float(line)
    while time.perf_counter() < end or len(times) < 2:
        x = {name: stack[turn % len(stack)] for name, stack in stacks.items()}
        turn += 1
        began = time.perf_counter_ns()
        session.run(None, x)
        times.append(time.perf_counter_ns() - began)
    print(np.median(times[1:]) / 1e6, flush=True)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="normdeploy profile against a plain loop")
    parser.add_argument("--model", choices=NAMES, default="squeezenet")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--turn", type=float, default=0.1, help="seconds per turn (default 0.1)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    ours, theirs = [], []
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(light_model(options.model), path)
        feed = make_feed(declared_inputs(load(path)), seed=0)
        with (
            plain_loop(path, feed) as loop,
            TimedModel(find("onnxruntime"), True, "", path, feed, None) as timed,
        ):
            timed.open(timeout=300)
            for _ in range(options.rounds):
                for turn in rng.permutation(2):
                    if turn == 0:
                        ours.append(float(np.median(timed.run_for(options.turn, untimed=1))))
                    else:
                        theirs.append(one_turn(loop, options.turn))
    ratios = np.array(ours) / np.array(theirs)
    ratio, (low, high) = float(np.median(ratios)), percentile_interval(ratios, 50)
    print(f"light_{options.model}, {options.rounds} turns of {options.turn:g} s each, median of medians")
    print(f"  plain loop  {np.median(theirs):8.3f} ms")
    print(f"  profile     {np.median(ours):8.3f} ms")
    print(f"  ratio       {ratio:8.3f}    ({low:.3f} to {high:.3f}, 99 %)")
    machine = environment("onnxruntime", "numpy")
    print("  " + ", ".join(f"{name} {value}" for name, value in machine.items()))
    if options.json:
        report = {"profile_ms": ours, "plain_ms": theirs, "ratio": ratio, "ci99": [low, high]}
        options.json.write_text(json.dumps({**report, "environment": machine}, indent=2) + "\n")
    return 0 if low <= 1 <= high or abs(ratio - 1) <= RESOLUTION else 1


@contextmanager
def plain_loop(model: Path, feed: Feed) -> Iterator[tuple[IO[str], IO[str]]]:
    """The loop's process, which takes a number of seconds per line and answers with a median."""
    inputs = model.with_name("inputs.npz")
    np.savez(inputs, **feed.stacks)
    command = [sys.executable, "-c", LOOP, str(model), str(inputs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield process.stdin, process.stdout


def one_turn(loop: tuple[IO[str], IO[str]], seconds: float) -> float:
    """The median of one turn of the loop in milliseconds."""
    requests, replies = loop
    requests.write(f"{seconds}\n")
    requests.flush()
    return float(replies.readline())


if __name__ == "__main__":
    raise SystemExit(main())
