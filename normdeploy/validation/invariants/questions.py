"""What backends are asked of a model; the reference's part of the work, done once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import InputError, ModelError
from normdeploy.inputs.ranges import Range
from normdeploy.reference import Evaluator
from normdeploy.validation.examinee import Examinee
from normdeploy.validation.invariants.corners import Corner, corners
from normdeploy.validation.invariants.extra_outputs import with_extra_outputs
from normdeploy.validation.invariants.subject import ONE, PAIR, Sizes, Subject, subject_of
from normdeploy.validation.invariants.two_runs import TwoRuns, quietly
from normdeploy.validation.judge import Case, Judge
from normdeploy.validation.quantization import is_quantized
from normdeploy.validation.tolerance import Tolerance

Arrays = Mapping[str, Array]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Questions:
    """What backends are asked; the same for each.

    Args:
        subject: inputs, and which invariants the model has.
        equal_rows: what two runs on a batch of equal rows may differ by; None where that is not asked.
        corners: inputs of other shapes, with what is right for them.
        why_no_corners: why there are none.
        with_extra_outputs: the model with inner tensors as further outputs.
        extra_outputs: their names.
        why_no_extra: why there are none.
        profile: the smallest, the usual and the largest shape of each input in all of this; empty where the
            shapes are always the same.
    """

    subject: Subject
    equal_rows: TwoRuns | None
    corners: Sequence[tuple[Corner, Case]]
    why_no_corners: str
    with_extra_outputs: ir.Model
    extra_outputs: Sequence[str]
    why_no_extra: str
    profile: Mapping[str, tuple[Shape, Shape, Shape]]


def questions_about(examinee: Examinee, samples: Sequence[Arrays], ranges: Mapping[str, Range]) -> Questions:
    """Let the reference find out which invariants a model has, and what is right at other shapes.

    Args:
        examinee: the model.
        samples: a few batches of inputs; the first has the usual shapes.
        ranges: of the shapes of inputs for which a user gives them.

    Raises:
        ModelError: the reference cannot compute the model.
    """
    evaluator, declared, seed = examinee.judge.deployed, examinee.declared, examinee.seed
    deployed = examinee.deployed.model
    subject = subject_of(evaluator, declared, samples, examinee.tolerance, seed)
    found = corners(declared, subject.inputs, subject.batch, subject.rows, ranges, samples[0])
    judged, refusals = [], []
    for corner in found:
        case = _case(examinee.judge, corner)
        if isinstance(case, str):
            refusals.append(case)
        else:
            judged.append((corner, case))
    model, names = with_extra_outputs(deployed, subject.sizes)
    why_no_extra = "the model has no inner tensors that could be outputs"
    if is_quantized(deployed):
        names, why_no_extra = [], "the model is quantized, and fused integer kernels round elsewhere"
    return Questions(
        subject,
        _equal_rows(evaluator, subject, examinee.tolerance, seed),
        judged,
        refusals[0] if refusals else "the model leaves no size open",
        model,
        names,
        why_no_extra,
        _profile(subject, [corner.inputs for corner, _ in judged]),
    )


def _profile(subject: Subject, others: Sequence[Arrays]) -> dict[str, tuple[Shape, Shape, Shape]]:
    """The range of shapes of each input, if any has more than one."""
    batches = [subject.inputs, *others]
    if subject.batch is not None and subject.batch.fixed is None:
        batches += [subject.batch.take(subject.inputs, part) for part in (ONE, PAIR)]
    profile = {}
    for name, usual in subject.inputs.items():
        sizes = np.array([batch[name].shape for batch in batches]).reshape(len(batches), usual.ndim)
        smallest, largest = (tuple(map(int, end)) for end in (sizes.min(axis=0), sizes.max(axis=0)))
        profile[name] = (smallest, usual.shape, largest)
    return profile if any(smallest != largest for smallest, _, largest in profile.values()) else {}


def _case(judge: Judge, corner: Corner) -> Case | str:
    """What is right at a corner; or why the model is not asked there."""
    sizes = Sizes()
    restart_clock()
    try:
        with quietly():
            case = judge.on(corner.inputs, sizes)
    except (ModelError, InputError) as error:
        return f"the model itself does not run at {corner}: {error}"
    return f"at {corner} the tensor '{sizes.empty}' is empty" if sizes.empty else case


def _equal_rows(
    evaluator: Evaluator, subject: Subject, tolerance: Tolerance | None, seed: int
) -> TwoRuns | None:
    """Rows that depend on each other round differently among equal ones, which is measured then."""
    if subject.batch is None or not subject.permutable:
        return None
    if subject.independent.keys() == subject.permutable.keys():
        return subject.runs
    restart_clock()
    return TwoRuns(evaluator, subject.batch.take(subject.inputs, [0] * subject.rows), tolerance, seed)
