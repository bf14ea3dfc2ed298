"""Every form of LRN that `optimize --target ort-cpu` may emit, timed in onnxruntime on the CPU.

    python benchmarks/lrn_forms.py [--seconds S] [--json FILE]

The thresholds in normdeploy/passes/lower_lrn.py come from this table: the form that is chosen is marked,
with how much slower it is than the fastest.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import lrn_graphs
from benchmarks.machine import environment
from benchmarks.ort_turns import milliseconds
from normdeploy import LRN
from normdeploy.graph.edit import Editor
from normdeploy.graph.intra_channel_lrn import match_function
from normdeploy.passes.lower_lrn import choose, lower
from normdeploy.passes.lrn.lowerings import LoweringSite, applicable

SHAPES = [
    (8, 96, 55, 55),
    (1, 96, 55, 55),
    (1, 32, 112, 112),
    (1, 64, 56, 56),
    (1, 192, 56, 56),
    (1, 256, 27, 27),
    (1, 512, 14, 14),
    (1, 2048, 7, 7),
]
SIZES = (3, 5, 7, 15)


def main() -> int:
    parser = argparse.ArgumentParser(description="forms of LRN in onnxruntime on the CPU")
    parser.add_argument("--seconds", type=float, default=1, help="for each size and shape (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    results, losses = [], []
    for region, convention in (("across", "onnx"), ("within", "torch")):
        for shape in SHAPES:
            for size in SIZES:
                spec = LRN(size, 1e-4, 0.75, 2.0, region, convention)
                chosen, forms = runs(spec, shape)
                feeds = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
                times = milliseconds(forms, feeds, options.seconds)
                losses.append(times[chosen] / min(times.values()))
                columns = "  ".join(
                    f"{form} {value:.2f}{'*' if form == chosen else ''}" for form, value in times.items()
                )
                print(f"{region:6} {shape!s:16} n = {size:2}  {columns}  {losses[-1]:.2f}", flush=True)
                results.append(
                    {
                        "region": region,
                        "shape": shape,
                        "size": size,
                        "chosen": chosen,
                        "milliseconds": times,
                        "slower_than_fastest": losses[-1],
                    }
                )
    print(f"the chosen form against the fastest: median {np.median(losses):.2f}, worst {max(losses):.2f}")
    machine = environment("onnxruntime", "onnx", "numpy")
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    if options.json:
        options.json.write_text(json.dumps({"environment": machine, "results": results}, indent=2) + "\n")
    return 0


def runs(spec: LRN, shape: tuple[int, ...]) -> tuple[str, dict[str, onnx.ModelProto]]:
    """The form that the rule chooses, and all forms, each as a model."""
    site = LoweringSite(ir.val("x"), spec, len(shape), shape[1], ir.DataType.FLOAT)
    forms = {form: in_form(spec, shape, form) for form in applicable(site)}
    return choose(site, "ort-cpu"), forms


def in_form(spec: LRN, shape: tuple[int, ...], form: str) -> onnx.ModelProto:
    """The operator lowered to one form."""
    model = ir.from_proto(lrn_graphs.operator(spec, shape))
    lower(next(iter(model.graph)), Editor(model.graph), lrn_graphs.OPSET, "ort-cpu", form)
    match_function(model)
    return ir.to_proto(model)


if __name__ == "__main__":
    raise SystemExit(main())
