"""Does a backend contradict itself? Judged by measured rounding, without asking what is right.

- equal-rows: a batch whose rows are the same gives the same answer for each.
- permuted-rows: rows that change places take their answers with them.
- batch-sizes: a row has the same answer alone, in a batch of two and in a larger one.
- shape-corners: at the smallest, the largest and odd sizes of what the model leaves open, the answer is the
  reference's. Only here the reference says what is right.
- repeated-runs: the same batch has the same answer again, after other values and after other shapes.
- extra-outputs: inner tensors as further outputs do not change the answer.

subject finds out which of these the model has, questions what backends are asked, examination asks one;
rows and corners make the inputs, two_runs judges, finding gathers, result is what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from normdeploy.backends.catalog import Backend
from normdeploy.validation.invariants.examination import examine
from normdeploy.validation.invariants.questions import Questions, questions_about
from normdeploy.validation.invariants.result import NAMES, Invariant, Invariants
from normdeploy.validation.invariants.sessions import KeptSession
from normdeploy.validation.localize import runner

__all__ = ["NAMES", "Invariant", "Invariants", "Questions", "ask", "questions_about"]


def ask(
    questions: Questions, backends: Iterable[tuple[Backend, bool]], model: Path, timeout: float
) -> Invariants:
    """Ask backends, one after the other.

    Args:
        questions: what they are asked.
        backends: each with whether its numbers are right on the samples of the check.
        model: the ONNX file.
        timeout: seconds that loading the model may take, and each run.
    """
    entries: list[Invariant] = []
    for backend, is_right in backends:
        with KeptSession(backend.with_shapes(questions.profile), model, timeout) as session:
            entries += examine(
                questions,
                backend.name,
                session,
                partial(runner(backend, timeout), questions.with_extra_outputs),
                is_right=is_right,
            )
    return Invariants(entries)
