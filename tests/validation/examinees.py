"""Examinees for the examinations of a check."""

from pathlib import Path

import onnx

from normdeploy.graph.inference import inferred
from normdeploy.inputs.declared import declared_inputs
from normdeploy.inputs.samples import Samples
from normdeploy.reference import Evaluator
from normdeploy.validation.examinee import Examinee
from normdeploy.validation.judge import Judge
from normdeploy.validation.tolerance import Tolerance


def examinee(
    model: onnx.ModelProto,
    path: Path = Path("model.onnx"),
    original: onnx.ModelProto | None = None,
    tolerance: Tolerance | None = None,
    seed: int = 0,
) -> Examinee:
    """A model of which no samples have been opened.

    Args:
        model: what is deployed.
        path: of its file, for examinations that run backends.
        original: the model that is right, by default the same.
        tolerance: the user's own.
        seed: of random rounding.
    """
    whole = inferred(model)
    ours = Evaluator(whole, keep_weights=True)
    right = ours if original is None else Evaluator(inferred(original), keep_weights=True)
    return Examinee(
        path=path,
        deployed=ours,
        original=right,
        judge=Judge(ours, right, tolerance, seed),
        declared=declared_inputs(whole),
        shapes={},
        samples=Samples(0, iter(())),
        tolerance=tolerance,
        gate=None,
        seed=seed,
        timeout=300,
    )
