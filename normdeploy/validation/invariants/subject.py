"""What the invariants are asked of: inputs, and which properties the model itself has on them.

A backend can be held to an invariant only where the model has it. Statistics over the batch, a softmax
across it, or a reshape that folds it into another axis make rows depend on each other; that is no defect.
So the float64 reference is asked first, output by output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import InputError, ModelError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.reference import Evaluator
from normdeploy.validation.invariants.rows import (
    BatchAxis,
    OutputRows,
    batch_axes,
    batch_of,
    output_layouts,
)
from normdeploy.validation.invariants.two_runs import TwoRuns, quietly
from normdeploy.validation.tolerance import Tolerance

Arrays = Mapping[str, Array]

ROWS = 3
"""Rows of the batch where the model leaves their number open: the fewest with which a batch of 1, one of 2
and a larger, odd one can be told apart."""

ONE, PAIR = (1,), (1, 0)
"""The rows of the two smaller batches: neither has the first row at the first place, and the pair turns them
round. It is none that looks the same to a model that gives its rows from the last to the first one."""

_NEGLIGIBLE = 0.5
"""Of what two roundings explain: how much the reference's own rows may differ where the model is said to
treat them alike. Where a model is in float64 the reference rounds as much as a backend does."""


@dataclass(frozen=True)
class Subject:
    """A model's inputs for the invariants, and what it does with their rows.

    Args:
        inputs: one batch, on which most runs are made.
        other: inputs of the same shapes and other values; None where there are none that the model takes.
        runs: judges two runs on `inputs`.
        sizes: number of elements of each tensor of the main graph on these inputs.
        batch: the axis that counts rows; None where there is none.
        rows: how many rows the batch has.
        independent: outputs whose rows depend on one row of the inputs each, and on nothing else.
        permutable: outputs whose rows follow the inputs' when these change places, the former included.
        why_not: why there is no such axis.
    """

    inputs: Arrays
    other: Arrays | None
    runs: TwoRuns
    sizes: Mapping[str, int]
    batch: BatchAxis | None = None
    rows: int = 1
    independent: Mapping[str, OutputRows] = field(default_factory=dict)
    permutable: Mapping[str, OutputRows] = field(default_factory=dict)
    why_not: str = ""

    @property
    def shift(self) -> list[int]:
        """The rows in another order: each one place nearer to the start, and the first one last."""
        return [*range(1, self.rows), 0]


def subject_of(
    evaluator: Evaluator,
    declared: Sequence[DeclaredInput],
    samples: Sequence[Arrays],
    tolerance: Tolerance | None,
    seed: int,
) -> Subject:
    """Find the axis of a model's inputs that counts rows, and what the model makes of them.

    Args:
        evaluator: of the model.
        declared: its inputs, open dimensions included.
        samples: a few batches of inputs.
        tolerance, seed: see `TwoRuns`.

    Raises:
        ModelError: the reference cannot compute the model.
    """
    why_not = "no axis of the model's inputs counts rows"
    for axis in batch_axes(declared):
        if axis.fixed is not None and axis.fixed < 2:
            why_not = f"the model takes {axis.fixed} row, no more"
            continue
        try:
            found = _with_rows(evaluator, samples, axis, tolerance, seed)
        except (ModelError, InputError) as error:
            why_not = f"the model does not run with {axis.fixed or ROWS} rows: {error}"
            continue
        if found.permutable:
            return found
        why_not = "the model mixes its rows: the reference's answer for a row depends on the others"
    first, sizes = samples[0], Sizes()
    restart_clock()
    runs = TwoRuns(evaluator, first, tolerance, seed, sizes)
    return Subject(first, _other(evaluator, samples), runs, sizes.elements, why_not=why_not)


def _with_rows(
    evaluator: Evaluator, samples: Sequence[Arrays], axis: BatchAxis, tolerance: Tolerance | None, seed: int
) -> Subject:
    rows = axis.fixed or ROWS
    inputs, sizes = batch_of(samples, axis, rows), Sizes()
    restart_clock()
    runs = TwoRuns(evaluator, inputs, tolerance, seed, sizes)
    subject = Subject(inputs, None, runs, sizes.elements, axis, rows)
    if sizes.empty:
        return subject
    if axis.fixed is None:
        subject = replace(subject, independent=_layouts(evaluator, subject, (ONE, PAIR), runs.exact))
    mixed = [name for name in runs.exact if name not in subject.independent]
    permutable = {**subject.independent, **_layouts(evaluator, subject, (subject.shift,), mixed)}
    return replace(subject, permutable=permutable, other=axis.take(inputs, subject.shift))


def _layouts(
    evaluator: Evaluator, subject: Subject, parts: Iterable[Sequence[int]], names: Iterable[str]
) -> dict[str, OutputRows]:
    """Where the rows lie of those outputs whose rows are the same in batches of chosen rows."""
    names = list(names)
    if not names or subject.batch is None:
        return {}
    try:
        answers = []
        for part in parts:
            restart_clock()
            sizes = Sizes()
            with quietly():
                answer = evaluator.run(subject.batch.take(subject.inputs, part), on_node=sizes)
            if sizes.empty:
                return {}
            answers.append((part, answer))
    except (ModelError, InputError):
        return {}
    found = {name: _layout(subject, name, answers) for name in names}
    return {name: layout for name, layout in found.items() if layout is not None}


def _layout(
    subject: Subject, name: str, answers: Sequence[tuple[Sequence[int], Arrays]]
) -> OutputRows | None:
    for layout in output_layouts(subject.runs.exact[name].ndim):
        if all(_same(subject, name, layout, part, answer[name]) for part, answer in answers):
            return layout
    return None


def _same(subject: Subject, name: str, layout: OutputRows, part: Sequence[int], answer: Array) -> bool:
    """Whether the rows of an answer to a batch of some rows are those of the answer to the whole batch."""
    whole, count = subject.runs.exact[name], subject.rows
    if layout.shape(whole.shape, len(part), count) != answer.shape:
        return False
    rows = list(part)
    found = subject.runs.compare(
        name,
        layout.split(answer, len(part)),
        layout.split(whole, count)[rows],
        lambda array: layout.split(array, count)[rows],
        steps=False,
    )
    return not found.wrong and found.noise_ratio <= _NEGLIGIBLE


def _other(evaluator: Evaluator, samples: Sequence[Arrays]) -> Arrays | None:
    """Inputs of the first sample's shapes and of other values."""
    first = samples[0]
    for sample in samples[1:]:
        if all(sample[name].shape == array.shape for name, array in first.items()):
            return sample
    moved = {name: np.roll(array.ravel(), 1).reshape(array.shape) for name, array in first.items()}
    try:
        restart_clock()
        with quietly():
            evaluator.run(moved)
    except (ModelError, InputError):
        return None
    return moved


class Sizes:
    """Notes, as the reference computes, how many elements each tensor of the main graph has.

    Attributes:
        elements: by the tensors' names.
        empty: the first tensor of floating numbers that has none; "" if there is no such. Runtimes refuse
            these here and there, and what comes of them says nothing.
    """

    def __init__(self) -> None:
        self.elements: dict[str, int] = {}
        self.empty = ""

    def __call__(self, node: ir.Node, results: Sequence[Array]) -> None:
        """See `normdeploy.reference.evaluator.NodeObserver`."""
        for value, array in zip(node.outputs, results, strict=False):
            self.elements[str(value.name)] = array.size
            if array.size == 0 and array.dtype.kind == "f":
                self.empty = self.empty or str(value.name)
