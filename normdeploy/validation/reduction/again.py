"""The small files, read and judged in a fresh process: `python -m normdeploy.validation.reduction.again`.

It is asked on standard input, as JSON, and answers on standard output. What it is asked holds all that a user
would need to judge the files: their paths, the backend, the tolerance, the seed, the time limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from normdeploy.backends.catalog import Backend
from normdeploy.budget import clock_stopped, spending
from normdeploy.graph.inference import inferred
from normdeploy.inputs.declared import declared_inputs
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.localize.execution import runner
from normdeploy.validation.localize.judging import by_rounding
from normdeploy.validation.reduction.failures import (
    Failure,
    Oracle,
    Piece,
    in_backend,
    in_graphs,
    shown_numbers,
)
from normdeploy.validation.tolerance import Tolerance

_STARTING_SECONDS = 60.0
"""Beyond the time limits of the backend and the reference."""


def still_fails(
    model: Path,
    original: Path | None,
    data: Path,
    backend: Backend | None,
    tolerance: Tolerance | None,
    seed: int,
    timeout: float,
) -> Failure | None:
    """How files fail in a process that knows nothing else; None if they do not.

    Args:
        model, original: the pieces; without an original, the model is its own.
        data: their inputs, an .npz.
        backend: which; None to compare the two graphs.
        tolerance: the user's own; None to go by rounding.
        seed: of the random errors in the measurement of rounding.
        timeout: seconds that the backend has to load the model, and to run it; the reference likewise.
    """
    request = {
        "model": str(model),
        "original": None if original is None else str(original),
        "data": str(data),
        "backend": None
        if backend is None
        else {"name": backend.name, "factory": backend.factory, "options": dict(backend.options)},
        "tolerance": None if tolerance is None else asdict(tolerance),
        "seed": seed,
        "timeout": timeout,
    }
    code = f"from {__name__} import main; main()"
    paths = [str(Path(entry).resolve()) for entry in sys.path if entry]
    try:
        with clock_stopped():
            done = subprocess.run(
                [sys.executable, "-c", code],
                input=json.dumps(request),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                timeout=_STARTING_SECONDS + 4 * timeout,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                check=False,
            )
    except subprocess.TimeoutExpired:
        return None
    answer = json.loads(done.stdout) if done.returncode == 0 and done.stdout else None
    if answer is None:
        return None
    outputs = {name: TensorComparison(**found) for name, found in answer["outputs"].items()}
    return Failure(answer["status"], answer["reason"], outputs)


def main() -> None:
    """Answer the request on standard input: the failure, or null."""
    request = json.load(sys.stdin)
    with spending(request["timeout"]):
        failure = _oracle(request)(_piece(request))
    answer = failure and {
        "status": failure.status,
        "reason": failure.reason,
        "outputs": {name: shown_numbers(found) for name, found in failure.outputs.items()},
    }
    json.dump(answer, sys.stdout)


def _piece(request: Mapping[str, Any]) -> Piece:
    model = inferred(request["model"])
    with np.load(request["data"]) as file:
        arrays = {name: file[name] for name in file.files}
    inputs = {}
    for declared in declared_inputs(model):
        array = arrays[declared.name]
        inputs[declared.name] = array.view(declared.dtype) if array.dtype.kind == "V" else array
    original = None if request["original"] is None else inferred(request["original"])
    return Piece(model, original, inputs)


def _oracle(request: Mapping[str, Any]) -> Oracle:
    judgement = by_rounding(request["seed"])
    tolerance = None if request["tolerance"] is None else Tolerance(**request["tolerance"])
    if request["backend"] is None:
        return in_graphs(judgement, tolerance)
    return in_backend(runner(Backend(**request["backend"]), request["timeout"]), judgement, tolerance)
