"""Does `check --power` state the right sizes? Errors are planted, and counted how often the check finds them.

    python benchmarks/power_calibration.py [--tries N] [--seeds N] [--light NAME ...] [--most N]
                                           [--json FILE] [--svg FILE]

In each layer, errors of several times the stated size are planted, with signs of their own (see
benchmarks/planted_errors.py). Wanted: those of twice the size are found in at least 95 % of tries, those of a
tenth in less than 20 %.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.machine import environment
from benchmarks.planted_errors import Calibrated
from models.light import light_model
from normdeploy.graph.inference import inferred
from normdeploy.inputs.declared import declared_inputs
from normdeploy.inputs.samples import open_samples
from normdeploy.pages import charts
from normdeploy.pages.style import CSS
from tests.validation.random_models import random_model

ROOT = Path(__file__).resolve().parents[1]

FACTORS = (0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)
"""Planted size / stated size."""

LIGHT = ("squeezenet", "bvlc_alexnet", "shufflenet")

Network = tuple[str, str, onnx.ModelProto, "list[dict[str, Any]]"]
"""Group, name, model and batches of inputs."""


def main() -> None:
    parser = argparse.ArgumentParser(description="are stated sizes right?")
    parser.add_argument("--tries", type=int, default=4, help="for each layer and size (default 4)")
    parser.add_argument("--seeds", type=int, default=66, help="random networks (default 66)")
    parser.add_argument("--light", nargs="*", default=LIGHT, metavar="NAME")
    parser.add_argument("--most", type=int, default=24, help="layers of a light model (default 24)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")

    groups: dict[str, dict[str, Any]] = {}
    for group, name, model, batches in _networks(options.seeds, options.light):
        found = groups.setdefault(
            group,
            {
                "networks": 0,
                "layers": 0,
                "seen": 0,
                "caught": dict.fromkeys(map(str, FACTORS), 0),
                "tries": 0,
            },
        )
        network = Calibrated(model, batches)
        layers = list(network.stated)
        layers = layers[:: max(1, -(-len(layers) // options.most))]
        found["networks"] += 1
        found["layers"] += network.layers
        found["seen"] += len(network.stated)
        found["tries"] += len(layers) * options.tries
        for layer in layers:
            for factor in FACTORS:
                size = min(factor * network.stated[layer], 1.0)
                caught = sum(network.is_caught(layer, size, attempt) for attempt in range(options.tries))
                found["caught"][str(factor)] += caught
        print(f"{group}: {name}, {len(layers)} of {network.layers} layers", flush=True)
    for group, found in groups.items():
        twice, tenth = (found["caught"][key] / max(found["tries"], 1) for key in ("2.0", "0.1"))
        print(
            f"{group}: {found['networks']} networks, {found['tries']} tries; errors of twice the stated size "
            f"are found in {twice:.1%} (wanted 95 %), of a tenth in {tenth:.1%} (wanted below 20 %)"
        )
    machine = environment("numpy", "onnxruntime", "onnx")
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    if options.json:
        options.json.write_text(json.dumps({"groups": groups, "environment": machine}, indent=2) + "\n")
    if options.svg:
        options.svg.write_text(chart(groups))


def chart(groups: dict[str, dict[str, Any]]) -> str:
    """How often an error is found, by its size, as a file of its own."""
    series = {
        group: (list(FACTORS), [100 * found["caught"][str(factor)] / found["tries"] for factor in FACTORS])
        for group, found in groups.items()
    }
    figure = charts.lines(
        series, x="planted error / stated size", y="found, % of tries", log_x=True, points=True, limit=1.0
    )
    colours = dict(re.findall(r"--(\w+): (#\w+);", CSS.partition("@media")[0]))
    figure = re.sub(r"var\(--(\w+)\)", lambda found: colours[found[1]], figure)
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    begin = f'<svg {spaces} width="528" style="background: {colours["paper"]}"'
    return figure.replace("<svg", begin, 1).strip() + "\n"


def _networks(seeds: int, light: list[str]) -> Iterator[Network]:
    digits = ROOT / "models" / "digits"
    held_out = np.load(digits / "heldout.npz")
    (images,) = (held_out[name] for name in held_out.files if name != "labels")
    for name in ("digits", "original"):
        model = onnx.load(digits / f"{name}.onnx")
        yield "digits", name, model, [{model.graph.input[0].name: images[:32]}]
    for seed in range(seeds):
        drawn = random_model(seed)
        if drawn.kind != "quantized":  # its Mul would stand between the numbers and their scale
            yield "random networks", f"{drawn.kind} {seed}", drawn.model, drawn.samples
    for name in light:
        model = light_model(name)
        with open_samples(declared_inputs(inferred(model)), None, 2, 0) as opened:
            yield "light models", name, model, [dict(batch.inputs) for batch in opened.batches]


if __name__ == "__main__":
    main()
