"""A deployed model with all that the examinations of one check need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from normdeploy.errors import ModelError, UsageError
from normdeploy.graph.inference import inferred
from normdeploy.graph.io import ModelSource, load
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.samples import Samples
from normdeploy.reference import Evaluator
from normdeploy.validation.gate import Gate
from normdeploy.validation.judge import Judge
from normdeploy.validation.pairing import Pairing, pair_interfaces
from normdeploy.validation.tolerance import Tolerance


@dataclass(frozen=True)
class Examinee:
    """What every examination is given.

    Args:
        path: of the deployed model's file.
        deployed: computes the deployed model, whose types have been inferred.
        original: computes the model that is right; the same object where there is no reference.
        judge: says whether outputs are right.
        declared: the deployed model's inputs, open dimensions included.
        shapes: that the user gives inputs.
        samples: opened; they can be gone through once.
        tolerance: the user's own; None to measure what rounding does.
        gate: decides in place of the numbers; None if they decide.
        seed: of what is drawn at random.
        timeout: seconds that a backend may take to load the model, and for each batch.
    """

    path: Path
    deployed: Evaluator
    original: Evaluator
    judge: Judge
    declared: Sequence[DeclaredInput]
    shapes: Mapping[str, Sequence[int]]
    samples: Samples
    tolerance: Tolerance | None
    gate: Gate | None
    seed: int
    timeout: float

    @property
    def has_reference(self) -> bool:
        """Whether the model that is right is another file."""
        return self.original is not self.deployed

    @property
    def is_computable(self) -> bool:
        """Whether the reference computes the deployed graph itself, and no stand-in (see `computable`)."""
        return self.judge.deployed is self.deployed


def paired_models(
    model: ModelSource, reference: ModelSource | None, names: Mapping[str, str] | None
) -> tuple[ir.Model, ir.Model, Pairing]:
    """The deployed model and the reference under its names; the same object twice without a reference.

    Args:
        model: what is deployed.
        reference: the original, or None.
        names: the deployed model's names of inputs and outputs -> the reference's, where they differ.

    Returns:
        Both, and the names that differ in the reference's file.

    Raises:
        NormdeployError: models that are not valid, interfaces that do not match, names without a reference.
    """
    deployed = inferred(model)
    original, pairing = deployed, Pairing()
    if reference is not None:
        original = load(reference)
        if original is reference:
            original = original.clone()
        pairing = pair_interfaces(deployed, original, names or {})
    elif names:
        raise UsageError("map tells the names of a reference: give --reference too")
    for value in deployed.graph.outputs:
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise ModelError(f"output '{value.name}' is {value.type}: only tensors can be checked")
    return deployed, original, pairing
