"""Turns benchmarks/results into the tables of the README and of docs/benchmarks.md.

    python benchmarks/tables.py [--check]

Each table stands between `<!-- benchmarks:NAME -->` and `<!-- benchmarks:end -->`, and is written there
again. With --check nothing is written, and the exit code is 1 if a page differs from the results.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "verdict.md")

_MARKED = re.compile(
    r"(?P<begin><!-- benchmarks:(?P<name>\w+) -->\n)(?P<table>.*?)(?P<end><!-- benchmarks:end -->)", re.DOTALL
)
_RIVALS = ("onnxslim", "onnxsim")

Row = Sequence[str]


def main() -> int:
    parser = argparse.ArgumentParser(description="write the results into the tables of the documentation")
    parser.add_argument("--check", action="store_true", help="only say whether they are there")
    options = parser.parse_args()
    stale = False
    for path in PAGES:
        text = path.read_text()
        if (fresh := updated(text)) != text:
            print(f"{path.relative_to(ROOT)}: {'differs from the results' if options.check else 'written'}")
            stale = True
            if not options.check:
                path.write_text(fresh)
    return int(stale and options.check)


def updated(text: str) -> str:
    """A page with every marked table made anew."""
    return _MARKED.sub(lambda found: f"{found['begin']}{TABLES[found['name']]()}{found['end']}", text)


def read(name: str) -> dict[str, Any]:
    """One file of results."""
    document: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return document


def summary() -> str:
    """A line for each claim, for the README."""
    documents = [read(name) for name in ("reference_speed", "lrn_ort_cpu", "optimizers", "check_speed")]
    loop, models = read("profile_plain_loop"), documents[2]["models"]
    nodes = "; ".join(
        f"light_{model} {tools['normdeploy']['nodes']} ({min(tools[rival]['nodes'] for rival in _RIVALS)})"
        for model, tools in models.items()
    )
    verified = ", ".join(
        f"{tools['normdeploy']['seconds_with_verification']:.1f} s" for tools in models.values()
    )
    return (
        f"{_measured(*documents, loop)}\n\n"
        + _table(["", "against", "times as fast"], list(_claims(*documents)))
        + "\nWith its verification in float64, which the others do not do by default, `optimize` takes "
        f"{verified} on these models. Nodes left, in brackets those of the better of "
        f"{' and '.join(_RIVALS)}: {nodes}.\n\n"
        f"`profile` sees {loop['ratio']:.3f} of the median latency of a plain loop over "
        f"`InferenceSession.run` ({_interval(loop['ci99'])} with 99 % confidence).\n"
        f"{_alexnet(read('profile_alexnet'))}\n"
    )


def _claims(
    reference: Mapping[str, Any],
    forms: Mapping[str, Any],
    optimizers: Mapping[str, Any],
    checks: Mapping[str, Any],
) -> Iterator[Row]:
    """What is compared, with what, and how many times as fast it is."""
    yield (
        "the reference in float64, light_inception_v1",
        "onnx.reference in float32",
        f"{reference['ratio']:.1f}",
    )
    for result in forms["results"]:
        for peer, ratio in result["times_faster"].items():
            yield f"`optimize --target ort-cpu`, {_lrn(result['name'])}", peer, f"{ratio:.2f}"
    for model, tools in optimizers["models"].items():
        seconds, rival = min((tools[name]["seconds"], name) for name in _RIVALS)
        ratio = seconds / tools["normdeploy"]["seconds"]
        yield f"`optimize` without verification, light_{model}", rival, f"{ratio:.2f}"
        verified = seconds / tools["normdeploy"]["seconds_with_verification"]
        yield (
            f"`optimize` with its verification, light_{model}",
            f"{rival}, which does none",
            f"{verified:.2f}",
        )
    for case, result in checks["models"].items():
        peer = "`polygraphy run --onnxrt` of one sample, which computes no reference"
        model, _, samples = case.partition(", ")
        checked = f"`check` of {samples or 'one sample'}, light_{model}"
        yield checked, peer, f"{result['ratio']:.2f}"


def reference() -> str:
    found = read("reference_speed")
    rows = [
        [name, kind, f"{statistics.median(found['seconds'][name]):.3f}"]
        for name, kind in (("normdeploy", "float64"), ("onnx.reference", "float32"))
    ]
    return f"{_measured(found)}\n\n" + _table(["evaluator", "type", "median s"], rows)


def lrn() -> str:
    found = read("lrn_ort_cpu")
    rows = []
    for result in found["results"]:
        optimized = f"{result['milliseconds']['optimized']:.2f}"
        for peer, ratio in result["times_faster"].items():
            times = f"{result['milliseconds'][peer]:.2f}"
            rows.append([_lrn(result["name"]), peer, times, optimized, f"{ratio:.2f}"])
    return f"{_measured(found)}\n\n" + _table(
        ["", "against", "its median ms", "optimized, median ms", "times as fast"], rows
    )


def optimizers() -> str:
    found = read("optimizers")
    rows = []
    for model, tools in found["models"].items():
        for tool, result in tools.items():
            verified = result.get("seconds_with_verification")
            left = [str(result[kind]) for kind in ("nodes", "BatchNormalization", "Mul", "Add")]
            rows.append(
                [
                    f"light_{model}",
                    tool,
                    f"{result['seconds']:.3f}",
                    "" if verified is None else f"{verified:.1f}",
                    *left,
                ]
            )
    return f"{_measured(found)}\n\n" + _table(
        ["", "", "median s", "with verification, s", "nodes left", "BatchNormalization", "Mul", "Add"], rows
    )


def check() -> str:
    found = read("check_speed")
    rows = [
        [f"light_{model}", *(f"{statistics.median(seconds):.2f}" for seconds in result["seconds"].values())]
        for model, result in found["models"].items()
    ]
    tools = next(iter(found["models"].values()))["seconds"]
    return f"{_measured(found)}\n\n" + _table(["", *(f"{tool}, median s" for tool in tools)], rows)


def profile() -> str:
    found, alexnet = read("profile_plain_loop"), read("profile_alexnet")
    rows = [
        ["`profile`", f"{statistics.median(found['profile_ms']):.3f}"],
        ["a plain loop", f"{statistics.median(found['plain_ms']):.3f}"],
    ]
    return (
        f"{_measured(found)}\n\n"
        + _table(["", "median of medians, ms"], rows)
        + f"\nRatio, round by round: {found['ratio']:.3f} ({_interval(found['ci99'])} with 99 % "
        "confidence).\n\n" + f"{_alexnet(alexnet)}\n"
    )


def power() -> str:
    """How often errors of several times the size that `check --power` states are found."""
    found = read("power_calibration")
    factors = ("0.1", "0.5", "1.0", "2.0", "4.0")
    rows = [
        [
            group,
            f"{each['networks']}",
            f"{each['tries']}",
            *(f"{100 * each['caught'][factor] / each['tries']:.1f}" for factor in factors),
        ]
        for group, each in found["groups"].items()
    ]
    headings = ["", "networks", "tries", *(f"% at {float(factor):g} times the size" for factor in factors)]
    return f"{_measured(found)}\n\n" + _table(headings, rows)


def startup() -> str:
    if not (RESULTS / "startup.json").is_file():
        return "Not measured yet.\n"
    found = read("startup")
    checkouts = list(found["commits"])
    headings = [f"{which}, {kind} s" for which in checkouts for kind in ("processor", "wall")]
    rows = [
        [
            f"`{command}`",
            *(
                f"{statistics.median(times[which][kind]):.3f}"
                for which in checkouts
                for kind in ("cpu_s", "wall_s")
            ),
        ]
        for command, times in found["commands"].items()
    ]
    return f"{_measured(found)}\n\n" + _table(["medians", *headings], rows)


TABLES: Mapping[str, Callable[[], str]] = {
    table.__name__: table for table in (summary, reference, lrn, optimizers, check, power, profile, startup)
}


def _alexnet(found: Mapping[str, Any]) -> str:
    (change,) = found["changes"]
    (quantity,) = change["quantities"]
    unstable = [backend["disturbance"] for backend in found["backends"] if not backend["stable"]]
    machine = found["environment"]
    noisy = f"; it called the machine too noisy: {unstable[0]}" if unstable else ""
    return (
        f"`profile --against` on AlexNet after `--target ort-cpu`, on {machine['cpu']} x {machine['cpus']}: "
        f"p50 {quantity['before_ms']:.2f} to {quantity['now_ms']:.2f} ms, ratio {quantity['ratio']:.3f} "
        f"({_interval(quantity['ratio_ci99'])} with 99 % confidence){noisy}."
    )


def _lrn(name: str) -> str:
    return name if name.startswith("light_") else f"LRN {name}"


def _interval(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def _measured(*documents: Mapping[str, Any]) -> str:
    """When, on what, and with which versions."""
    places = {f"{found['environment']['CPU']}, {found['environment']['date']}" for found in documents}
    versions = sorted({pair for found in documents for pair in _versions(found["environment"])})
    return f"Measured on {'; '.join(sorted(places))} ({', '.join(versions)})."


def _versions(environment: Mapping[str, str]) -> Iterator[str]:
    return (f"{name} {value}" for name, value in environment.items() if name not in ("CPU", "date"))


def _table(headings: Row, rows: Sequence[Row]) -> str:
    numeric = [all(re.fullmatch(r"[\d.]*", row[column]) for row in rows) for column in range(len(headings))]
    lines = [headings, ["--:" if right else "---" for right in numeric], *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    sys.exit(main())
