"""Ask the backends of a check, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import count

from normdeploy.backends.catalog import Backend
from normdeploy.dtypes import Array
from normdeploy.inputs.ranges import Range
from normdeploy.validation.examinee import Examinee
from normdeploy.validation.invariants.examination import STEPS, examine
from normdeploy.validation.invariants.questions import questions_about
from normdeploy.validation.invariants.result import Invariant, Invariants
from normdeploy.validation.invariants.sessions import KeptSession
from normdeploy.validation.localize import runner
from normdeploy.validation.stream import Progress


def ask(
    examinee: Examinee,
    samples: Sequence[Mapping[str, Array]],
    ranges: Mapping[str, Range],
    backends: Iterable[tuple[Backend, bool]],
    progress: Progress | None = None,
) -> Invariants:
    """Ask backends whether they contradict themselves.

    Args:
        examinee: what they run.
        samples: a few batches of inputs, the first of the usual shapes.
        ranges: of the shapes of inputs for which the user gives them.
        backends: each with whether its numbers are right on the samples of the check.
        progress: is told how many steps are done.

    Raises:
        ModelError: the reference cannot compute the model.
    """
    entries: list[Invariant] = []
    asked = list(backends)
    if not asked or not samples:
        return Invariants(entries)
    steps = count(1)

    def on_step() -> None:
        if progress is not None:
            progress(next(steps), STEPS * len(asked))

    questions = questions_about(examinee, samples, ranges)
    for backend, is_right in asked:
        prepared = backend.with_shapes(questions.profile)
        with KeptSession(prepared, examinee.path, examinee.timeout) as session:
            entries += examine(
                questions,
                backend.name,
                session,
                partial(runner(backend, examinee.timeout), questions.with_extra_outputs),
                is_right=is_right,
                on_step=on_step,
            )
    return Invariants(entries)
